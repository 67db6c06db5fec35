//! What can be said of one value by itself.

use secrecy::ExposeSecret;

use super::notes::Notes;
use crate::{KeyRole, SecretValue, Slug, text};

/// A value that can be used further.
pub(super) struct Plain<'v> {
    pub(super) key: String,
    pub(super) text: &'v str,
    /// The printable text that it is the base64 form of.
    pub(super) decoded: Option<String>,
}

/// Notes what is wrong with a value; answers with the value unless it is spoilt as a whole.
pub(super) fn examine<'v>(
    notes: &mut Notes<'_>,
    role: KeyRole,
    key: &str,
    value: &'v SecretValue,
) -> Option<Plain<'v>> {
    let SecretValue::Text(value) = value else {
        notes.value(Slug::ValueNotText, key, format!("`{key}` is not UTF-8 text"));
        return None;
    };
    let whole = value.expose_secret();
    let text = whole.trim();
    if text.is_empty() {
        notes.value(Slug::ValueEmpty, key, format!("`{key}` is empty"));
        return None;
    }
    if text::has_stray_whitespace(whole) {
        notes.value(Slug::ValueWhitespace, key, format!("`{key}` has {}", whitespace(whole)));
    }
    if text::is_quoted(text) {
        notes.value(Slug::ValueQuoted, key, format!("`{key}` is wrapped in quotation marks"));
        return None;
    }
    let is_url = matches!(role, KeyRole::Url | KeyRole::Jdbc);
    if text::is_placeholder(text) || (is_url && text.contains('<') && text.contains('>')) {
        notes.value(
            Slug::ValuePlaceholder,
            key,
            format!("`{key}` is a placeholder or a template that was not filled in"),
        );
        return None;
    }
    let decoded = text::decode_base64_text(text);
    if decoded.is_some() && role != KeyRole::Password && text::is_surely_base64(text) {
        double_base64(notes, key);
        return None;
    }
    Some(Plain { key: key.to_owned(), text, decoded })
}

pub(super) fn double_base64(notes: &mut Notes<'_>, key: &str) {
    notes.value(
        Slug::ValueDoubleBase64,
        key,
        format!("`{key}` was encoded as base64 before it was stored, so that it is encoded twice"),
    );
}

/// Which white space there is; never how much.
fn whitespace(value: &str) -> &'static str {
    if value.ends_with(['\n', '\r']) {
        "a line break at its end"
    } else if value.trim() != value {
        "white space at its beginning or end"
    } else {
        "a line break or another control character inside"
    }
}
