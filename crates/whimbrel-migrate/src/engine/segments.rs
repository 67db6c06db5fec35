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

mod stopping;

use std::time::Instant;

use whimbrel_database::{Condition, Progress};
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::NewRow;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::scan::{Effect, ScanFacts};
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::statement::{Left, left_behind, may_commit_unseen};

use super::Engine;
use super::failing::Interruption;
use super::running::Work;
use super::statements::{Part, Statements};
use super::streaming::Ahead;
use super::transactional::millis;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};

/// Where we are in a script.
struct Course {
    progress: Progress,
    /// The statement at hand. Those before it may be under way, as far as the transaction is open in which they are.
    index: usize,
    /// Whether it commits.
    commits: bool,
    /// Whether a statement since the last DDL may have committed without a word (a procedure can).
    hides_commit: bool,
    /// The first statement of the open transaction.
    open_since: Option<usize>,
    /// Between LOCK TABLES and UNLOCK TABLES.
    locked: bool,
    /// A record of this script is in the database.
    recorded: bool,
    /// The role may not write one.
    unrecorded: bool,
    /// Where an earlier run was killed, if one was.
    killed_at: Option<usize>,
}

impl Course {
    /// With what is recorded about the script, or with a fresh record that is not written yet.
    fn new(progress: Progress, recorded: bool) -> Self {
        let killed_at = (recorded && !progress.failed).then_some(progress.statements_done);
        Self {
            index: progress.statements_done,
            progress,
            commits: false,
            hides_commit: false,
            open_since: None,
            locked: false,
            recorded,
            unrecorded: false,
            killed_at,
        }
    }

    /// A statement is about to run.
    fn begins(&mut self, part: &Part, dialect: Dialect) {
        self.commits = commits(part.effect);
        self.hides_commit &= self.open_since.is_some();
        self.hides_commit |= may_commit_unseen(dialect, &part.place.text);
    }

    /// A statement that commits went well.
    fn committed(&mut self, effect: Effect) {
        self.open_since = None;
        self.locked = match effect {
            Effect::ImplicitCommit("LOCK TABLES") => true,
            Effect::ImplicitCommit("UNLOCK TABLES") => false,
            _ => self.locked,
        };
        self.progress.statements_done = self.index + 1;
    }

    /// All statements are through; what comes may commit as it likes.
    fn ends(&mut self) {
        (self.commits, self.hides_commit) = (false, true);
    }
}

impl Engine<'_> {
    /// Runs a script whose DDL commits.
    pub(super) async fn run_in_segments(
        &mut self,
        work: &Work<'_>,
        resumes: Option<Progress>,
    ) -> Result<u64, Failure> {
        let started = Instant::now();
        self.limit_session().await?;
        let facts = self.facts_of(work.id)?;
        let total = self.statements_in(work.id)?;
        let left = match resumes {
            Some(progress) => Some(progress),
            None => self.record_left_by(work, total).await?,
        };
        let recorded = left.is_some();
        let progress = left.unwrap_or_else(|| self.fresh(work.id, work.rank(), total));
        let mut course = Course::new(progress, recorded);
        self.take_up_again(work.id, &course.progress)?;
        let mut statements = self.compared_statements(work.id)?;
        if commits_by_itself(&facts) && !course.recorded {
            self.begin_record(work.id, &mut course).await?;
        }
        self.begin_first_segment(work, &mut course).await?;
        if let Err(interruption) = self.run_segments(work, &mut statements, &mut course).await {
            return Err(self.stopped_in_segment(work, course, interruption, millis(started)).await);
        }
        let millis = millis(started);
        self.end_segments(&course, &work.applied(millis)).await.map_err(self.no_row_for(work))?;
        Ok(millis)
    }

    /// The callbacks before a script belong to its first segment, or what they did after their last DDL.
    async fn begin_first_segment(&mut self, work: &Work<'_>, course: &mut Course) -> Result<(), Failure> {
        if self.callbacks_of(self.each(work.id).before).is_empty() {
            return self.begin_each(work).await;
        }
        self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        if let Err(interruption) = self.fire_inside(self.each(work.id).before).await {
            self.session.rollback().await.map_err(Failure::database("roll back"))?;
            let failed = |failed| self.script_failure(work.id, RunMode::InTransaction, failed, Kept::Nothing);
            return Err(Self::statement_of(interruption).map_or_else(|failure| failure, failed));
        }
        course.open_since = Some(course.index);
        self.say_begun(work);
        Ok(())
    }

    /// What is not done yet, and the callbacks that belong to the last segment.
    async fn run_segments(
        &mut self,
        work: &Work<'_>,
        statements: &mut Statements,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        self.pass_over(work.id, statements, course.progress.statements_done).await?;
        let dialect = self.settings.migration.dialect;
        let mut ahead = Ahead::default();
        while let Some(part) = statements.next_statement()? {
            if course.open_since.is_some() && self.may_go_ahead(work.id, &part) {
                self.send_ahead(work.id, part.place, &mut ahead).await?;
                course.index += 1;
            } else {
                self.fetch_answers(work.id, &mut ahead).await?;
                course.begins(&part, dialect);
                self.run_in_segment(work.id, &part, statements, course).await?;
            }
        }
        self.fetch_answers(work.id, &mut ahead).await?;
        course.ends();
        self.fire_inside(self.each(work.id).after).await
    }

    async fn run_in_segment(
        &mut self,
        id: ScriptId,
        part: &Part,
        statements: &mut Statements,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        if course.commits
            && let Some(since) = course.open_since
        {
            if course.index > since {
                course.progress.statements_done = course.index;
                self.record(course).await.map_err(Interruption::Ours)?;
            }
        } else if !course.commits && course.open_since.is_none() && !course.locked {
            self.session.begin().await.map_err(ours("begin a transaction"))?;
            course.open_since = Some(course.index);
        }
        self.before_statement(id).await?;
        self.run_part(id, part, statements).await?;
        // From here on it is done, whatever comes after it.
        if course.commits {
            course.committed(part.effect);
        }
        course.index += 1;
        self.after_statement(id).await?;
        if course.commits && !course.locked && course.index < course.progress.statements {
            self.record(course).await.map_err(Interruption::Ours)?;
        }
        Ok(())
    }

    /// Makes the table of records: inside of a transaction that would be DDL too. A role that may not make it still migrates.
    async fn begin_record(&mut self, id: ScriptId, course: &mut Course) -> Result<(), Failure> {
        let recorded = self.record(course).await;
        let Err(Failure::Database { error, .. }) = &recorded else { return recorded };
        if error.condition() != Condition::NoRight {
            return recorded;
        }
        (course.recorded, course.unrecorded) = (false, true);
        let script = &self.set.script(id).script;
        let message =
            format!("how far {script} comes cannot be recorded, and no later run will know it: {error}");
        self.say(Level::Warn, Event::Notice, &message);
        Ok(())
    }

    async fn record(&mut self, course: &mut Course) -> Result<(), Failure> {
        if course.unrecorded {
            return Ok(());
        }
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

    /// Says where the script goes on, if it does, and that it may.
    fn take_up_again(&self, id: ScriptId, progress: &Progress) -> Result<(), Failure> {
        let done = progress.statements_done;
        if done == 0 {
            return Ok(());
        }
        let script = self.set.script(id).script.clone();
        if let Some((what, line)) = self.lost_with_the_session(id, progress)? {
            let finding = Finding::error(
                "cannot-go-on",
                format!(
                    "{done} of its {} statements are done, and the rest needs {what}",
                    progress.statements
                ),
            );
            return Err(finding
                .in_script(script)
                .at(line, 1)
                .next_step("undo by hand what was done, run repair, then run migrate again")
                .into());
        }
        let message = format!("{script} goes on with statement {} of {}", done + 1, progress.statements);
        self.say(Level::Warn, Event::Notice, &message);
        Ok(())
    }

    /// What the part that is done left in its session and the rest may need, and the line of that.
    fn lost_with_the_session(
        &self,
        id: ScriptId,
        progress: &Progress,
    ) -> Result<Option<(&'static str, u64)>, Failure> {
        let dialect = self.settings.migration.dialect;
        let mut statements = self.statements(id, self.set.source(id)?);
        let mut index = 0;
        while let Some(part) = statements.next_statement()? {
            let line = part.place.place.line;
            if index == progress.statements_done {
                let under_lock = !progress.failed && part.effect == Effect::ImplicitCommit("LOCK TABLES");
                return Ok(under_lock.then_some(("what was done under LOCK TABLES is not known", line)));
            }
            if let Left::Lost(what) = left_behind(dialect, &part.place.text) {
                return Ok(Some((what, line)));
            }
            index += 1;
        }
        Ok(None)
    }
}

fn commits(effect: Effect) -> bool {
    matches!(effect, Effect::ImplicitCommit(_) | Effect::NonTransactional(_))
}

/// Whether something is committed before the row is: then it needs a record, which says after a kill that it may be there.
fn commits_by_itself(facts: &ScanFacts) -> bool {
    facts.implicit_commit.is_some() || facts.non_transactional.is_some()
}
