//! What a registry can answer instead of what was asked for.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

/// A request to a registry did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} at {registry} failed")]
pub struct RegistryError {
    /// The registry's name.
    pub registry: String,
    /// What was asked for.
    pub operation: String,
    /// What came instead.
    #[source]
    pub kind: RegistryErrorKind,
}

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryErrorKind {
    /// No answer: not reachable, or the connection broke.
    #[error("no answer")]
    Connection(#[source] reqwest::Error),
    /// An answer that is not the wanted one, with the registry's words.
    #[error("{status}{}", Words(message))]
    Status {
        /// The HTTP status.
        status: StatusCode,
        /// The error codes of the registry.
        codes: Vec<String>,
        /// The registry's words.
        message: String,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
    },
    /// The credentials are missing or refused.
    #[error("login refused{}", Words(message))]
    Unauthorized {
        /// The registry's words.
        message: String,
    },
    /// The token service cannot be used safely.
    #[error(
        "the token service {0} is neither reached by TLS nor on the registry's own host: no credentials sent"
    )]
    UnsafeRealm(String),
    /// Content that does not have its digest.
    #[error("content has the digest {found}, not {expected}")]
    Digest {
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// More content than is acceptable.
    #[error("more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// An answer without something that the protocol demands.
    #[error("an answer outside the protocol: {0}")]
    Protocol(String),
    /// The manifest or config of a base cannot be used.
    #[error(transparent)]
    Base(#[from] whimbrel_image::BaseError),
    /// The deadline of the whole operation passed.
    #[error("the deadline passed")]
    Deadline {
        /// The last failure before it, when there was one.
        #[source]
        last: Option<Box<RegistryErrorKind>>,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

struct Words<'a>(&'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail again.
    No,
    /// It may succeed later.
    Later,
    /// It may succeed after this time, says the registry.
    After(Duration),
}

impl RegistryErrorKind {
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Connection(_) => Retry::Later,
            Self::Status { status, retry_after, .. } if is_transient(*status) => {
                retry_after.map_or(Retry::Later, Retry::After)
            }
            _ => Retry::No,
        }
    }

    /// Whether no connection could be made at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connection(error) if error.is_connect())
    }

    /// Whether the registry names this error code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Status { codes, .. } if codes.iter().any(|found| found == code))
    }

    pub(crate) fn is_status(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Status { status, .. } if *status == wanted)
    }
}

fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

#[derive(Deserialize)]
struct Envelope {
    errors: Vec<EnvelopeError>,
}

#[derive(Deserialize)]
struct EnvelopeError {
    code: String,
    #[serde(default)]
    message: String,
}

const WORDS_LIMIT: usize = 300;

/// Codes and words from the body of a refusal: OCI's envelope, else the text.
pub(crate) fn words(body: &[u8]) -> (Vec<String>, String) {
    match serde_json::from_slice::<Envelope>(body) {
        Ok(envelope) => {
            let lines: Vec<String> = envelope
                .errors
                .iter()
                .map(|e| format!("{} {}", e.code, e.message).trim().to_owned())
                .collect();
            (envelope.errors.into_iter().map(|e| e.code).collect(), lines.join("; "))
        }
        Err(_) => {
            let text: String = String::from_utf8_lossy(body).chars().take(WORDS_LIMIT).collect();
            (Vec::new(), text.split_whitespace().collect::<Vec<_>>().join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_gives_codes_and_words() {
        let body = br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":{}}]}"#;
        let (codes, message) = words(body);
        assert_eq!(codes, ["MANIFEST_BLOB_UNKNOWN"]);
        assert_eq!(message, "MANIFEST_BLOB_UNKNOWN blob unknown");
    }

    #[test]
    fn other_bodies_are_shortened_to_a_line() {
        let (codes, message) = words(format!("<html>\n {}</html>", "x".repeat(1000)).as_bytes());
        assert!(codes.is_empty());
        assert!(message.starts_with("<html> xxx") && message.len() <= WORDS_LIMIT);
    }
}
