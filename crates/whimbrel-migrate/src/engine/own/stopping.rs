//! A script with transactions of its own that stopped: what of it stays, and what is written down about it.

use super::Course;
use crate::engine::Engine;
use crate::engine::failing::{Interruption, unrecorded};
use crate::engine::running::Work;
use crate::failure::{Failure, Kept};
use crate::report::{self, Level};
use whimbrel_migration::settings::OwnTransactions;

impl Course {
    fn kept(&self) -> Kept {
        if self.settled.is_some() { Kept::ItsOwn } else { Kept::Nothing }
    }

    /// What stayed, for the message about a failure.
    fn note(&self) -> Option<String> {
        let line = self.settled?;
        Some(format!(
            "what the script did up to line {line} stays as it left it there; what came after that was rolled back"
        ))
    }
}

impl Engine<'_> {
    pub(super) async fn stopped_on_its_own(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        let mut failed = match Self::statement_of(interruption) {
            Ok(failed) => failed,
            Err(failure) => {
                if let Err(error) = self.session.rollback().await {
                    tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
                }
                return self.left_off_its_own(work, course, failure, millis).await;
            }
        };
        match course.note() {
            // Flyway's words about a failure have no room for it.
            Some(note) if self.settings.migration.own_transactions == OwnTransactions::Allow => {
                self.say(Level::Warn, report::Event::Notice, &note);
            }
            note => failed.notes.extend(note),
        }
        if !failed.error.is_connection_lost()
            && let Err(failure) = self.record_its_failure(work, course, millis).await
        {
            failed.notes.push(unrecorded(&failure));
        }
        self.script_failure(work.id, work.run, failed, course.kept())
    }

    /// No statement failed. A script whose file changed under it has stopped in the middle all the same.
    async fn left_off_its_own(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        failure: Failure,
        millis: u64,
    ) -> Failure {
        if failure.is_change_midway()
            && let Err(second) = self.record_its_failure(work, course, millis).await
        {
            self.say(Level::Warn, report::Event::Notice, &unrecorded(&second));
        }
        if course.settled.is_none() {
            // All of it was rolled back: the next run may begin anew.
            self.forget_record(work, course).await;
        }
        failure
    }

    async fn record_its_failure(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        millis: u64,
    ) -> Result<(), Failure> {
        let write = "write the failed row";
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        self.session.reset().await.map_err(Failure::database(write))?;
        if self.wraps(work.id)? && self.table.dialect.transactional_ddl() {
            // As Flyway does it: the transaction that failed was the script's.
            self.forget_record(work, course).await;
            return Ok(());
        }
        self.fail_without_record(work, course.recorded.is_some(), millis).await
    }
}
