//! SQL callbacks: scripts that run when something happens.
//!
//! | event | runs | when it fails |
//! |---|---|---|
//! | of a command (`beforeMigrate`, `afterInfo`, …) | in a transaction of its own, as the login role | the command ends |
//! | of one script (`beforeEachMigrate`, `afterEachUndo`, …) | inside the script's transaction, in the state the script is in | the script is rolled back |
//! | of one statement | the same | the same |
//! | of an error | in a transaction of its own, after the rollback | it is told, and the first error stays the answer |
//!
//! A callback whose statements cannot run in a transaction runs without one. In a dry run none runs: those around a
//! verb and a script are kept for whoever shows them.

use whimbrel_migration::name::{Event, ScriptKind};
use whimbrel_migration::plan::{self, RunMode};
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::Interruption;
use super::own::Course;
use super::statements::Statements;
use crate::failure::{Failure, Kept};
use crate::report::{self, Level};

/// The events around a verb.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) before: Event,
    pub(super) after: Event,
    pub(super) error: Event,
}

pub(super) const INFO: Around =
    Around { before: Event::BeforeInfo, after: Event::AfterInfo, error: Event::AfterInfoError };
pub(super) const REPAIR: Around =
    Around { before: Event::BeforeRepair, after: Event::AfterRepair, error: Event::AfterRepairError };
pub(super) const BASELINE: Around =
    Around { before: Event::BeforeBaseline, after: Event::AfterBaseline, error: Event::AfterBaselineError };
pub(super) const CLEAN: Around =
    Around { before: Event::BeforeClean, after: Event::AfterClean, error: Event::AfterCleanError };
pub(super) const UNDO: Around =
    Around { before: Event::BeforeUndo, after: Event::AfterUndo, error: Event::AfterUndoError };

/// The events of one script and of its statements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Each {
    pub(super) before: Event,
    pub(super) before_statement: Event,
    pub(super) after_statement: Event,
    statement_error: Event,
    pub(super) after: Event,
    error: Event,
}

const MIGRATION: Each = Each {
    before: Event::BeforeEachMigrate,
    before_statement: Event::BeforeEachMigrateStatement,
    after_statement: Event::AfterEachMigrateStatement,
    statement_error: Event::AfterEachMigrateStatementError,
    after: Event::AfterEachMigrate,
    error: Event::AfterEachMigrateError,
};
/// Flyway's paid editions alone have these: they are called where those of a migration are.
const UNDO_SCRIPT: Each = Each {
    before: Event::BeforeEachUndo,
    before_statement: Event::BeforeEachUndoStatement,
    after_statement: Event::AfterEachUndoStatement,
    statement_error: Event::AfterEachUndoStatementError,
    after: Event::AfterEachUndo,
    error: Event::AfterEachUndoError,
};

/// What follows a statement of a callback that ended the transaction which was open (DDL of MySQL, a COMMIT).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    /// Each statement counts for itself.
    Nothing,
    /// Another transaction.
    Anew,
    /// Another one, whose ROLLBACK says that not everything was taken back.
    AnewWithoutMark,
}

impl Engine<'_> {
    /// The events of a script.
    pub(super) fn each(&self, id: ScriptId) -> &'static Each {
        if self.set.script(id).name.kind == ScriptKind::Undo { &UNDO_SCRIPT } else { &MIGRATION }
    }

    /// Work with the callbacks of its events before and after it.
    pub(super) async fn around<T>(
        &mut self,
        events: Around,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.fire(events.before).await?;
        match work(self).await {
            Ok(done) => {
                self.fire(events.after).await?;
                Ok(done)
            }
            Err(failure) => {
                self.fire_after_failure(events.error, &failure).await;
                Err(failure)
            }
        }
    }

    /// Runs the callbacks of an event, each in a fresh session state and in a transaction of its own. What they leave in
    /// the session is no script's.
    pub(super) async fn fire(&mut self, event: Event) -> Result<(), Failure> {
        if self.common.dry_run {
            return self.intend_callbacks(event);
        }
        let callbacks = self.callbacks_of(event);
        for id in &callbacks {
            self.session.reset().await.map_err(Failure::database("prepare the session for a callback"))?;
            self.run_callback(event, *id).await?;
        }
        if callbacks.is_empty() {
            return Ok(());
        }
        self.session.reset().await.map_err(Failure::database("reset the session after a callback"))
    }

    /// Runs the callbacks of an event in transactions of their own, in the state that a script without one is in.
    pub(super) async fn fire_between(&mut self, event: Event) -> Result<(), Failure> {
        for id in self.callbacks_of(event) {
            self.run_callback(event, id).await?;
        }
        Ok(())
    }

    /// Runs the callbacks of an event in the transaction that is open.
    pub(super) async fn fire_inside(&mut self, event: Event) -> Result<(), Interruption> {
        for id in self.callbacks_of(event) {
            self.say_callback(event, id);
            // A callback that cannot be cut into statements, or holds statements of both kinds, does nothing.
            self.mode_of_callback(id).map_err(Interruption::Ours)?;
            let mut statements = self.compared_statements(id)?;
            let afterwards = match event {
                Event::BeforeEachMigrate | Event::BeforeEachUndo => Afterwards::Anew,
                // At the end of a script only its row is to come, and what went before is not ours to take back.
                Event::AfterEachMigrate | Event::AfterEachUndo => Afterwards::AnewWithoutMark,
                _ => Afterwards::Nothing,
            };
            match self.run_callback_statements(id, &mut statements, afterwards).await {
                Ok(is_open) if is_open || afterwards == Afterwards::Nothing => {}
                Ok(_) => self.begin_anew(afterwards).await?,
                Err(interruption) => {
                    let failure = self.callback_failure(event, id, RunMode::InTransaction, interruption);
                    return Err(Interruption::Ours(failure));
                }
            }
        }
        Ok(())
    }

    /// Runs the callbacks of an error. When they fail too, that is told, and the error that they are about stays.
    pub(super) async fn fire_after_failure(&mut self, event: Event, failure: &Failure) {
        if self.callbacks_of(event).is_empty() || matches!(failure, Failure::Stopped(_)) {
            return;
        }
        if let Err(second) = self.fire(event).await {
            let message = format!("the callback of {} failed as well: {second}", event.as_str());
            self.say(Level::Warn, report::Event::Notice, &message);
        }
    }

    /// The callbacks of what went wrong with one script.
    pub(super) async fn fire_after_script_failure(&mut self, failure: &Failure) {
        match failure {
            Failure::Script(script) => {
                let each = if script.undoes { UNDO_SCRIPT } else { MIGRATION };
                self.fire_after_failure(each.statement_error, failure).await;
                self.fire_after_failure(each.error, failure).await;
            }
            Failure::Callback { event, .. } => {
                let at_statements =
                    |each: &&Each| [each.before_statement, each.after_statement].contains(event);
                if let Some(each) = [&MIGRATION, &UNDO_SCRIPT].into_iter().find(at_statements) {
                    self.fire_after_failure(each.error, failure).await;
                }
            }
            _ => {}
        }
    }

    pub(super) fn callbacks_of(&self, event: Event) -> Vec<ScriptId> {
        if self.common.dry_run { Vec::new() } else { self.set.callbacks(event).to_vec() }
    }

    async fn run_callback(&mut self, event: Event, id: ScriptId) -> Result<(), Failure> {
        self.say_callback(event, id);
        let mode = self.mode_of_callback(id)?;
        let mut statements = self.compared_statements(id)?;
        let wraps = mode != RunMode::StatementByStatement && self.wraps(id)?;
        if wraps {
            self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        }
        let afterwards = if wraps { Afterwards::Anew } else { Afterwards::Nothing };
        let ran = self.run_callback_statements(id, &mut statements, afterwards).await;
        if matches!(ran, Ok(true)) {
            return self.session.commit().await.map_err(Failure::database("commit what a callback did"));
        }
        // A connection that is gone has rolled back by itself; without a transaction there is nothing to roll back.
        if (mode != RunMode::StatementByStatement)
            && let Err(error) = self.session.rollback().await
        {
            tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
        }
        ran.map(drop).map_err(|interruption| self.callback_failure(event, id, mode, interruption))
    }

    fn mode_of_callback(&mut self, id: ScriptId) -> Result<RunMode, Failure> {
        let facts = self.facts_of(id)?;
        let script = self.set.script(id);
        plan::decide_run(&facts, &script.conf, &self.settings.migration)
            .map_err(|refusal| Failure::Refused(vec![*refusal.in_script(script)]))
    }

    /// The statements of a callback, which has no callbacks. Tells whether a transaction that is ours to end is open after
    /// them.
    async fn run_callback_statements(
        &mut self,
        id: ScriptId,
        statements: &mut Statements,
        afterwards: Afterwards,
    ) -> Result<bool, Interruption> {
        let wraps = afterwards != Afterwards::Nothing;
        let mut course = Course::begun(wraps);
        while let Some(part) = statements.next_statement()? {
            if wraps && course.lacks_transaction() {
                self.begin_anew(afterwards).await?;
                course.open = true;
            }
            self.run_part(id, &part, statements).await?;
            course.pass(&part, self.session.in_transaction());
        }
        Ok(wraps && course.open)
    }

    async fn begin_anew(&mut self, afterwards: Afterwards) -> Result<(), Interruption> {
        let begun = match afterwards {
            Afterwards::AnewWithoutMark => self.session.query("BEGIN").await.map(drop),
            Afterwards::Anew | Afterwards::Nothing => self.session.begin().await.map(drop),
        };
        let failed = Failure::database("begin a transaction");
        begun.map_err(|error| Interruption::Ours(failed(error)))
    }

    fn callback_failure(
        &self,
        event: Event,
        id: ScriptId,
        mode: RunMode,
        interruption: Interruption,
    ) -> Failure {
        let kept = if mode == RunMode::InTransaction { Kept::Nothing } else { Kept::ItsOwn };
        let failed = match Self::statement_of(interruption) {
            Ok(failed) => failed,
            Err(failure) => return failure,
        };
        match self.script_failure(id, mode, failed, kept) {
            Failure::Script(failure) => Failure::Callback { event, failure },
            other => other,
        }
    }

    fn say_callback(&self, event: Event, id: ScriptId) {
        let script = self.set.script(id);
        self.reporter
            .line(Level::Info, report::Event::CallbackStarted)
            .database(&self.settings.name)
            .script(&script.script)
            .with("callback", event.as_str())
            .with("description", &script.name.description)
            .say(&format!("running the callback {}", script.script));
    }
}
