//! What the server of MySQL and MariaDB keeps about the last statement, and who looks at it.

use super::tokens::first_token;
use crate::dialect::Dialect;

/// Statements that change rows and have one answer, by their first word.
const CHANGES: [&str; 4] = ["DELETE", "INSERT", "REPLACE", "UPDATE"];

/// Whether the statement does no more than change rows of tables: the server has one answer to it, and forgets with it
/// what it had to say about the statement before. In doubt it is another one.
pub fn changes_rows(dialect: Dialect, statement: &str) -> bool {
    let first = first_token(dialect, statement);
    // Another delimiter makes a text of several statements of it.
    first.is_some_and(|first| CHANGES.iter().any(|word| first.is_word(word))) && !statement.contains(';')
}

/// Whether the statement may look at what the server keeps about the one before it: its warnings, or how many rows it
/// changed or found. A question in between would change that. In doubt it does.
pub fn looks_back(dialect: Dialect, statement: &str) -> bool {
    let asks = |word: &str| ["GET", "SHOW"].iter().any(|asks| word.eq_ignore_ascii_case(asks));
    let bytes = statement.as_bytes();
    first_token(dialect, statement).is_some_and(|first| asks(first.text))
        || memchr::memchr_iter(b'_', bytes).any(|at| is_kept_name(&bytes[..at], &bytes[at + 1..]))
}

/// The names under which statements see it, cut at their underscore.
const KEPT: [(&[u8], &[u8]); 4] =
    [(b"row", b"count"), (b"found", b"rows"), (b"warning", b"count"), (b"error", b"count")];

fn is_kept_name(before: &[u8], after: &[u8]) -> bool {
    let ends = |end: &[u8]| {
        before.len().checked_sub(end.len()).is_some_and(|at| before[at..].eq_ignore_ascii_case(end))
    };
    let begins =
        |begin: &[u8]| after.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin));
    KEPT.iter().any(|(end, begin)| begins(begin) && ends(end))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("INSERT INTO a VALUES (1)", true)]
    #[test_case("-- a; b", false; "nothing at all")]
    #[test_case("# a\n/* b */ replace into a values (1) -- end", true)]
    #[test_case("UPDATE a SET i = 1", true)]
    #[test_case("DELETE FROM a", true)]
    #[test_case("INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)", false)]
    #[test_case("CALL p()", false)]
    #[test_case("INSERT_IT()", false)]
    #[test_case("SELECT 1", false)]
    fn what_changes_rows_has_one_answer(statement: &str, expected: bool) {
        assert_eq!(changes_rows(Dialect::MariaDb, statement), expected);
    }

    #[test_case("INSERT INTO a VALUES (row_count())", true)]
    #[test_case("SELECT FOUND_ROWS ()", true)]
    #[test_case("SET @w = @@warning_count", true)]
    #[test_case("SELECT @@session.error_count", true)]
    #[test_case("/* a */ show warnings", true)]
    #[test_case("GET DIAGNOSTICS @n = NUMBER", true)]
    #[test_case("INSERT INTO row_counter VALUES (1)", true; "in doubt it does")]
    #[test_case("INSERT INTO a VALUES (LAST_INSERT_ID())", false; "its number stays until the next one")]
    #[test_case("INSERT INTO show_rows (_, count_) VALUES (1, '_rows found_')", false)]
    #[test_case("_count", false)]
    fn who_looks_back_is_known_by_name(statement: &str, expected: bool) {
        assert_eq!(looks_back(Dialect::MySql, statement), expected);
    }
}
