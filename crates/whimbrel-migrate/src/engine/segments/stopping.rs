//! A script of MySQL or MariaDB that stopped: what can be rolled back, what stayed, and what is written down about it.

use whimbrel_database::RolledBack;
use whimbrel_migration::plan::RunMode;

use super::Course;
use crate::engine::Engine;
use crate::engine::failing::{FailedStatement, Interruption, unrecorded};
use crate::engine::retrying::lost_a_lock;
use crate::engine::running::Work;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};

impl Engine<'_> {
    /// Rolls back what can be, and writes down what stayed.
    pub(super) async fn stopped_in_segment(
        &mut self,
        work: &Work<'_>,
        mut course: Course,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        let lost =
            matches!(&interruption, Interruption::Statement(failed) if failed.error.is_connection_lost());
        let mut is_known = true;
        if !lost {
            let rolled_back = self.roll_back_segment(&course).await;
            let rolled_back = match &interruption {
                // Who loses a deadlock has lost the whole transaction already: nothing is left for us to undo.
                Interruption::Statement(failed) if !course.hides_commit && lost_a_lock(&failed.error) => {
                    match rolled_back {
                        RolledBack::AlreadyOver => RolledBack::Everything,
                        other => other,
                    }
                }
                _ => rolled_back,
            };
            (course.progress.statements_done, is_known) = done_after(rolled_back, &course);
        }
        match Self::statement_of(interruption) {
            Ok(failed) => self.failed_segment(work, course, failed, is_known, millis).await,
            Err(failure) => {
                if matches!(failure, Failure::Stopped(_)) {
                    self.record_in_good_order(&mut course).await;
                }
                if matches!(failure, Failure::Callback { .. }) && course.index > 0 {
                    // What it did may have stayed, and as Flyway tells it, it failed.
                    let recorded = self.record_failed_segment(work, &mut course, is_known, millis).await;
                    if let Err(second) = recorded {
                        self.say(Level::Warn, Event::Notice, &unrecorded(&second));
                    }
                    return failure;
                }
                self.left_off(work, &course.progress, failure, millis).await
            }
        }
    }

    async fn failed_segment(
        &mut self,
        work: &Work<'_>,
        mut course: Course,
        mut failed: FailedStatement,
        is_known: bool,
        millis: u64,
    ) -> Failure {
        let done = course.progress.statements_done;
        let is_fresh = is_known && done == 0 && !course.progress.failed && !self.set.has_callbacks();
        if is_fresh && self.has_attempts_left(&failed.error) {
            // It comes again, and nothing is written about it until then.
            self.record_in_good_order(&mut course).await;
            return self.script_failure(work.id, RunMode::InTransaction, failed, Kept::Nothing);
        }
        let may_be_done = course.killed_at == Some(course.index) && course.commits;
        let kept = match done {
            _ if !is_known => Kept::ItsOwn,
            0 if !may_be_done => Kept::Nothing,
            done => Kept::Statements { done, total: course.progress.statements },
        };
        if may_be_done {
            failed.notes.push(
                "the last run was killed at this statement, and the server may have done it: if so, take back by hand \
                 what it made, and run migrate again"
                    .to_owned(),
            );
        }
        if !is_known {
            failed.notes.push(
                "not everything could be rolled back: a statement before it committed (a procedure does that), or \
                 wrote into a table without transactions (MyISAM)"
                    .to_owned(),
            );
        }
        if !failed.error.is_connection_lost() {
            let recorded = self.record_failed_segment(work, &mut course, is_known, millis).await;
            if let Err(failure) = recorded {
                failed.notes.push(unrecorded(&failure));
            }
        }
        // Which statements are rolled back does not hang on how the script was meant to run.
        self.script_failure(work.id, RunMode::StatementByStatement, failed, kept)
    }

    /// Writes down how far a script came that was not torn off. Back where it began, nothing was done for certain.
    async fn record_in_good_order(&mut self, course: &mut Course) {
        if !course.recorded {
            return;
        }
        let written = match course.progress.statements_done {
            0 => self.forget(course).await,
            _ => self.record(course).await,
        };
        if let Err(failure) = written {
            tracing::warn!(target: "whimbrel", "{failure}");
        }
    }

    async fn forget(&mut self, course: &Course) -> Result<(), Failure> {
        let deleted = self.session.delete_progress(&self.table, &course.progress.script).await;
        deleted.map_err(Failure::database("forget the progress of a script"))
    }

    async fn roll_back_segment(&mut self, course: &Course) -> RolledBack {
        if course.locked
            && let Err(error) = self.session.query("UNLOCK TABLES").await
        {
            tracing::debug!(target: "whimbrel", "no tables were unlocked: {error}");
        }
        self.session.rollback().await.unwrap_or(RolledBack::Everything)
    }

    async fn record_failed_segment(
        &mut self,
        work: &Work<'_>,
        course: &mut Course,
        is_known: bool,
        millis: u64,
    ) -> Result<(), Failure> {
        if is_known && !course.unrecorded {
            // The table of records is made here: the failed row and the record are one transaction.
            self.session.reset().await.map_err(Failure::database("write the failed row"))?;
            self.record(course).await?;
            return self.record_failure(work, &course.progress, millis).await;
        }
        // Nobody can go on from here: what is done is not known, or not recorded.
        let write = "write the failed row";
        self.session.reset().await.map_err(Failure::database(write))?;
        if course.recorded {
            self.forget(course).await?;
        }
        let Some(row) = work.failed(millis) else { return Ok(()) };
        self.session.append_history(&self.table, &row).await.map_err(Failure::database(write))
    }
}

/// How many statements are done for certain, and whether that is all that was kept.
fn done_after(rolled_back: RolledBack, course: &Course) -> (usize, bool) {
    match (rolled_back, course.open_since) {
        // Under LOCK TABLES each statement counts for itself, and before a DDL nothing was open.
        (_, None) => (course.index, true),
        (RolledBack::Everything, Some(since)) => (since, true),
        // A DDL commits what came before it even when it fails.
        (RolledBack::AlreadyOver, Some(_)) if course.commits => (course.index, true),
        (RolledBack::AlreadyOver | RolledBack::NotEverything, Some(since)) => (since, false),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_database::Progress;

    use super::*;

    #[test]
    fn what_was_rolled_back_is_told_as_it_is() {
        let progress = Progress {
            installed_rank: 1,
            script: String::new(),
            checksum: 0,
            statements_done: 2,
            statements: 9,
            failed: false,
            new_index: None,
        };
        let after = |rolled_back, open_since, commits| {
            let course = Course { index: 5, commits, open_since, ..Course::new(progress.clone(), true) };
            done_after(rolled_back, &course)
        };
        assert_eq!(after(RolledBack::Everything, Some(2), false), (2, true));
        assert_eq!(after(RolledBack::AlreadyOver, Some(2), true), (5, true));
        assert_eq!(after(RolledBack::Everything, Some(2), true), (2, true));
        assert_eq!(after(RolledBack::AlreadyOver, Some(2), false), (2, false));
        assert_eq!(after(RolledBack::NotEverything, Some(2), false), (2, false));
        assert_eq!(after(RolledBack::Everything, None, true), (5, true));
    }
}
