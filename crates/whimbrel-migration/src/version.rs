//! Versions: the text is kept as it was written, the order is numeric.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};

/// The longest version that the history table's column holds.
pub const MAX_VERSION_CHARS: usize = 50;

/// A version such as `1`, `1.10`, `2024.01.02` or `20240102030405`.
///
/// `_` is read as `.`; parts are whole numbers of any size; leading zeros and trailing zero parts do not
/// matter for the order or for equality (`01.0` equals `1`), but are kept in the text.
#[derive(Debug, Clone)]
pub struct Version {
    text: String,
    /// Without trailing zero parts.
    parts: Vec<Part>,
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Something other than numbers with dots between them.
    #[error("Version may only contain 0..9 and . (dot). Invalid version: {text}")]
    Malformed {
        /// The text with `_` read as `.`.
        text: String,
    },
    /// A word or number that Flyway takes for a marker of its own (`latest`, `current`, `next`).
    #[error("version {text} is reserved: Flyway reads it as a marker, not as a version")]
    Reserved {
        /// The text as given.
        text: String,
    },
}

impl Version {
    /// Reads a version as it stands in a file name or a history row.
    ///
    /// # Errors
    /// [`VersionError`]: no version, or one of Flyway's markers.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let display = text.replace('_', ".");
        if is_reserved(&display) {
            return Err(VersionError::Reserved { text: text.to_owned() });
        }
        let mut parts = Vec::new();
        for (index, part) in display.split('.').enumerate() {
            let Some(part) = Part::parse(part, index == 0) else {
                return Err(VersionError::Malformed { text: display });
            };
            parts.push(part);
        }
        while parts.last().is_some_and(Part::is_zero) {
            parts.pop();
        }
        Ok(Self { text: display, parts })
    }

    /// The text as written, with `_` as `.`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_reserved(text: &str) -> bool {
    ["latest", "current", "next"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || text == "9223372036854775807"
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let shared = self.parts.iter().zip(&other.parts);
        for (mine, theirs) in shared {
            match mine.cmp(theirs) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        // Missing parts count as zero; only a first part can be negative.
        let zero = Part::Small(0);
        let mine = self.parts.get(other.parts.len()).unwrap_or(&zero);
        let theirs = other.parts.get(self.parts.len()).unwrap_or(&zero);
        mine.cmp(theirs).then(self.parts.len().cmp(&other.parts.len()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts.hash(state);
    }
}

/// A whole number; only the first part of a version may carry a sign.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Small(i64),
    /// Digits without leading zeros, too many for an `i64`.
    Big {
        negative: bool,
        digits: String,
    },
}

impl Part {
    fn parse(text: &str, may_be_signed: bool) -> Option<Self> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' if may_be_signed => (true, &text[1..]),
            b'+' if may_be_signed => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self::Small(0));
        }
        match digits.parse::<i64>() {
            Ok(number) => Some(Self::Small(if negative { -number } else { number })),
            Err(_) => Some(Self::Big { negative, digits: digits.to_owned() }),
        }
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::Small(0))
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        fn size(digits: &str) -> (usize, &str) {
            (digits.len(), digits)
        }
        match (self, other) {
            (Self::Small(mine), Self::Small(theirs)) => mine.cmp(theirs),
            (Self::Small(_), Self::Big { negative, .. }) => {
                if *negative {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Self::Big { .. }, Self::Small(_)) => other.cmp(self).reverse(),
            (Self::Big { negative: false, .. }, Self::Big { negative: true, .. }) => Ordering::Greater,
            (Self::Big { negative: true, .. }, Self::Big { negative: false, .. }) => Ordering::Less,
            (Self::Big { negative, digits: mine }, Self::Big { digits: theirs, .. }) => {
                let order = size(mine).cmp(&size(theirs));
                if *negative { order.reverse() } else { order }
            }
        }
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect("the test's version is legal")
    }

    #[test]
    fn text_is_kept_while_the_order_is_numeric() {
        assert_eq!(version("1_000").as_str(), "1.000");
        assert_eq!(version("01.0"), version("1"));
        assert!(version("1.10") > version("1.9"));
        assert!(version("2") < version("10"));
        assert!(version("1.0.1") > version("1"));
        assert_eq!(version("0"), version("0.0"));
    }

    #[test]
    fn parts_have_any_size() {
        let huge = "9".repeat(40);
        assert!(version(&huge) > version("9223372036854775806"));
        assert!(version(&format!("1{huge}")) > version(&huge));
        assert!(version(&format!("-{huge}")) < version("-1"));
        assert!(version("-1") < version("0.1"));
        assert!(version("-1") < version("0"));
        assert!(version("0") > version("-1"));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in ["", "1.", "1..2", "1a", " 1", "1 ", "1.-1", ".1", "+"] {
            assert!(matches!(Version::parse(text), Err(VersionError::Malformed { .. })), "{text}");
        }
        for text in ["latest", "Current", "NEXT", "9223372036854775807"] {
            assert!(matches!(Version::parse(text), Err(VersionError::Reserved { .. })), "{text}");
        }
    }
}
