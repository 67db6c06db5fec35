//! Why a recorded checksum is not that of the file: which harmless difference would make it match.
//!
//! Line ends and a byte order mark are not in the checksum, so a file that only changed those still matches. What
//! changes it although nobody edited the text: another encoding, blanks at the ends of lines, tabs that became
//! blanks, a second byte order mark, a tool that counted line ends when it wrote the row.
//!
//! ```
//! use whimbrel_migration::{checksum, encoding::Encoding, explain::{self, Difference}};
//!
//! let recorded = checksum::of_bytes("SELECT 'é';\n".as_bytes())?;
//! let saved_as_latin1 = b"SELECT '\xE9';\n";
//! let found = explain::explain(recorded, saved_as_latin1).expect("it is the same text");
//! assert_eq!(found, Difference::Encoding(Encoding::Latin1));
//! assert_eq!(found.to_string(), "the same text, saved as ISO-8859-1");
//! # Ok::<(), checksum::EncodingError>(())
//! ```

mod pieces;

use std::{borrow::Cow, fmt};

pub use pieces::Explaining;

use crate::{checksum, encoding::Encoding};

/// A line end that a tool counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// LF.
    Lf,
    /// CR and LF.
    CrLf,
}

/// The harmless difference between a file and what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// None: the checksum is that of the file.
    None,
    /// The file is saved in this encoding; what was applied had the same text.
    Encoding(Encoding),
    /// The file is UTF-8, and was read as this encoding when it was applied: letters beyond ASCII became several.
    ReadAs(Encoding),
    /// The file's letters beyond ASCII became several when a tool read it as this encoding and saved it as UTF-8.
    SavedTwice(Encoding),
    /// Blanks at the ends of lines came into the file.
    TrailingBlanks,
    /// Tabs and blanks were exchanged.
    Tabs,
    /// A second byte order mark came into the file, or went from it.
    SecondByteOrderMark,
    /// The row was written by a tool whose checksum counts line ends, which were these.
    CountedLineEnds(LineEnd),
}

impl Difference {
    /// Stable kebab-case name.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::None => "same-text",
            Self::Encoding(_) | Self::ReadAs(_) | Self::SavedTwice(_) => "encoding-only",
            Self::TrailingBlanks => "trailing-blanks-only",
            Self::Tabs => "tabs-only",
            Self::SecondByteOrderMark => "byte-order-mark-only",
            Self::CountedLineEnds(_) => "line-ends-only",
        }
    }

    /// Whether the server was told the same statements: `repair` is all that is needed then.
    pub fn is_same_sql(&self) -> bool {
        !matches!(self, Self::ReadAs(_) | Self::SavedTwice(_))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("the same text"),
            Self::Encoding(encoding) => write!(formatter, "the same text, saved as {}", encoding.name()),
            Self::ReadAs(encoding) => {
                write!(
                    formatter,
                    "the same bytes, but they were read as {} when they were applied",
                    encoding.name()
                )
            }
            Self::SavedTwice(encoding) => write!(
                formatter,
                "the same text, but a tool read it as {} and saved that as UTF-8",
                encoding.name()
            ),
            Self::TrailingBlanks => formatter.write_str("only blanks at the ends of lines are new"),
            Self::Tabs => formatter.write_str("only tabs and blanks differ"),
            Self::SecondByteOrderMark => formatter.write_str("only a second byte order mark differs"),
            Self::CountedLineEnds(LineEnd::Lf) => formatter
                .write_str("the same text; the checksum was written by a tool that counts line ends (LF)"),
            Self::CountedLineEnds(LineEnd::CrLf) => formatter
                .write_str("the same text; the checksum was written by a tool that counts line ends (CRLF)"),
        }
    }
}

/// What to do about a checksum that this explains.
pub fn advice(difference: Difference) -> String {
    let slug = difference.slug();
    if difference.is_same_sql() {
        format!("{difference} ({slug}): save the file as it was, or run repair to accept it as it is")
    } else {
        format!(
            "{difference} ({slug}): look whether the database has the letters that were meant, then run repair to accept the file"
        )
    }
}

/// Encodings that are mistaken for each other.
const ENCODINGS: [Encoding; 4] =
    [Encoding::Latin1, Encoding::Windows1252, Encoding::Utf16Le, Encoding::Utf16Be];

/// Looks for the harmless difference that explains a recorded checksum; nothing where the text was really edited.
///
/// Costs about twenty checksums of the file: for files that do not match only.
pub fn explain(recorded: i32, file: &[u8]) -> Option<Difference> {
    let is = |text: &str| checksum::of_bytes(text.as_bytes()) == Ok(recorded);
    let utf8 = std::str::from_utf8(file).ok();
    if utf8.is_some_and(is) {
        return Some(Difference::None);
    }
    for encoding in ENCODINGS {
        if encoding.decode(file).is_ok_and(|text| is(&text)) {
            return Some(match utf8 {
                Some(_) => Difference::ReadAs(encoding),
                None => Difference::Encoding(encoding),
            });
        }
    }
    let text = utf8?;
    saved_twice(text, is)
        .or_else(|| byte_order_mark(text, is))
        .or_else(|| blanks(text, is))
        .or_else(|| counted_line_ends(recorded, text))
}

fn saved_twice(text: &str, is: impl Fn(&str) -> bool) -> Option<Difference> {
    let before = |encoding: Encoding| {
        let bytes: Option<Vec<u8>> = text.chars().map(|character| encoding.byte_of(character)).collect();
        String::from_utf8(bytes?).ok()
    };
    [Encoding::Latin1, Encoding::Windows1252]
        .into_iter()
        .find(|encoding| before(*encoding).is_some_and(|text| is(&text)))
        .map(Difference::SavedTwice)
}

fn byte_order_mark(text: &str, is: impl Fn(&str) -> bool) -> Option<Difference> {
    const MARK: char = '\u{feff}';
    // One is left out by the checksum anyway.
    let without = text.trim_start_matches(MARK);
    (is(without) || is(&format!("{MARK}{MARK}{without}"))).then_some(Difference::SecondByteOrderMark)
}

fn blanks(text: &str, is: impl Fn(&str) -> bool) -> Option<Difference> {
    let trimmed: String =
        text.lines().map(|line| format!("{}\n", line.trim_end_matches([' ', '\t']))).collect();
    if is(&trimmed) {
        return Some(Difference::TrailingBlanks);
    }
    let exchanged = |width: usize| {
        let blanks = " ".repeat(width);
        let forms: [Cow<'_, str>; 2] =
            [text.replace('\t', &blanks).into(), text.replace(&blanks, "\t").into()];
        forms.iter().any(|form| is(form))
    };
    [4, 2, 8].into_iter().any(exchanged).then_some(Difference::Tabs)
}

fn counted_line_ends(recorded: i32, text: &str) -> Option<Difference> {
    let lf = text.replace("\r\n", "\n");
    let crc = |text: &str| crc32fast::hash(text.as_bytes()).cast_signed();
    if crc(&lf) == recorded {
        return Some(Difference::CountedLineEnds(LineEnd::Lf));
    }
    (crc(&lf.replace('\n', "\r\n")) == recorded).then_some(Difference::CountedLineEnds(LineEnd::CrLf))
}

/// Whether two versions of a file differ in nothing that a checksum counts: only in line ends, in a byte order mark
/// or in their encoding. Nothing where they differ in more, or not at all.
pub fn only_form_differs(before: &[u8], after: &[u8]) -> Option<Difference> {
    if before == after {
        return None;
    }
    let recorded = checksum::of_bytes(before).ok()?;
    // Joined lines have the same checksum and are another text.
    let same_lines = |difference: &Difference| match difference {
        Difference::None => lines(before) == lines(after),
        _ => true,
    };
    explain(recorded, after).filter(same_lines)
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut lines: Vec<&[u8]> =
        text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    while lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    lines
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    const TEXT: &str = "CREATE TABLE t (\n\tname text DEFAULT 'é'\n);\n";

    #[test_case(TEXT.as_bytes(), Difference::None; "the same")]
    #[test_case(TEXT.replace('\n', "\r\n").as_bytes(), Difference::None; "line ends do not count")]
    #[test_case(&TEXT.chars().map(|c| c as u8).collect::<Vec<u8>>(), Difference::Encoding(Encoding::Latin1); "saved as Latin 1")]
    #[test_case(&TEXT.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(),
        Difference::Encoding(Encoding::Utf16Le); "saved as UTF 16")]
    #[test_case(TEXT.replace('é', "Ã©").as_bytes(), Difference::SavedTwice(Encoding::Latin1); "saved twice")]
    #[test_case(format!("\u{feff}\u{feff}{TEXT}").as_bytes(), Difference::SecondByteOrderMark; "two marks")]
    #[test_case(TEXT.replace("(\n", "(  \n").as_bytes(), Difference::TrailingBlanks; "trailing blanks")]
    #[test_case(TEXT.replace('\t', "    ").as_bytes(), Difference::Tabs; "blanks for tabs")]
    fn harmless_differences_are_named(file: &[u8], expected: Difference) {
        let recorded = checksum::of_bytes(TEXT.as_bytes()).expect("UTF-8");
        assert_eq!(explain(recorded, file), Some(expected));
    }

    #[test]
    fn a_file_that_was_misread_is_told_apart() {
        let misread: String = TEXT.bytes().map(char::from).collect();
        let recorded = checksum::of_bytes(misread.as_bytes()).expect("UTF-8");
        let found = explain(recorded, TEXT.as_bytes());
        assert_eq!(found, Some(Difference::ReadAs(Encoding::Latin1)));
        assert!(!found.expect("found").is_same_sql());
    }

    #[test]
    fn tools_that_count_line_ends_are_seen() {
        let recorded = crc32fast::hash(TEXT.replace('\n', "\r\n").as_bytes()).cast_signed();
        assert_eq!(explain(recorded, TEXT.as_bytes()), Some(Difference::CountedLineEnds(LineEnd::CrLf)));
    }

    #[test]
    fn an_edit_is_not_explained_away() {
        let recorded = checksum::of_bytes(TEXT.as_bytes()).expect("UTF-8");
        assert_eq!(explain(recorded, TEXT.replace("text", "int").as_bytes()), None);
    }

    #[test]
    fn two_versions_of_a_file_can_differ_in_form_only() {
        let crlf = TEXT.replace('\n', "\r\n");
        assert_eq!(only_form_differs(TEXT.as_bytes(), crlf.as_bytes()), Some(Difference::None));
        assert_eq!(only_form_differs(TEXT.as_bytes(), TEXT.as_bytes()), None);
        let joined = TEXT.replace('\n', "");
        assert_eq!(
            only_form_differs(TEXT.as_bytes(), joined.as_bytes()),
            None,
            "joined lines are another text"
        );
    }
}
