//! Emptying a database, as Flyway's `clean` does it: the database stays, its objects go.

use whimbrel_migration::sql::mysql::{quote_identifier, quote_literal};

use super::MySql;
use crate::error::DatabaseError;

const CHECK_AGAIN: &str = "SET foreign_key_checks = DEFAULT";

impl MySql {
    /// Drops everything in the database: events, routines, views, tables, sequences. Each is gone for good at once.
    pub(crate) async fn clean_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        let mut cleaned = Ok(());
        for statement in self.clean_statements(schema).await? {
            // After a failure the checks come back all the same.
            if cleaned.is_ok() || statement == CHECK_AGAIN {
                cleaned = cleaned.and(self.query(&statement).await.map(drop));
            }
        }
        cleaned
    }

    /// What empties a schema, from what is there now.
    pub(crate) async fn clean_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
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
        let rows = self.query(&list).await?;
        let drops = rows.iter().filter_map(|row| match row.as_slice() {
            [Some(kind), Some(name)] => {
                Some(format!("DROP {kind} IF EXISTS {schema}.{}", quote_identifier(name)))
            }
            _ => None,
        });
        let first = std::iter::once("SET foreign_key_checks = 0".to_owned());
        Ok(first.chain(drops).chain([CHECK_AGAIN.to_owned()]).collect())
    }

    /// What drops a database.
    #[expect(clippy::unused_async, reason = "other engines have to ask for what is there")]
    pub(crate) async fn drop_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        Ok(vec![format!("DROP SCHEMA IF EXISTS {}", quote_identifier(schema))])
    }

    /// Drops a database that a marker row says we made.
    pub(crate) async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        for statement in self.drop_statements(schema).await? {
            self.query(&statement).await?;
        }
        if self.schema.as_deref() == Some(schema) {
            self.schema_is_missing = true;
        }
        Ok(())
    }
}
