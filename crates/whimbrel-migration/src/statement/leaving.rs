//! What a statement leaves in its session for those after it.

use super::tokens::first_token;
use super::{Cursor, Token, tokens};
use crate::dialect::Dialect;

/// What a statement leaves behind for the rest of its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing but what it did to tables.
    Nothing,
    /// A setting, which can simply be said again in another session.
    Setting,
    /// Something that goes with the session; the words end the sentence "the rest needs …".
    Lost(&'static str),
}

/// Statements of MySQL that change tables and nothing about the session, by their first word.
const HARMLESS: [&str; 14] = [
    "ALTER", "ANALYZE", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "OPTIMIZE", "RENAME", "REPLACE",
    "REVOKE", "SELECT", "TRUNCATE", "UPDATE",
];

/// What the statement leaves behind, so that a script can go on in another session.
pub fn left_behind(dialect: Dialect, statement: &str) -> Left {
    let tokens = tokens(dialect, statement);
    let mut cursor = Cursor::new(dialect, &tokens);
    if dialect.is_mysql_like() {
        return left_by_mysql(&mut cursor);
    }
    if cursor.eat("SET") {
        let ends_soon = ["LOCAL", "TRANSACTION", "CONSTRAINTS"].iter().any(|word| cursor.is(word));
        return if ends_soon { Left::Nothing } else { Left::Setting };
    }
    // A pragma is SQLite's SET.
    if cursor.is("PRAGMA") { Left::Setting } else { Left::Nothing }
}

/// Whether the statement makes the server run a program: PostgreSQL's `COPY … TO PROGRAM` and `COPY … FROM PROGRAM`.
pub fn runs_program(dialect: Dialect, statement: &str) -> bool {
    let tokens = tokens(dialect, statement);
    let mut cursor = Cursor::new(dialect, &tokens);
    dialect == Dialect::PostgreSql
        && cursor.eat("COPY")
        && (cursor.has("TO PROGRAM") || cursor.has("FROM PROGRAM"))
}

fn left_by_mysql(cursor: &mut Cursor<'_, '_>) -> Left {
    let all = cursor.rest();
    if cursor.is("CREATE TEMPORARY") || cursor.is("CREATE OR REPLACE TEMPORARY") {
        return Left::Lost("a temporary table of theirs");
    }
    if cursor.is("PREPARE") {
        return Left::Lost("a statement that they prepared");
    }
    let sets = cursor.eat("SET");
    let names_variable = all.iter().any(|token| token.is_symbol(b'@'));
    let calculates = sets && names_variable && all.iter().any(|token| token.is_symbol(b'('));
    if calculates || assigns(all) {
        return Left::Lost("a variable that they set");
    }
    if sets || cursor.is("USE") { Left::Setting } else { Left::Nothing }
}

/// `@a := …`, or `INTO @a`.
fn assigns(tokens: &[Token<'_>]) -> bool {
    tokens.windows(2).any(|pair| {
        let assigned = pair[0].is_symbol(b':') && pair[1].is_symbol(b'=') && pair[0].end() == pair[1].start;
        assigned || (pair[0].is_word("INTO") && pair[1].is_symbol(b'@'))
    })
}

/// Whether a statement of MySQL may leave something in its session that only a new connection is free of: a variable, a
/// temporary table, a prepared statement, a lock. In doubt it may.
pub fn changes_session(dialect: Dialect, statement: &str) -> bool {
    let tokens = tokens(dialect, statement);
    let Some((first, rest)) = tokens.split_first() else { return false };
    let is_harmless = HARMLESS.iter().any(|word| first.is_word(word));
    let is_temporary = rest.iter().take(3).any(|token| token.is_word("TEMPORARY"));
    let leaves = |token: &Token<'_>| token.is_symbol(b'@') || names_lock(token);
    // What is beyond the tokens that are read is looked at by its bytes.
    let unread = &statement[tokens.last().map_or(0, Token::end)..];
    !is_harmless || is_temporary || tokens.iter().any(leaves) || unread.contains('@')
}

/// `GET_LOCK` and its like.
fn names_lock(token: &Token<'_>) -> bool {
    let text = token.text.to_ascii_lowercase();
    token.is_name() && (text.ends_with("_lock") || text.ends_with("_locks"))
}

/// Whether a statement may commit without its first word saying so: a routine, a prepared statement, a block.
pub fn may_commit_unseen(dialect: Dialect, statement: &str) -> bool {
    first_token(dialect, statement)
        .is_some_and(|first| ["CALL", "EXECUTE", "BEGIN", "DO"].iter().any(|word| first.is_word(word)))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(Dialect::MySql, "CREATE TABLE a (i int)", Left::Nothing)]
    #[test_case(Dialect::MySql, "# SET x = 1\nCREATE TABLE a (i int)", Left::Nothing)]
    #[test_case(Dialect::MySql, "INSERT INTO a VALUES ('SET @a := (1) INTO @b')", Left::Nothing)]
    #[test_case(Dialect::MySql, "SET foreign_key_checks = 0", Left::Setting)]
    #[test_case(Dialect::MySql, "/*!40014 SET @old = @@unique_checks, unique_checks = 0 */", Left::Setting)]
    #[test_case(Dialect::MySql, "-- a\nUSE other", Left::Setting)]
    #[test_case(Dialect::MariaDb, "SET @id = LAST_INSERT_ID()", Left::Lost("a variable that they set"))]
    #[test_case(Dialect::MySql, "SELECT max(id) INTO @id FROM a", Left::Lost("a variable that they set"))]
    #[test_case(Dialect::MySql, "SELECT @a := 1", Left::Lost("a variable that they set"))]
    #[test_case(
        Dialect::MySql,
        "create temporary table t (i int)",
        Left::Lost("a temporary table of theirs")
    )]
    #[test_case(Dialect::MySql, "PREPARE s FROM 'x'", Left::Lost("a statement that they prepared"))]
    #[test_case(Dialect::PostgreSql, "/* a */ SET search_path = a", Left::Setting)]
    #[test_case(Dialect::PostgreSql, "SET LOCAL search_path = a", Left::Nothing)]
    #[test_case(Dialect::PostgreSql, "set constraints all deferred", Left::Nothing)]
    #[test_case(Dialect::Sqlite, "PRAGMA foreign_keys = ON", Left::Setting)]
    #[test_case(Dialect::Sqlite, "VACUUM", Left::Nothing)]
    fn what_the_rest_of_a_script_needs(dialect: Dialect, statement: &str, expected: Left) {
        assert_eq!(left_behind(dialect, statement), expected);
    }

    #[test_case("CREATE TABLE a (i int)", false)]
    #[test_case("-- x\n/* y */ insert into a values (1, 'mail@example.org')", false)]
    #[test_case("# SET x = 1\nDROP VIEW `a@b`", false)]
    #[test_case("SET sql_mode = ''", true)]
    #[test_case("/*!40101 SET NAMES utf8 */", true)]
    #[test_case("CREATE TEMPORARY TABLE a (i int)", true)]
    #[test_case("SELECT 1 INTO @a", true)]
    #[test_case("CALL p()", true)]
    #[test_case("LOCK TABLES a WRITE", true)]
    #[test_case("SELECT get_lock('x', 1)", true)]
    fn what_only_changes_tables_leaves_the_session_as_it_was(statement: &str, expected: bool) {
        assert_eq!(changes_session(Dialect::MySql, statement), expected);
    }

    #[test]
    fn what_stands_far_behind_in_a_statement_still_counts() {
        let long = format!("INSERT INTO a VALUES {}(1)", "(1), ".repeat(5000));
        assert!(!changes_session(Dialect::MySql, &long));
        assert!(changes_session(Dialect::MySql, &format!("{long} RETURNING @a := 1")));
    }

    #[test_case("CALL p()", true)]
    #[test_case("# CALL p()\nUPDATE a SET i = 1", false)]
    #[test_case("BEGIN NOT ATOMIC COMMIT; END", true)]
    fn a_routine_may_commit(statement: &str, expected: bool) {
        assert_eq!(may_commit_unseen(Dialect::MariaDb, statement), expected);
    }
}
