//! The runner's own count: `{"schema":1,"run":"…","seq":7,…}` makes a loss exact.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The last line number of every run that was seen in one container's log. (A second attempt may bear the same run's name.)
#[derive(Debug, Clone, Default)]
pub(crate) struct Sequences {
    last: BTreeMap<String, u64>,
}

/// What a numbered line says about the lines before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Continuity {
    /// It follows the last one.
    Proven,
    /// Lines `first..=last` of the run are missing.
    Missing { run: String, first: u64, last: u64 },
    /// It has no number.
    Unknown,
}

impl Sequences {
    /// Whether no line of this run with this or a higher number was seen.
    pub(crate) fn is_new(&self, (run, seq): (&str, u64)) -> bool {
        self.last.get(run).is_none_or(|last| seq > *last)
    }

    pub(crate) fn observe(&mut self, number: Option<(&str, u64)>) -> Continuity {
        let Some((run, seq)) = number else {
            return Continuity::Unknown;
        };
        let last = self.last.entry(run.to_owned()).or_default();
        let expected = last.saturating_add(1);
        *last = seq.max(*last);
        if seq > expected {
            Continuity::Missing { run: run.to_owned(), first: expected, last: seq - 1 }
        } else {
            Continuity::Proven
        }
    }
}

/// The run and number of a runner's line.
pub(crate) fn numbered(fields: &Map<String, Value>) -> Option<(&str, u64)> {
    Some((fields.get("run")?.as_str()?, fields.get("seq")?.as_u64()?))
}

/// The run and number of a line that was too long to be kept whole: they stand at its beginning.
pub(crate) fn numbered_beginning(text: &str) -> Option<(&str, u64)> {
    let head = &text[..text.floor_char_boundary(512)];
    let (_, after) = head.split_once("\"run\":\"")?;
    let (run, _) = after.split_once('"')?;
    let (_, after) = head.split_once("\"seq\":")?;
    let digits = after.find(|c: char| !c.is_ascii_digit())?;
    Some((run, after[..digits].parse().ok()?))
}

/// The fields of a runner's line; any other line, JSON or not, is text.
pub(crate) fn parse_fields(text: &str) -> Option<Map<String, Value>> {
    if !text.starts_with('{') {
        return None;
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) if fields.contains_key("schema") && fields.contains_key("run") => {
            Some(fields)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(run: &str, seq: u64) -> Option<Map<String, Value>> {
        parse_fields(&format!(r#"{{"schema":1,"run":"{run}","seq":{seq},"message":"m"}}"#))
    }

    #[test]
    fn a_hole_is_named_exactly_and_each_run_counts_for_itself() {
        let mut sequences = Sequences::default();
        let missing = |run: &str, first, last| Continuity::Missing { run: run.to_owned(), first, last };
        let mut observe = |run, seq| sequences.observe(line(run, seq).as_ref().and_then(numbered));
        assert_eq!(observe("a", 1), Continuity::Proven);
        assert_eq!(observe("a", 2), Continuity::Proven);
        assert_eq!(observe("b", 3), missing("b", 1, 2));
        assert_eq!(observe("a", 41), missing("a", 3, 40));
        assert_eq!(observe("a", 42), Continuity::Proven);
    }

    #[test]
    fn other_lines_say_nothing() {
        for text in ["plain", "{}", "[1]", r#"{"run":"x"}"#, r#"{"schema":1,"run":1,"seq":-2}"#] {
            let number = parse_fields(text);
            let said = Sequences::default().observe(number.as_ref().and_then(numbered));
            assert_eq!(said, Continuity::Unknown, "{text}");
        }
    }

    #[test]
    fn a_line_too_long_to_be_kept_still_counts() {
        let text = format!(r#"{{"schema":1,"run":"r","seq":17,"message":"{}"#, "x".repeat(1000));
        assert_eq!(numbered_beginning(&text), Some(("r", 17)));
        assert_eq!(numbered_beginning("xxx"), None);
    }
}
