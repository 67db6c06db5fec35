//! All pending scripts in one transaction (`group`), and rows without their scripts (`skipExecutingMigrations`).

use std::time::Instant;

use whimbrel_migration::history::NewRow;
use whimbrel_migration::name::Event;
use whimbrel_migration::plan::{RunMode, Step};
use whimbrel_migration::record::{ScriptOutcome, ScriptRecord};

use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::migrate::Course;
use super::running::whole;
use super::transactional::millis;
use crate::failure::{Failure, Kept};

impl Engine<'_> {
    /// Whether these steps belong into one transaction: not where the engine's DDL commits anyway, and not where a
    /// script among them cannot run in one.
    pub(super) fn is_one_transaction(&self, course: &Course) -> bool {
        let steps = &course.plan.steps;
        course.plan.group
            && !course.plan.skip_executing
            && self.table.dialect.transactional_ddl()
            && steps.iter().all(|step| step.run != RunMode::StatementByStatement)
    }

    /// Runs all steps in one transaction: afterwards all of them and their rows are there, or none.
    pub(super) async fn run_group(&mut self, course: &Course) -> Result<(), Failure> {
        let Some(last) = course.plan.steps.last() else { return Ok(()) };
        let begun = self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        let mut done: Vec<(ScriptRecord, NewRow)> = Vec::with_capacity(course.plan.steps.len());
        let mut rank = course.last_rank;
        for step in &course.plan.steps {
            rank = rank.wrapping_add(1);
            let started = Instant::now();
            match self.run_in_group(step, rank, started).await {
                Ok(row) => {
                    done.push((self.record_of(step.id, ScriptOutcome::Applied, millis(started)), row));
                }
                Err(interruption) => {
                    let failure = self.roll_back_group(step, interruption).await;
                    if self.may_try_again(&failure) {
                        return Err(failure);
                    }
                    self.note_failed(step.id, &failure, millis(started));
                    self.fire_after_script_failure(&failure).await;
                    return Err(failure);
                }
            }
        }
        match (self.session.commit().await, done.last()) {
            (Err(error), Some((_, row))) if error.is_connection_lost() => {
                let row = row.clone();
                self.settle_commit(last.id, &begun, &row, FailedStatement::commit_lost(error)).await?;
            }
            (Err(error), _) => {
                let note = "this came up when the group was committed";
                let interruption =
                    Interruption::Statement(Box::new(FailedStatement::at_line(1, error, note)));
                return Err(self.roll_back_group(last, interruption).await);
            }
            (Ok(()), _) => {}
        }
        self.attempts = Default::default();
        for (step, (record, _)) in course.plan.steps.iter().zip(done) {
            self.note_applied(step.id, record);
        }
        Ok(())
    }

    /// One script of the group, with its row.
    async fn run_in_group(
        &mut self,
        step: &Step,
        rank: i32,
        started: Instant,
    ) -> Result<NewRow, Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        self.session.reset_within().await.map_err(ours("reset the session"))?;
        if self.turns_to_repeatables(step.id) {
            self.fire_inside(Event::AfterVersioned).await?;
            self.fire_inside(Event::BeforeRepeatables).await?;
        }
        self.fire_inside(Event::BeforeEachMigrate).await?;
        self.say_started(step);
        let mut statements = self.compared_statements(step.id)?;
        self.take_limits(step.id).map_err(Interruption::Ours)?;
        let limits = self.timeouts.in_transaction();
        self.session.limit_statements(&limits).await.map_err(ours("limit the statements"))?;
        self.run_one_by_one(step.id, &mut statements).await?;
        self.fire_inside(Event::AfterEachMigrate).await?;
        self.patience.check().map_err(Interruption::Stopped)?;
        self.session.reset_within().await.map_err(ours("reset the session"))?;
        let time = whole(millis(started));
        let row = NewRow::of_script(self.set.script(step.id), rank, time, true);
        self.session.append_history(&self.table, &row).await.map_err(ours("write the history row"))?;
        Ok(row)
    }

    async fn roll_back_group(&mut self, step: &Step, interruption: Interruption) -> Failure {
        if let Err(error) = self.session.rollback().await {
            tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
        }
        let kept = match step.run {
            RunMode::ManagesOwnTransactions => Kept::ItsOwn,
            _ => Kept::Nothing,
        };
        match Self::statement_of(interruption) {
            Ok(failed) => self.script_failure(step.id, RunMode::InTransaction, failed, kept),
            Err(failure) => failure,
        }
    }

    /// The row of a script that is not run.
    pub(super) async fn skip_step(&mut self, step: &Step, rank: i32) -> Result<(), Failure> {
        let row = NewRow::of_script(self.set.script(step.id), rank, 0, true);
        let written = self.session.append_history(&self.table, &row).await;
        written.map_err(Failure::database("write the history row of a script that is not run"))?;
        let record = self.record_of(step.id, ScriptOutcome::Applied, 0);
        self.note_applied(step.id, record);
        Ok(())
    }
}
