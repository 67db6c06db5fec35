//! `sql_mode`, as far as it decides how text is read.

/// What of `sql_mode` matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SqlMode {
    /// Without NO_BACKSLASH_ESCAPES.
    pub(super) backslash_escapes: bool,
    /// With ANSI_QUOTES.
    pub(super) ansi_quotes: bool,
    /// With ORACLE (MariaDB).
    pub(super) oracle: bool,
}

impl Default for SqlMode {
    fn default() -> Self {
        Self { backslash_escapes: true, ansi_quotes: false, oracle: false }
    }
}

/// Names that stand for several modes, ANSI_QUOTES among them.
const COMBINATIONS: [&str; 7] = ["ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL", "ANSI_QUOTES"];

impl SqlMode {
    /// Reads the names of modes in any text: a value of `sql_mode`, or an expression that makes one.
    pub(super) fn of_names(text: &str) -> Self {
        let upper = text.to_ascii_uppercase();
        let names = || upper.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        Self {
            backslash_escapes: !names().any(|name| name == "NO_BACKSLASH_ESCAPES"),
            ansi_quotes: names().any(|name| COMBINATIONS.contains(&name)),
            oracle: names().any(|name| name == "ORACLE"),
        }
    }
}

/// The mode after a SET statement; nothing where the session's mode is not set.
pub(super) fn after_set(statement: &[u8], mode: SqlMode, session: SqlMode) -> Option<SqlMode> {
    const NAME: &[u8] = b"sql_mode";
    let lower = statement.to_ascii_lowercase();
    let found = memchr::memmem::rfind_iter(&lower, NAME).find_map(|index| {
        let before = lower[..index].trim_ascii_end();
        let after = lower[index + NAME.len()..].trim_ascii_start();
        let value = after.strip_prefix(b":=").or_else(|| after.strip_prefix(b"="))?;
        let is_variable = before.ends_with(b"@") && !before.ends_with(b"@@");
        let is_part = before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && index > 0
            && !lower[index - 1].is_ascii_whitespace();
        let is_global = before.ends_with(b"global") || before.ends_with(b"global.");
        (!is_variable && !is_part && !is_global).then_some(value)
    })?;
    let value = String::from_utf8_lossy(found);
    let value = value.trim();
    if value.contains("replace(") {
        // Names are taken out of the mode that is there.
        let gone = SqlMode::of_names(value);
        return Some(SqlMode {
            backslash_escapes: mode.backslash_escapes || !gone.backslash_escapes,
            ansi_quotes: mode.ansi_quotes && !gone.ansi_quotes,
            oracle: mode.oracle && !gone.oracle,
        });
    }
    let named = SqlMode::of_names(value);
    if value.contains("@@") {
        return Some(SqlMode {
            backslash_escapes: mode.backslash_escapes && named.backslash_escapes,
            ansi_quotes: mode.ansi_quotes || named.ansi_quotes,
            oracle: mode.oracle || named.oracle,
        });
    }
    // A variable holds what was there before the script changed it.
    if value.starts_with('@') || value.starts_with("default") { Some(session) } else { Some(named) }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", false, true)]
    #[test_case("SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'", true, false)]
    #[test_case("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", true, true)]
    #[test_case("SET @@session.sql_mode := ansi", true, true)]
    fn modes_are_read_from_set(statement: &str, backslash_escapes: bool, ansi_quotes: bool) {
        let mode = after_set(statement.as_bytes(), SqlMode::default(), SqlMode::default());
        assert_eq!(mode, Some(SqlMode { backslash_escapes, ansi_quotes, oracle: false }));
    }

    #[test]
    fn other_variables_do_not_matter() {
        let changed = SqlMode { ansi_quotes: true, ..SqlMode::default() };
        let after = |statement: &str| after_set(statement.as_bytes(), changed, SqlMode::default());
        assert_eq!(after("SET GLOBAL sql_mode = 'ANSI_QUOTES'"), None);
        assert_eq!(after("SET @OLD_SQL_MODE = 1"), None);
        assert_eq!(after("SET @a = @@sql_mode"), None);
        assert_eq!(after("SET SQL_MODE=@OLD_SQL_MODE"), Some(SqlMode::default()));
    }
}
