//! A script of MySQL or MariaDB, whose DDL commits what came before it and itself.
//!
//! What lies between two such statements is one transaction. So after a failure just the work since the last DDL is
//! rolled back, as Flyway leaves it; how far that is stands in the record of progress, and the next run goes on there.
//!
//! | statements | done |
//! |---|---|
//! | no DDL | one transaction together with the history row |
//! | the work before a DDL | committed by it, together with the record that says so |
//! | DDL | by itself; the record follows it at once |
//! | from LOCK TABLES to UNLOCK TABLES | each by itself: a transaction or a record would end the locks |
//!
//! A script that lost a lock before anything of it was kept comes again, like one of PostgreSQL.

use std::time::Instant;

use whimbrel_database::{Progress, RolledBack};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::NewRow;
use whimbrel_migration::name;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::scan::Effect;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::statement::{Left, left_behind, may_commit_unseen};

use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::retrying::lost_a_lock;
use super::running::{Part, Work};
use super::transactional::millis;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};

/// Where we are in a script.
struct Course {
    progress: Progress,
    /// The first statement of the open transaction.
    open_since: Option<usize>,
    /// Between LOCK TABLES and UNLOCK TABLES.
    locked: bool,
    /// A record of this script is in the database.
    recorded: bool,
    /// Where an earlier run was killed, if one was.
    killed_at: Option<usize>,
}

/// Where and when a script stopped.
#[derive(Clone, Copy)]
struct At {
    /// The statement that did not end well.
    index: usize,
    /// Whether it commits.
    commits: bool,
    /// Whether a statement since the last DDL may have committed without a word (a procedure can).
    hides_commit: bool,
    millis: u64,
}

impl Course {
    fn new(progress: Progress) -> Self {
        let recorded = progress.statements_done > 0 || progress.failed;
        let killed_at = (recorded && !progress.failed).then_some(progress.statements_done);
        Self { progress, open_since: None, locked: false, recorded, killed_at }
    }
}

impl Engine<'_> {
    /// Runs a script whose DDL commits.
    pub(super) async fn run_in_segments(
        &mut self,
        work: &Work<'_>,
        resumes: Option<Progress>,
    ) -> Result<u64, Failure> {
        let id = work.id;
        let started = Instant::now();
        self.limit_session().await?;
        let parts = self.parts_of(id)?;
        let progress = match resumes {
            Some(progress) => progress,
            None => self.interrupted(work, parts.len()).await?,
        };
        let mut course = Course::new(progress);
        self.take_up_again(id, &parts, &course.progress).await?;
        if commits_early(&parts) {
            // The table of records is made here: inside of a transaction that would be DDL too.
            self.record(&mut course).await?;
        }
        self.begin_each(work).await?;
        let first = course.progress.statements_done;
        for (index, part) in parts.iter().enumerate().skip(first) {
            if let Err(interruption) = self.run_one(id, part, index, parts.len(), &mut course).await {
                let (since, dialect) = (course.open_since.unwrap_or(index), self.settings.migration.dialect);
                let hides_commit =
                    parts[since..=index].iter().any(|part| may_commit_unseen(dialect, &part.place.text));
                let at = At { index, commits: commits(part), hides_commit, millis: millis(started) };
                return Err(self.stopped_in_segment(work, at, course, interruption).await);
            }
        }
        if work.step.is_some()
            && let Err(interruption) = self.fire_inside(name::Event::AfterEachMigrate).await
        {
            let at = At { index: parts.len(), commits: false, hides_commit: true, millis: millis(started) };
            return Err(self.stopped_in_segment(work, at, course, interruption).await);
        }
        let millis = millis(started);
        self.end_segments(&course, &work.applied(millis))
            .await
            .map_err(Failure::database("write the history row of a script that was applied"))?;
        Ok(millis)
    }

    async fn run_one(
        &mut self,
        id: ScriptId,
        part: &Part,
        index: usize,
        total: usize,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        let commits = commits(part);
        if commits && let Some(since) = course.open_since {
            if index > since {
                course.progress.statements_done = index;
                self.record(course).await.map_err(Interruption::Ours)?;
            }
        } else if !commits && course.open_since.is_none() && !course.locked {
            self.session.begin().await.map_err(ours("begin a transaction"))?;
            course.open_since = Some(index);
        }
        self.run_hooked(id, &part.place, None).await?;
        if commits {
            course.open_since = None;
            course.locked = match part.effect {
                Effect::ImplicitCommit("LOCK TABLES") => true,
                Effect::ImplicitCommit("UNLOCK TABLES") => false,
                _ => course.locked,
            };
            course.progress.statements_done = index + 1;
            if !course.locked && index + 1 < total {
                self.record(course).await.map_err(Interruption::Ours)?;
            }
        }
        Ok(())
    }

    async fn record(&mut self, course: &mut Course) -> Result<(), Failure> {
        // What stands as failed stays so until the script is through.
        let written = self.session.write_progress(&self.table, &course.progress).await;
        course.recorded = true;
        written.map_err(Failure::database("write the progress"))
    }

    /// The row goes into the transaction that is open, so that a script without DDL and its row are one.
    async fn end_segments(
        &mut self,
        course: &Course,
        row: &NewRow,
    ) -> Result<(), whimbrel_database::DatabaseError> {
        if course.locked {
            self.session.query("UNLOCK TABLES").await?;
        }
        if course.open_since.is_none() {
            self.session.begin().await?;
        }
        let recorded = course.recorded.then_some(course.progress.script.as_str());
        self.session.record_success_here(&self.table, row, recorded).await?;
        self.session.commit().await
    }

    /// Says where the script goes on, if it does, and that it may; what was set by the part that is done is set again.
    async fn take_up_again(
        &mut self,
        id: ScriptId,
        parts: &[Part],
        progress: &Progress,
    ) -> Result<(), Failure> {
        let done = progress.statements_done.min(parts.len());
        if done == 0 {
            return Ok(());
        }
        let script = self.set.script(id).script.clone();
        let killed_at_lock = !progress.failed
            && parts.get(done).is_some_and(|part| part.effect == Effect::ImplicitCommit("LOCK TABLES"));
        let dialect = self.settings.migration.dialect;
        let lost = parts[..done].iter().find_map(|part| match left_behind(dialect, &part.place.text) {
            Left::Lost(what) => Some((what, part.place.place.line)),
            Left::Setting | Left::Nothing => None,
        });
        let lost = match killed_at_lock {
            true => Some(("what was done under LOCK TABLES is not known", parts[done].place.place.line)),
            false => lost,
        };
        if let Some((what, line)) = lost {
            let finding = Finding::error(
                "cannot-go-on",
                format!("{done} of its {} statements are done, and the rest needs {what}", parts.len()),
            );
            return Err(finding
                .in_script(script)
                .at(line, 1)
                .next_step("undo by hand what was done, run repair, then run migrate again")
                .into());
        }
        self.say(
            Level::Warn,
            Event::Notice,
            &format!("{script} goes on with statement {} of {}", done + 1, parts.len()),
        );
        for part in
            parts[..done].iter().filter(|part| left_behind(dialect, &part.place.text) == Left::Setting)
        {
            if let Err(Interruption::Statement(failed)) = self.run_statement(id, &part.place, None).await {
                return Err(self.script_failure(id, RunMode::StatementByStatement, *failed, Kept::Nothing));
            }
        }
        Ok(())
    }

    /// Rolls back what can be, and writes down what stayed.
    async fn stopped_in_segment(
        &mut self,
        work: &Work<'_>,
        at: At,
        mut course: Course,
        interruption: Interruption,
    ) -> Failure {
        let lost =
            matches!(&interruption, Interruption::Statement(failed) if failed.error.is_connection_lost());
        let mut is_known = true;
        if !lost {
            let rolled_back = self.roll_back_segment(&course).await;
            let rolled_back = match &interruption {
                // Who loses a deadlock has lost the whole transaction already: nothing is left for us to undo.
                Interruption::Statement(failed) if !at.hides_commit && lost_a_lock(&failed.error) => {
                    match rolled_back {
                        RolledBack::AlreadyOver => RolledBack::Everything,
                        other => other,
                    }
                }
                _ => rolled_back,
            };
            (course.progress.statements_done, is_known) =
                done_after(rolled_back, &course, at.index, at.commits);
        }
        match self.statement_of(work.id, interruption) {
            Ok(failed) => self.failed_segment(work, at, course, failed, is_known).await,
            Err(failure) => {
                if matches!(failure, Failure::Stopped(_))
                    && course.recorded
                    && let Err(failure) = self.record(&mut course).await
                {
                    tracing::warn!(target: "whimbrel", "{failure}");
                }
                failure
            }
        }
    }

    async fn failed_segment(
        &mut self,
        work: &Work<'_>,
        at: At,
        mut course: Course,
        mut failed: FailedStatement,
        is_known: bool,
    ) -> Failure {
        let done = course.progress.statements_done;
        let is_fresh = is_known && done == 0 && !course.progress.failed && !self.set.has_callbacks();
        if is_fresh && self.has_attempts_left(&failed.error) {
            // In good order back to where it began: it comes again, and nothing is written about it until then.
            return self.script_failure(work.id, RunMode::InTransaction, failed, Kept::Nothing);
        }
        let kept = match done {
            _ if !is_known => Kept::ItsOwn,
            0 => Kept::Nothing,
            done => Kept::Statements { done, total: course.progress.statements },
        };
        if course.killed_at == Some(at.index) && at.commits {
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
            let recorded = self.record_failed_segment(work, &mut course, is_known, at.millis).await;
            if let Err(failure) = recorded {
                failed.notes.push(format!("the failure could not be written into the history: {failure}"));
            }
        }
        // Which statements are rolled back does not hang on how the script was meant to run.
        self.script_failure(work.id, RunMode::StatementByStatement, failed, kept)
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
        if is_known {
            // The table of records is made here: the failed row and the record are one transaction.
            self.session.reset().await.map_err(Failure::database("write the failed row"))?;
            self.record(course).await?;
            return self.record_failure(work, &course.progress, millis).await;
        }
        // Nobody can go on from here: what is done is not known.
        let write = "write the failed row";
        self.session.reset().await.map_err(Failure::database(write))?;
        if course.recorded {
            let deleted = self.session.delete_progress(&self.table, &course.progress.script).await;
            deleted.map_err(Failure::database(write))?;
        }
        let Some(row) = work.failed(millis) else { return Ok(()) };
        self.session.append_history(&self.table, &row).await.map_err(Failure::database(write))
    }
}

/// How many statements are done for certain, and whether that is all that was kept.
fn done_after(rolled_back: RolledBack, course: &Course, index: usize, commits: bool) -> (usize, bool) {
    match (rolled_back, course.open_since) {
        // Under LOCK TABLES each statement counts for itself, and before a DDL nothing was open.
        (_, None) => (index, true),
        (RolledBack::Everything, Some(since)) => (since, true),
        // A DDL commits what came before it even when it fails.
        (RolledBack::AlreadyOver, Some(_)) if commits => (index, true),
        (RolledBack::AlreadyOver | RolledBack::NotEverything, Some(since)) => (since, false),
    }
}

fn commits(part: &Part) -> bool {
    matches!(part.effect, Effect::ImplicitCommit(_) | Effect::NonTransactional(_))
}

/// Whether something is committed before the script is through: then it needs a record.
fn commits_early(parts: &[Part]) -> bool {
    parts.len() > 1 && parts.iter().any(commits)
}

#[cfg(test)]
mod tests {
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
        let course = |open_since| Course {
            progress: progress.clone(),
            open_since,
            locked: false,
            recorded: true,
            killed_at: None,
        };
        assert_eq!(done_after(RolledBack::Everything, &course(Some(2)), 5, false), (2, true));
        assert_eq!(done_after(RolledBack::AlreadyOver, &course(Some(2)), 5, true), (5, true));
        assert_eq!(done_after(RolledBack::Everything, &course(Some(2)), 5, true), (2, true));
        assert_eq!(done_after(RolledBack::AlreadyOver, &course(Some(2)), 5, false), (2, false));
        assert_eq!(done_after(RolledBack::NotEverything, &course(Some(2)), 5, false), (2, false));
        assert_eq!(done_after(RolledBack::Everything, &course(None), 5, true), (5, true));
    }
}
