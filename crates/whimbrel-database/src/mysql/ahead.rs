//! Statements of scripts, and what the server has to say about them.
//!
//! The number of warnings comes with each answer, but the driver keeps that to itself, so that they have to be asked for:
//!
//! | statement | question |
//! |---|---|
//! | changes rows | goes along with it, in one text; several such statements are one text |
//! | any other | follows its answer |
//!
//! A question changes what `ROW_COUNT()` and `FOUND_ROWS()` say, and not `LAST_INSERT_ID()`.

use std::collections::VecDeque;

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::statement::{changes_rows, changes_session};

use super::MySql;
use super::batch::{Batch, QUESTION, notice};
use crate::answers::{Notice, Outcome, Warnings};
use crate::error::DatabaseError;

/// MariaDB forgets what it had to say with the next statement that uses a table.
const FORGET: &str = "SELECT 1 FROM (SELECT 1) AS nothing LIMIT 0";
/// The server could not read a statement: nothing of it was done.
const SYNTAX: i32 = 1064;

/// Statements that wait to be sent, and answers that wait to be fetched.
#[derive(Default)]
pub(super) struct Ahead {
    statements: VecDeque<(String, Warnings)>,
    answers: VecDeque<Outcome>,
}

impl Ahead {
    /// The statements that go next: as many as may be one text.
    fn take_next(&mut self) -> Vec<(String, Warnings)> {
        let joined = self.statements.iter().take_while(|(sql, _)| Batch::may_be_joined(sql)).count();
        let length = joined.max(1).min(self.statements.len());
        self.statements.drain(..length).collect()
    }
}

impl MySql {
    pub(crate) async fn execute(&mut self, sql: &str, warnings: Warnings) -> Outcome {
        if let Err(error) = self.prepare_for(sql).await {
            return (Err(error), Vec::new());
        }
        if changes_rows(self.dialect, sql) {
            return self.run_joined(&[(sql, warnings)]).await.pop().unwrap_or_else(no_answer);
        }
        if warnings == Warnings::Kept {
            self.has_nothing_to_say = false;
            return (self.driver.execute(sql).await, Vec::new());
        }
        self.forget_warnings().await;
        let done = self.driver.execute(sql).await;
        let notices = if done.is_ok() { self.ask().await } else { Vec::new() };
        self.has_nothing_to_say = done.is_ok() && notices.is_empty();
        (done, notices)
    }

    /// Takes a statement that [changes rows](changes_rows); it goes when an answer is asked for.
    pub(crate) async fn send(&mut self, sql: &str, warnings: Warnings) -> Result<(), DatabaseError> {
        self.prepare_for(sql).await?;
        self.ahead.statements.push_back((sql.to_owned(), warnings));
        Ok(())
    }

    /// The answer to the oldest statement that was sent. Behind an error nothing was done, and nothing is to come.
    pub(crate) async fn answer(&mut self) -> Outcome {
        if self.ahead.answers.is_empty() {
            let next = self.ahead.take_next();
            self.ahead.answers = self.run_joined(&next).await.into();
        }
        let answer = self.ahead.answers.pop_front().unwrap_or_else(no_answer);
        if answer.0.is_err() {
            self.ahead = Ahead::default();
        }
        answer
    }

    async fn prepare_for(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.is_used = true;
        self.is_changed |= changes_session(self.dialect, sql);
        if self.schema_is_missing { self.use_schema().await } else { Ok(()) }
    }

    /// What came of each statement, up to the first that failed.
    async fn run_joined(&mut self, statements: &[(impl AsRef<str>, Warnings)]) -> Vec<Outcome> {
        let mut batch = Batch::default();
        for (sql, warnings) in statements {
            batch.add(sql.as_ref(), *warnings);
        }
        let mut outcomes = self.driver.run(batch).await;
        let failed = outcomes.len().saturating_sub(1);
        if let (Some((Err(error), _)), Some((sql, _))) = (outcomes.last_mut(), statements.get(failed))
            && error.server().is_some_and(|error| error.code == SYNTAX)
            // The error quotes what follows the statement; alone it is quoted as it stands in the script.
            && let Err(alone) = self.driver.execute(sql.as_ref()).await
        {
            *error = alone;
        }
        let is_asked = statements.last().is_some_and(|(_, warnings)| *warnings == Warnings::Told);
        self.has_nothing_to_say =
            is_asked && outcomes.last().is_some_and(|(done, notices)| done.is_ok() && notices.is_empty());
        outcomes
    }

    /// The warnings and notes of the last statement, at most as many as the session keeps (`max_error_count`).
    async fn ask(&mut self) -> Vec<Notice> {
        match self.driver.rows(QUESTION).await {
            Ok(rows) => rows.into_iter().filter_map(notice).collect(),
            // The statement is done all the same; a connection that is gone is seen by what comes next.
            Err(error) => {
                tracing::debug!(target: "whimbrel", "no warnings were told: {error}");
                Vec::new()
            }
        }
    }

    /// What there was to say about an earlier statement would be said again after one that uses no table.
    async fn forget_warnings(&mut self) {
        if self.dialect == Dialect::MariaDb
            && !self.has_nothing_to_say
            && let Err(error) = self.driver.rows(FORGET).await
        {
            tracing::debug!(target: "whimbrel", "warnings may be told twice: {error}");
        }
    }
}

fn no_answer() -> Outcome {
    (Err(DatabaseError::Protocol("the server had no answer to a statement".into())), Vec::new())
}
