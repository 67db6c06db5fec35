//! `undo`: one applied version after the other, each with the row that takes it out of the history.

use std::time::Instant;

use serde::Serialize;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, NewRow, RowType};
use whimbrel_migration::plan::{RunMode, decide_run};
use whimbrel_migration::record::{ScriptOutcome, ScriptRecord};
use whimbrel_migration::undo::{UndoPlan, UndoStep, plan_undo};

use super::running::Work;
use super::transactional::millis;
use super::{Engine, callbacks};
use crate::failure::Failure;
use crate::report::{Event, Level};
use crate::set::ShownSql;

/// One version that is, or would be, taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UndoneVersion {
    /// The version.
    pub version: String,
    /// The description of what was applied.
    pub description: String,
    /// The undo script.
    pub script: String,
    /// How it runs.
    pub run: RunMode,
    /// How many statements it has.
    pub statements: u64,
    /// The SQL as it would be run, without secrets (dry run only).
    pub sql: Option<ShownSql>,
}

/// What `undo` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UndoReport {
    /// The version before.
    pub before: Option<String>,
    /// The version afterwards, or what it would be.
    pub after: Option<String>,
    /// What was taken back, or would be, in this order.
    pub undone: Vec<UndoneVersion>,
}

impl Engine<'_> {
    /// Takes applied versions back.
    pub async fn undo(&mut self) -> Result<UndoReport, Failure> {
        self.around(callbacks::UNDO, async |engine| engine.take_back().await).await
    }

    async fn take_back(&mut self) -> Result<UndoReport, Failure> {
        let (plan, rank) = self.plan_undo().await?;
        let line = self.reporter.line(Level::Info, Event::Planned);
        line.with("before", &plan.before).with("has_rows", rank > 1).tell();
        self.before.clone_from(&plan.before);
        self.version.clone_from(&plan.before);
        self.warn_about(&plan.warnings);
        let mut undone = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            undone.push(self.undone(step)?);
        }
        let before = plan.before.clone();
        if self.common.dry_run {
            self.intend_undo(&plan, &undone, rank)?;
        }
        if self.common.dry_run || plan.steps.is_empty() {
            return Ok(UndoReport { before, after: plan.after, undone });
        }
        self.prepare_to_write().await?;
        for (step, version) in plan.steps.iter().zip(&undone) {
            self.undo_step(step, version.run).await?;
        }
        for version in &mut undone {
            version.sql = None;
        }
        Ok(UndoReport { before, after: self.version.clone(), undone })
    }

    /// One version, again and again as long as it loses a lock.
    async fn undo_step(&mut self, step: &UndoStep, run: RunMode) -> Result<(), Failure> {
        loop {
            self.patience.check()?;
            match self.with_lock(async |engine| engine.undo_locked(step, run).await).await {
                Err(failure) if self.may_try_again(&failure) => self.pause_before_retry(&failure).await?,
                done => return done,
            }
        }
    }

    /// The plan, and the rank of the first row that it appends.
    async fn plan_undo(&mut self) -> Result<(UndoPlan, i32), Failure> {
        let history = self.history().await?.unwrap_or_default();
        let plan = self.undo_plan(&history)?;
        if !plan.refusals.is_empty() {
            return Err(Failure::Refused(plan.refusals));
        }
        Ok((plan, history.next_rank(&RowType::Delete)))
    }

    fn intend_undo(&mut self, plan: &UndoPlan, undone: &[UndoneVersion], first: i32) -> Result<(), Failure> {
        self.intend_session();
        for ((step, undone), rank) in plan.steps.iter().zip(undone).zip(first..) {
            self.intend_part(format!("undo -> v{}", step.version));
            let description = &self.set.script(step.id).name.description;
            let line = self.reporter.line(Level::Info, Event::ScriptStarted).with("version", &step.version);
            line.with("description", description).tell();
            let each = self.each(step.id);
            self.intend_callbacks(each.before)?;
            if let Some(sql) = &undone.sql {
                self.intend_script(step.id, sql.clone());
            }
            self.intend_callbacks(each.after)?;
            self.intend_row(step.id, &NewRow { installed_rank: rank, success: true, ..step.row.clone() });
        }
        Ok(())
    }

    /// How a step would run, found out before anything does.
    fn undone(&mut self, step: &UndoStep) -> Result<UndoneVersion, Failure> {
        let facts = self.facts_of(step.id)?;
        let script = self.set.script(step.id);
        let run = decide_run(&facts, &script.conf, &self.settings.migration)
            .map_err(|refusal| Failure::Refused(vec![*refusal.in_script(script)]))?;
        let sql = if self.common.dry_run { Some(self.shown_sql(step.id)?) } else { None };
        Ok(UndoneVersion {
            version: step.version.clone(),
            description: step.row.description.clone(),
            script: self.set.script(step.id).script.clone(),
            run,
            statements: facts.statements,
            sql,
        })
    }

    /// Under the lock: only if the plan, made anew, still begins with this step.
    async fn undo_locked(&mut self, expected: &UndoStep, run: RunMode) -> Result<(), Failure> {
        let history = self.history().await?.unwrap_or_default();
        let now = self.undo_plan(&history)?;
        if now.steps.first().map(|step| step.undoes) != Some(expected.undoes) {
            return Err(super::stamp::moved("undo").into());
        }
        let rank = history.next_rank(&RowType::Delete);
        let row = NewRow { installed_rank: rank, success: true, ..expected.row.clone() };
        self.undo_script(expected, row, run).await?;
        let history = self.history().await?.unwrap_or_default();
        self.version = self.undo_plan(&history)?.before;
        Ok(())
    }

    fn undo_plan(&self, history: &History) -> Result<UndoPlan, Finding> {
        let target = &self.common.request.undo_target;
        plan_undo(self.set.scripts(), history, &self.settings.migration, target)
    }

    async fn undo_script(&mut self, step: &UndoStep, row: NewRow, run: RunMode) -> Result<(), Failure> {
        let script = self.set.script(step.id);
        let (path, description) = (script.script.clone(), script.name.description.clone());
        let started = Instant::now();
        let rank = row.installed_rank;
        let ran = self.run_script(&Work::undo(step.id, run, row), None).await;
        let millis = *ran.as_ref().unwrap_or(&millis(started));
        let record = |outcome| ScriptRecord {
            script: path.clone(),
            version: Some(step.version.clone()),
            description,
            outcome,
            millis,
        };
        if let Err(failure) = ran {
            if self.may_try_again(&failure) {
                return Err(failure);
            }
            if matches!(failure, Failure::Script(_)) {
                self.ran.push(record(ScriptOutcome::Failed));
            }
            self.say_failed(&path, &failure, millis);
            self.fire_after_script_failure(&failure).await;
            return Err(failure);
        }
        self.attempts = Default::default();
        self.recorded_ranks.push(rank);
        self.ran.push(record(ScriptOutcome::Applied));
        self.reporter
            .line(Level::Info, Event::ScriptApplied)
            .database(&self.settings.name)
            .script(&path)
            .with("version", &step.version)
            .with("millis", millis)
            .say(&format!("version {} is taken back, in {millis} ms", step.version));
        Ok(())
    }
}
