//! A script of the set: its name, its place and its checksums, but not its text.

use crate::{
    conf::ScriptConf,
    name::{ScriptKind, ScriptName},
    row_type::RowType,
    version::Version,
};

/// The longest description (in UTF-16 units) that the history table's column holds.
pub const MAX_DESCRIPTION_UNITS: usize = 200;
/// The longest script path that the history table's column holds.
pub const MAX_SCRIPT_UNITS: usize = 1000;

/// Stands for a script within one set: its place in the slice that a plan was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ScriptId(pub u32);

impl ScriptId {
    /// The place in the slice of scripts.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A script as it was found: everything that history and plan need to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedScript {
    /// What its name says.
    pub name: ScriptName,
    /// Path below its location, with `/`: what goes into the history's `script` column.
    pub script: String,
    /// Checksum of the text as it is in the file.
    pub raw_checksum: i32,
    /// Checksum of a repeatable's text after its placeholders were replaced; none where nothing is replaced.
    pub replaced_checksum: Option<i32>,
    /// Settings from its side file.
    pub conf: ScriptConf,
}

impl ResolvedScript {
    /// A script without a side file whose text is checked as it is.
    pub fn new(name: ScriptName, script: impl Into<String>, raw_checksum: i32) -> Self {
        Self {
            name,
            script: script.into(),
            raw_checksum,
            replaced_checksum: None,
            conf: ScriptConf::default(),
        }
    }

    /// Adds the checksum of the text with placeholders replaced (repeatables only: others are always
    /// checked as they are in the file).
    #[must_use]
    pub fn with_replaced_checksum(mut self, checksum: i32) -> Self {
        if self.name.kind == ScriptKind::Repeatable {
            self.replaced_checksum = Some(checksum);
        }
        self
    }

    /// Adds the settings of its side file.
    #[must_use]
    pub fn with_conf(mut self, conf: ScriptConf) -> Self {
        self.conf = conf;
        self
    }

    /// The version, if it has one.
    pub fn version(&self) -> Option<&Version> {
        self.name.version.as_ref()
    }

    /// What is written into the history: for repeatables the checksum after replacing.
    pub fn checksum(&self) -> i32 {
        self.replaced_checksum.unwrap_or(self.raw_checksum)
    }

    /// Whether an applied row's checksum means that this text was applied: either form counts, none at all
    /// does not.
    pub fn checksum_matches(&self, applied: Option<i32>) -> bool {
        applied.is_some_and(|applied| applied == self.checksum() || applied == self.raw_checksum)
    }

    /// The row type under which it is recorded.
    pub fn row_type(&self) -> RowType {
        match self.name.kind {
            ScriptKind::Baseline => RowType::SqlBaseline,
            ScriptKind::Undo => RowType::Delete,
            ScriptKind::Versioned | ScriptKind::Repeatable | ScriptKind::Callback(_) => RowType::Sql,
        }
    }

    /// The description as the history holds it: shortened to 200 UTF-16 units.
    pub fn stored_description(&self) -> String {
        abbreviate_description(&self.name.description)
    }

    /// The path as the history holds it.
    pub fn stored_script(&self) -> String {
        abbreviate_script(&self.script)
    }
}

/// How Flyway shortens a description: the first 197 UTF-16 units and three dots. Half a surrogate pair left
/// by the cut becomes `?`, as its driver writes it.
pub fn abbreviate_description(description: &str) -> String {
    if utf16_length(description) <= MAX_DESCRIPTION_UNITS {
        return description.to_owned();
    }
    let mut short = utf16_prefix(description, MAX_DESCRIPTION_UNITS - 3);
    short.push_str("...");
    short
}

/// How Flyway shortens a path: three dots and the beginning from the fourth unit on.
pub fn abbreviate_script(script: &str) -> String {
    if utf16_length(script) <= MAX_SCRIPT_UNITS {
        return script.to_owned();
    }
    let units: Vec<u16> = script.encode_utf16().skip(3).take(MAX_SCRIPT_UNITS - 3).collect();
    format!("...{}", String::from_utf16_lossy(&units).replace('\u{fffd}', "?"))
}

fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

fn utf16_prefix(text: &str, units: usize) -> String {
    let mut prefix = String::new();
    let mut left = units;
    for character in text.chars() {
        match left.checked_sub(character.len_utf16()) {
            Some(rest) => {
                prefix.push(character);
                left = rest;
            }
            None => {
                if left > 0 {
                    prefix.push('?');
                }
                break;
            }
        }
    }
    prefix
}

/// The order of Java's strings: by UTF-16 code units. It differs from Rust's where one text has a character
/// beyond U+FFFF and the other one between U+E000 and U+FFFF.
pub fn compare_utf16(mine: &str, theirs: &str) -> std::cmp::Ordering {
    if mine.is_ascii() && theirs.is_ascii() {
        return mine.cmp(theirs);
    }
    mine.encode_utf16().cmp(theirs.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_cut_in_utf16_units() {
        let exact = "a".repeat(200);
        assert_eq!(abbreviate_description(&exact), exact);
        assert_eq!(abbreviate_description(&"a".repeat(201)), format!("{}...", "a".repeat(197)));
        let split = format!("{}🚀{}", "a".repeat(196), "b".repeat(10));
        assert_eq!(abbreviate_description(&split), format!("{}?...", "a".repeat(196)));
    }

    #[test]
    fn descriptions_are_ordered_as_java_orders_them() {
        let mut texts = ["\u{fffd}", "\u{ff41}", "🚀", "é", "z"];
        texts.sort_by(|mine, theirs| compare_utf16(mine, theirs));
        assert_eq!(texts, ["z", "é", "🚀", "\u{ff41}", "\u{fffd}"]);
    }
}
