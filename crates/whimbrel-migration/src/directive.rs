//! Settings that a script carries itself, in a comment before its first statement.
//!
//! ```sql
//! -- whimbrel: lock_timeout=2s statement_timeout=10min
//! ALTER TABLE bird ADD COLUMN wings int;
//! ```
//!
//! A comment, because Flyway refuses a `.conf` file with keys that it does not know; to Flyway, and to the server, the
//! line means nothing. A setting that we do not know is an error: one that is passed over would be missed too late.

use std::time::Duration;

use crate::finding::Finding;

/// What a line begins with, after `--`.
const MARK: &str = "whimbrel:";

/// What a script asks for; nothing where it does not say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directives {
    /// How long a statement of it waits for a lock; zero: for ever.
    pub lock_timeout: Option<Duration>,
    /// How long a statement of it may run; zero: for ever.
    pub statement_timeout: Option<Duration>,
    /// How often it is tried again after it lost a lock.
    pub lock_retries: Option<u32>,
}

/// Why a line of settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DirectiveError {
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

impl DirectiveError {
    /// The same as a finding.
    pub fn to_finding(&self) -> Finding {
        Finding::error("bad-directive", self.problem.clone())
            .at(self.line, 1)
            .next_step("write it like -- whimbrel: lock_timeout=2s statement_timeout=10min lock_retries=3")
    }
}

impl Directives {
    /// Reads the lines of comment that a script begins with.
    ///
    /// # Errors
    /// [`DirectiveError`]: a directive that is not known, or a value that it cannot have.
    pub fn parse(text: &str) -> Result<Self, DirectiveError> {
        let mut directives = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let Some(comment) = line.strip_prefix("--") else { break };
            let Some(settings) = comment.trim_start().strip_prefix(MARK) else { continue };
            for setting in settings.split([' ', '\t', ',']).filter(|setting| !setting.is_empty()) {
                directives.set(setting).map_err(|problem| DirectiveError { line: number, problem })?;
            }
        }
        Ok(directives)
    }

    fn set(&mut self, setting: &str) -> Result<(), String> {
        let Some((name, value)) = setting.split_once('=') else {
            return Err(format!("\"{setting}\" is not a setting with a value"));
        };
        match name {
            "lock_timeout" => self.lock_timeout = Some(duration(name, value)?),
            "statement_timeout" => self.statement_timeout = Some(duration(name, value)?),
            "lock_retries" => {
                let number = value.parse().map_err(|_| format!("{name} has to be a number"))?;
                self.lock_retries = Some(number);
            }
            _ => return Err(format!("there is no setting \"{name}\" for a script")),
        }
        Ok(())
    }
}

/// `500ms`, `2s`, `10min` (or `10m`), `1h`, or `0`: units as PostgreSQL writes them. A bare number would be
/// milliseconds there and seconds with us, and is refused.
fn duration(name: &str, value: &str) -> Result<Duration, String> {
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let wrong = || format!("{name} has to be a number with ms, s, min or h");
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "" if number == 0 => 0,
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    Ok(Duration::from_millis(number.saturating_mul(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_from_the_comment_at_the_beginning() {
        let text = "\u{feff}-- Wings for birds.\n\n--whimbrel: lock_timeout=500ms, statement_timeout=10min\n\
                    -- whimbrel: lock_retries=3\nSELECT 1;\n-- whimbrel: lock_timeout=1h\n";
        let directives = Directives::parse(text).unwrap();
        assert_eq!(directives.lock_timeout, Some(Duration::from_millis(500)));
        assert_eq!(directives.statement_timeout, Some(Duration::from_secs(600)));
        assert_eq!(directives.lock_retries, Some(3));
        assert_eq!(Directives::parse("SELECT 1"), Ok(Directives::default()));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (setting, problem) in [
            ("lock_timeout=5", "number with ms, s, min or h"),
            ("lock_timeout", "not a setting with a value"),
            ("locktimeout=5s", "no setting \"locktimeout\""),
            ("lock_retries=many", "has to be a number"),
        ] {
            let error = Directives::parse(&format!("--\n-- whimbrel: {setting}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.problem.contains(problem), "{error}");
        }
    }
}
