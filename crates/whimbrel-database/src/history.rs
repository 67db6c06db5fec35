//! The schema history table, read and written through a session. The SQL itself comes from the domain.

use whimbrel_migration::history::{HistoryRow, NewRow, RowType};
use whimbrel_migration::sql::postgres::{self as sql, TableName};

use crate::driver::Row;
use crate::error::DatabaseError;
use crate::lock::RESET_ROLE;
use crate::session::{Session, TransactionId, single};

/// The table does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// One row whose columns have other types than the history's.
#[derive(Debug, thiserror::Error)]
#[error("a row of {table} does not look like a row of the schema history")]
pub struct HistoryRowError {
    /// The quoted table.
    pub table: String,
}

/// A script's transaction did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The transaction was over before: the script ended it itself, and what it did is committed.
    #[error("the script ended its transaction itself")]
    NotOurs,
    /// A deferred constraint, the history row or the COMMIT was refused: nothing is kept.
    #[error("the transaction could not be committed")]
    Rejected(#[source] DatabaseError),
    /// The connection was lost during COMMIT: ask [`Session::fate_of`] in another session.
    #[error("the connection was lost during COMMIT")]
    CommitLost(#[source] DatabaseError),
}

/// An alignment of one row with its file.
#[derive(Clone, Copy, Debug)]
pub struct RowUpdate<'a> {
    /// Which row.
    pub installed_rank: i32,
    /// Its new description.
    pub description: &'a str,
    /// Its new type.
    pub row_type: &'a RowType,
    /// Its new checksum.
    pub checksum: Option<i32>,
}

impl Session {
    /// All rows of the history, or `None` where there is no such table. Must not be called in a transaction.
    ///
    /// The table is read at once: asking first whether it is there would cost every run a round trip.
    pub async fn read_history(
        &mut self,
        table: &TableName,
    ) -> Result<Option<Vec<HistoryRow>>, DatabaseError> {
        match self.query(&sql::select_rows(table)).await {
            Ok(rows) => rows.iter().map(|row| history_row(table, row)).collect::<Result<_, _>>().map(Some),
            Err(error) if error.sqlstate() == Some(UNDEFINED_TABLE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The rows above a rank, from a table that is known to exist.
    pub async fn read_history_after(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<Vec<HistoryRow>, DatabaseError> {
        let rows = self.query(&sql::select_rows_after(table, installed_rank)).await?;
        rows.iter().map(|row| history_row(table, row)).collect()
    }

    /// Whether the history table exists.
    pub async fn history_exists(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        self.ask(&sql::history_table_exists(table)).await
    }

    /// Makes the history table, with a first row if there is one, in one transaction.
    pub async fn create_history(
        &mut self,
        table: &TableName,
        baseline: Option<&NewRow>,
    ) -> Result<(), DatabaseError> {
        let statements = sql::create_history_table(table, None, baseline.map(|row| (row, None)));
        self.transaction(&statements).await
    }

    /// Adds a row. Inside the script's transaction it becomes part of it.
    pub async fn append_history(&mut self, table: &TableName, row: &NewRow) -> Result<(), DatabaseError> {
        self.query(&sql::insert_row(table, row, None)).await.map(drop)
    }

    /// Ends the transaction of a script with its history row, in two steps.
    ///
    /// First the deferred constraints are checked under the script's own role; then the row is written under the login
    /// role and its settings, whatever the script did to them, but only if the transaction is the one that was begun.
    /// Then COMMIT, whose outcome may stay unknown.
    pub async fn commit_with_row(
        &mut self,
        begun: &TransactionId,
        table: &TableName,
        row: &NewRow,
    ) -> Result<(), FinishError> {
        // A division by zero stops the whole query before anything of it is done outside of the transaction.
        let guard = format!(
            "SELECT 1 / CASE pg_catalog.txid_current_if_assigned() WHEN {} THEN 1 ELSE 0 END",
            begun.number()
        );
        let text = format!(
            "{guard}; SET CONSTRAINTS ALL IMMEDIATE; {RESET_ROLE}; RESET ALL; {}",
            sql::insert_row(table, row, None)
        );
        match self.query(&text).await {
            Ok(_) => {}
            Err(error) if error.sqlstate() == Some("22012") => return Err(FinishError::NotOurs),
            Err(error) => return Err(FinishError::Rejected(error)),
        }
        match self.commit().await {
            Ok(()) => Ok(()),
            Err(error) if error.is_connection_lost() => Err(FinishError::CommitLost(error)),
            Err(error) => Err(FinishError::Rejected(error)),
        }
    }

    /// Runs the statements as one transaction: all of them or none.
    ///
    /// Several statements in one simple query are one transaction already; BEGIN and COMMIT say so.
    pub async fn transaction(&mut self, statements: &[String]) -> Result<(), DatabaseError> {
        let text = format!("BEGIN; {}; COMMIT", statements.join(";\n"));
        match self.query(&text).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if !error.is_connection_lost() {
                    self.rollback().await?;
                }
                Err(error)
            }
        }
    }

    /// Whether the schema exists.
    pub async fn schema_exists(&mut self, schema: &str) -> Result<bool, DatabaseError> {
        self.ask(&sql::schema_exists(schema)).await
    }

    /// Whether nothing that Flyway counts is in the schema.
    pub async fn schema_is_empty(&mut self, schema: &str) -> Result<bool, DatabaseError> {
        self.ask(&sql::schema_is_empty(schema)).await
    }

    /// A query that is answered with one boolean.
    pub(crate) async fn ask(&mut self, question: &str) -> Result<bool, DatabaseError> {
        Ok(single(&self.query(question).await?).as_deref() == Some("t"))
    }
}

/// The statement that aligns a row with its file.
pub fn update_statement(table: &TableName, update: &RowUpdate<'_>) -> String {
    sql::update_row(table, update.installed_rank, update.description, update.row_type, update.checksum)
}

fn history_row(table: &TableName, row: &Row) -> Result<HistoryRow, DatabaseError> {
    let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
    sql::read_row(&values)
        .ok_or_else(|| DatabaseError::Protocol(HistoryRowError { table: table.quoted() }.into()))
}
