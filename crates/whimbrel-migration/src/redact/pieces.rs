//! Secrets in a text of any size, made unreadable while its pieces go by.
//!
//! The text is given on in units, none of which ends within something that is hidden, or that the text behind it may show
//! to be a secret.

use super::{Found, Value, occurrences, redact_values, secrets};

/// Hides secrets in a text that comes in pieces, cut anywhere.
pub struct Redacting {
    values: Vec<String>,
    waiting: String,
    /// As many bytes are looked at the next time.
    enough: usize,
    unit: usize,
    reach: usize,
    /// Everything from here on is hidden.
    ended: bool,
}

/// A unit is not looked at before it has as many bytes.
const UNIT: usize = 256 * 1024;
/// So far behind a word there is nothing more of what follows it.
const REACH: usize = 4096;

impl Redacting {
    /// Hides these values, and what looks like a secret.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self {
            values: values.into_iter().collect(),
            waiting: String::new(),
            enough: UNIT,
            unit: UNIT,
            reach: REACH,
            ended: false,
        }
    }

    /// The next piece; gives what can be shown by now.
    pub fn feed(&mut self, piece: &str) -> String {
        if self.ended {
            return String::new();
        }
        self.waiting.push_str(piece);
        if self.waiting.len() < self.enough {
            return String::new();
        }
        let cut = self.cut();
        if cut == 0 {
            self.enough = 2 * self.waiting.len();
            return String::new();
        }
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
        redact_values(text, self.values.iter().map(String::as_str)).into_owned()
    }

    /// The last place where the text may be cut. A text whose rest is hidden is cut at its end, and is the last one.
    fn cut(&mut self) -> usize {
        let text = &self.waiting;
        let longest = self.values.iter().map(String::len).max().unwrap_or_default();
        // A word that would be torn is none of those that are looked for where it ends with something else than a letter.
        let far = &text[..text.floor_char_boundary(text.len().saturating_sub(longest))];
        let mut cut =
            far.rfind(|c: char| !(c.is_ascii_alphabetic() || ":/_".contains(c))).unwrap_or_default();
        let may_grow = text.len().saturating_sub(self.reach);
        let mut whole = Vec::new();
        for Found { at, value } in secrets(text) {
            match value {
                _ if at >= may_grow => whole.push(at..text.len()),
                Value::Behind(_) => {
                    self.ended = true;
                    return text.len();
                }
                Value::At(range) => whole.push(at..range.end),
                Value::None => {}
            }
        }
        whole.extend(self.values.iter().flat_map(|value| occurrences(text, value)));
        whole.sort_unstable_by_key(|range| range.start);
        for range in whole.iter().rev() {
            if (range.start + 1..range.end).contains(&cut) {
                cut = range.start;
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is shown of a text that comes in pieces of this size, and how much is kept back at its end.
    fn shown(text: &str, size: usize, reach: usize) -> (String, usize) {
        let mut redacting = Redacting::new(["top\ncanary".to_owned()]);
        (redacting.unit, redacting.enough, redacting.reach) = (64, 64, reach);
        let mut shown = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
            shown.push_str(&redacting.feed(piece));
            rest = behind;
        }
        let kept = redacting.waiting.len();
        shown.push_str(&redacting.finish());
        (shown, kept)
    }

    #[test]
    fn a_long_text_goes_by() {
        let line = "INSERT INTO bird VALUES (1, 'a text, my password is none', 3.5);\n";
        let far = line.repeat(3 * REACH / line.len());
        let text = format!(
            "{far}ALTER ROLE a\n  PASSWORD\n 'can ary;\ncanary';\n{far}SELECT 'postgres://u:canary@h/d', 'top\ncanary';\n{far}",
        );
        let whole = redact_values(&text, ["top\ncanary"]);
        assert!(!whole.contains("canary"));
        for size in [1, 7, 64, 4099] {
            let (shown, kept) = shown(&text, size, REACH);
            assert_eq!(shown, whole, "{size}");
            assert!(kept < 2 * REACH + 4099, "{kept} bytes were kept back");
        }
    }

    proptest! {
        #[test]
        fn pieces_cut_anywhere_hide_what_the_whole_hides(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "password", "PASSWORD ", "passwd", "pwd=", "identified", " by ", "with p", "passphrase: ", "://", "u:canary",
                    "@", "/", "'", "''", "\\'", "e'", "$$", "$x$", "\"", ";\n", ";", "\n", " ", "canary", "top\ncanary", "top",
                    "ä", "SELECT 1", "to ", "(", ":=", "=> ", "%L", "||",
                ]),
                0..600,
            ),
            size in 1..40_usize,
        ) {
            let text = parts.concat();
            prop_assert_eq!(shown(&text, size, 300).0, redact_values(&text, ["top\ncanary"]));
        }
    }
}
