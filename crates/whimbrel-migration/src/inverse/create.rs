//! The inverse of CREATE is DROP.

use super::{Inverse, MAYBE, NO_NAME, REPLACED};
use crate::{dialect::Dialect, statement::Cursor};

pub(super) fn inverse(mut cursor: Cursor<'_, '_>) -> Inverse {
    if cursor.eat("OR REPLACE") {
        return Inverse::None(REPLACED);
    }
    // Gone with the session.
    if cursor.eat("TEMP") || cursor.eat("TEMPORARY") || cursor.eat("LOCAL TEMPORARY") {
        return Inverse::Nothing;
    }
    let dialect = cursor.dialect();
    if dialect.is_mysql_like() && cursor.eat("DEFINER") {
        skip_definer(&mut cursor);
    }
    cursor.eat_any(&["UNLOGGED", "UNIQUE", "FULLTEXT", "SPATIAL", "RECURSIVE", "CONSTRAINT", "TRUSTED"]);
    if cursor.eat("INDEX") {
        return index(cursor);
    }
    if cursor.eat("FUNCTION") || cursor.eat("PROCEDURE") || cursor.eat("AGGREGATE") {
        return routine(cursor);
    }
    if let Some(kind) = ["TRIGGER", "POLICY", "RULE"].into_iter().find(|kind| cursor.eat(kind)) {
        return of_table(cursor, kind);
    }
    const KINDS: [&str; 18] = [
        "TABLE",
        "FOREIGN TABLE",
        "MATERIALIZED VIEW",
        "VIEW",
        "SEQUENCE",
        "SCHEMA",
        "DATABASE",
        "TYPE",
        "DOMAIN",
        "EXTENSION",
        "ROLE",
        "USER",
        "COLLATION",
        "PUBLICATION",
        "SERVER",
        "STATISTICS",
        "EVENT",
        "TABLESPACE",
    ];
    let Some(kind) = KINDS.into_iter().find(|kind| cursor.eat(kind)) else {
        return Inverse::None("nobody here knows what takes it back");
    };
    if cursor.is("IF NOT EXISTS") {
        return Inverse::None(MAYBE);
    }
    if kind == "SCHEMA" && cursor.is("AUTHORIZATION") {
        return Inverse::None(NO_NAME);
    }
    match cursor.name() {
        Some(name) => Inverse::Exact(vec![format!("DROP {kind} {}", name.written)]),
        None => Inverse::None(NO_NAME),
    }
}

/// `= user@host`, up to the word that says what is made.
fn skip_definer(cursor: &mut Cursor<'_, '_>) {
    const KINDS: [&str; 5] = ["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "VIEW"];
    while cursor.peek().is_some() && !KINDS.iter().any(|kind| cursor.is(kind)) {
        cursor.advance();
    }
}

fn index(mut cursor: Cursor<'_, '_>) -> Inverse {
    let concurrently = if cursor.eat("CONCURRENTLY") { " CONCURRENTLY" } else { "" };
    if cursor.is("IF NOT EXISTS") {
        return Inverse::None(MAYBE);
    }
    if cursor.is("ON") {
        return Inverse::None(NO_NAME);
    }
    let Some(name) = cursor.name() else { return Inverse::None(NO_NAME) };
    let dialect = cursor.dialect();
    let table = cursor.find("ON").and_then(|mut cursor| {
        cursor.eat("ONLY");
        cursor.name()
    });
    let Some(table) = table else { return Inverse::None(NO_NAME) };
    Inverse::Exact(vec![if dialect.is_mysql_like() {
        format!("DROP INDEX {} ON {}", name.written, table.written)
    } else if dialect == Dialect::PostgreSql {
        // An index is in the schema of its table.
        format!("DROP INDEX{concurrently} {}", table.beside(&name.written))
    } else {
        format!("DROP INDEX {}", name.written)
    }])
}

fn of_table(mut cursor: Cursor<'_, '_>, kind: &str) -> Inverse {
    if cursor.is("IF NOT EXISTS") {
        return Inverse::None(MAYBE);
    }
    let Some(name) = cursor.name() else { return Inverse::None(NO_NAME) };
    if cursor.dialect() != Dialect::PostgreSql {
        return Inverse::Exact(vec![format!("DROP {kind} {}", name.written)]);
    }
    let word = if kind == "RULE" { "TO" } else { "ON" };
    match cursor.find(word).and_then(|mut cursor| cursor.name()) {
        Some(table) => Inverse::Exact(vec![format!("DROP {kind} {} ON {}", name.written, table.written)]),
        None => Inverse::None(NO_NAME),
    }
}

fn routine(mut cursor: Cursor<'_, '_>) -> Inverse {
    if cursor.is("IF NOT EXISTS") {
        return Inverse::None(MAYBE);
    }
    let Some(name) = cursor.name() else { return Inverse::None(NO_NAME) };
    if cursor.dialect() != Dialect::PostgreSql {
        return Inverse::None(
            "DROP FUNCTION or DROP PROCEDURE by its name; look whether it was there before",
        );
    }
    let before = cursor.rest();
    if !cursor.skip_parentheses() {
        return Inverse::None(NO_NAME);
    }
    let arguments = &before[..before.len() - cursor.rest().len()];
    let has_default = arguments.iter().any(|token| token.is_word("DEFAULT") || token.is_symbol(b'='));
    if has_default {
        return Inverse::None("DROP FUNCTION takes its arguments without their defaults: write it by hand");
    }
    let arguments: Vec<&str> = arguments.iter().map(|token| token.text).collect();
    // ROUTINE is any of them.
    Inverse::Exact(vec![format!("DROP ROUTINE {}{}", name.written, arguments.join(" "))])
}
