//! Secrets in a text of any size, made unreadable while its pieces go by.
//!
//! The text is given on in units. They end where nothing can be torn that is hidden: far behind every word that a secret
//! follows, else behind a statement.

use super::{WORDS, redact_values};

/// Hides secrets in a text that comes in pieces, cut anywhere.
pub struct Redacting {
    values: Vec<String>,
    waiting: String,
    /// As many bytes are looked at the next time.
    enough: usize,
    unit: usize,
}

/// A unit is not looked at before it has as many bytes.
const UNIT: usize = 256 * 1024;
/// So far behind a word there is nothing more of what follows it.
const REACH: usize = 4096;

impl Redacting {
    /// Hides these values, and what looks like a secret.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self { values: values.into_iter().collect(), waiting: String::new(), enough: UNIT, unit: UNIT }
    }

    /// The next piece; gives what can be shown by now.
    pub fn feed(&mut self, piece: &str) -> String {
        self.waiting.push_str(piece);
        if self.waiting.len() < self.enough {
            return String::new();
        }
        let Some(cut) = self.cut() else {
            self.enough = 2 * self.waiting.len();
            return String::new();
        };
        self.enough = self.unit;
        let rest = self.waiting.split_off(cut);
        let unit = std::mem::replace(&mut self.waiting, rest);
        self.hidden(&unit)
    }

    /// What was kept back.
    pub fn finish(self) -> String {
        self.hidden(&self.waiting)
    }

    fn hidden(&self, text: &str) -> String {
        redact_values(text, self.values.iter().map(String::as_str))
    }

    /// The last place where the text may be cut.
    fn cut(&self) -> Option<usize> {
        let longest = self.values.iter().map(String::len).max().unwrap_or_default();
        let text =
            self.waiting.get(..self.waiting.floor_char_boundary(self.waiting.len().checked_sub(longest)?))?;
        // A word that would be torn is none of those that are looked for where it ends with something else than a letter.
        let far = text.rfind(|c: char| !(c.is_ascii_alphabetic() || ":/_".contains(c)))?;
        let far = far + text[far..].chars().next().map_or(0, char::len_utf8);
        let lower = text[..far].to_ascii_lowercase();
        let last_word = WORDS.iter().chain(&["://"]).filter_map(|word| lower.rfind(word)).max();
        let is_far = last_word.is_none_or(|at| far - at > REACH);
        let behind_statement = || lower.rfind(";\n").map(|at| at + 2);
        let cut = if is_far { Some(far) } else { behind_statement() };
        cut.filter(|cut| self.values.iter().all(|value| !is_torn(&self.waiting, value, *cut)))
    }
}

/// Whether this place is within the value.
fn is_torn(text: &str, value: &str, cut: usize) -> bool {
    let from = text.floor_char_boundary(cut.saturating_sub(value.len()));
    let to = text.ceil_char_boundary((cut + value.len()).min(text.len()));
    let around = &text[from..to];
    around.match_indices(value).any(|(at, _)| from + at < cut && cut < from + at + value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cut_anywhere_hide_what_the_whole_hides() {
        let line = "INSERT INTO bird VALUES (1, 'a text', 3.5);\n";
        let far = line.repeat(REACH / line.len() + 2);
        let text = format!(
            "{far}ALTER ROLE a\n  PASSWORD\n 'can ary\ncanary';\n{far}SELECT 'postgres://u:canary@h/d', 'top\ncanary';\n{far}",
        );
        let whole = redact_values(&text, ["top\ncanary"]);
        assert!(!whole.contains("canary"));
        for size in [1, 7, 64, 4099, text.len()] {
            let mut redacting = Redacting::new(["top\ncanary".to_owned()]);
            (redacting.unit, redacting.enough) = (64, 64);
            let mut shown = String::new();
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.floor_char_boundary(size.min(rest.len())));
                shown.push_str(&redacting.feed(piece));
                rest = behind;
            }
            let kept = redacting.waiting.len();
            shown.push_str(&redacting.finish());
            assert_eq!(shown, whole, "{size}");
            assert!(kept < 2 * REACH + 4099 || size == text.len(), "{kept} bytes were kept back");
        }
    }
}
