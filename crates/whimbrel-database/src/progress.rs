//! How far a script came that cannot run in a transaction.
//!
//! Flyway has no column for it, so it is kept in a table of our own beside the history, made when the first such
//! script runs. A record is written before the first statement and counts after each one, so that a runner that is
//! killed leaves behind how far it got.

use whimbrel_migration::history::NewRow;
use whimbrel_migration::sql::postgres::{self as sql, TableName, quote_literal};

use crate::error::DatabaseError;
use crate::session::Session;

/// The table's name; its schema is the history's.
pub const PROGRESS_TABLE: &str = "whimbrel_script_progress";

/// How far one script came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The rank that its history row has or will have.
    pub installed_rank: i32,
    /// Its path.
    pub script: String,
    /// The checksum of the text that was run.
    pub checksum: i32,
    /// How many statements are done for certain.
    pub statements_done: usize,
    /// How many it has.
    pub statements: usize,
    /// Whether a failed history row belongs to it. Without one the runner was killed.
    pub failed: bool,
    /// The index that the statement in work makes, if it makes one that was not there before.
    pub new_index: Option<String>,
}

impl Session {
    /// The record about a script, if there is one. No table is no record.
    pub async fn read_progress(
        &mut self,
        history: &TableName,
        script: &str,
    ) -> Result<Option<Progress>, DatabaseError> {
        let query = format!(
            "SELECT installed_rank, checksum, statements_done, statements, failed, new_index FROM {} \
             WHERE history_table = {} AND script = {}",
            table(history).quoted(),
            quote_literal(&history.table),
            quote_literal(script)
        );
        let rows = match self.query(&query).await {
            Ok(rows) => rows,
            Err(error) if error.sqlstate() == Some("42P01") => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(rows.into_iter().next().and_then(|row| {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            Some(Progress {
                installed_rank: next()?.parse().ok()?,
                script: script.to_owned(),
                checksum: next()?.parse().ok()?,
                statements_done: next()?.parse().ok()?,
                statements: next()?.parse().ok()?,
                failed: next()? == "t",
                new_index: next(),
            })
        }))
    }

    /// Writes the record, making the table if need be.
    pub async fn write_progress(
        &mut self,
        history: &TableName,
        progress: &Progress,
    ) -> Result<(), DatabaseError> {
        match self.query(&upsert(history, progress)).await {
            Err(error) if error.sqlstate() == Some("42P01") => {
                self.query(&create(history)).await?;
                self.query(&upsert(history, progress)).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Records the failure for Flyway and for us: a failed row, unless there is one, and the progress.
    pub async fn record_failure(
        &mut self,
        history: &TableName,
        row: &NewRow,
        progress: &Progress,
    ) -> Result<(), DatabaseError> {
        let statements = [
            sql::delete_failed_row(history, row.installed_rank),
            sql::insert_row(history, row, None),
            upsert(history, &Progress { failed: true, ..progress.clone() }),
        ];
        self.transaction(&statements).await
    }

    /// Records the success: the row (in the place of a failed one), and no more progress.
    pub async fn record_success(&mut self, history: &TableName, row: &NewRow) -> Result<(), DatabaseError> {
        let statements = [
            sql::delete_failed_row(history, row.installed_rank),
            sql::insert_row(history, row, None),
            delete(history, &row.script),
        ];
        self.transaction(&statements).await
    }

    /// Forgets what is void.
    pub async fn delete_progress(&mut self, history: &TableName, script: &str) -> Result<(), DatabaseError> {
        self.query(&delete(history, script)).await.map(drop)
    }

    /// Forgets all records that belong to failed rows, as `repair` has to; no table is nothing to forget.
    pub async fn clear_progress(&mut self, history: &TableName) -> Result<(), DatabaseError> {
        let clear = format!(
            "DELETE FROM {} WHERE history_table = {}",
            table(history).quoted(),
            quote_literal(&history.table)
        );
        match self.query(&clear).await {
            Err(error) if error.sqlstate() == Some("42P01") => Ok(()),
            other => other.map(drop),
        }
    }
}

fn table(history: &TableName) -> TableName {
    TableName::new(history.schema.clone(), PROGRESS_TABLE)
}

fn create(history: &TableName) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (history_table text NOT NULL, script text NOT NULL, \
         installed_rank integer NOT NULL, checksum integer NOT NULL, statements_done integer NOT NULL, \
         statements integer NOT NULL, failed boolean NOT NULL, new_index text, \
         changed_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now(), \
         PRIMARY KEY (history_table, script))",
        table(history).quoted()
    )
}

fn upsert(history: &TableName, progress: &Progress) -> String {
    format!(
        "INSERT INTO {} (history_table, script, installed_rank, checksum, statements_done, statements, failed, \
         new_index) VALUES ({}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (history_table, script) DO UPDATE SET \
         installed_rank = EXCLUDED.installed_rank, checksum = EXCLUDED.checksum, \
         statements_done = EXCLUDED.statements_done, statements = EXCLUDED.statements, failed = EXCLUDED.failed, \
         new_index = EXCLUDED.new_index, changed_at = pg_catalog.now()",
        table(history).quoted(),
        quote_literal(&history.table),
        quote_literal(&progress.script),
        progress.installed_rank,
        progress.checksum,
        progress.statements_done,
        progress.statements,
        progress.failed,
        progress.new_index.as_deref().map_or_else(|| "NULL".to_owned(), quote_literal)
    )
}

fn delete(history: &TableName, script: &str) -> String {
    format!(
        "DELETE FROM {} WHERE history_table = {} AND script = {}",
        table(history).quoted(),
        quote_literal(&history.table),
        quote_literal(script)
    )
}
