//! SQLite: quoting and the history table. There is one schema, `main`, and no user.

use super::{TableName, insert_row};
use crate::history::NewRow;

/// The schema that a connection's own file is.
pub const MAIN: &str = "main";

/// `"name"` with inner quotes doubled.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A string literal. A NUL, at which SQLite would end it, is left out.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// Whether the schema exists (`main`, or an attached file): one row with 1 or 0.
pub fn schema_exists(schema: &str) -> String {
    format!("SELECT EXISTS (SELECT 1 FROM pragma_database_list WHERE name = {})", quote_literal(schema))
}

/// Whether the schema has no table that counts for Flyway: one row with 1 or 0.
pub fn schema_is_empty(schema: &str) -> String {
    format!(
        "SELECT NOT EXISTS (SELECT 1 FROM {}.sqlite_master WHERE type = 'table' \
         AND name NOT IN ('android_metadata', 'sqlite_sequence'))",
        quote_identifier(schema)
    )
}

/// The statements that make the history table, to be run in one transaction.
pub fn create_history_table(table: &TableName, baseline: Option<(&NewRow, Option<&str>)>) -> Vec<String> {
    let name = table.quoted();
    let mut statements = vec![format!(
        "CREATE TABLE {name} (\n    \"installed_rank\" INT NOT NULL PRIMARY KEY,\n    \"version\" VARCHAR(50),\n    \
         \"description\" VARCHAR(200) NOT NULL,\n    \"type\" VARCHAR(20) NOT NULL,\n    \
         \"script\" VARCHAR(1000) NOT NULL,\n    \"checksum\" INT,\n    \"installed_by\" VARCHAR(100) NOT NULL,\n    \
         \"installed_on\" TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now')),\n    \
         \"execution_time\" INT NOT NULL,\n    \"success\" BOOLEAN NOT NULL\n)"
    )];
    statements.extend(baseline.map(|(row, installed_by)| insert_row(table, row, installed_by)));
    statements.push(format!(
        "CREATE INDEX {}.{} ON {} (\"success\")",
        quote_identifier(&table.schema),
        quote_identifier(&format!("{}_s_idx", table.table)),
        quote_identifier(&table.table)
    ));
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_ends_where_it_should() {
        assert_eq!(quote_literal("it's a \\ b\0"), "'it''s a \\ b'");
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }
}
