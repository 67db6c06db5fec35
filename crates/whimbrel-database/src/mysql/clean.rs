//! Emptying a database, as Flyway's `clean` does it: the database stays, its objects go.

use whimbrel_migration::sql::mysql::{quote_identifier, quote_literal};

use super::MySql;
use crate::error::DatabaseError;

impl MySql {
    /// Drops everything in the database: events, routines, views, tables, sequences. Each is gone for good at once.
    pub(crate) async fn clean_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        self.query("SET foreign_key_checks = 0").await?;
        let cleaned = self.drop_everything(schema).await;
        let restored = self.query("SET foreign_key_checks = DEFAULT").await;
        cleaned.and(restored.map(drop))
    }

    async fn drop_everything(&mut self, schema: &str) -> Result<(), DatabaseError> {
        let literal = quote_literal(schema);
        let list = format!(
            "SELECT kind, name FROM (\
             SELECT 1 AS o, 'EVENT' AS kind, event_name AS name FROM information_schema.events WHERE event_schema = {literal} \
             UNION ALL SELECT 2, routine_type, routine_name FROM information_schema.routines \
             WHERE routine_schema = {literal} AND routine_type IN ('FUNCTION', 'PROCEDURE', 'PACKAGE') \
             UNION ALL SELECT CASE table_type WHEN 'VIEW' THEN 3 WHEN 'SEQUENCE' THEN 5 ELSE 4 END, \
             CASE table_type WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, table_name \
             FROM information_schema.tables WHERE table_schema = {literal}) objects ORDER BY o, name"
        );
        let schema = quote_identifier(schema);
        for row in self.query(&list).await? {
            if let [Some(kind), Some(name)] = row.as_slice() {
                self.query(&format!("DROP {kind} IF EXISTS {schema}.{}", quote_identifier(name))).await?;
            }
        }
        Ok(())
    }

    /// Drops a database that a marker row says we made.
    pub(crate) async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        self.query(&format!("DROP SCHEMA IF EXISTS {}", quote_identifier(schema))).await?;
        if self.schema.as_deref() == Some(schema) {
            self.schema_is_missing = true;
        }
        Ok(())
    }
}
