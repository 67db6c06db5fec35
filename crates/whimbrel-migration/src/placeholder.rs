//! Placeholders as Flyway replaces them: in one pass over the text, before anything looks at the SQL.
//!
//! Names are case-insensitive, values are not looked into again, and a failed match of the prefix is not
//! tried again one character later: in `$${x}` nothing is replaced. That accident is kept, because it is in
//! the checksums of repeatable scripts and protects `$$` bodies.

use std::{borrow::Cow, collections::BTreeMap};

use crate::finding::{Finding, FlywayCode};

/// What the names of Flyway's own placeholders begin with, before their separator.
pub const BUILT_IN_PREFIX: &str = "flyway";

/// Flyway's own placeholders, by what follows [`BUILT_IN_PREFIX`] and the separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Flyway's and say what they mean")]
pub enum BuiltIn {
    DefaultSchema,
    User,
    Database,
    Timestamp,
    Filename,
    WorkingDirectory,
    Table,
    Environment,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DefaultSchema,
        Self::User,
        Self::Database,
        Self::Timestamp,
        Self::Filename,
        Self::WorkingDirectory,
        Self::Table,
        Self::Environment,
    ];

    /// The end of its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultSchema => "defaultSchema",
            Self::User => "user",
            Self::Database => "database",
            Self::Timestamp => "timestamp",
            Self::Filename => "filename",
            Self::WorkingDirectory => "workingDirectory",
            Self::Table => "table",
            Self::Environment => "environment",
        }
    }

    /// Its whole name.
    pub fn name(self, separator: &str) -> String {
        format!("{BUILT_IN_PREFIX}{separator}{}", self.as_str())
    }
}

/// Whether a name that somebody gives a value to is kept for Flyway's own, and then the finding that says so.
pub fn reserved(name: &str, separator: &str) -> Option<Finding> {
    let reserved = format!("{BUILT_IN_PREFIX}{separator}");
    name.to_lowercase().starts_with(&reserved.to_lowercase()).then(|| {
        let message = format!("Invalid placeholder ('{reserved}' prefix is reserved): {name}");
        Finding::error("placeholder-reserved", message)
            .coded(FlywayCode::Error)
            .next_step("give it another name")
    })
}

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

    /// Replaces in a piece of a text. What may be the beginning of a placeholder at its end is left: how many bytes were
    /// consumed comes along. Without more to come nothing is left.
    fn replace_piece(&self, text: &str, more: bool) -> Result<(String, usize), PlaceholderError> {
        let Some(&first) = self.prefix.as_bytes().first() else { return Ok((text.to_owned(), text.len())) };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = memchr::memchr(first, rest.as_bytes()) {
            let (before, from) = rest.split_at(start);
            let has_prefix = from.starts_with(self.prefix.as_str());
            let may_go_on = if has_prefix {
                let after = &from.as_bytes()[self.prefix.len()..];
                after.is_empty() || memchr::memmem::find(after, self.suffix.as_bytes()).is_none()
            } else {
                self.prefix.starts_with(from)
            };
            if more && may_go_on {
                out.push_str(before);
                return Ok((out, text.len() - from.len()));
            }
            out.push_str(before);
            if has_prefix {
                let offset = text.len() - from.len();
                let (value, after) = self.value_of(text, offset, &from[self.prefix.len()..])?;
                out.push_str(value);
                rest = after;
            } else {
                let skipped = failed_match_length(from, &self.prefix);
                out.push_str(&from[..skipped]);
                rest = &from[skipped..];
            }
        }
        out.push_str(rest);
        Ok((out, text.len()))
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

/// Replaces placeholders in a text that arrives in pieces, cut anywhere; the result is that of
/// [`Placeholders::replace`] on the whole.
#[derive(Debug, Clone)]
pub struct Replacing {
    placeholders: Placeholders,
    /// The beginning of a placeholder whose end is in the next piece.
    pending: String,
    /// Lines before the pending text, and characters of its own line before it.
    lines: u64,
    columns: u64,
}

impl Replacing {
    /// Nothing has come yet.
    pub fn new(placeholders: Placeholders) -> Self {
        Self { placeholders, pending: String::new(), lines: 0, columns: 0 }
    }

    /// Takes the next piece, and gives as much as is certain.
    pub fn feed(&mut self, piece: &str) -> Result<String, PlaceholderError> {
        self.pending.push_str(piece);
        self.replace(true)
    }

    /// What is left at the end.
    pub fn finish(mut self) -> Result<String, PlaceholderError> {
        self.replace(false)
    }

    fn replace(&mut self, more: bool) -> Result<String, PlaceholderError> {
        let (text, consumed) =
            self.placeholders.replace_piece(&self.pending, more).map_err(|mut error| {
                if error.line == 1 {
                    error.column += self.columns;
                }
                error.line += self.lines;
                error
            })?;
        let passed = &self.pending[..consumed];
        match passed.rfind('\n') {
            Some(end) => {
                self.lines += memchr::memchr_iter(b'\n', passed.as_bytes()).count() as u64;
                self.columns = passed[end + 1..].chars().count() as u64;
            }
            None => self.columns += passed.chars().count() as u64,
        }
        self.pending.drain(..consumed);
        Ok(text)
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
