//! The schema history table, read and written through a session. The SQL itself comes from the domain.

use whimbrel_migration::history::{HistoryRow, NewRow};
use whimbrel_migration::sql::{self, TableName};

use crate::answers::{FinishError, Finished, Row, single};
use crate::engine::{Engine, on_engine};
use crate::error::{Condition, DatabaseError, NotAHistory};
use crate::session::Session;
use crate::statement::not_ahead;
use crate::transaction::TransactionId;

impl Session {
    /// All rows of the history, or `None` where there is no such table. Must not be called in a transaction.
    ///
    /// The table is read at once: asking first whether it is there would cost every run a round trip.
    pub async fn read_history(
        &mut self,
        table: &TableName,
    ) -> Result<Option<Vec<HistoryRow>>, DatabaseError> {
        match self.query(&sql::select_rows(table)).await {
            Ok(rows) => history_rows(table, &rows).map(Some),
            Err(error) if error.is_undefined_table() => Ok(None),
            Err(error) => Err(unreadable(table, error)),
        }
    }

    /// The rows above a rank, from a table that is known to exist.
    pub(crate) async fn read_history_after(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<Vec<HistoryRow>, DatabaseError> {
        let rows = self.query(&sql::select_rows_after(table, installed_rank)).await?;
        history_rows(table, &rows)
    }

    /// Adds a row. Inside the script's transaction it becomes part of it.
    pub async fn append_history(&mut self, table: &TableName, row: &NewRow) -> Result<(), DatabaseError> {
        self.query(&sql::insert_row(table, row, self.installed_by.as_deref())).await.map(drop)
    }

    /// Ends the transaction of a script with its history row.
    ///
    /// The row is written under the login role and its settings, whatever the script did to them, and only if the
    /// transaction is the one that was begun. Then COMMIT, whose outcome may stay unknown.
    pub async fn commit_with_row(
        &mut self,
        begun: &TransactionId,
        table: &TableName,
        row: &NewRow,
    ) -> Result<(), FinishError> {
        let insert = sql::insert_row(table, row, self.installed_by.as_deref());
        on_engine!(&mut self.engine, engine => engine.finish(begun, &insert).await)
    }

    /// Sends what a script's transaction ends with behind statements whose answers are still to come, as
    /// [`Session::commit_with_row`] does it; the row's execution time is taken by the server. `keeps_lock`: the lock is kept
    /// for another script, and the session is made as good as new. What came of it is told by [`Session::end`], after those
    /// answers. Only where there is a [`crate::Veto`].
    pub async fn send_end(
        &mut self,
        table: &TableName,
        row: &NewRow,
        keeps_lock: bool,
    ) -> Result<(), DatabaseError> {
        let insert = sql::postgres::insert_row_with_age(table, row, self.installed_by.as_deref());
        match &mut self.engine {
            Engine::Postgres(engine) => engine.send_end(&insert, keeps_lock.then_some(table)).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(not_ahead()),
        }
    }

    /// What came of [`Session::send_end`].
    pub async fn end(&mut self) -> Result<Finished, FinishError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.end().await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(FinishError::Rejected(not_ahead())),
        }
    }

    /// Whether the schema exists.
    pub async fn schema_exists(&mut self, schema: &str) -> Result<bool, DatabaseError> {
        self.ask(&sql::schema_exists(self.dialect(), schema)).await
    }

    /// Whether nothing that Flyway counts is in the schema.
    pub async fn schema_is_empty(&mut self, schema: &str) -> Result<bool, DatabaseError> {
        self.ask(&sql::schema_is_empty(self.dialect(), schema)).await
    }

    /// A query that is answered with one boolean.
    async fn ask(&mut self, question: &str) -> Result<bool, DatabaseError> {
        Ok(single(&self.query(question).await?).is_some_and(|answer| sql::is_true(&answer)))
    }
}

pub(crate) fn history_rows(table: &TableName, rows: &[Row]) -> Result<Vec<HistoryRow>, DatabaseError> {
    rows.iter().map(|row| history_row(table, row)).collect()
}

fn history_row(table: &TableName, row: &Row) -> Result<HistoryRow, DatabaseError> {
    let values: Vec<Option<&str>> = row.iter().map(Option::as_deref).collect();
    sql::read_row(&values).ok_or_else(|| {
        let rank = values.first().copied().flatten().unwrap_or("NULL");
        let why = format!("the row with installed_rank {rank} has a value that Flyway never writes");
        DatabaseError::NotAHistory(NotAHistory { table: table.quoted(), why })
    })
}

/// A column that is missing makes it another table than Flyway's.
fn unreadable(table: &TableName, error: DatabaseError) -> DatabaseError {
    match error.server() {
        Some(server) if server.condition() == Condition::UndefinedColumn => {
            let why = server.message.clone();
            DatabaseError::NotAHistory(NotAHistory { table: table.quoted(), why })
        }
        _ => error,
    }
}
