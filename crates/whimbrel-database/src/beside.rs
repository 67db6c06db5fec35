//! Tables of our own beside the history, for what Flyway's has no column for. They are made when they are first written to.

use whimbrel_migration::sql::{TableName, quote_literal};

use crate::error::DatabaseError;
use crate::session::{Row, Session};

impl Session {
    /// Asks a table of ours; no table is no rows.
    pub(crate) async fn ask_beside(&mut self, query: &str) -> Result<Vec<Row>, DatabaseError> {
        match self.query(query).await {
            Err(error) if error.is_undefined_table() => Ok(Vec::new()),
            other => other,
        }
    }

    /// Writes into a table of ours, which is made if need be.
    pub(crate) async fn write_beside(&mut self, create: &str, write: &str) -> Result<(), DatabaseError> {
        match self.query(write).await {
            Err(error) if error.is_undefined_table() => {
                self.query(create).await?;
                self.query(write).await.map(drop)
            }
            other => other.map(drop),
        }
    }
}

/// The condition by which the rows of one history are told from those of others in the same schema.
pub(crate) fn of_history(history: &TableName) -> String {
    format!("history_table = {}", quote_literal(history.dialect, &history.table))
}
