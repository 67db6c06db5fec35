//! The record of a script with transactions of its own, and what the next run makes of one that was left behind.
//!
//! | record | means | done |
//! |---|---|---|
//! | none | nothing of it stayed, or its end is in the history | it runs |
//! | all statements | it is through, and its row could not be written | the row is written |
//! | less | killed, or its connection lost: how much more was done is not known | a failed row for everybody to see, and no more |

use std::time::Instant;

use whimbrel_database::{Condition, Progress};
use whimbrel_migration::finding::Finding;

use super::Course;
use crate::engine::Engine;
use crate::engine::failing::Interruption;
use crate::engine::running::Work;
use crate::engine::transactional::millis;
use crate::failure::Failure;
use crate::report::{Event, Level};

impl Engine<'_> {
    fn settled(&mut self, work: &Work<'_>, statements: usize) -> Result<Progress, Failure> {
        let total = self.statements_in(work.id)?;
        Ok(Progress { statements_done: statements, ..self.fresh(work.id, work.rank(), total) })
    }

    /// Inside of a transaction the table of records could not be made everywhere.
    pub(super) async fn make_room_for_records(&mut self) {
        if let Err(error) = self.session.make_progress_table(&self.table).await {
            tracing::debug!(target: "whimbrel", "there is no table for the progress of scripts: {error}");
        }
    }

    /// Writes into the transaction that is open what is settled once it is committed. Where that fails (the script may have
    /// taken on a role without the right), the record follows the COMMIT, and a kill between both is not covered. Gives what
    /// the record will say.
    pub(super) async fn record_ahead(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        settled: usize,
    ) -> Result<Option<usize>, Interruption> {
        if course.recorded == Some(settled) {
            return Ok(course.recorded);
        }
        let progress = self.settled(work, settled).map_err(Interruption::Ours)?;
        match self.session.write_progress_here(&self.table, &progress).await {
            Ok(()) => Ok(Some(settled)),
            // With it the script's transaction is gone.
            Err(error) if error.condition() == Condition::Deadlock => {
                Err(Interruption::Ours(Failure::database("write the progress")(error)))
            }
            Err(error) => {
                tracing::debug!(target: "whimbrel", "the progress is written after the COMMIT: {error}");
                Ok(course.recorded)
            }
        }
    }

    /// Writes down how much is settled. A script goes on without that record: then the next run cannot know.
    pub(super) async fn record_settled(
        &mut self,
        work: &Work<'_>,
        course: &mut Course,
    ) -> Result<(), Failure> {
        let progress = self.settled(work, course.settled_statements)?;
        match self.session.write_progress(&self.table, &progress).await {
            Ok(()) => course.recorded = Some(course.settled_statements),
            Err(error) => {
                let message = format!("how far {} came could not be written down: {error}", progress.script);
                self.say(Level::Warn, Event::Notice, &crate::failure::redacted(&message));
            }
        }
        Ok(())
    }

    /// Nothing stands in the way of another attempt.
    pub(super) async fn forget_record(&mut self, work: &Work<'_>, course: &Course) {
        if course.recorded.is_none() {
            return;
        }
        let script = self.set.script(work.id).stored_script();
        if let Err(error) = self.session.delete_progress(&self.table, &script).await {
            tracing::warn!(target: "whimbrel", "the progress of a script stays: {error}");
        }
    }

    /// What stands in the record of a run that did not come to its end.
    pub(super) async fn take_up(
        &mut self,
        work: &Work<'_>,
        left: Progress,
        started: Instant,
    ) -> Result<u64, Failure> {
        let (done, total, path) = (left.statements_done, left.statements, &self.set.script(work.id).script);
        if done == total {
            let message =
                format!("all of {path} was applied by a run that could not write its row: it is written now");
            self.say(Level::Warn, Event::Notice, &message);
            self.say_begun(work);
            self.finish_as_it_stands(work, true, started).await?;
            return Ok(millis(started));
        }
        let finding = Finding::error(
            "cannot-go-on",
            format!(
                "it manages transactions itself, and a run of it was cut off: {done} of its {total} statements are done \
                 for certain, and nobody knows of the others"
            ),
        )
        .in_script(path.clone())
        .next_step(match work.step {
            Some(_) => "look what of it is there and undo that by hand; then run repair, and migrate again",
            None => "look what of it was done and make that good by hand; then run undo again",
        });
        self.fail_without_record(work, true, millis(started)).await?;
        Err(finding.into())
    }

    /// A failed row, and no record with which a run would go on; an undo has no such row.
    pub(super) async fn fail_without_record(
        &mut self,
        work: &Work<'_>,
        recorded: bool,
        millis: u64,
    ) -> Result<(), Failure> {
        let script = self.set.script(work.id).stored_script();
        let record = recorded.then_some(script.as_str());
        let written = match (work.failed(millis), record) {
            (Some(row), record) => self.session.record_success(&self.table, &row, record).await,
            (None, Some(script)) => self.session.delete_progress(&self.table, script).await,
            (None, None) => Ok(()),
        };
        written.map_err(Failure::database("write the failed row"))
    }
}
