//! PostgreSQL's ALTER TABLE, action by action: its manual, "ALTER TABLE".

use super::{Impact, Lock, Reversal, Work};
use crate::statement::{Cursor, ObjectName};

const SOURCE: &str = "PostgreSQL, ALTER TABLE";

/// Functions whose value is the same for a whole statement: a default of them needs no rewrite.
const STABLE: [&str; 9] = [
    "now",
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
    "current_user",
    "transaction_timestamp",
    "statement_timestamp",
];

pub(super) fn impacts(mut cursor: Cursor<'_, '_>) -> Vec<Impact> {
    cursor.eat("ALL IN TABLESPACE");
    cursor.eat("IF EXISTS");
    cursor.eat("ONLY");
    let table = cursor.name();
    cursor.eat_symbol(b'*');
    cursor.split_at_commas().into_iter().flat_map(|action| of_action(action, table.as_ref())).collect()
}

fn of_action(cursor: Cursor<'_, '_>, table: Option<&ObjectName>) -> Vec<Impact> {
    let impact = add(cursor)
        .or_else(|| column(cursor))
        .or_else(|| constraint(cursor))
        .or_else(|| partition(cursor))
        .or_else(|| storage(cursor))
        .unwrap_or_else(|| exclusive("ALTER TABLE", Work::Catalog));
    let mut impacts = vec![impact.on(table.cloned())];
    // The other side of a foreign key is locked as well.
    impacts.extend(references(cursor).into_iter().map(|other| {
        Impact::new("ALTER TABLE … REFERENCES", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog, SOURCE)
            .on(Some(other))
    }));
    impacts
}

fn exclusive(what: &'static str, work: Work) -> Impact {
    Impact::new(what, Lock::ACCESS_EXCLUSIVE, work, SOURCE)
}

fn add(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    if !cursor.eat("ADD") {
        return None;
    }
    let named = cursor.eat("CONSTRAINT");
    if named {
        cursor.name();
    }
    if let Some(impact) = added_constraint(cursor) {
        return Some(impact);
    }
    if named {
        return Some(exclusive("ALTER TABLE … ADD CONSTRAINT", Work::Scan));
    }
    cursor.eat("COLUMN");
    cursor.eat("IF NOT EXISTS");
    cursor.name();
    Some(added_column(cursor))
}

fn added_constraint(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    let not_valid = cursor.has("NOT VALID");
    if cursor.eat("CHECK") {
        let what = "ALTER TABLE … ADD CHECK";
        return Some(if not_valid {
            exclusive(what, Work::Catalog)
        } else {
            exclusive(what, Work::Scan)
                .advice("add it NOT VALID and VALIDATE it in another script: that blocks nobody")
        });
    }
    if cursor.eat("FOREIGN KEY") {
        let what = "ALTER TABLE … ADD FOREIGN KEY";
        let work = if not_valid { Work::Catalog } else { Work::Scan };
        let impact = Impact::new(what, Lock::SHARE_ROW_EXCLUSIVE, work, SOURCE);
        return Some(if not_valid {
            impact
        } else {
            impact.advice("add it NOT VALID and VALIDATE it in another script: writes need not wait then")
        });
    }
    for (words, what) in [
        ("PRIMARY KEY", "ALTER TABLE … ADD PRIMARY KEY"),
        ("UNIQUE", "ALTER TABLE … ADD UNIQUE"),
        ("EXCLUDE", "ALTER TABLE … ADD EXCLUDE"),
    ] {
        if cursor.eat(words) {
            return Some(if cursor.is("USING INDEX") {
                exclusive(what, Work::Catalog)
            } else {
                exclusive(what, Work::BuildIndex)
                    .advice("make the index with CREATE UNIQUE INDEX CONCURRENTLY, then add it USING INDEX")
            });
        }
    }
    cursor
        .is("NOT NULL")
        .then(|| exclusive("ALTER TABLE … ADD NOT NULL", if not_valid { Work::Catalog } else { Work::Scan }))
}

/// Behind the name of the column.
fn added_column(mut cursor: Cursor<'_, '_>) -> Impact {
    let what = "ALTER TABLE … ADD COLUMN";
    let serial = ["serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"];
    let is_serial = serial.iter().any(|word| cursor.eat(word));
    if is_serial || cursor.has("GENERATED") {
        return exclusive(what, Work::Rewrite)
            .advice("every row gets its value at once: add the column plain and fill it in batches");
    }
    if let Some(default) = cursor.find("DEFAULT")
        && is_volatile(default)
    {
        return exclusive(what, Work::Rewrite).advice(
            "the default is another for each row: add the column without it, set it, fill it in batches",
        );
    }
    if cursor.has("UNIQUE") || cursor.has("PRIMARY KEY") {
        return exclusive(what, Work::BuildIndex);
    }
    if cursor.has("CHECK") {
        return exclusive(what, Work::Scan);
    }
    exclusive(what, Work::Catalog)
}

/// Whether a default calls a function that is not known to be stable. The expression ends where the next
/// clause of the column begins.
fn is_volatile(cursor: Cursor<'_, '_>) -> bool {
    const NEXT: [&str; 8] =
        ["NOT", "NULL", "CONSTRAINT", "CHECK", "UNIQUE", "PRIMARY", "REFERENCES", "COLLATE"];
    let tokens = cursor.rest();
    let end = tokens.iter().position(|token| NEXT.iter().any(|word| token.is_word(word)));
    let tokens = &tokens[..end.unwrap_or(tokens.len())];
    tokens.windows(2).any(|pair| {
        let is_type = tokens.first().is_some_and(|first| first.is_symbol(b'\''));
        pair[0].is_name()
            && pair[1].is_symbol(b'(')
            && !is_type
            && !STABLE.iter().any(|name| pair[0].is_word(name))
            && !is_cast(tokens, pair[0].start)
    })
}

/// `…::numeric(10, 2)` is no call.
fn is_cast(tokens: &[crate::statement::Token<'_>], start: usize) -> bool {
    let Some(index) = tokens.iter().position(|token| token.start == start) else { return false };
    index >= 2 && tokens[index - 1].is_symbol(b':') && tokens[index - 2].is_symbol(b':')
}

fn column(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    if cursor.eat("DROP CONSTRAINT") {
        return Some(
            exclusive("ALTER TABLE … DROP CONSTRAINT", Work::Catalog).reversal(Reversal::LosesDefinition),
        );
    }
    if cursor.eat("DROP") {
        return Some(exclusive("ALTER TABLE … DROP COLUMN", Work::Catalog).reversal(Reversal::LosesData));
    }
    if !cursor.eat("ALTER") || cursor.is("CONSTRAINT") {
        return None;
    }
    cursor.eat("COLUMN");
    cursor.name();
    Some(if cursor.is("TYPE") || cursor.is("SET DATA TYPE") {
        exclusive("ALTER TABLE … ALTER COLUMN TYPE", Work::Rewrite)
            .reversal(Reversal::LosesData)
            .advice("no rewrite where the old type is the same to the bit, as from varchar(n) to text or a longer varchar")
    } else if cursor.is("SET NOT NULL") {
        exclusive("ALTER TABLE … SET NOT NULL", Work::Scan)
            .advice("no scan where a valid CHECK (column IS NOT NULL) is there: add it NOT VALID and VALIDATE it before")
    } else if cursor.is("SET STATISTICS") || sets_parameters(cursor) {
        Impact::new("ALTER TABLE … SET STATISTICS", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog, SOURCE)
    } else if cursor.is("ADD GENERATED") {
        exclusive("ALTER TABLE … ADD GENERATED", Work::Catalog)
    } else {
        exclusive("ALTER TABLE … ALTER COLUMN", Work::Catalog)
    })
}

fn constraint(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    if cursor.eat("VALIDATE CONSTRAINT") {
        return Some(Impact::new(
            "ALTER TABLE … VALIDATE CONSTRAINT",
            Lock::SHARE_UPDATE_EXCLUSIVE,
            Work::Scan,
            SOURCE,
        ));
    }
    if cursor.eat("ALTER CONSTRAINT") {
        return Some(exclusive("ALTER TABLE … ALTER CONSTRAINT", Work::Catalog));
    }
    if cursor.eat("RENAME") {
        return Some(
            exclusive("ALTER TABLE … RENAME", Work::Catalog)
                .advice("programs that use the old name fail from then on"),
        );
    }
    let is_trigger = (cursor.is("ENABLE") || cursor.is("DISABLE")) && cursor.has("TRIGGER");
    is_trigger.then(|| {
        Impact::new("ALTER TABLE … ENABLE TRIGGER", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog, SOURCE)
    })
}

fn partition(mut cursor: Cursor<'_, '_>) -> Option<Impact> {
    if cursor.eat("ATTACH PARTITION") {
        return Some(
            Impact::new("ALTER TABLE … ATTACH PARTITION", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Scan, SOURCE)
                .advice("the partition is scanned under ACCESS EXCLUSIVE, unless a valid CHECK says what is in it"),
        );
    }
    if cursor.eat("DETACH PARTITION") {
        return Some(if cursor.has("CONCURRENTLY") {
            Impact::new(
                "ALTER TABLE … DETACH PARTITION CONCURRENTLY",
                Lock::SHARE_UPDATE_EXCLUSIVE,
                Work::Catalog,
                SOURCE,
            )
        } else {
            exclusive("ALTER TABLE … DETACH PARTITION", Work::Catalog)
        });
    }
    None
}

fn storage(cursor: Cursor<'_, '_>) -> Option<Impact> {
    for (words, what) in [
        ("SET TABLESPACE", "ALTER TABLE … SET TABLESPACE"),
        ("SET LOGGED", "ALTER TABLE … SET LOGGED"),
        ("SET UNLOGGED", "ALTER TABLE … SET UNLOGGED"),
        ("SET ACCESS METHOD", "ALTER TABLE … SET ACCESS METHOD"),
    ] {
        if cursor.is(words) {
            return Some(exclusive(what, Work::Rewrite));
        }
    }
    if sets_parameters(cursor) || cursor.is("CLUSTER ON") || cursor.is("SET WITHOUT CLUSTER") {
        return Some(Impact::new(
            "ALTER TABLE … SET (…)",
            Lock::SHARE_UPDATE_EXCLUSIVE,
            Work::Catalog,
            SOURCE,
        ));
    }
    None
}

/// SET (…) or RESET (…)
fn sets_parameters(mut cursor: Cursor<'_, '_>) -> bool {
    (cursor.eat("SET") || cursor.eat("RESET")) && cursor.eat_symbol(b'(')
}

/// Every table behind REFERENCES, in parentheses too.
pub(super) fn references(cursor: Cursor<'_, '_>) -> Vec<ObjectName> {
    let mut cursor = cursor;
    let mut names = Vec::new();
    while cursor.peek().is_some() {
        if cursor.eat("REFERENCES") {
            names.extend(cursor.name());
        } else {
            cursor.advance();
        }
    }
    names
}
