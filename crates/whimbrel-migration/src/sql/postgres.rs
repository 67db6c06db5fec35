//! PostgreSQL: quoting, the history table, and the key of the lock.

use crate::history::{HistoryRow, NewRow, RowType};

/// A table with its schema, not quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Names a table.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// `"schema"."table"`
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(&self.table))
    }
}

/// `"name"` with inner quotes doubled.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal that means the same whether or not `standard_conforming_strings` is on. A NUL, which no
/// text of PostgreSQL can hold, is left out.
pub fn quote_literal(text: &str) -> String {
    let text = text.replace('\0', "").replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", text.replace('\\', "\\\\")) } else { format!("'{text}'") }
}

/// The key of the advisory lock that Flyway takes for a history table: the word `Flyway` as a number plus
/// Java's hash of the quoted name.
pub fn lock_key(table: &TableName) -> i64 {
    const FLYWAY: i64 = 0x466C_7977_6179;
    FLYWAY + i64::from(java_hash(&table.quoted()))
}

/// `String.hashCode` of Java.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// Tries to take the lock for the session; answers `t` or `f` at once.
pub fn try_lock(table: &TableName) -> String {
    format!("SELECT pg_try_advisory_lock({})", lock_key(table))
}

/// Gives the lock back; answers `f` when it was not held.
pub fn unlock(table: &TableName) -> String {
    format!("SELECT pg_advisory_unlock({})", lock_key(table))
}

/// Who holds the lock: pid, application_name, user, client address, and when its transaction and its
/// backend began.
pub fn lock_holder(table: &TableName) -> String {
    let key = lock_key(table).cast_unsigned();
    format!(
        "SELECT l.pid, a.application_name, a.usename, a.client_addr, a.backend_start, a.xact_start \
         FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
         AND l.classid = {} AND l.objid = {} \
         AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        key >> 32,
        key & 0xFFFF_FFFF
    )
}

/// Whether the history table exists: one row with `t` or `f`. Only ordinary tables count.
pub fn history_table_exists(table: &TableName) -> String {
    format!(
        "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {} AND c.relkind = 'r')",
        quote_literal(&table.schema),
        quote_literal(&table.table)
    )
}

/// Whether the schema exists: one row with `t` or `f`.
pub fn schema_exists(schema: &str) -> String {
    format!("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {})", quote_literal(schema))
}

/// Makes a schema.
pub fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quote_identifier(schema))
}

/// Whether the schema is empty in Flyway's sense: one row with `t` or `f`. Tables, views, sequences, enum,
/// domain and range types and routines count, unless an extension owns them; materialized views, partitioned
/// tables, composite types and the rest do not.
pub fn schema_is_empty(schema: &str) -> String {
    let schema = quote_literal(schema);
    format!(
        "SELECT NOT EXISTS (\
         SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.objid = c.oid AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e' \
         WHERE n.nspname = {schema} AND d.objid IS NULL AND c.relkind IN ('r', 'v', 'S') \
         UNION ALL \
         SELECT 1 FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.objid = t.oid AND d.classid = 'pg_catalog.pg_type'::regclass AND d.deptype = 'e' \
         WHERE n.nspname = {schema} AND d.objid IS NULL AND t.typtype IN ('e', 'd', 'r') \
         UNION ALL \
         SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         LEFT JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e' \
         WHERE n.nspname = {schema} AND d.objid IS NULL)"
    )
}

/// The statements that make the history table, to be run in one transaction. The baseline row, if any, is
/// inserted before the primary key is added, as Flyway does it.
pub fn create_history_table(
    table: &TableName,
    tablespace: Option<&str>,
    baseline: Option<(&NewRow, Option<&str>)>,
) -> Vec<String> {
    let name = table.quoted();
    let tablespace = tablespace.map(|space| format!(" TABLESPACE {}", quote_identifier(space)));
    let space = tablespace.as_deref().unwrap_or("");
    let using = tablespace.as_deref().map(|space| format!(" USING INDEX{space}")).unwrap_or_default();
    let mut statements = vec![format!(
        "CREATE TABLE {name} (\n    \"installed_rank\" INT NOT NULL,\n    \"version\" VARCHAR(50),\n    \
         \"description\" VARCHAR(200) NOT NULL,\n    \"type\" VARCHAR(20) NOT NULL,\n    \
         \"script\" VARCHAR(1000) NOT NULL,\n    \"checksum\" INTEGER,\n    \
         \"installed_by\" VARCHAR(100) NOT NULL,\n    \"installed_on\" TIMESTAMP NOT NULL DEFAULT now(),\n    \
         \"execution_time\" INTEGER NOT NULL,\n    \"success\" BOOLEAN NOT NULL\n){space}"
    )];
    statements.extend(baseline.map(|(row, installed_by)| insert_row(table, row, installed_by)));
    statements.push(format!(
        "ALTER TABLE {name} ADD CONSTRAINT {} PRIMARY KEY (\"installed_rank\"){using}",
        quote_identifier(&format!("{}_pk", table.table))
    ));
    statements.push(format!(
        "CREATE INDEX {} ON {name} (\"success\"){space}",
        quote_identifier(&format!("{}_s_idx", table.table))
    ));
    statements
}

/// All rows by rank; the columns are those of [`read_row`], in its order.
pub fn select_rows(table: &TableName) -> String {
    select_rows_after(table, -1)
}

/// The rows above a rank, as [`select_rows`] gives them.
pub fn select_rows_after(table: &TableName, installed_rank: i32) -> String {
    format!(
        "SELECT \"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \
         \"installed_by\", \"installed_on\", \"execution_time\", \"success\" FROM {} \
         WHERE \"installed_rank\" > {installed_rank} ORDER BY \"installed_rank\"",
        table.quoted()
    )
}

/// A row of [`select_rows`] whose values arrive as text.
pub fn read_row(values: &[Option<&str>]) -> Option<HistoryRow> {
    let [rank, version, description, row_type, script, checksum, by, on, time, success] = values else {
        return None;
    };
    Some(HistoryRow {
        installed_rank: (*rank)?.parse().ok()?,
        version: version.map(str::to_owned),
        description: (*description)?.to_owned(),
        row_type: RowType::parse((*row_type)?),
        script: (*script)?.to_owned(),
        checksum: match checksum {
            None => None,
            Some(text) => Some(text.parse().ok()?),
        },
        installed_by: (*by)?.to_owned(),
        installed_on: (*on)?.to_owned(),
        execution_time: (*time)?.parse().ok()?,
        success: matches!((*success)?, "t" | "true" | "1"),
    })
}

/// Writes a row; without a name `installed_by` is the database's current user.
pub fn insert_row(table: &TableName, row: &NewRow, installed_by: Option<&str>) -> String {
    format!(
        "INSERT INTO {} (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \"checksum\", \
         \"installed_by\", \"execution_time\", \"success\") VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {})",
        table.quoted(),
        row.installed_rank,
        row.version.as_deref().map_or_else(|| "NULL".into(), quote_literal),
        quote_literal(&row.description),
        quote_literal(row.row_type.as_str()),
        quote_literal(&row.script),
        row.checksum.map_or_else(|| "NULL".into(), |checksum| checksum.to_string()),
        installed_by.map_or_else(|| "current_user".into(), quote_literal),
        row.execution_time,
        row.success
    )
}

/// Removes one failed row.
pub fn delete_failed_row(table: &TableName, installed_rank: i32) -> String {
    format!(
        "DELETE FROM {} WHERE \"installed_rank\" = {installed_rank} AND \"success\" = false",
        table.quoted()
    )
}

/// Aligns one row with its file.
pub fn update_row(
    table: &TableName,
    installed_rank: i32,
    description: &str,
    row_type: &RowType,
    checksum: Option<i32>,
) -> String {
    format!(
        "UPDATE {} SET \"description\" = {}, \"type\" = {}, \"checksum\" = {} WHERE \"installed_rank\" = {installed_rank}",
        table.quoted(),
        quote_literal(description),
        quote_literal(row_type.as_str()),
        checksum.map_or_else(|| "NULL".into(), |checksum| checksum.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_keys_are_those_of_flyway() {
        let key = |schema: &str| lock_key(&TableName::new(schema, "flyway_schema_history"));
        assert_eq!(key("public"), 77_433_833_903_597);
        assert_eq!(key("app"), 77_431_436_970_681);
        assert_eq!(key("Weird\"Name"), 77_432_368_558_818);
        assert_eq!(key("schéma"), 77_432_258_408_113);
    }

    #[test]
    fn literals_survive_quotes_and_backslashes() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), " E'a\\\\b'");
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }
}
