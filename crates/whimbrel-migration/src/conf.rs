//! The side file `<script>.conf`: settings for one script.

use crate::{
    encoding::{Encoding, Reading},
    finding::{Finding, FlywayCode},
};

/// What a side file says; nothing where it does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptConf {
    /// Whether the script runs in a transaction, whatever its statements are.
    pub execute_in_transaction: Option<bool>,
    /// The encoding of the script's file.
    pub encoding: Option<String>,
    /// Whether placeholders are replaced in it.
    pub placeholder_replacement: Option<bool>,
}

/// Why a side file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfError {
    /// A key that nobody knows: it is never passed over.
    #[error("Unknown configuration property: {key}. Please check your script config files")]
    UnknownKey {
        /// The key.
        key: String,
    },
    /// Neither `true` nor `false`.
    #[error("Invalid value for {key} (should be either true or false): {value}")]
    NotBoolean {
        /// The key.
        key: String,
        /// What stands there.
        value: String,
    },
    /// Not a text.
    #[error("it is not {}", .0.name())]
    NotText(Encoding),
    /// A key that only Flyway's paid editions know.
    #[error("{key} is not supported")]
    Unsupported {
        /// The key.
        key: String,
    },
}

impl ConfError {
    /// As a finding about the side file.
    pub fn to_finding(&self, side_file: &str) -> Finding {
        let code = match self {
            Self::Unsupported { .. } | Self::NotText(_) => FlywayCode::Error,
            Self::UnknownKey { .. } | Self::NotBoolean { .. } => FlywayCode::Configuration,
        };
        Finding::error("bad-script-conf", self.to_string())
            .coded(code)
            .in_script(side_file)
            .next_step("the keys are executeInTransaction, encoding and placeholderReplacement")
    }
}

impl ScriptConf {
    /// Reads the bytes of a side file, which is in the encoding of the scripts. Its keys have a NUL byte each in UTF-16: a
    /// file without one is read as UTF-8 there.
    ///
    /// # Errors
    /// When they are no text in it, or say what cannot be followed.
    pub fn of_bytes(bytes: &[u8], scripts: Reading) -> Result<Self, ConfError> {
        let encoding = match scripts.encoding_of(&Self::default(), bytes).unwrap_or_default() {
            Encoding::Utf16 | Encoding::Utf16Be | Encoding::Utf16Le if !bytes.contains(&0) => Encoding::Utf8,
            encoding => encoding,
        };
        Self::parse(&encoding.decode(bytes).map_err(|_| ConfError::NotText(encoding))?)
    }

    /// Reads the text of a side file: Java properties, values taken literally.
    ///
    /// # Errors
    /// [`ConfError`]: a key that is not known, or a value that it cannot have.
    pub fn parse(text: &str) -> Result<Self, ConfError> {
        let mut conf = Self::default();
        for (key, value) in properties(text) {
            match key.as_str() {
                "executeInTransaction" => conf.execute_in_transaction = Some(boolean(&key, &value)?),
                "placeholderReplacement" => conf.placeholder_replacement = Some(boolean(&key, &value)?),
                "encoding" => conf.encoding = Some(value.trim().to_owned()),
                "shouldExecute" => return Err(ConfError::Unsupported { key }),
                _ => return Err(ConfError::UnknownKey { key }),
            }
        }
        Ok(conf)
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, ConfError> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Ok(true),
        value if value.eq_ignore_ascii_case("false") => Ok(false),
        value => Err(ConfError::NotBoolean { key: key.to_owned(), value: value.to_owned() }),
    }
}

/// Keys and values of a properties file: `#` and `!` comments, `=`, `:` or a blank between key and value; a line that ends
/// with a backslash goes on with the next one.
fn properties(text: &str) -> Vec<(String, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let blanks = [' ', '\t', '\u{c}'];
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n');
    while let Some(line) = lines.next() {
        let mut line = line.trim_matches(blanks).to_owned();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        while line.ends_with('\\')
            && let Some(more) = lines.next()
        {
            line.pop();
            line.push_str(more.trim_matches(blanks));
        }
        let end = line.find(['=', ':', ' ', '\t', '\u{c}']).unwrap_or(line.len());
        let (key, rest) = line.split_at(end);
        let rest = rest.trim_start_matches([' ', '\t', '\u{c}']);
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_matches([' ', '\t', '\u{c}']);
        found.push((key.to_owned(), value.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_file_is_in_the_encoding_of_the_scripts() {
        let off = ScriptConf { execute_in_transaction: Some(false), ..ScriptConf::default() };
        let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        let text = "# \u{e9}\nexecuteInTransaction=false\n";
        let latin = b"# \xe9\nexecuteInTransaction=false\n".to_vec();
        for (encoding, bytes, read) in [
            (Encoding::Utf8, text.as_bytes().to_vec(), Ok(off.clone())),
            (Encoding::Utf8, latin.clone(), Err(ConfError::NotText(Encoding::Utf8))),
            (Encoding::Latin1, latin, Ok(off.clone())),
            (Encoding::Ascii, text.as_bytes().to_vec(), Err(ConfError::NotText(Encoding::Ascii))),
            (Encoding::Utf16Le, wide(text), Ok(off.clone())),
            (Encoding::Utf16, wide(&format!("\u{feff}{text}")), Ok(off.clone())),
            (Encoding::Utf16Be, text.as_bytes().to_vec(), Ok(off)),
        ] {
            let scripts = Reading { encoding, detect: false };
            assert_eq!(ScriptConf::of_bytes(&bytes, scripts), read, "{encoding:?}");
        }
    }

    #[test]
    fn values_are_trimmed_and_case_insensitive_while_keys_are_not() {
        let conf =
            ScriptConf::parse("# how\nexecuteInTransaction = FALSE \r\nencoding=UTF-8\n").expect("legal");
        assert_eq!(conf.execute_in_transaction, Some(false));
        assert_eq!(conf.encoding.as_deref(), Some("UTF-8"));
        let error = ScriptConf::parse("ExecuteInTransaction=false").expect_err("another key");
        assert_eq!(error, ConfError::UnknownKey { key: "ExecuteInTransaction".into() });
        assert!(matches!(ScriptConf::parse("executeInTransaction=maybe"), Err(ConfError::NotBoolean { .. })));
        let conf = ScriptConf::parse("executeInTransaction=fal\\\r\n  se\n").expect("one line in two");
        assert_eq!(conf.execute_in_transaction, Some(false));
    }
}
