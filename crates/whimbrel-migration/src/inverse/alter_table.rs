//! The inverse of ALTER TABLE, action by action, the last one first.

use super::{BEFORE, DROPPED, Inverse, MAYBE, NO_NAME};
use crate::{
    dialect::Dialect,
    statement::{Cursor, ObjectName},
};

/// What one action becomes.
enum Action {
    /// An action of ALTER TABLE on the same table.
    Same(String),
    /// A new name of the table: the inverse is about that one.
    Renamed {
        to: ObjectName,
        back: String,
    },
    None(&'static str),
}

pub(super) fn inverse(mut cursor: Cursor<'_, '_>) -> Inverse {
    if cursor.eat("IF EXISTS") {
        return Inverse::None("IF EXISTS: it may have done nothing");
    }
    let only = if cursor.eat("ONLY") { "ONLY " } else { "" };
    let Some(table) = cursor.name() else { return Inverse::None(NO_NAME) };
    let mut statements = Vec::new();
    let mut renamed = None;
    for action in cursor.split_at_commas() {
        match of_action(action, &table) {
            Action::Same(action) => statements.push(format!("ALTER TABLE {only}{} {action}", table.written)),
            Action::Renamed { to, back } => renamed = Some(format!("ALTER TABLE {} {back}", to.written)),
            Action::None(reason) => return Inverse::None(reason),
        }
    }
    // Whatever the order of the actions: the table gets its name back first.
    statements.extend(renamed);
    statements.reverse();
    Inverse::Exact(statements)
}

fn of_action(mut cursor: Cursor<'_, '_>, table: &ObjectName) -> Action {
    if cursor.eat("ADD") {
        return added(cursor);
    }
    if cursor.eat("RENAME") {
        return renamed(cursor, table);
    }
    if cursor.eat("SET SCHEMA") {
        return match (cursor.name(), &table.schema) {
            (Some(schema), Some(_)) => Action::Renamed {
                to: ObjectName {
                    schema: Some(schema.name.clone()),
                    name: table.name.clone(),
                    written: format!("{}.{}", schema.written, table.last_written()),
                },
                back: format!("SET SCHEMA {}", table.schema_written().unwrap_or_default()),
            },
            _ => Action::None(BEFORE),
        };
    }
    if let Some(action) = toggled(cursor) {
        return Action::Same(action);
    }
    Action::None(if cursor.is("DROP") { DROPPED } else { BEFORE })
}

fn added(mut cursor: Cursor<'_, '_>) -> Action {
    let mysql = cursor.dialect().is_mysql_like();
    if cursor.eat("CONSTRAINT") {
        let unnamed = ["CHECK", "FOREIGN KEY", "UNIQUE", "PRIMARY KEY"].iter().any(|words| cursor.is(words));
        if unnamed {
            return Action::None(NO_NAME);
        }
        let Some(name) = cursor.name() else { return Action::None(NO_NAME) };
        return Action::Same(if mysql && cursor.is("PRIMARY KEY") {
            "DROP PRIMARY KEY".to_owned()
        } else if mysql && cursor.is("UNIQUE") {
            format!("DROP INDEX {}", name.written)
        } else if mysql && cursor.is("FOREIGN KEY") {
            format!("DROP FOREIGN KEY {}", name.written)
        } else {
            format!("DROP CONSTRAINT {}", name.written)
        });
    }
    if mysql && cursor.is("PRIMARY KEY") {
        return Action::Same("DROP PRIMARY KEY".to_owned());
    }
    if mysql {
        let mut index = cursor;
        index.eat_any(&["UNIQUE", "FULLTEXT", "SPATIAL"]);
        if index.eat("INDEX") || index.eat("KEY") {
            return match index.name() {
                Some(name) => Action::Same(format!("DROP INDEX {}", name.written)),
                None => Action::None(NO_NAME),
            };
        }
    }
    let unnamed =
        ["CHECK", "FOREIGN KEY", "UNIQUE", "PRIMARY KEY", "EXCLUDE", "NOT NULL", "INDEX", "KEY", "PARTITION"];
    if unnamed.iter().any(|words| cursor.is(words)) || cursor.dialect() == Dialect::Sqlite && cursor.is("(") {
        return Action::None(NO_NAME);
    }
    cursor.eat("COLUMN");
    if cursor.is("IF NOT EXISTS") {
        return Action::None(MAYBE);
    }
    match cursor.name() {
        Some(column) => Action::Same(format!("DROP COLUMN {}", column.written)),
        // MySQL: ADD COLUMN (a int, b int)
        None => Action::None("columns in parentheses: write one action for each"),
    }
}

fn renamed(mut cursor: Cursor<'_, '_>, table: &ObjectName) -> Action {
    let mysql = cursor.dialect().is_mysql_like();
    if cursor.eat("TO") || (mysql && cursor.eat("AS")) {
        let Some(new) = cursor.name() else { return Action::None(BEFORE) };
        // MySQL may move the table to another database with it, others name it inside of its schema.
        let to = if new.schema.is_some() {
            new
        } else {
            ObjectName {
                schema: table.schema.clone(),
                name: new.name.clone(),
                written: table.beside(&new.written),
            }
        };
        let old = if mysql { table.written.clone() } else { table.last_written().to_owned() };
        return Action::Renamed { to, back: format!("RENAME TO {old}") };
    }
    let kind = ["CONSTRAINT", "COLUMN", "INDEX", "KEY"].into_iter().find(|kind| cursor.eat(kind));
    let kind = kind.unwrap_or("COLUMN");
    let old = cursor.name();
    cursor.eat("TO");
    match (old, cursor.name()) {
        (Some(old), Some(new)) => Action::Same(format!("RENAME {kind} {} TO {}", new.written, old.written)),
        _ => Action::None(BEFORE),
    }
}

/// What has exactly two states, of which the other one was there before.
fn toggled(mut cursor: Cursor<'_, '_>) -> Option<String> {
    if cursor.eat("ATTACH PARTITION") {
        return cursor.name().map(|partition| format!("DETACH PARTITION {}", partition.written));
    }
    None
}
