//! MySQL and MariaDB: quoting, the history table, and the name of the lock. A schema is a database there.

use super::{TableName, java_hash, row_values};
use crate::dialect::Dialect;
use crate::history::NewRow;

/// The user without its host, as Flyway asks for it.
pub const CURRENT_USER: &str = "SUBSTRING_INDEX(USER(), '@', 1)";

/// `` `name` `` with inner quotes doubled.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string literal that means the same whether or not `NO_BACKSLASH_ESCAPES` is set: what that setting would read in
/// another way is written as bytes.
pub fn quote_literal(text: &str) -> String {
    if text.contains('\\') {
        let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        format!("CONVERT(X'{hex}' USING utf8mb4)")
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// The name of the lock that Flyway takes with `GET_LOCK` for a history table.
pub fn lock_name(table: &TableName) -> String {
    format!("Flyway-{}", java_hash(&table.quoted()))
}

/// Whether the database exists: one row with 1 or 0.
pub fn schema_exists(schema: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT 1 FROM information_schema.schemata WHERE schema_name = {})",
        quote_literal(schema)
    )
}

/// Whether the database is empty in Flyway's sense: one row with 1 or 0. Tables, views, constraints, triggers, routines
/// and events count.
pub fn schema_is_empty(schema: &str) -> String {
    let schema = quote_literal(schema);
    format!(
        "SELECT NOT EXISTS (\
         SELECT 1 FROM information_schema.tables WHERE table_schema = {schema} \
         UNION ALL SELECT 1 FROM information_schema.table_constraints WHERE table_schema = {schema} \
         UNION ALL SELECT 1 FROM information_schema.triggers WHERE event_object_schema = {schema} \
         UNION ALL SELECT 1 FROM information_schema.routines WHERE routine_schema = {schema} \
         UNION ALL SELECT 1 FROM information_schema.events WHERE event_schema = {schema})"
    )
}

/// Makes a database.
pub fn create_schema(schema: &str) -> String {
    format!("CREATE SCHEMA {}", quote_identifier(schema))
}

/// The statements that make the history table. DDL commits by itself, so a baseline row comes with the table in one
/// statement (`CREATE TABLE … AS SELECT`), as Flyway does it: nobody sees the table without it.
pub fn create_history_table(
    table: &TableName,
    tablespace: Option<&str>,
    baseline: Option<(&NewRow, Option<&str>)>,
) -> Vec<String> {
    let name = table.quoted();
    let space =
        tablespace.map(|space| format!(" TABLESPACE {}", quote_identifier(space))).unwrap_or_default();
    let key = match table.dialect {
        // MariaDB takes no name there.
        Dialect::MariaDb => String::new(),
        _ => quote_identifier(&format!("{}_pk", table.table)),
    };
    let first =
        baseline.map(|(row, by)| format!(" AS {}", select_row(table.dialect, row, by))).unwrap_or_default();
    vec![
        format!(
            "CREATE TABLE {name} (\n    `installed_rank` INT NOT NULL,\n    `version` VARCHAR(50),\n    \
             `description` VARCHAR(200) NOT NULL,\n    `type` VARCHAR(20) NOT NULL,\n    \
             `script` VARCHAR(1000) NOT NULL,\n    `checksum` INT,\n    `installed_by` VARCHAR(100) NOT NULL,\n    \
             `installed_on` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,\n    `execution_time` INT NOT NULL,\n    \
             `success` BOOL NOT NULL,\n    CONSTRAINT {key} PRIMARY KEY (`installed_rank`)\n){space}{first}"
        ),
        format!("CREATE INDEX {} ON {name} (`success`)", quote_identifier(&format!("{}_s_idx", table.table))),
    ]
}

fn select_row(dialect: Dialect, row: &NewRow, installed_by: Option<&str>) -> String {
    let mut columns: Vec<String> = row_values(dialect, row, installed_by)
        .into_iter()
        .map(|(name, value)| format!("{value} AS {}", quote_identifier(name)))
        .collect();
    // A column that the SELECT leaves out would take its default only where the mode is lax.
    columns.insert(7, format!("CURRENT_TIMESTAMP AS {}", quote_identifier("installed_on")));
    format!("SELECT {}", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_names_are_those_of_flyway() {
        let name =
            |schema: &str| lock_name(&TableName::new(Dialect::MariaDb, schema, "flyway_schema_history"));
        assert_eq!(name("app"), "Flyway--320650056");
        assert_eq!(name("testdb"), "Flyway--480782231");
    }

    #[test]
    fn literals_mean_the_same_in_every_sql_mode() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), "CONVERT(X'615C62' USING utf8mb4)");
        assert_eq!(quote_identifier("a`b"), "`a``b`");
    }
}
