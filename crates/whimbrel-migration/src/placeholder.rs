//! Placeholders as Flyway replaces them: in one pass over the text, before anything looks at the SQL.
//!
//! Names are case-insensitive, values are not looked into again, and a failed match of the prefix is not
//! tried again one character later: in `$${x}` nothing is replaced. That accident is kept, because it is in
//! the checksums of repeatable scripts and protects `$$` bodies.

mod built_in;
mod pieces;

use std::{borrow::Cow, collections::BTreeMap};

pub use built_in::{BUILT_IN_PREFIX, BuiltIn, reserved};
pub use pieces::Replacing;

use crate::finding::{Finding, FlywayCode};

/// What stands between prefix and suffix, and what it stands for.
#[derive(Debug, Clone)]
pub struct Placeholders {
    prefix: String,
    suffix: String,
    /// Keys in lower case.
    values: BTreeMap<String, String>,
}

/// A placeholder without a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value for the placeholder {placeholder}")]
pub struct PlaceholderError {
    /// As written, with prefix and suffix.
    pub placeholder: String,
    /// The name alone.
    pub name: String,
    /// Whether it is one of Flyway's own (`flyway:…`).
    pub built_in: bool,
    /// Whether the text ended before the suffix came.
    pub unterminated: bool,
    /// Line of its prefix, from 1.
    pub line: u64,
    /// Column of its prefix in characters, from 1.
    pub column: u64,
}

impl PlaceholderError {
    /// As a finding; what it is about is for the caller to name.
    pub fn to_finding(&self) -> Finding {
        Finding::error("placeholder-missing", self.flyway_message())
            .coded(FlywayCode::Error)
            .at(self.line, self.column)
            .next_step(format!(
                "give it a value: --placeholder {0}=…, WHIMBREL_PLACEHOLDER_{1}, or [placeholders] {0} = \"…\" in whimbrel.toml",
                self.name,
                self.name.to_uppercase()
            ))
    }

    /// The words that Flyway uses.
    pub fn flyway_message(&self) -> String {
        if self.built_in {
            format!("Failed to populate value for default placeholder: {}", self.placeholder)
        } else {
            format!("No value provided for placeholder: {}.  Check your configuration!", self.placeholder)
        }
    }
}

impl Default for Placeholders {
    fn default() -> Self {
        Self::new("${", "}")
    }
}

impl Placeholders {
    /// No placeholders yet; both words must not be empty, an empty prefix matches nothing.
    pub fn new(prefix: impl Into<String>, suffix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), suffix: suffix.into(), values: BTreeMap::new() }
    }

    /// Adds a value; a later one for the same name (in any letter case) replaces it. Built-in ones
    /// (`flyway:…`) are added the same way, last.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.values.insert(name.to_lowercase(), value.into());
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_lowercase()).map(String::as_str)
    }

    /// Whether the text may have a placeholder: its prefix is there.
    pub fn may_be_in(&self, text: &str) -> bool {
        !self.prefix.is_empty() && memchr::memmem::find(text.as_bytes(), self.prefix.as_bytes()).is_some()
    }

    /// The text with every placeholder replaced.
    ///
    /// # Errors
    /// [`PlaceholderError`]: the first placeholder without a value, or without an end.
    pub fn replace<'text>(&self, text: &'text str) -> Result<Cow<'text, str>, PlaceholderError> {
        let Some(&first) = self.prefix.as_bytes().first().filter(|_| self.may_be_in(text)) else {
            return Ok(Cow::Borrowed(text));
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = memchr::memchr(first, rest.as_bytes()) {
            let (before, from) = rest.split_at(start);
            out.push_str(before);
            let Some(after_prefix) = from.strip_prefix(self.prefix.as_str()) else {
                let skipped = failed_match_length(from, &self.prefix);
                out.push_str(&from[..skipped]);
                rest = &from[skipped..];
                continue;
            };
            let offset = text.len() - from.len();
            let (value, after) = self.value_of(text, offset, after_prefix)?;
            out.push_str(value);
            rest = after;
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }

    fn value_of<'text>(
        &self,
        text: &str,
        offset: usize,
        after_prefix: &'text str,
    ) -> Result<(&str, &'text str), PlaceholderError> {
        // An empty suffix ends the name after its first character, as the reader of Flyway sees it.
        let end = if self.suffix.is_empty() {
            after_prefix.chars().next().map(char::len_utf8)
        } else {
            memchr::memmem::find(after_prefix.as_bytes(), self.suffix.as_bytes())
        };
        let name = &after_prefix[..end.unwrap_or(after_prefix.len())];
        let value = end.and_then(|_| self.get(name));
        match value {
            Some(value) => Ok((value, &after_prefix[name.len() + self.suffix.len()..])),
            None => Err(self.missing(text, offset, name, end.is_none())),
        }
    }

    fn missing(&self, text: &str, offset: usize, name: &str, unterminated: bool) -> PlaceholderError {
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        // Flyway cuts the suffix's length off even where the text ended without it.
        let mut shown = name.to_owned();
        if unterminated {
            for _ in self.suffix.chars() {
                shown.pop();
            }
        }
        PlaceholderError {
            placeholder: format!("{}{shown}{}", self.prefix, self.suffix),
            name: shown,
            built_in: name.contains("flyway:"),
            unterminated,
            line: memchr::memchr_iter(b'\n', before.as_bytes()).count() as u64 + 1,
            column: before[line_start..].chars().count() as u64 + 1,
        }
    }
}

impl Placeholders {
    /// The place in a text of a place in what [`Placeholders::replace`] makes of it, in bytes; inside a value, that of its
    /// placeholder.
    pub fn original_offset(&self, text: &str, wanted: usize) -> usize {
        let Some(first) = self.prefix.chars().next() else { return wanted.min(text.len()) };
        let (mut read, mut written) = (0, 0);
        while written < wanted {
            let Some(start) = text[read..].find(first) else { break };
            if written + start >= wanted {
                break;
            }
            (read, written) = (read + start, written + start);
            let rest = &text[read..];
            let Some(after) = rest.strip_prefix(self.prefix.as_str()) else {
                let skipped = failed_match_length(rest, &self.prefix);
                (read, written) = (read + skipped, written + skipped);
                continue;
            };
            let Ok((value, after)) = self.value_of(text, read, after) else { break };
            if written + value.len() > wanted {
                return read;
            }
            (read, written) = (text.len() - after.len(), written + value.len());
        }
        (read + wanted.saturating_sub(written)).min(text.len())
    }
}

/// How much is passed over when the prefix began but did not go on: up to and including the character that
/// did not fit.
fn failed_match_length(text: &str, prefix: &str) -> usize {
    let mut length = 0;
    for (mine, theirs) in text.chars().zip(prefix.chars()) {
        length += mine.len_utf8();
        if mine != theirs {
            break;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_after_replacement_is_found_in_the_text() {
        let mut placeholders = Placeholders::new("[[", "]]");
        placeholders.set("long", "a value that is long");
        placeholders.set("s", "x");
        let text = "a [[long]] [b] [[s]] c";
        let replaced = placeholders.replace(text).expect("both have values");
        for word in ["a ", "[b]", " c"] {
            let (place, there) = (text.find(word).expect("in it"), replaced.rfind(word).expect("in it"));
            let there = if word == "a " { 0 } else { there };
            assert_eq!(placeholders.original_offset(text, there), place, "{word}");
        }
        let inside = replaced.find("value").expect("in it");
        assert_eq!(placeholders.original_offset(text, inside), 2);
    }

    fn placeholders() -> Placeholders {
        let mut placeholders = Placeholders::default();
        placeholders.set("X", "value");
        placeholders.set("empty", "");
        placeholders.set("nested", "${x}");
        placeholders
    }

    #[test]
    fn names_are_case_insensitive_and_values_are_not_looked_into() {
        assert_eq!(
            placeholders().replace("a ${x} ${X} ${empty}|${nested}"),
            Ok("a value value |${x}".into())
        );
    }

    #[test]
    fn a_failed_prefix_is_not_tried_again() {
        assert_eq!(placeholders().replace("$${x}"), Ok("$${x}".into()));
        assert_eq!(placeholders().replace("$$${x}"), Ok("$$value".into()));
        assert_eq!(placeholders().replace("$"), Ok("$".into()));
        assert_eq!(placeholders().replace("$é${x}"), Ok("$évalue".into()));
    }

    #[test]
    fn pieces_cut_anywhere_give_the_same() {
        let texts =
            ["a ${x} $${x} $$${X}b${empty}\né$é${x}", "${x", "$", "\n\n  é ${no} x", "${a${x}}", "${x}${x}$"];
        for text in texts {
            let whole = placeholders().replace(text).map(Cow::into_owned);
            let cuts = text.char_indices().map(|(at, _)| at);
            for cut in cuts {
                let mut replacing = Replacing::new(placeholders());
                let pieces = [&text[..cut], &text[cut..]];
                let given = pieces
                    .into_iter()
                    .try_fold(String::new(), |all, piece| Ok(all + &replacing.feed(piece)?))
                    .and_then(|all| Ok(all + &replacing.finish()?));
                assert_eq!(given, whole, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_missing_value_is_an_error_with_its_place() {
        let error = placeholders().replace("a\nbé ${ x }").expect_err("blanks are part of the name");
        assert_eq!((error.line, error.column), (2, 4));
        assert_eq!(error.placeholder, "${ x }");
        let error = placeholders().replace("${a${x}}").expect_err("the first suffix ends the name");
        assert_eq!(error.name, "a${x");
        assert!(placeholders().replace("${flyway:nope}").is_err_and(|error| error.built_in));
    }

    #[test]
    fn an_unterminated_placeholder_is_an_error() {
        let error = placeholders().replace("SELECT ${tbl").expect_err("no suffix");
        assert!(error.unterminated);
        assert_eq!(error.placeholder, "${tb}");
    }
}
