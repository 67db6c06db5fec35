//! Replacing in a text that is not in memory as a whole.

use super::{PlaceholderError, Placeholders, failed_match_length};

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
    ///
    /// # Errors
    /// As [`Placeholders::replace`]; its place is that in the whole text.
    pub fn feed(&mut self, piece: &str) -> Result<String, PlaceholderError> {
        self.pending.push_str(piece);
        self.replace(true)
    }

    /// What is left at the end.
    ///
    /// # Errors
    /// As [`Placeholders::replace`].
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
}
