//! Tables of our own beside the history, for what Flyway's has no column for. They are made when they are first written to.

use whimbrel_migration::sql::{TableName, quote_literal};

use crate::answers::Row;
use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

impl Session {
    /// Asks a table of ours; no table is no rows.
    pub(crate) async fn ask_beside(&mut self, query: &str) -> Result<Vec<Row>, DatabaseError> {
        match self.query(query).await {
            Err(error) if error.is_undefined_table() => Ok(Vec::new()),
            other => other,
        }
    }

    /// Writes into a table of ours, which is made if need be: as the login role, also where a script has its hands on the
    /// session. Inside of a transaction its COMMIT has to be next.
    pub(crate) async fn write_beside(&mut self, create: &str, write: &str) -> Result<(), DatabaseError> {
        match self.query_amid(write).await {
            Err(error) if error.is_undefined_table() => {
                self.query_amid(create).await?;
                self.query_amid(write).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn query_amid(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.query_amid(sql).await,
            // A role that is taken on there leaves the rights that the user has.
            Engine::MySql(_) | Engine::Sqlite(_) => self.query(sql).await,
        }
    }
}

/// The condition by which the rows of one history are told from those of others in the same schema.
pub(crate) fn of_history(history: &TableName) -> String {
    format!("history_table = {}", quote_literal(history.dialect, &history.table))
}
