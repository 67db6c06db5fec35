//! PostgreSQL's locks, from its manual: "Explicit Locking" and the pages of the commands.

use super::{Impact, Lock, Reversal, Work, alter_table, rows};
use crate::statement::Cursor;

const LOCKING: &str = "PostgreSQL, Explicit Locking: Table-Level Locks";
const CREATE_INDEX: &str = "PostgreSQL, CREATE INDEX: Building Indexes Concurrently";
const CREATE_TABLE: &str = "PostgreSQL, CREATE TABLE";

pub(super) fn impacts(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    if cursor.eat("ALTER") {
        return alter(cursor);
    }
    if cursor.eat("CREATE") {
        return create(cursor);
    }
    if cursor.eat("DROP") {
        return drop(cursor);
    }
    if cursor.eat("TRUNCATE") {
        cursor.eat("TABLE");
        return cursor
            .names()
            .into_iter()
            .map(|table| {
                Impact::new("TRUNCATE", Lock::ACCESS_EXCLUSIVE, Work::Catalog, LOCKING)
                    .on(Some(table))
                    .reversal(Reversal::LosesData)
            })
            .collect();
    }
    maintenance(cursor).or_else(|| rows::impact(cursor, Lock::ROW_EXCLUSIVE, LOCKING)).into_iter().collect()
}

fn alter(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    if cursor.eat("TABLE") || cursor.eat("FOREIGN TABLE") {
        return alter_table::impacts(cursor);
    }
    if cursor.eat("INDEX") {
        cursor.eat("IF EXISTS");
        let index = cursor.name();
        let impact = if cursor.is("RENAME") {
            Impact::new("ALTER INDEX … RENAME", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog, LOCKING)
        } else if cursor.is("SET TABLESPACE") {
            Impact::new("ALTER INDEX … SET TABLESPACE", Lock::ACCESS_EXCLUSIVE, Work::Rewrite, LOCKING)
        } else {
            Impact::new("ALTER INDEX", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog, LOCKING)
        };
        return vec![impact.on(index)];
    }
    if cursor.eat("VIEW") || cursor.eat("MATERIALIZED VIEW") || cursor.eat("SEQUENCE") {
        cursor.eat("IF EXISTS");
        let name = cursor.name();
        return vec![Impact::new("ALTER", Lock::ACCESS_EXCLUSIVE, Work::Catalog, LOCKING).on(name)];
    }
    if cursor.eat("POLICY") {
        return on_table(cursor, "ALTER POLICY", Lock::ACCESS_EXCLUSIVE);
    }
    if cursor.is("TYPE") && cursor.has("ADD VALUE") {
        return vec![
            Impact::new("ALTER TYPE … ADD VALUE", Lock::NONE, Work::Catalog, "PostgreSQL, ALTER TYPE")
                .reversal(Reversal::Never)
                .advice("a value cannot be taken out of an enum again"),
        ];
    }
    Vec::new()
}

fn on_table(cursor: Cursor<'_, '_>, what: &'static str, lock: Lock) -> Vec<Impact> {
    let table = cursor.find("ON").and_then(|mut cursor| cursor.name());
    vec![Impact::new(what, lock, Work::Catalog, LOCKING).on(table)]
}

fn create(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    let replaces = cursor.eat("OR REPLACE");
    cursor.eat("UNIQUE");
    if cursor.eat("INDEX") {
        return create_index(cursor);
    }
    if cursor.eat("CONSTRAINT TRIGGER") || cursor.eat("TRIGGER") {
        return on_table(cursor, "CREATE TRIGGER", Lock::SHARE_ROW_EXCLUSIVE);
    }
    if cursor.eat("RULE") {
        let table = cursor.find("TO").and_then(|mut cursor| cursor.name());
        return vec![Impact::new("CREATE RULE", Lock::ACCESS_EXCLUSIVE, Work::Catalog, LOCKING).on(table)];
    }
    if cursor.eat("POLICY") {
        return on_table(cursor, "CREATE POLICY", Lock::ACCESS_EXCLUSIVE);
    }
    if cursor.eat("STATISTICS") {
        let table = cursor.find("FROM").and_then(|mut cursor| cursor.name());
        return vec![
            Impact::new("CREATE STATISTICS", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog, LOCKING).on(table),
        ];
    }
    cursor.eat_any(&["RECURSIVE", "TEMP", "TEMPORARY", "UNLOGGED"]);
    if replaces && cursor.eat("VIEW") {
        let view = cursor.name();
        return vec![
            Impact::new("CREATE OR REPLACE VIEW", Lock::ACCESS_EXCLUSIVE, Work::Catalog, LOCKING)
                .on(view)
                .reversal(Reversal::LosesDefinition),
        ];
    }
    if cursor.eat("TABLE") {
        return create_table(cursor);
    }
    Vec::new()
}

fn create_index(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    let concurrently = cursor.eat("CONCURRENTLY");
    let table = cursor.find("ON").and_then(|mut cursor| {
        cursor.eat("ONLY");
        cursor.name()
    });
    let impact = if concurrently {
        Impact::new("CREATE INDEX CONCURRENTLY", Lock::SHARE_UPDATE_EXCLUSIVE, Work::BuildIndex, CREATE_INDEX)
            .advice("waits for every transaction that is older than it")
    } else {
        Impact::new("CREATE INDEX", Lock::SHARE, Work::BuildIndex, CREATE_INDEX)
            .advice("writes wait until the index is built: CREATE INDEX CONCURRENTLY does not block them")
    };
    vec![impact.on(table)]
}

/// A new table is in nobody's way, but the tables it refers to are locked.
fn create_table(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    cursor.eat("IF NOT EXISTS");
    cursor.name();
    if cursor.eat("PARTITION OF") {
        let parent = cursor.name();
        return vec![
            Impact::new("CREATE TABLE … PARTITION OF", Lock::ACCESS_EXCLUSIVE, Work::Catalog, CREATE_TABLE)
                .on(parent)
                .advice("make the table alone and ATTACH it: that takes a weaker lock on the parent"),
        ];
    }
    alter_table::references(cursor)
        .into_iter()
        .map(|table| {
            Impact::new("CREATE TABLE … REFERENCES", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog, CREATE_TABLE)
                .on(Some(table))
        })
        .collect()
}

fn drop(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    if cursor.eat("INDEX") {
        let concurrently = cursor.eat("CONCURRENTLY");
        cursor.eat("IF EXISTS");
        let (what, lock) = if concurrently {
            ("DROP INDEX CONCURRENTLY", Lock::SHARE_UPDATE_EXCLUSIVE)
        } else {
            ("DROP INDEX", Lock::ACCESS_EXCLUSIVE)
        };
        let impact = |index| {
            Impact::new(what, lock, Work::Catalog, "PostgreSQL, DROP INDEX")
                .on(Some(index))
                .reversal(Reversal::LosesDefinition)
        };
        return cursor.names().into_iter().map(impact).collect();
    }
    if cursor.eat("TRIGGER") || cursor.eat("POLICY") || cursor.eat("RULE") {
        let impacts = on_table(cursor, "DROP", Lock::ACCESS_EXCLUSIVE);
        return impacts.into_iter().map(|impact| impact.reversal(Reversal::LosesDefinition)).collect();
    }
    let (what, reversal) = if cursor.eat("TABLE") {
        ("DROP TABLE", Reversal::LosesData)
    } else if cursor.eat("SCHEMA") {
        ("DROP SCHEMA", Reversal::LosesData)
    } else if cursor.eat("MATERIALIZED VIEW") || cursor.eat("VIEW") {
        ("DROP VIEW", Reversal::LosesDefinition)
    } else if cursor.eat("SEQUENCE") {
        ("DROP SEQUENCE", Reversal::LosesData)
    } else {
        return vec![
            Impact::new("DROP", Lock::NONE, Work::Catalog, LOCKING).reversal(Reversal::LosesDefinition),
        ];
    };
    cursor.eat("IF EXISTS");
    let impact = |name| {
        Impact::new(what, Lock::ACCESS_EXCLUSIVE, Work::Catalog, LOCKING).on(Some(name)).reversal(reversal)
    };
    cursor.names().into_iter().map(impact).collect()
}

fn maintenance(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    if cursor.eat("VACUUM") {
        let full = cursor.has("FULL") || cursor.rest().iter().any(|token| token.is_word("FULL"));
        cursor.skip_parentheses();
        cursor.eat_any(&["FULL", "FREEZE", "VERBOSE", "ANALYZE"]);
        let table = cursor.name();
        let impact = if full {
            Impact::new("VACUUM FULL", Lock::ACCESS_EXCLUSIVE, Work::Rewrite, LOCKING)
        } else {
            Impact::new("VACUUM", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Scan, LOCKING)
        };
        return Some(impact.on(table));
    }
    if cursor.eat("ANALYZE") || cursor.eat("ANALYSE") {
        cursor.eat("VERBOSE");
        return Some(
            Impact::new("ANALYZE", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Rows, LOCKING).on(cursor.name()),
        );
    }
    if cursor.eat("CLUSTER") {
        cursor.eat("VERBOSE");
        return Some(
            Impact::new("CLUSTER", Lock::ACCESS_EXCLUSIVE, Work::Rewrite, LOCKING).on(cursor.name()),
        );
    }
    if cursor.eat("REINDEX") {
        let concurrently = cursor.rest().iter().any(|token| token.is_word("CONCURRENTLY"));
        cursor.skip_parentheses();
        cursor.eat_any(&["VERBOSE", "TABLE", "INDEX", "SCHEMA", "DATABASE", "SYSTEM", "CONCURRENTLY"]);
        let impact = if concurrently {
            Impact::new("REINDEX CONCURRENTLY", Lock::SHARE_UPDATE_EXCLUSIVE, Work::BuildIndex, LOCKING)
        } else {
            Impact::new("REINDEX", Lock::SHARE, Work::BuildIndex, LOCKING).advice(
                "writes wait, and reads that would use the index: REINDEX … CONCURRENTLY does not block them",
            )
        };
        return Some(impact.on(cursor.name()));
    }
    if cursor.eat("REFRESH MATERIALIZED VIEW") {
        let concurrently = cursor.eat("CONCURRENTLY");
        let (what, lock) = if concurrently {
            ("REFRESH MATERIALIZED VIEW CONCURRENTLY", Lock::EXCLUSIVE)
        } else {
            ("REFRESH MATERIALIZED VIEW", Lock::ACCESS_EXCLUSIVE)
        };
        return Some(Impact::new(what, lock, Work::Rewrite, LOCKING).on(cursor.name()));
    }
    if cursor.eat("COMMENT ON") {
        let table = if cursor.eat("TABLE") {
            cursor.name()
        } else if cursor.eat("COLUMN") {
            cursor.name().and_then(|column| column.qualifier())
        } else {
            return None;
        };
        return Some(
            Impact::new("COMMENT", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog, LOCKING)
                .on(table)
                .reversal(Reversal::LosesDefinition),
        );
    }
    if cursor.eat("LOCK") {
        cursor.eat("TABLE");
        let table = cursor.names().into_iter().next();
        return Some(Impact::new("LOCK TABLE", lock_mode(cursor), Work::Catalog, LOCKING).on(table));
    }
    None
}

/// The mode of LOCK TABLE … IN x MODE.
fn lock_mode(mut cursor: Cursor<'_, '_>) -> Lock {
    const MODES: [(&str, Lock); 8] = [
        ("ACCESS SHARE", Lock::ACCESS_SHARE),
        ("ROW SHARE", Lock::ACCESS_SHARE),
        ("ROW EXCLUSIVE", Lock::ROW_EXCLUSIVE),
        ("SHARE UPDATE EXCLUSIVE", Lock::SHARE_UPDATE_EXCLUSIVE),
        ("SHARE ROW EXCLUSIVE", Lock::SHARE_ROW_EXCLUSIVE),
        ("SHARE", Lock::SHARE),
        ("EXCLUSIVE", Lock::EXCLUSIVE),
        ("ACCESS EXCLUSIVE", Lock::ACCESS_EXCLUSIVE),
    ];
    cursor.eat("IN");
    MODES.iter().find(|(words, _)| cursor.is(words)).map_or(Lock::ACCESS_EXCLUSIVE, |(_, lock)| *lock)
}
