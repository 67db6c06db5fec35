//! What is read from a registry's answer.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{HeaderName, RETRY_AFTER};
use whimbrel_image::Digest;

use crate::RegistryErrorKind;
use crate::error::words;

/// What is read of a refusal.
pub(crate) const WORDS_LIMIT: u64 = 64 * 1024;

pub(crate) fn header(answer: &Response, name: &HeaderName) -> Option<String> {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

pub(crate) fn digest_header(answer: &Response) -> Option<Digest> {
    let value = answer.headers().get("Docker-Content-Digest")?;
    value.to_str().ok()?.parse().ok()
}

/// Turns a refusal into an error with the registry's words.
pub(crate) async fn expect_success(answer: Response) -> Result<Response, RegistryErrorKind> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let seconds = header(&answer, &RETRY_AFTER).and_then(|text| text.trim().parse::<u64>().ok());
    let body = limited(answer, WORDS_LIMIT).await.unwrap_or_default();
    let (codes, message) = words(&body);
    Err(RegistryErrorKind::Status { status, codes, message, retry_after: seconds.map(Duration::from_secs) })
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn limited(mut answer: Response, limit: u64) -> Result<Bytes, RegistryErrorKind> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(RegistryErrorKind::Connection)? {
        if (body.len() + piece.len()) as u64 > limit {
            return Err(RegistryErrorKind::TooLarge { limit });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.into())
}
