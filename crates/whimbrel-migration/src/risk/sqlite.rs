//! SQLite: one writer for the whole database, whoever it is.

use super::{Impact, Lock, Reversal, Work, rows};
use crate::statement::Cursor;

const SOURCE: &str = "SQLite, File Locking And Concurrency; ALTER TABLE";

pub(super) fn impacts(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    of_statement(&mut cursor).or_else(|| rows::impact(cursor, Lock::DATABASE, SOURCE)).into_iter().collect()
}

fn of_statement(cursor: &mut Cursor<'_, '_>) -> Option<Impact> {
    let database = |what, work| Impact::new(what, Lock::DATABASE, work, SOURCE);
    if cursor.eat("ALTER TABLE") {
        let table = cursor.name();
        let impact = if cursor.is("DROP") {
            database("ALTER TABLE … DROP COLUMN", Work::Rewrite).reversal(Reversal::LosesData)
        } else if cursor.is("RENAME") {
            database("ALTER TABLE … RENAME", Work::Catalog)
        } else if cursor.has("CHECK") || cursor.has("NOT NULL") || cursor.has("GENERATED") {
            database("ALTER TABLE … ADD COLUMN", Work::Scan)
        } else {
            database("ALTER TABLE … ADD COLUMN", Work::Catalog)
        };
        return Some(impact.on(table));
    }
    if cursor.eat("CREATE INDEX") || cursor.eat("CREATE UNIQUE INDEX") {
        let table = cursor.find("ON").and_then(|mut cursor| cursor.name());
        return Some(database("CREATE INDEX", Work::BuildIndex).on(table));
    }
    if cursor.eat("DROP TABLE") {
        cursor.eat("IF EXISTS");
        return Some(database("DROP TABLE", Work::EveryRow).on(cursor.name()).reversal(Reversal::LosesData));
    }
    if cursor.eat("DROP") {
        return Some(database("DROP", Work::Catalog).reversal(Reversal::LosesDefinition));
    }
    if cursor.eat("VACUUM") {
        return Some(database("VACUUM", Work::Rewrite));
    }
    cursor.eat("REINDEX").then(|| database("REINDEX", Work::BuildIndex))
}
