//! InnoDB's online DDL, from MySQL's manual: "Online DDL Operations". MariaDB's differs in small things; where
//! it does, the graver one is told.

use super::{Impact, Lock, Reversal, Work, rows};
use crate::statement::{Cursor, ObjectName};

const ONLINE: &str = "MySQL, InnoDB: Online DDL Operations";
const LOCKING: &str = "MySQL, Metadata Locking";

pub(super) fn impacts(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    if cursor.eat("ALTER TABLE") || cursor.eat("ALTER IGNORE TABLE") || cursor.eat("ALTER ONLINE TABLE") {
        cursor.eat("IF EXISTS");
        let table = cursor.name();
        return cursor
            .split_at_commas()
            .into_iter()
            .map(|action| of_action(action, table.as_ref()))
            .collect();
    }
    if cursor.eat("CREATE") {
        return create_index(cursor).into_iter().collect();
    }
    if cursor.eat("DROP") {
        return drop(cursor);
    }
    if cursor.eat("TRUNCATE") {
        cursor.eat("TABLE");
        let impact = Impact::new("TRUNCATE", Lock::METADATA, Work::Catalog, LOCKING);
        return vec![impact.on(cursor.name()).reversal(Reversal::LosesData)];
    }
    if cursor.eat("RENAME TABLE") || cursor.eat("RENAME TABLES") {
        let table = cursor.name();
        return vec![Impact::new("RENAME TABLE", Lock::METADATA, Work::Catalog, LOCKING).on(table)];
    }
    if cursor.eat("OPTIMIZE") {
        cursor.eat_any(&["LOCAL", "NO_WRITE_TO_BINLOG", "TABLE", "TABLES"]);
        let impact = |table| {
            Impact::new("OPTIMIZE TABLE", Lock::METADATA_ONLINE, Work::Rewrite, ONLINE).on(Some(table))
        };
        return cursor.names().into_iter().map(impact).collect();
    }
    rows::impact(cursor, Lock::ROWS, "MySQL, InnoDB Locking").into_iter().collect()
}

fn create_index(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    cursor.eat("OR REPLACE");
    let blocks = cursor.eat("FULLTEXT") || cursor.eat("SPATIAL");
    cursor.eat("UNIQUE");
    if !cursor.eat("INDEX") {
        return None;
    }
    let table = cursor.find("ON").and_then(|mut cursor| cursor.name());
    let lock = if blocks { Lock::METADATA_NO_WRITE } else { Lock::METADATA_ONLINE };
    Some(Impact::new("CREATE INDEX", lock, Work::BuildIndex, ONLINE).on(table))
}

fn drop(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    if cursor.eat("INDEX") {
        let table = cursor.find("ON").and_then(|mut cursor| cursor.name());
        let impact = Impact::new("DROP INDEX", Lock::METADATA, Work::Catalog, ONLINE);
        return vec![impact.on(table).reversal(Reversal::LosesDefinition)];
    }
    let (what, reversal) = if cursor.eat("TABLE") {
        ("DROP TABLE", Reversal::LosesData)
    } else if cursor.eat("DATABASE") || cursor.eat("SCHEMA") {
        ("DROP DATABASE", Reversal::LosesData)
    } else if cursor.eat("VIEW") {
        ("DROP VIEW", Reversal::LosesDefinition)
    } else {
        return Vec::new();
    };
    cursor.eat("IF EXISTS");
    let impact =
        |name| Impact::new(what, Lock::METADATA, Work::Catalog, LOCKING).on(Some(name)).reversal(reversal);
    cursor.names().into_iter().map(impact).collect()
}

fn of_action(mut cursor: Cursor<'_, '_>, table: Option<&ObjectName>) -> Impact {
    let moment = |what| Impact::new(what, Lock::METADATA, Work::Catalog, ONLINE);
    let copy = |what| Impact::new(what, Lock::METADATA_NO_WRITE, Work::Rewrite, ONLINE);
    let impact = if cursor.eat("ADD") {
        added(cursor)
    } else if cursor.eat("DROP") {
        dropped(cursor)
    } else if cursor.is("MODIFY") || cursor.is("CHANGE") {
        copy("ALTER TABLE … MODIFY COLUMN").reversal(Reversal::LosesData).advice(
            "another type is copied row by row; only another name, default or a longer VARCHAR is not",
        )
    } else if cursor.is("CONVERT TO") {
        copy("ALTER TABLE … CONVERT TO CHARACTER SET")
    } else if cursor.is("RENAME") {
        moment("ALTER TABLE … RENAME").advice("programs that use the old name fail from then on")
    } else if cursor.is("ENGINE") || cursor.is("FORCE") || cursor.is("ROW_FORMAT") {
        Impact::new("ALTER TABLE … FORCE", Lock::METADATA_ONLINE, Work::Rewrite, ONLINE)
    } else {
        moment("ALTER TABLE")
    };
    impact.on(table.cloned())
}

fn added(mut cursor: Cursor<'_, '_>) -> Impact {
    let mut constraint = cursor;
    if constraint.eat("CONSTRAINT") && !constraint.is("FOREIGN") && !constraint.is("CHECK") {
        constraint.name();
    }
    if constraint.is("PRIMARY KEY") {
        return Impact::new("ALTER TABLE … ADD PRIMARY KEY", Lock::METADATA_ONLINE, Work::Rewrite, ONLINE);
    }
    if constraint.is("FOREIGN KEY") {
        return Impact::new("ALTER TABLE … ADD FOREIGN KEY", Lock::METADATA_NO_WRITE, Work::Rewrite, ONLINE)
            .advice("copied row by row unless foreign_key_checks is off");
    }
    if constraint.is("CHECK") {
        return Impact::new("ALTER TABLE … ADD CHECK", Lock::METADATA_NO_WRITE, Work::Rewrite, ONLINE);
    }
    if cursor.is("FULLTEXT") || cursor.is("SPATIAL") {
        return Impact::new("ALTER TABLE … ADD INDEX", Lock::METADATA_NO_WRITE, Work::BuildIndex, ONLINE);
    }
    if ["INDEX", "KEY", "UNIQUE"].iter().any(|word| constraint.is(word)) {
        return Impact::new("ALTER TABLE … ADD INDEX", Lock::METADATA_ONLINE, Work::BuildIndex, ONLINE);
    }
    cursor.eat("COLUMN");
    if cursor.has("AUTO_INCREMENT") || cursor.has("STORED") || cursor.has("PERSISTENT") {
        return Impact::new("ALTER TABLE … ADD COLUMN", Lock::METADATA_NO_WRITE, Work::Rewrite, ONLINE);
    }
    Impact::new("ALTER TABLE … ADD COLUMN", Lock::METADATA, Work::Catalog, ONLINE)
}

fn dropped(cursor: Cursor<'_, '_>) -> Impact {
    if cursor.is("PRIMARY KEY") {
        return Impact::new("ALTER TABLE … DROP PRIMARY KEY", Lock::METADATA_NO_WRITE, Work::Rewrite, ONLINE)
            .reversal(Reversal::LosesDefinition);
    }
    let definitions = ["INDEX", "KEY", "FOREIGN KEY", "CONSTRAINT", "CHECK"];
    if definitions.iter().any(|words| cursor.is(words)) {
        return Impact::new("ALTER TABLE … DROP INDEX", Lock::METADATA, Work::Catalog, ONLINE)
            .reversal(Reversal::LosesDefinition);
    }
    Impact::new("ALTER TABLE … DROP COLUMN", Lock::METADATA, Work::Catalog, ONLINE)
        .reversal(Reversal::LosesData)
        .advice("at once from MySQL 8.0.29 and MariaDB 10.4 on; earlier ones write the table anew")
}
