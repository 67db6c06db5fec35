//! One script with its row: which of the ways it goes.
//!
//! | run mode | engine | way |
//! |---|---|---|
//! | in a transaction | DDL can be rolled back | one transaction (`transactional`) |
//! | in a transaction | DDL commits | segments between the DDL (`segments`) |
//! | statement by statement | any | each statement with a record (`stepwise`) |
//! | manages its own transactions | any | as it stands (`own`) |
//!
//! A migration and an undo go the same ways. What an undo does not have is a failed row, since Flyway does not know half
//! an undo; how far it came stands in the record alone.

use whimbrel_database::{DatabaseError, Progress};
use whimbrel_migration::history::NewRow;
use whimbrel_migration::plan::{RunMode, Step};
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::statement::{Left, left_behind};

use super::Engine;
use super::failing::Interruption;
use super::statements::Statements;
use crate::failure::Failure;

/// A script that is to run, and the row that it ends with.
pub(super) struct Work<'a> {
    pub(super) id: ScriptId,
    pub(super) run: RunMode,
    row: NewRow,
    /// The step of a migration; an undo is none.
    pub(super) step: Option<&'a Step>,
    /// The script that follows, for which the lock may be kept.
    pub(super) next: Option<ScriptId>,
}

impl<'a> Work<'a> {
    /// A script that is taken back, with the row that says so.
    pub(super) fn undo(id: ScriptId, run: RunMode, row: NewRow) -> Self {
        Self { id, run, row, step: None, next: None }
    }

    /// A step of a migration.
    pub(super) fn step(step: &'a Step, row: NewRow, next: Option<ScriptId>) -> Self {
        Self { id: step.id, run: step.run, row, step: Some(step), next }
    }

    /// The version of the row.
    pub(super) fn version(&self) -> Option<&str> {
        self.row.version.as_deref()
    }

    pub(super) fn rank(&self) -> i32 {
        self.row.installed_rank
    }

    /// The row of a script that was applied.
    pub(super) fn applied(&self, millis: u64) -> NewRow {
        NewRow { execution_time: whole(millis), ..self.row.clone() }
    }

    /// The row of a script that failed; an undo leaves none.
    pub(super) fn failed(&self, millis: u64) -> Option<NewRow> {
        let row = || NewRow { success: false, ..self.applied(millis) };
        self.step.map(|_| row())
    }
}

impl Engine<'_> {
    /// Runs a script, and writes its row.
    pub(super) async fn run_script(
        &mut self,
        work: &Work<'_>,
        resumes: Option<Progress>,
    ) -> Result<u64, Failure> {
        self.take_limits(work.id)?;
        match work.run {
            RunMode::InTransaction if self.table.dialect.transactional_ddl() => {
                self.run_in_transaction(work).await
            }
            RunMode::InTransaction => self.run_in_segments(work, resumes).await,
            // Between LOCK TABLES and UNLOCK TABLES no record can be written.
            RunMode::StatementByStatement if self.facts_of(work.id)?.locks_tables => {
                self.run_in_segments(work, resumes).await
            }
            RunMode::StatementByStatement => self.run_stepwise(work, resumes).await,
            RunMode::ManagesOwnTransactions => self.run_as_it_stands(work).await,
        }
    }

    /// How many statements a script has.
    pub(super) fn statements_in(&mut self, id: ScriptId) -> Result<usize, Failure> {
        Ok(usize::try_from(self.facts_of(id)?.statements).unwrap_or(usize::MAX))
    }

    /// Passes over the statements that are done. What they SET belonged to the session that did it: it is set again.
    pub(super) async fn pass_over(
        &mut self,
        id: ScriptId,
        statements: &mut Statements,
        done: usize,
    ) -> Result<(), Interruption> {
        for _ in 0..done {
            let Some(part) = statements.next_statement()? else { break };
            if left_behind(self.settings.migration.dialect, &part.place.text) == Left::Setting {
                self.run_statement(id, &part.place).await?;
            }
        }
        Ok(())
    }

    /// Says that the script begins, after the callbacks that come before it.
    pub(super) async fn begin_each(&mut self, work: &Work<'_>) -> Result<(), Failure> {
        self.fire_between(self.each(work.id).before).await?;
        self.say_begun(work);
        Ok(())
    }

    /// All of a script is done, and its row could not be written.
    pub(super) fn no_row_for(&self, work: &Work<'_>) -> impl FnOnce(DatabaseError) -> Failure + use<> {
        let script = &self.set.script(work.id).script;
        Failure::database(format!("write the history row of {script}, all of which was applied"))
    }

    /// The limits of a script that runs outside of a transaction.
    pub(super) async fn limit_session(&mut self) -> Result<(), Failure> {
        let limits = self.timeouts.outside();
        self.session.limit_statements(&limits).await.map_err(Failure::database("limit the statements"))
    }
}

/// Milliseconds as the history has room for.
pub(super) fn whole(millis: u64) -> i32 {
    i32::try_from(millis).unwrap_or(i32::MAX)
}
