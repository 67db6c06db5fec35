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

    /// What empties a file, from what is there now.
    pub(crate) async fn clean_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        // Tables behind a virtual table are not to be dropped: they go with it.
        let list = format!(
            "SELECT CASE type WHEN 'view' THEN 'VIEW' ELSE 'TABLE' END, name FROM pragma_table_list \
             WHERE schema = {} AND type IN ('view', 'table', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             ORDER BY type = 'view' DESC, type = 'virtual' DESC, name",
            quote_literal(schema)
        );
        let schema = quote_identifier(schema);
        let drops = self.query(&list).await?.into_iter().filter_map(|row| match row.as_slice() {
            [Some(kind), Some(name)] => {
                Some(format!("DROP {kind} IF EXISTS {schema}.{}", quote_identifier(name)))
            }
            _ => None,
        });
        Ok(drops.collect())
    }

    async fn drop_everything(&mut self, schema: &str) -> Result<(), DatabaseError> {
        for _ in 0..ROUNDS {
            let statements = self.clean_statements(schema).await?;
            if statements.is_empty() {
                break;
            }
            for statement in statements {
                self.query(&statement).await?;
            }
        }
        match self.query(&format!("DELETE FROM {}.sqlite_sequence", quote_identifier(schema))).await {
            // It is there only after the first AUTOINCREMENT.
            Err(error) if error.is_undefined_table() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A file is not dropped: what is in it is.
    pub(crate) async fn drop_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        self.clean_statements(schema).await
    }

    /// A file is not dropped: what is in it is.
    pub(crate) async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        self.clean_schema(schema).await
    }
}
