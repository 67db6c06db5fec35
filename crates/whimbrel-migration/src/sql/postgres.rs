//! PostgreSQL: quoting, the history table, and the key of the lock.

use super::{TableName, insert_row, insert_values, java_hash, row_values};
use crate::history::NewRow;

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

/// Writes the row of a script into its transaction, and tells what `execution_time` it has: the transaction's age in
/// milliseconds. Operators and types are named with their schema, since others may come first in a search path; literals
/// have types, so that the server need not look for the function that fits.
pub fn insert_row_with_age(table: &TableName, row: &NewRow, installed_by: Option<&str>) -> String {
    const AGE: &str = "CAST('1000'::pg_catalog.float8 OPERATOR(pg_catalog.*) \
         pg_catalog.date_part('epoch'::pg_catalog.text, pg_catalog.clock_timestamp() \
         OPERATOR(pg_catalog.-) pg_catalog.transaction_timestamp()) AS pg_catalog.int4)";
    let values = row_values(table.dialect, row, installed_by)
        .map(|(name, value)| (name, if name == "execution_time" { AGE.to_owned() } else { value }));
    format!("{} RETURNING {}", insert_values(table, values), quote_identifier("execution_time"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn lock_keys_are_those_of_flyway() {
        let key =
            |schema: &str| lock_key(&TableName::new(Dialect::PostgreSql, schema, "flyway_schema_history"));
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
