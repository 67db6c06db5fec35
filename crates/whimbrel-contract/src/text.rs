//! What may be said of a value, and how words of other systems are made safe.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A value with white space at an end, or with a control character anywhere.
pub(crate) fn has_stray_whitespace(value: &str) -> bool {
    value.trim() != value || value.chars().any(char::is_control)
}

/// `"value"` and `'value'`.
pub(crate) fn is_quoted(value: &str) -> bool {
    value.len() >= 2
        && [('"', '"'), ('\'', '\''), ('`', '`')]
            .iter()
            .any(|(open, close)| value.starts_with(*open) && value.ends_with(*close))
}

/// A word that someone was meant to replace, or a template that nobody expanded.
pub(crate) fn is_placeholder(value: &str) -> bool {
    const WORDS: &[&str] = &[
        "changeme",
        "changeit",
        "fixme",
        "insertme",
        "nil",
        "null",
        "placeholder",
        "replaceme",
        "tbd",
        "todo",
        "undefined",
        "yourpassword",
        "yourpasswordhere",
    ];
    let word: String =
        value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let only_word = value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' '));
    let masked = value.len() >= 3 && value.bytes().all(|b| b == b'x' || b == b'X' || b == b'*');
    (only_word && WORDS.contains(&word.as_str()))
        || masked
        || is_template(value)
        || (value.starts_with('<') && value.ends_with('>'))
}

/// `${NAME}`, `$(NAME)`, `{{ name }}`.
pub(crate) fn is_template(value: &str) -> bool {
    [("${", "}"), ("$(", ")"), ("{{", "}}")]
        .iter()
        .any(|(open, close)| value.split_once(open).is_some_and(|(_, rest)| rest.contains(close)))
}

/// The text that was encoded, when `value` is the base64 form of printable text.
pub(crate) fn decode_base64_text(value: &str) -> Option<String> {
    if value.len() < 8 {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    let printable = |c: char| c.is_ascii_graphic() || c == ' ';
    (!text.trim_end().is_empty() && text.trim_end().chars().all(printable)).then_some(text)
}

/// Whether chance can be left out when a value decodes to printable text: one in a hundred
/// thousand random passwords of 16 characters does, and hardly any ends with `=`.
pub(crate) fn is_surely_base64(value: &str) -> bool {
    value.len() >= 16 || value.ends_with('=')
}

/// Words of another system, on one line, bounded, and without any of the values.
pub(crate) fn foreign<'a>(words: &str, values: impl Iterator<Item = &'a str>) -> String {
    let mut hidden: Vec<String> = values.flat_map(sensitive_parts).collect();
    hidden.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut words = words.to_owned();
    for part in hidden {
        words = words.replace(&part, "[hidden]");
    }
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value and, when it is a URL, the password in it, in the forms in which others may repeat it.
fn sensitive_parts(value: &str) -> Vec<String> {
    let mut parts = vec![value.to_owned(), value.trim().to_owned(), BASE64_STANDARD.encode(value)];
    if let Some((_, rest)) = value.split_once("://")
        && let Some((user_info, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = user_info.split_once(':')
    {
        parts.push(password.to_owned());
        parts.push(percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned());
    }
    // Shorter ones would tear ordinary words apart.
    parts.retain(|part| part.len() >= 4);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("changeme")]
    #[test_case("CHANGE_ME")]
    #[test_case("replace-me")]
    #[test_case("<password>")]
    #[test_case("${DB_PASSWORD}")]
    #[test_case("{{ .Values.password }}")]
    #[test_case("$(PASSWORD)")]
    #[test_case("null")]
    #[test_case("xxxx")]
    #[test_case("****")]
    fn placeholders_are_seen(value: &str) {
        assert!(is_placeholder(value));
    }

    #[test_case("postgres")]
    #[test_case("t0do-list-9")]
    #[test_case("pa$word")]
    #[test_case("a<b>c")]
    fn ordinary_values_are_no_placeholders(value: &str) {
        assert!(!is_placeholder(value));
    }

    #[test_case("czNjcmV0LXBhc3M=", true)]
    #[test_case("cG9zdGdyZXM6Ly91OnBAaC9kCg==", true; "with a line break inside")]
    #[test_case("postgres", false)]
    #[test_case("username", false)]
    #[test_case("Kx93hdT2mQ7Zp0aV", false)]
    #[test_case("short", false)]
    fn base64_of_text_is_seen(value: &str, expected: bool) {
        assert_eq!(decode_base64_text(value).is_some(), expected);
    }

    #[test]
    fn words_of_others_lose_values_and_line_breaks() {
        let values = ["postgres://u:p%40ssword@h/d", "hunter22"];
        let words = "could not use p@ssword\nnor hunter22\u{1b}[31m";
        assert_eq!(foreign(words, values.into_iter()), "could not use [hidden] nor [hidden] [31m");
    }
}
