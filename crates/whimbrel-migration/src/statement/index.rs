//! The index that a CREATE INDEX CONCURRENTLY makes, and may leave half made.

use super::{Cursor, tokens};
use crate::dialect::Dialect;

/// An index that is made without locking its table for long (PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrentIndex {
    /// As SQL finds it: qualified where the table is.
    pub name: String,
    /// Whether one that is there already is good enough.
    pub if_not_exists: bool,
}

/// `CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name ON [ONLY] [schema.]table …`; none where the server
/// chooses the name.
pub fn concurrent_index(statement: &str) -> Option<ConcurrentIndex> {
    let tokens = tokens(Dialect::PostgreSql, statement);
    let mut cursor = Cursor::new(Dialect::PostgreSql, &tokens);
    if !cursor.eat("CREATE") {
        return None;
    }
    cursor.eat("UNIQUE");
    if !cursor.eat("INDEX CONCURRENTLY") {
        return None;
    }
    let if_not_exists = cursor.eat("IF NOT EXISTS");
    let name = cursor.peek().filter(|token| token.is_name() && !token.is_word("ON"))?.text;
    cursor.advance();
    if !cursor.eat("ON") {
        return None;
    }
    cursor.eat("ONLY");
    let table = cursor.peek().filter(|token| token.is_name())?.text;
    cursor.advance();
    // `schema`, `.`, `table`: the index is made in the table's schema.
    let name = if cursor.eat_symbol(b'.') { format!("{table}.{name}") } else { name.to_owned() };
    Some(ConcurrentIndex { name, if_not_exists })
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("CREATE INDEX CONCURRENTLY i ON t (a)", Some("i"))]
    #[test_case("create unique index concurrently \"I \"\"x\" on only s.t (a)", Some("s.\"I \"\"x\""))]
    #[test_case("-- a\n/* b /* c */ */ CREATE INDEX CONCURRENTLY i ON \"S\" . t(a)", Some("\"S\".i"))]
    #[test_case("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", Some("i"))]
    #[test_case("CREATE INDEX CONCURRENTLY ON t (a)", None)]
    #[test_case("CREATE INDEX i ON t (a)", None)]
    #[test_case("VACUUM t", None)]
    fn the_name_of_a_new_index_is_read_with_its_schema(statement: &str, expected: Option<&str>) {
        let index = concurrent_index(statement);
        assert_eq!(index.as_ref().map(|index| index.name.as_str()), expected);
        let says_so = statement.contains("IF NOT EXISTS");
        assert!(index.is_none_or(|index| index.if_not_exists == says_so));
    }
}
