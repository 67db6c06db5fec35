//! How far a script came that cannot run in a transaction.
//!
//! Flyway has no column for it, so it is kept in a table of our own beside the history, made when the first such
//! script runs. A record is written before the first statement and counts after each one, so that a runner that is
//! killed leaves behind how far it got.

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::history::NewRow;
use whimbrel_migration::sql::{self, TableName};

use crate::answers::{Row, values};
use crate::beside::of_history;
use crate::error::DatabaseError;
use crate::session::Session;

/// Behind an error PostgreSQL goes back to here; the others undo the statement alone.
const MARK: &str = "whimbrel_progress";

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
            "SELECT installed_rank, checksum, statements_done, statements, failed, new_index FROM {} WHERE {}",
            table(history).quoted(),
            of_script(history, script)
        );
        let mut rows = self.ask_beside(&query).await?.into_iter();
        Ok(rows.next().and_then(|row| progress(script, row)))
    }

    /// Writes the record, making the table if need be.
    pub async fn write_progress(
        &mut self,
        history: &TableName,
        progress: &Progress,
    ) -> Result<(), DatabaseError> {
        self.write_beside(&create(history), &upsert(history, progress)).await
    }

    /// Makes the table, so that [`Session::write_progress_here`] finds it.
    pub async fn make_progress_table(&mut self, history: &TableName) -> Result<(), DatabaseError> {
        let look = format!("SELECT 1 FROM {} LIMIT 0", table(history).quoted());
        match self.query(&look).await {
            Err(error) if error.is_undefined_table() => self.query(&create(history)).await.map(drop),
            there => there.map(drop),
        }
    }

    /// Writes the record into the transaction that a script has open, and leaves that as it is where it fails. The table has
    /// to be there.
    pub async fn write_progress_here(
        &mut self,
        history: &TableName,
        progress: &Progress,
    ) -> Result<(), DatabaseError> {
        let write = upsert(history, progress);
        if history.dialect != Dialect::PostgreSql {
            return self.query(&write).await.map(drop);
        }
        let written = self.query(&format!("SAVEPOINT {MARK}; {write}; RELEASE SAVEPOINT {MARK}")).await;
        if let Err(error) = &written
            && !error.is_connection_lost()
        {
            self.query(&format!("ROLLBACK TO SAVEPOINT {MARK}; RELEASE SAVEPOINT {MARK}")).await?;
        }
        written.map(drop)
    }

    /// Takes back that a script made its transactions read-only; whether there is such a setting here.
    pub async fn forget_read_only(&mut self) -> Result<bool, DatabaseError> {
        match self.dialect() {
            Dialect::PostgreSql => self.query("RESET default_transaction_read_only").await.map(|_| true),
            _ => Ok(false),
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
            sql::insert_row(history, row, self.installed_by.as_deref()),
            upsert(history, &Progress { failed: true, ..progress.clone() }),
        ];
        self.transaction(&statements).await
    }

    /// Records the success: the row (in the place of a failed one), and no more progress of this script; without one there
    /// is none to forget.
    pub async fn record_success(
        &mut self,
        history: &TableName,
        row: &NewRow,
        script: Option<&str>,
    ) -> Result<(), DatabaseError> {
        let statements = self.success(history, row, script);
        self.transaction(&statements).await
    }

    /// The same inside of a transaction that is open; without a script there is no progress to forget.
    pub async fn record_success_here(
        &mut self,
        history: &TableName,
        row: &NewRow,
        script: Option<&str>,
    ) -> Result<(), DatabaseError> {
        let statements = self.success(history, row, script);
        self.query(&statements.join(";\n")).await.map(drop)
    }

    fn success(&self, history: &TableName, row: &NewRow, script: Option<&str>) -> Vec<String> {
        let mut statements = vec![
            sql::delete_failed_row(history, row.installed_rank),
            sql::insert_row(history, row, self.installed_by.as_deref()),
        ];
        statements.extend(script.map(|script| delete(history, script)));
        statements
    }

    /// Forgets what is void.
    pub async fn delete_progress(&mut self, history: &TableName, script: &str) -> Result<(), DatabaseError> {
        self.query(&delete(history, script)).await.map(drop)
    }

    /// Forgets all records that belong to failed rows, as `repair` has to; no table is nothing to forget.
    pub async fn clear_progress(&mut self, history: &TableName) -> Result<(), DatabaseError> {
        let clear = format!("DELETE FROM {} WHERE {}", table(history).quoted(), of_history(history));
        self.ask_beside(&clear).await.map(drop)
    }
}

fn progress(script: &str, row: Row) -> Option<Progress> {
    let mut next = values(row);
    Some(Progress {
        installed_rank: next()?.parse().ok()?,
        script: script.to_owned(),
        checksum: next()?.parse().ok()?,
        statements_done: next()?.parse().ok()?,
        statements: next()?.parse().ok()?,
        failed: sql::is_true(&next()?),
        new_index: next(),
    })
}

/// The condition that finds the record of one script.
fn of_script(history: &TableName, script: &str) -> String {
    format!("{} AND script = {}", of_history(history), text(history, script))
}

fn table(history: &TableName) -> TableName {
    history.beside(PROGRESS_TABLE)
}

fn text(history: &TableName, text: &str) -> String {
    sql::quote_literal(history.dialect, text)
}

fn create(history: &TableName) -> String {
    // A key of MySQL holds 3072 bytes; names longer than that are cut by the history as well.
    let (key, text, time) = match history.dialect {
        Dialect::MySql | Dialect::MariaDb => {
            ("varchar(700)", "varchar(1000)", "timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP")
        }
        Dialect::Sqlite => ("text", "text", "text NOT NULL DEFAULT CURRENT_TIMESTAMP"),
        _ => ("text", "text", "timestamp with time zone NOT NULL DEFAULT pg_catalog.now()"),
    };
    let table_key = if key == "text" { "text" } else { "varchar(64)" };
    format!(
        "CREATE TABLE IF NOT EXISTS {} (history_table {table_key} NOT NULL, script {key} NOT NULL, \
         installed_rank integer NOT NULL, checksum integer NOT NULL, statements_done integer NOT NULL, \
         statements integer NOT NULL, failed boolean NOT NULL, new_index {text}, \
         changed_at {time}, PRIMARY KEY (history_table, script))",
        table(history).quoted()
    )
}

fn upsert(history: &TableName, progress: &Progress) -> String {
    let names = ["installed_rank", "checksum", "statements_done", "statements", "failed", "new_index"];
    let (conflict, now) = match history.dialect {
        Dialect::MySql | Dialect::MariaDb => ("ON DUPLICATE KEY UPDATE", "CURRENT_TIMESTAMP"),
        Dialect::Sqlite => ("ON CONFLICT (history_table, script) DO UPDATE SET", "CURRENT_TIMESTAMP"),
        _ => ("ON CONFLICT (history_table, script) DO UPDATE SET", "pg_catalog.now()"),
    };
    let new_value = |name: &str| match history.dialect {
        Dialect::MySql | Dialect::MariaDb => format!("{name} = VALUES({name})"),
        _ => format!("{name} = EXCLUDED.{name}"),
    };
    format!(
        "INSERT INTO {} (history_table, script, {}) VALUES ({}, {}, {}, {}, {}, {}, {}, {}) {conflict} {}, \
         changed_at = {now}",
        table(history).quoted(),
        names.join(", "),
        text(history, &history.table),
        text(history, &progress.script),
        progress.installed_rank,
        progress.checksum,
        progress.statements_done,
        progress.statements,
        progress.failed,
        progress.new_index.as_deref().map_or_else(|| "NULL".to_owned(), |name| text(history, name)),
        names.map(new_value).join(", "),
    )
}

fn delete(history: &TableName, script: &str) -> String {
    format!("DELETE FROM {} WHERE {}", table(history).quoted(), of_script(history, script))
}
