//! A script that cannot run in a transaction: statement by statement, with a record of how far it came.
//!
//! | found | done |
//! |---|---|
//! | nothing | the script starts; a record is written before its first statement |
//! | a record and a failed row (somebody saw it fail) | goes on with the statement that failed |
//! | a record without a row, for the next rank (we were killed) | goes on with the statement that was under way |
//! | a record that fits neither | void: `repair` took the row away, or the script changed; it starts anew |
//!
//! A statement that can run in a transaction is committed together with the record, so that it is known for certain
//! whether it was done. For the others the record says what to look for: an index that was not there before.

mod stopping;

use std::time::Instant;

use whimbrel_database::{Condition, DatabaseError, IndexState, Progress};
use whimbrel_migration::scan::Effect;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::statement::{ConcurrentIndex, concurrent_index};

use self::stopping::invalid_index;
use super::Engine;
use super::failing::{FailedStatement, Interruption, StatementPlace};
use super::running::Work;
use super::statements::{Part, Statements};
use super::transactional::millis;
use crate::failure::Failure;
use crate::report::{Event, Level};

impl Engine<'_> {
    /// Runs a script outside of a transaction.
    pub(super) async fn run_stepwise(
        &mut self,
        work: &Work<'_>,
        resumes: Option<Progress>,
    ) -> Result<u64, Failure> {
        let started = Instant::now();
        self.limit_session().await?;
        let mut statements = self.compared_statements(work.id)?;
        let total = self.statements_in(work.id)?;
        let mut progress = match resumes {
            Some(progress) => progress,
            None => self.interrupted(work, total).await?,
        };
        self.say_goes_on(&progress);
        self.begin_each(work).await?;
        if let Err(interruption) = self.run_steps(work, &mut statements, &mut progress).await {
            return Err(self.stopped_midway(work, &progress, interruption, millis(started)).await);
        }
        self.fire_between(self.each(work.id).after).await?;
        self.session.reset().await.map_err(Failure::database("reset the session"))?;
        let millis = millis(started);
        // A script without statements has left no record, and maybe there is no table of them.
        let script = (total > 0).then_some(progress.script.as_str());
        let recorded = self.session.record_success(&self.table, &work.applied(millis), script).await;
        recorded.map_err(self.no_row_for(work))?;
        Ok(millis)
    }

    /// Runs what is not done yet.
    async fn run_steps(
        &mut self,
        work: &Work<'_>,
        statements: &mut Statements,
        progress: &mut Progress,
    ) -> Result<(), Interruption> {
        self.pass_over(work.id, statements, progress.statements_done).await?;
        let mut was_under_way = progress.new_index.is_some();
        while let Some(part) = statements.next_statement()? {
            let was_under_way = std::mem::take(&mut was_under_way);
            self.run_step_hooked(work, &part, statements, progress, was_under_way).await?;
            progress.statements_done += 1;
            progress.new_index = None;
        }
        Ok(())
    }

    fn say_goes_on(&self, progress: &Progress) {
        if progress.statements_done > 0 || progress.new_index.is_some() {
            let (next, total) = (progress.statements_done + 1, progress.statements);
            let message = format!("{} goes on with statement {next} of {total}", progress.script);
            self.say(Level::Warn, Event::Notice, &message);
        }
    }

    /// Runs one statement with its callbacks, which are no part of what is done for it.
    async fn run_step_hooked(
        &mut self,
        work: &Work<'_>,
        part: &Part,
        statements: &mut Statements,
        progress: &mut Progress,
        was_under_way: bool,
    ) -> Result<(), Interruption> {
        let each = self.each(work.id);
        let before = self.fire_between(each.before_statement).await;
        before.map_err(Interruption::Ours)?;
        self.run_once(work.id, part, statements, progress, was_under_way).await?;
        self.fire_between(each.after_statement).await.map_err(Interruption::Ours)
    }

    /// Runs one statement, with the record written before it, or together with it where a transaction can hold both.
    async fn run_once(
        &mut self,
        id: ScriptId,
        part: &Part,
        statements: &mut Statements,
        progress: &mut Progress,
        was_under_way: bool,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        if !matches!(part.effect, Effect::NonTransactional(_)) {
            return self.run_with_record(id, part, statements, progress).await;
        }
        let index = concurrent_index(&part.place.text);
        if let Some(index) = &index {
            let state = self.session.index_state(&index.name).await.map_err(ours("look for the index"))?;
            match state {
                IndexState::Valid if was_under_way => return Ok(()),
                IndexState::Invalid if was_under_way => self.drop_invalid(id, part, index).await?,
                IndexState::Invalid => return Err(invalid_index(part, &index.name, &self.settings)),
                IndexState::Valid | IndexState::Absent => {}
            }
            progress.new_index = (was_under_way || state == IndexState::Absent).then(|| index.name.clone());
        }
        self.note_progress(progress).await.map_err(ours("write the progress"))?;
        let ran = self.run_statement(id, &part.place).await;
        self.explain(part, index.as_ref(), ran).await
    }

    /// Writes how far the script came. Where it made its session read-only, that is taken back.
    async fn note_progress(&mut self, progress: &Progress) -> Result<(), DatabaseError> {
        match self.session.write_progress(&self.table, progress).await {
            Err(error) if error.condition() == Condition::ReadOnly => {
                if !self.session.forget_read_only().await? {
                    return Err(error);
                }
                self.session.write_progress(&self.table, progress).await?;
                let message = format!(
                    "{} made its session read-only: that is taken back, since its progress is written in it",
                    progress.script
                );
                self.say(Level::Warn, Event::Notice, &message);
                Ok(())
            }
            written => written,
        }
    }

    /// Drops what an earlier attempt of this statement left: it may wait for others as the statement itself does.
    async fn drop_invalid(
        &mut self,
        id: ScriptId,
        part: &Part,
        index: &ConcurrentIndex,
    ) -> Result<(), Interruption> {
        let message = format!("dropping the INVALID index {} that our last attempt left", index.name);
        self.say(Level::Warn, Event::Notice, &message);
        let text = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
        let place = StatementPlace { text, text_place: part.place.place, ..part.place.clone() };
        let dropped = self.run_statement(id, &place).await;
        self.explain(part, Some(index), dropped).await
    }

    /// The statement and the record in one transaction.
    async fn run_with_record(
        &mut self,
        id: ScriptId,
        part: &Part,
        statements: &mut Statements,
        progress: &mut Progress,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        // The table is made here, outside of the statement's transaction.
        self.note_progress(progress).await.map_err(ours("write the progress"))?;
        self.session.begin().await.map_err(ours("begin a transaction"))?;
        let ran = self.run_part(id, part, statements).await;
        match ran {
            Ok(()) => {}
            // The data of a COPY has gone by; no server refuses one for being in a transaction.
            Err(Interruption::Statement(failed))
                if failed.error.condition() == Condition::NotInTransaction
                    && part.effect != Effect::CopyFromStdin =>
            {
                self.session.rollback().await.map_err(ours("roll back"))?;
                return self.run_statement(id, &part.place).await;
            }
            Err(interruption) => {
                if let Err(error) = self.session.rollback().await {
                    tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
                }
                return Err(interruption);
            }
        }
        let done = Progress { statements_done: progress.statements_done + 1, ..progress.clone() };
        self.session.write_progress(&self.table, &done).await.map_err(ours("write the progress"))?;
        match self.session.commit().await {
            Ok(()) => Ok(()),
            Err(error) => Err(Interruption::Statement(Box::new(FailedStatement::new(
                &part.place,
                error,
                &self.settings,
            )))),
        }
    }

    /// The record of an earlier run that was killed while it ran this script, or a fresh one.
    pub(super) async fn interrupted(&mut self, work: &Work<'_>, total: usize) -> Result<Progress, Failure> {
        let left = self.record_left_by(work, total).await?;
        Ok(left.unwrap_or_else(|| self.fresh(work.id, work.rank(), total)))
    }

    /// The record of an earlier run that was killed while it ran this script; one that is void is forgotten.
    pub(super) async fn record_left_by(
        &mut self,
        work: &Work<'_>,
        total: usize,
    ) -> Result<Option<Progress>, Failure> {
        let fresh = self.fresh(work.id, work.rank(), total);
        let found = self.session.read_progress(&self.table, &fresh.script).await;
        let found = found.map_err(Failure::database("read the progress of a script"))?;
        let Some(found) = found else { return Ok(None) };
        // The failed row of a migration has been looked at before; an undo has none.
        let fits = (!found.failed || work.step.is_none())
            && found.installed_rank == fresh.installed_rank
            && found.checksum == fresh.checksum
            && found.statements == total;
        if fits {
            return Ok(Some(found));
        }
        let deleted = self.session.delete_progress(&self.table, &fresh.script).await;
        deleted.map_err(Failure::database("forget the progress of a script"))?;
        Ok(None)
    }

    pub(super) fn fresh(&self, id: ScriptId, rank: i32, total: usize) -> Progress {
        let script = self.set.script(id);
        Progress {
            installed_rank: rank,
            script: script.stored_script(),
            checksum: script.checksum(),
            statements_done: 0,
            statements: total,
            failed: false,
            new_index: None,
        }
    }
}
