//! `migrate`: one script after the other, each under the lock and only if the history still says so.

use serde::Serialize;
use whimbrel_database::Progress;
use whimbrel_migration::history::{History, NewRow};
use whimbrel_migration::name;
use whimbrel_migration::plan::{MigratePlan, RunMode, Step};
use whimbrel_migration::record::ScriptOutcome;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::state::Overview;

use super::running::Work;
use super::{Engine, Rehearsal};
use crate::failure::Failure;
use crate::risk::ScriptRisk;
use crate::set::ShownSql;

/// What `migrate` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MigrateReport {
    /// The version before.
    pub before: Option<String>,
    /// The version afterwards, or now.
    pub after: Option<String>,
    /// What would run (dry run only).
    pub planned: Vec<PlannedScript>,
    /// Whether the history table would be made (dry run only).
    pub creates_history: bool,
    /// What a run that was rolled back came to (`--dry-run=rollback` only).
    pub rehearsal: Option<Rehearsal>,
}

/// A script that would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedScript {
    /// Its path.
    pub script: String,
    /// Its version.
    pub version: Option<String>,
    /// Its description.
    pub description: String,
    /// How it runs.
    pub run: RunMode,
    /// How many statements it has.
    pub statements: u64,
    /// Whether some of them commit what came before (DDL of MySQL): then not all of it can be rolled back.
    pub implicit_commits: bool,
    /// Whether its version is below the database's.
    pub out_of_order: bool,
    /// The SQL as it would be run, without secrets.
    pub sql: ShownSql,
    /// What it does to others, as far as the kinds of its statements tell.
    pub risk: Option<ScriptRisk>,
}

/// A plan that is being carried out.
pub(super) struct Course {
    pub(super) plan: MigratePlan,
    /// The next of its steps.
    pub(super) next: usize,
    /// The rank of the last row that it knows.
    pub(super) last_rank: i32,
    /// The rank of the failed row that the first step takes up again.
    pub(super) resumes: Option<Progress>,
}

impl Engine<'_> {
    /// Applies everything that is pending.
    pub async fn migrate(&mut self) -> Result<MigrateReport, Failure> {
        let validates = self.settings.migration.validate_on_migrate;
        if validates {
            self.intend_part("validate");
            self.fire(name::Event::BeforeValidate).await?;
        }
        let rows = self.rows().await?;
        if self.common.dry_run {
            return self.dry_run(rows).await;
        }
        let exists = rows.is_some();
        let mut ahead: Option<Course> = None;
        if let Some(rows) = rows {
            let course = self.course(rows).await?;
            if course.plan.contradictory && validates {
                return Err(self.refuse(course.plan));
            }
            if course.plan.invalid {
                let failure = self.refuse(course.plan);
                self.fire_after_failure(name::Event::AfterValidateError, &failure).await;
                return Err(failure);
            }
            ahead = Some(course);
        } else {
            let is_told = self.reporter.is_listened() && self.has_schema().await?;
            // Where nothing was applied yet there is nothing that could disagree, but the scripts with each other.
            let history = History::default();
            match Overview::build(self.set.scripts(), &history, &self.settings.migration) {
                Ok(overview) if is_told => self.tell_validated(&overview),
                Err(finding) if validates => return Err(finding.into()),
                Ok(_) | Err(_) => {}
            }
        }
        if validates {
            self.fire(name::Event::AfterValidate).await?;
        }
        if !self.set.has_callbacks()
            && let Some(course) = ahead
        {
            // What is certain without the lock needs no lock: that nothing is to do, and that there is an obstacle.
            let course = self.allowed(course)?;
            self.version.clone_from(&course.plan.before);
            self.before.clone_from(&course.plan.before);
            self.warn_about(&course.plan.warnings);
            if course.plan.steps.is_empty() && !self.has_late_schemas().await? {
                return Ok(self.migrated());
            }
        } else if let Some(course) = ahead {
            self.before.clone_from(&course.plan.before);
            self.warn_about(&course.plan.warnings);
        }
        self.prepare_to_write().await?;
        self.before_migrate(exists).await?;
        if let Err(failure) = self.apply_all().await {
            self.fire_after_failure(name::Event::AfterMigrateError, &failure).await;
            return Err(failure);
        }
        if !self.ran.is_empty() {
            self.fire(name::Event::AfterMigrateApplied).await?;
        }
        self.fire(name::Event::AfterMigrate).await?;
        self.fire(name::Event::AfterMigrateOperationFinish).await?;
        Ok(self.migrated())
    }

    /// What comes before the first script where there are callbacks: they find schemas and history table made.
    async fn before_migrate(&mut self, history_exists: bool) -> Result<(), Failure> {
        self.fire_create_schema().await?;
        if history_exists {
            self.make_late_schemas().await?;
        }
        if self.set.has_callbacks() && !history_exists {
            self.with_lock(async |engine| match engine.rows().await? {
                None => engine.begin_history().await,
                Some(_) => Ok(()),
            })
            .await?;
        }
        self.fire(name::Event::BeforeMigrate).await
    }

    /// These events come whether or not a schema is missing.
    pub(super) async fn fire_create_schema(&mut self) -> Result<(), Failure> {
        if self.settings.create_schemas {
            self.fire(name::Event::CreateSchema).await?;
            self.fire(name::Event::BeforeCreateSchema).await?;
        }
        Ok(())
    }

    /// Applies what is pending, one script after the other, each under the lock.
    async fn apply_all(&mut self) -> Result<(), Failure> {
        let mut course: Option<Course> = None;
        self.patience.check()?;
        let mut news = self.lock_and_read(None).await?;
        loop {
            // The first look reads all rows, under the lock too; later ones only whether there are new ones.
            let still_holds = course.is_some() && news.is_empty();
            let done = self.next_script(&mut course, still_holds).await;
            let known = course.as_ref().map(|course| course.last_rank);
            news = match done {
                Ok(true) => self.relock_and_read(known).await?,
                Ok(false) => {
                    self.unlock().await?;
                    break;
                }
                Err(failure) => {
                    self.unlock_quietly().await;
                    if !self.may_try_again(&failure) {
                        return Err(failure);
                    }
                    self.pause_before_retry(&failure).await?;
                    self.patience.check()?;
                    self.lock_and_read(known).await?
                }
            };
        }
        if self.repeatables_begun { Ok(()) } else { self.fire(name::Event::AfterVersioned).await }
    }

    /// Whether this is the first repeatable script: the events between it and the versioned ones are due.
    pub(super) fn turns_to_repeatables(&mut self, id: ScriptId) -> bool {
        let turns = !self.repeatables_begun && self.set.script(id).version().is_none();
        self.repeatables_begun |= turns;
        turns
    }

    fn migrated(&self) -> MigrateReport {
        MigrateReport { before: self.before.clone(), after: self.version.clone(), ..MigrateReport::default() }
    }

    /// Under the lock: plans anew unless the course still holds, and runs the next script, if there is one.
    async fn next_script(&mut self, course: &mut Option<Course>, still_holds: bool) -> Result<bool, Failure> {
        if !still_holds {
            let (rows, is_new) = match self.rows().await? {
                Some(rows) => (rows, false),
                None => (self.make_history().await?, true),
            };
            let planned = self.plan(rows).await?;
            if is_new {
                // A baseline row counts as what was there.
                self.before.clone_from(&planned.plan.before);
            }
            self.version.clone_from(&planned.plan.before);
            *course = Some(planned);
        }
        let Some(course) = course else { return Ok(false) };
        if self.is_one_transaction(course) {
            self.run_group(course).await?;
            return Ok(false);
        }
        let Some(step) = course.plan.steps.get(course.next).cloned() else { return Ok(false) };
        let resumes = course.resumes.take_if(|progress| progress.script == self.set.script(step.id).script);
        let rank =
            resumes.as_ref().map_or(course.last_rank.wrapping_add(1), |progress| progress.installed_rank);
        if self.turns_to_repeatables(step.id) {
            self.fire(name::Event::AfterVersioned).await?;
            self.fire(name::Event::BeforeRepeatables).await?;
        }
        if course.plan.skip_executing {
            self.skip_step(&step, rank).await?;
        } else {
            let next = course.plan.steps.get(course.next + 1).map(|step| step.id);
            self.run_step(&step, rank, resumes, next).await?;
        }
        self.recorded_ranks.push(rank);
        course.next += 1;
        course.last_rank = course.last_rank.max(rank);
        Ok(course.next < course.plan.steps.len())
    }

    async fn run_step(
        &mut self,
        step: &Step,
        rank: i32,
        resumes: Option<Progress>,
        next: Option<ScriptId>,
    ) -> Result<(), Failure> {
        let started = std::time::Instant::now();
        let row = NewRow::of_script(self.set.script(step.id), rank, 0, true);
        let ran = self.run_script(&Work::step(step, row, next), resumes).await;
        let millis = *ran.as_ref().unwrap_or(&super::transactional::millis(started));
        if let Err(failure) = ran {
            if self.may_try_again(&failure) {
                return Err(failure);
            }
            self.note_failed(step.id, &failure, millis);
            self.fire_after_script_failure(&failure).await;
            return Err(failure);
        }
        self.attempts = Default::default();
        let record = self.record_of(step.id, ScriptOutcome::Applied, millis);
        self.note_applied(step.id, record);
        Ok(())
    }
}
