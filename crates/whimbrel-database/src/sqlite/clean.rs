//! Emptying a file, as Flyway's `clean` does it: the file stays, its views and tables go.

use whimbrel_migration::sql::sqlite::{quote_identifier, quote_literal};

use super::Sqlite;
use crate::error::DatabaseError;

/// A table whose removal removes another one changes the list that was read.
const ROUNDS: usize = 8;

impl Sqlite {
    /// Drops all views and tables in one transaction, and with them triggers and indexes; then counters begin anew.
    pub(crate) async fn clean_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        // Inside a transaction this pragma would do nothing, and references would hold up the removal.
        self.query("PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE").await?;
        let cleaned = self.drop_everything(schema).await;
        let ended = match &cleaned {
            Ok(()) => self.query("COMMIT").await.map(drop),
            Err(_) => self.rollback().await.map(drop),
        };
        self.is_used = true;
        cleaned.and(ended)
    }

    async fn drop_everything(&mut self, schema: &str) -> Result<(), DatabaseError> {
        // Tables behind a virtual table are not to be dropped: they go with it.
        let list = format!(
            "SELECT CASE type WHEN 'view' THEN 'VIEW' ELSE 'TABLE' END, name FROM pragma_table_list \
             WHERE schema = {} AND type IN ('view', 'table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             ORDER BY type = 'view' DESC, type = 'virtual' DESC, name",
            quote_literal(schema)
        );
        let schema = quote_identifier(schema);
        for _ in 0..ROUNDS {
            let rows = self.query(&list).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if let [Some(kind), Some(name)] = row.as_slice() {
                    self.query(&format!("DROP {kind} IF EXISTS {schema}.{}", quote_identifier(name))).await?;
                }
            }
        }
        match self.query(&format!("DELETE FROM {schema}.sqlite_sequence")).await {
            // It is there only after the first AUTOINCREMENT.
            Err(error) if error.is_undefined_table() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A file is not dropped: what is in it is.
    pub(crate) async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        self.clean_schema(schema).await
    }
}
