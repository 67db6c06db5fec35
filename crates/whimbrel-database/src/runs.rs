//! What ran when and from which image: Flyway's table has no column for it, so it is kept in a table of our own beside
//! the history, made when the first run has something to tell.

use whimbrel_migration::sql::{TableName, quote_literal};

use crate::answers::{Row, values};
use crate::beside::of_history;
use crate::error::DatabaseError;
use crate::session::Session;

/// The table's name; its schema is the history's.
pub const RUN_TABLE: &str = "whimbrel_run";

/// One run on one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunEntry {
    /// Id of the run.
    pub run: String,
    /// What was asked for.
    pub verb: String,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC.
    pub finished: String,
    /// Name and version of the program.
    pub tool: String,
    /// Digest of the image, if it ran from one.
    pub image: Option<String>,
    /// Why, where somebody had to say it.
    pub reason: Option<String>,
    /// The ranks of the rows that it wrote.
    pub ranks: Vec<i32>,
    /// How it ended.
    pub outcome: String,
    /// The database's part of the run record, as JSON.
    pub record: String,
}

impl Session {
    /// Adds a run, making the table if need be.
    pub async fn write_run(&mut self, history: &TableName, entry: &RunEntry) -> Result<(), DatabaseError> {
        self.write_beside(&create(history), &insert(history, entry)).await
    }

    /// All runs on this history, in no order. No table is no runs.
    pub async fn read_runs(&mut self, history: &TableName) -> Result<Vec<RunEntry>, DatabaseError> {
        let query = format!(
            "SELECT run, verb, started, finished, tool, image, reason, ranks, outcome, record FROM {} WHERE {}",
            history.beside(RUN_TABLE).quoted(),
            of_history(history)
        );
        Ok(self.ask_beside(&query).await?.into_iter().map(run_entry).collect())
    }
}

fn run_entry(row: Row) -> RunEntry {
    let mut next = values(row);
    RunEntry {
        run: next().unwrap_or_default(),
        verb: next().unwrap_or_default(),
        started: next().unwrap_or_default(),
        finished: next().unwrap_or_default(),
        tool: next().unwrap_or_default(),
        image: next(),
        reason: next(),
        ranks: numbers(&next().unwrap_or_default()),
        outcome: next().unwrap_or_default(),
        record: next().unwrap_or_default(),
    }
}

fn numbers(text: &str) -> Vec<i32> {
    text.split(',').filter_map(|number| number.parse().ok()).collect()
}

fn create(history: &TableName) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (history_table VARCHAR(200) NOT NULL, run VARCHAR(100) NOT NULL, \
         verb VARCHAR(20) NOT NULL, started VARCHAR(40) NOT NULL, finished VARCHAR(40) NOT NULL, \
         tool VARCHAR(200) NOT NULL, image VARCHAR(500), reason TEXT, ranks TEXT NOT NULL, \
         outcome VARCHAR(20) NOT NULL, record TEXT NOT NULL)",
        history.beside(RUN_TABLE).quoted()
    )
}

fn insert(history: &TableName, entry: &RunEntry) -> String {
    let text = |value: &str| quote_literal(history.dialect, value);
    let maybe = |value: &Option<String>| value.as_deref().map_or_else(|| "NULL".to_owned(), text);
    let ranks: Vec<String> = entry.ranks.iter().map(i32::to_string).collect();
    let values = [
        text(&history.table),
        text(&entry.run),
        text(&entry.verb),
        text(&entry.started),
        text(&entry.finished),
        text(&entry.tool),
        maybe(&entry.image),
        maybe(&entry.reason),
        text(&ranks.join(",")),
        text(&entry.outcome),
        text(&entry.record),
    ];
    format!(
        "INSERT INTO {} (history_table, run, verb, started, finished, tool, image, reason, ranks, outcome, record) \
         VALUES ({})",
        history.beside(RUN_TABLE).quoted(),
        values.join(", ")
    )
}
