//! A script outside of a transaction that stopped: what the catalogue says about it, what stayed, and what is written down.

use whimbrel_database::{DatabaseError, IndexState, Progress, ServerError};
use whimbrel_migration::statement::ConcurrentIndex;

use crate::engine::Engine;
use crate::engine::failing::{FailedStatement, Interruption, unrecorded};
use crate::engine::running::Work;
use crate::engine::statements::Part;
use crate::engine::waiting::is_about_waiting;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};
use crate::settings::DatabaseSettings;

impl Engine<'_> {
    /// Adds what the catalogue says after a failure, and finds the one success that is none.
    pub(super) async fn explain(
        &mut self,
        part: &Part,
        index: Option<&ConcurrentIndex>,
        ran: Result<(), Interruption>,
    ) -> Result<(), Interruption> {
        match ran {
            Ok(()) => {
                // IF NOT EXISTS is content with an INVALID index.
                let Some(index) = index.filter(|index| index.if_not_exists) else { return Ok(()) };
                let state = self.session.index_state(&index.name).await;
                match state {
                    Ok(IndexState::Invalid) => Err(invalid_index(part, &index.name, &self.settings)),
                    _ => Ok(()),
                }
            }
            Err(Interruption::Statement(mut failed)) => {
                if !failed.error.is_connection_lost() {
                    // Who kept it waiting stands there already, if somebody was seen.
                    let was_seen = !failed.notes.is_empty();
                    failed.notes.extend(self.notes_after_failure(index, &failed.error, was_seen).await);
                }
                Err(Interruption::Statement(failed))
            }
            Err(interruption) => Err(interruption),
        }
    }

    async fn notes_after_failure(
        &mut self,
        index: Option<&ConcurrentIndex>,
        error: &DatabaseError,
        was_seen: bool,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        if index.is_some() {
            for name in self.session.invalid_indexes().await.unwrap_or_default() {
                notes.push(format!(
                    "index {name} is INVALID: it slows down every write and serves no query; DROP INDEX CONCURRENTLY \
                     {name} removes it, and the next migrate does so by itself where this script left it"
                ));
            }
        }
        if is_about_waiting(error) && !was_seen {
            let waiting = self.session.oldest_transactions().await.unwrap_or_default();
            notes.extend(waiting.into_iter().map(|who| format!("it may have waited for {who}")));
        }
        notes
    }

    /// Writes down where it ended, and says what was kept.
    pub(super) async fn stopped_midway(
        &mut self,
        work: &Work<'_>,
        progress: &Progress,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        // Where we were asked to stop, the record stands, and the next run goes on by itself.
        let mut failed = match Self::statement_of(interruption) {
            Ok(failed) => failed,
            Err(failure) => return self.left_off(work, progress, failure, millis).await,
        };
        let kept = match progress.statements_done {
            0 => self.kept_index(progress).await,
            done => Kept::Statements { done, total: progress.statements },
        };
        // After a lost connection the record stands too; the next run finds out what became of the statement.
        if !failed.error.is_connection_lost()
            && let Err(failure) = self.record_failure(work, progress, millis).await
        {
            failed.notes.push(unrecorded(&failure));
        }
        self.script_failure(work.id, work.run, failed, kept)
    }

    /// No statement failed. A script whose file changed under it cannot be gone on with: that has to be seen by everybody.
    pub(in crate::engine) async fn left_off(
        &mut self,
        work: &Work<'_>,
        progress: &Progress,
        failure: Failure,
        millis: u64,
    ) -> Failure {
        if failure.is_change_midway()
            && let Err(second) = self.record_failure(work, progress, millis).await
        {
            self.say(Level::Warn, Event::Notice, &unrecorded(&second));
        }
        failure
    }

    /// A first statement that failed can leave an INVALID index behind.
    async fn kept_index(&mut self, progress: &Progress) -> Kept {
        let Some(name) = &progress.new_index else { return Kept::Nothing };
        match self.session.index_state(name).await {
            Ok(IndexState::Absent) => Kept::Nothing,
            _ => Kept::Statements { done: 0, total: progress.statements },
        }
    }

    /// Records the failure; of an undo only how far it came.
    pub(in crate::engine) async fn record_failure(
        &mut self,
        work: &Work<'_>,
        progress: &Progress,
        millis: u64,
    ) -> Result<(), Failure> {
        let write = "write the failed row";
        self.session.reset().await.map_err(Failure::database(write))?;
        let written = match work.failed(millis) {
            Some(row) => self.session.record_failure(&self.table, &row, progress).await,
            None => {
                let progress = Progress { failed: true, ..progress.clone() };
                self.session.write_progress(&self.table, &progress).await
            }
        };
        written.map_err(Failure::database(write))
    }
}

pub(super) fn invalid_index(part: &Part, name: &str, settings: &DatabaseSettings) -> Interruption {
    let message = format!("index {name} exists already and is INVALID");
    let error = ServerError {
        hint: Some(format!("DROP INDEX CONCURRENTLY {name}, then run migrate again")),
        ..ServerError::new("55000", 0, message)
    };
    Interruption::Statement(Box::new(FailedStatement::new(
        &part.place,
        DatabaseError::Server(error),
        settings,
    )))
}
