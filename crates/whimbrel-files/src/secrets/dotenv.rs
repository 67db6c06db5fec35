//! A dotenv file: `KEY=value` lines. Nothing is expanded.

use std::io;
use std::path::Path;

use whimbrel_contract::{
    DatabaseContract, Observation, Observations, Place, SecretValue, UnknownReason, Values,
};

/// A line that cannot be read. The line itself is never told: it may hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// The line is no `KEY=value`.
    #[error("line {line} is not of the form KEY=value")]
    NoAssignment {
        /// Its number, from 1.
        line: usize,
    },
    /// A quotation mark is not closed on its line.
    #[error("line {line} opens a quotation mark and does not close it")]
    OpenQuote {
        /// Its number, from 1.
        line: usize,
    },
    /// There is something behind the closing quotation mark.
    #[error("line {line} has text behind its closing quotation mark")]
    AfterQuote {
        /// Its number, from 1.
        line: usize,
    },
}

/// Looks for the keys of the contracts in a dotenv file, where all secrets share their keys.
pub fn observe_dotenv(file: &Path, contracts: &[DatabaseContract]) -> Observations {
    let mut observations = Observations::new(Place::Dotenv { path: file.display().to_string() });
    let observation = match fs_err::read_to_string(file) {
        Ok(text) => match parse_dotenv(&text) {
            Ok(values) => Observation::Present { values, causes: Vec::new() },
            Err(error) => Observation::Unknown { reason: UnknownReason::Refused, message: error.to_string() },
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Observation::Missing { causes: Vec::new() },
        Err(error) => super::unknown(&error),
    };
    for contract in contracts {
        observations.secrets.insert(contract.secret().to_owned(), observation.clone());
    }
    observations
}

/// Reads `KEY=value` lines: `export` before the key and comments are allowed; single quotation
/// marks keep everything, double ones know `\n`, `\r`, `\t`, `\"`, `\\`, `\$`. The last line of a key wins.
///
/// # Errors
/// On the first line that cannot be read.
pub fn parse_dotenv(text: &str) -> Result<Values, DotenvError> {
    let mut values = Values::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (position, line) in text.lines().enumerate() {
        let number = position + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = line.split_once('=').ok_or(DotenvError::NoAssignment { line: number })?;
        let key = key.trim();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if key.is_empty() || !key.chars().all(legal) {
            return Err(DotenvError::NoAssignment { line: number });
        }
        let value = read_value(value.trim_start(), number)?;
        values.insert(key, SecretValue::Text(value.into()));
    }
    Ok(values)
}

fn read_value(value: &str, line: usize) -> Result<String, DotenvError> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inner, after) = rest.split_once('\'').ok_or(DotenvError::OpenQuote { line })?;
        return only_comment(after, line).map(|()| inner.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        let (inner, after) = read_double_quoted(rest).ok_or(DotenvError::OpenQuote { line })?;
        return only_comment(after, line).map(|()| inner);
    }
    // `#` begins a comment only behind white space: passwords contain it.
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let unquoted = if value.starts_with('#') { "" } else { &value[..end] };
    Ok(unquoted.trim_end().to_owned())
}

fn read_double_quoted(text: &str) -> Option<(String, &str)> {
    let mut inner = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((inner, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => inner.push('\n'),
                'r' => inner.push('\r'),
                't' => inner.push('\t'),
                escaped @ ('"' | '\\' | '$') => inner.push(escaped),
                other => inner.extend(['\\', other]),
            },
            other => inner.push(other),
        }
    }
    None
}

fn only_comment(after: &str, line: usize) -> Result<(), DotenvError> {
    let after = after.trim_start();
    if after.is_empty() || after.starts_with('#') { Ok(()) } else { Err(DotenvError::AfterQuote { line }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use whimbrel_contract::{Conclusion, Keys, check};

    fn value(text: &str) -> String {
        match parse_dotenv(text).unwrap().get("K") {
            Some(SecretValue::Text(value)) => value.expose_secret().to_owned(),
            other => panic!("no value: {other:?}"),
        }
    }

    #[test]
    fn values_are_read_with_and_without_quotation_marks() {
        assert_eq!(value("K=plain"), "plain");
        assert_eq!(value("export K = p#ss  # comment"), "p#ss");
        assert_eq!(value("K='si\\ngle $X' # comment"), "si\\ngle $X");
        assert_eq!(value("K=\"a\\n\\\"b\\\" \\$c\""), "a\n\"b\" $c");
        assert_eq!(value("\u{feff}# first\r\n\r\nK=x\r\n"), "x");
        assert_eq!(value("K=first\nK=last"), "last");
        assert_eq!(value("K=a=b"), "a=b");
        assert_eq!(value("K=${NOT_EXPANDED}"), "${NOT_EXPANDED}");
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_alone() {
        assert_eq!(parse_dotenv("A=1\ncanary").unwrap_err(), DotenvError::NoAssignment { line: 2 });
        assert_eq!(parse_dotenv("A='canary").unwrap_err(), DotenvError::OpenQuote { line: 1 });
        assert_eq!(parse_dotenv("A=\"canary\\\"").unwrap_err(), DotenvError::OpenQuote { line: 1 });
        assert_eq!(parse_dotenv("A='can'ary").unwrap_err(), DotenvError::AfterQuote { line: 1 });
        assert!(!parse_dotenv("canary").unwrap_err().to_string().contains("canary"));
    }

    #[test]
    fn one_file_serves_all_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        let contracts = ["a", "b"].map(|database| {
            DatabaseContract::try_new(database, format!("{database}-db"), Keys::conventional(database))
                .unwrap()
        });
        assert_eq!(check(&contracts, &observe_dotenv(&path, &contracts)).findings.len(), 2, "no file");
        fs_err::write(
            &path,
            "A_DATABASE_URL=postgres://u:p@h/a\nA_DATABASE_USER=u\nA_DATABASE_PASSWORD=p\n\
             B_DATABASE_URL='postgres://u:p@h/b'\nB_DATABASE_USER=u\n",
        )
        .unwrap();
        let report = check(&contracts, &observe_dotenv(&path, &contracts));
        let found: Vec<_> = report.findings.iter().map(|f| (f.slug.as_str(), f.key.as_deref())).collect();
        assert_eq!(found, [("key-missing", Some("B_DATABASE_PASSWORD"))]);
        fs_err::write(&path, "nonsense").unwrap();
        assert_eq!(check(&contracts, &observe_dotenv(&path, &contracts)).conclusion(), Conclusion::Unknown);
    }
}
