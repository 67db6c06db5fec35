//! `migrate`: one script after the other, each under the lock and only if the history still says so.

use serde::Serialize;
use whimbrel_database::Progress;
use whimbrel_migration::baseline::{FirstContact, decide_first_contact};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, HistoryRow, NewRow, RowType};
use whimbrel_migration::name;
use whimbrel_migration::plan::{self, MigratePlan, RunMode, Step};
use whimbrel_migration::record::{ScriptOutcome, ScriptRecord};
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::sql;
use whimbrel_migration::state::{Overview, State};
use whimbrel_migration::version::Version;

use super::failing::shown;
use super::running::Work;
use super::{Engine, Rehearsal, ScriptRisk};
use crate::failure::Failure;
use crate::report::{Event, Level, Line};
use crate::set::SetError;

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
    pub sql: String,
    /// What it does to others, as far as the kinds of its statements tell.
    pub risk: Option<ScriptRisk>,
}

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

/// A plan that is being carried out.
pub(super) struct Course {
    pub(super) plan: MigratePlan,
    /// The next of its steps.
    next: usize,
    /// The rank of the last row that it knows.
    pub(super) last_rank: i32,
    /// The rank of the failed row that the first step takes up again.
    resumes: Option<Progress>,
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
            if course.plan.invalid {
                let failure = self.refuse(course.plan);
                self.fire_after_failure(name::Event::AfterValidateError, &failure).await;
                return Err(failure);
            }
            ahead = Some(course);
        } else if self.reporter.is_listened() && self.has_schema().await? {
            // Where nothing was applied yet there is nothing that could disagree.
            let history = History::default();
            if let Ok(overview) = Overview::build(self.set.scripts(), &history, &self.settings.migration) {
                self.tell_validated(&overview);
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
            if course.plan.steps.is_empty() {
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
        if self.set.has_callbacks() && !history_exists {
            self.with_lock(async |engine| match engine.rows().await? {
                None => engine.begin_history().await,
                Some(_) => Ok(()),
            })
            .await?;
        }
        self.fire(name::Event::BeforeMigrate).await
    }

    /// Makes the history; a baseline row counts as what was there.
    async fn begin_history(&mut self) -> Result<(), Failure> {
        let rows = self.make_history().await?;
        self.before = self.course(rows).await?.plan.before;
        Ok(())
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
        loop {
            self.patience.check()?;
            // The first look reads all rows, under the lock too; later ones only whether there are new ones.
            let known = course.as_ref().map(|course: &Course| course.last_rank);
            let still_holds = self.lock_and_read(known).await?.is_empty() && known.is_some();
            let done = self.next_script(&mut course, still_holds).await;
            match done {
                Ok(true) => self.unlock_between_scripts().await?,
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
                }
            }
        }
        if self.repeatables_begun { Ok(()) } else { self.fire(name::Event::AfterVersioned).await }
    }

    /// Whether this is the first repeatable script: the events between it and the versioned ones are due.
    pub(super) fn turns_to_repeatables(&mut self, id: ScriptId) -> bool {
        let turns = !self.repeatables_begun && self.set.script(id).version().is_none();
        self.repeatables_begun |= turns;
        turns
    }

    pub(super) async fn has_schema(&mut self) -> Result<bool, Failure> {
        let there = self.session.schema_exists(&self.table.schema).await;
        there.map_err(Failure::database("look at the schema"))
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
            self.run_step(&step, rank, resumes).await?;
        }
        self.recorded_ranks.push(rank);
        course.next += 1;
        course.last_rank = course.last_rank.max(rank);
        Ok(course.next < course.plan.steps.len())
    }

    async fn run_step(&mut self, step: &Step, rank: i32, resumes: Option<Progress>) -> Result<(), Failure> {
        let started = std::time::Instant::now();
        let row = NewRow::of_script(self.set.script(step.id), rank, 0, true);
        let ran = self.run_script(&Work::step(step, row), resumes).await;
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

    pub(super) fn record_of(&self, id: ScriptId, outcome: ScriptOutcome, millis: u64) -> ScriptRecord {
        let script = self.set.script(id);
        ScriptRecord {
            script: script.script.clone(),
            version: script.version().map(|version| version.as_str().to_owned()),
            description: script.name.description.clone(),
            outcome,
            millis,
        }
    }

    /// Says that a script begins.
    pub(super) fn say_started(&self, step: &Step) {
        let script = self.set.script(step.id);
        self.started(step).say(&format!("applying {}", script.script));
    }

    fn started(&self, step: &Step) -> Line<'_> {
        let script = self.set.script(step.id);
        self.reporter
            .line(Level::Info, Event::ScriptStarted)
            .database(&self.settings.name)
            .script(&script.script)
            .with("version", script.version().map(Version::as_str))
            .with("description", &script.name.description)
            .with("statements", step.statements)
            .with("run_mode", step.run)
            .with("out_of_order", step.out_of_order)
    }

    /// A script and its row are there: says so, and keeps it in mind.
    pub(super) fn note_applied(&mut self, id: ScriptId, record: ScriptRecord) {
        let version = self.set.script(id).version().cloned();
        self.raise_version(version.as_ref());
        self.reporter
            .line(Level::Info, Event::ScriptApplied)
            .database(&self.settings.name)
            .script(&record.script)
            .with("version", &record.version)
            .with("millis", record.millis)
            .say(&format!("applied {} in {} ms", record.script, record.millis));
        self.ran.push(record);
    }

    /// A script failed: says so, and keeps it in mind.
    pub(super) fn note_failed(&mut self, id: ScriptId, failure: &Failure, millis: u64) {
        if matches!(failure, Failure::Script(_)) {
            let record = self.record_of(id, ScriptOutcome::Failed, millis);
            self.say_failed(&record.script, failure, millis);
            self.ran.push(record);
        }
    }

    pub(super) fn say_failed(&self, path: &str, failure: &Failure, millis: u64) {
        let Failure::Script(script) = failure else { return };
        let server = script.error.server();
        self.reporter
            .line(Level::Error, Event::ScriptFailed)
            .database(&self.settings.name)
            .script(path)
            .with("version", &script.version)
            .with("file", script.path.display().to_string())
            .with("line", script.line)
            .with("column", script.column)
            .with("sqlstate", server.map(|error| error.sqlstate.as_str()))
            .with("error", server.map(|error| crate::failure::redacted(&error.message)))
            .with("kept", script.kept_in_words())
            .with("millis", millis)
            .say(&format!("{path} failed at {}", script.place()));
    }

    fn raise_version(&mut self, version: Option<&Version>) {
        let Some(version) = version else { return };
        let current = self.version.as_deref().and_then(|text| Version::parse(text).ok());
        if current.is_none_or(|current| *version > current) {
            self.version = Some(version.as_str().to_owned());
        }
    }

    /// Plans from these rows; a plan that may not be carried out is a failure.
    async fn plan(&mut self, rows: Vec<HistoryRow>) -> Result<Course, Failure> {
        let course = self.course(rows).await?;
        self.allowed(course)
    }

    /// Plans from these rows, whatever speaks against the plan.
    async fn course(&mut self, rows: Vec<HistoryRow>) -> Result<Course, Failure> {
        let (rows, resumes) = self.set_aside_resumable(rows).await?;
        let last_rank = rows.iter().map(|row| row.installed_rank).max();
        let last_rank = last_rank.max(resumes.as_ref().map(|progress| progress.installed_rank)).unwrap_or(0);
        let history = History::read(rows)?;
        let plan = self.plan_from(&history)?;
        if self.reporter.is_listened() && !plan.invalid {
            self.tell_plan(&plan, &history);
        }
        if plan.is_allowed() {
            let ids: Vec<_> = plan.steps.iter().map(|step| step.id).collect();
            self.refuse_risks(&ids).await?;
        }
        Ok(Course { plan, next: 0, last_rank, resumes })
    }

    /// What was compared and where the database is, for those who show the lines. A set that cannot be brought together
    /// is told by its failure.
    fn tell_plan(&self, plan: &MigratePlan, history: &History) {
        let Ok(overview) = Overview::build(self.set.scripts(), history, &self.settings.migration) else {
            return;
        };
        self.tell_validated(&overview);
        let rows = || overview.rows().iter();
        let future = rows().filter(|row| matches!(row.state, State::Future | State::FutureFailed)).count();
        let failed = rows().find(|row| row.state == State::FutureFailed).and_then(|row| row.version);
        let latest = rows().filter(|row| row.script.is_some()).filter_map(|row| row.version).max();
        let has_rows = rows().any(|row| row.applied.is_some() && row.state != State::Deleted);
        self.reporter
            .line(Level::Info, Event::Planned)
            .with("before", &plan.before)
            .with("has_rows", has_rows)
            .with("future", future > 0)
            .with("failed_future", failed.filter(|_| plan.is_allowed()).map(Version::as_str))
            .with("latest", latest.map(Version::as_str))
            .with("set_empty", self.set.scripts().is_empty())
            .tell();
    }

    fn tell_validated(&self, overview: &Overview<'_>) {
        if self.settings.migration.validate_on_migrate {
            let line = self.reporter.line(Level::Info, Event::Validated);
            line.with("validated", overview.rows().len()).tell();
        }
    }

    fn allowed(&mut self, course: Course) -> Result<Course, Failure> {
        if course.plan.is_allowed() { Ok(course) } else { Err(self.refuse(course.plan)) }
    }

    fn refuse(&mut self, plan: MigratePlan) -> Failure {
        self.before.clone_from(&plan.before);
        self.version = plan.before;
        Failure::Refused(plan.refusals)
    }

    fn plan_from(&mut self, history: &History) -> Result<MigratePlan, SetError> {
        let mut settings = self.settings.migration.clone();
        let named = &self.common.request.out_of_order;
        settings.out_of_order |= !named.is_empty();
        // The plan asks for facts while it borrows the scripts; both belong to us.
        let scripts = self.set.scripts().to_vec();
        let mut plan = plan::plan_migrate(&scripts, history, &settings, |script| {
            let index = scripts.iter().position(|other| std::ptr::eq(other, script)).unwrap_or_default();
            self.facts_of(ScriptId(u32::try_from(index).unwrap_or(u32::MAX)))
        })?;
        if plan.invalid {
            let overview = Overview::build(&scripts, history, &settings)?;
            plan.refusals = self.explained(&overview, plan.refusals);
        }
        let named = &self.common.request.out_of_order;
        if !self.settings.migration.out_of_order && !named.is_empty() {
            plan.keep_only_named(&scripts, named, &settings.ignore_patterns);
        }
        Ok(plan)
    }

    /// A failed row that we may take up again is no obstacle: its progress stands and its script is unchanged.
    async fn set_aside_resumable(
        &mut self,
        mut rows: Vec<HistoryRow>,
    ) -> Result<(Vec<HistoryRow>, Option<Progress>), Failure> {
        let Some(failed) = rows.last().filter(|row| !row.success && row.installed_rank >= 0).cloned() else {
            return Ok((rows, None));
        };
        let progress = self.session.read_progress(&self.table, &failed.script).await;
        let progress = progress.map_err(Failure::database("read the progress of a failed script"))?;
        let resumable = progress.filter(|progress| {
            let unchanged = self.set.scripts().iter().any(|script| {
                script.stored_script() == failed.script && script.checksum() == progress.checksum
            });
            progress.failed && progress.installed_rank == failed.installed_rank && unchanged
        });
        if resumable.is_some() {
            rows.pop();
        }
        Ok((rows, resumable))
    }

    /// There is no history table yet: makes it, if what else is in the schema allows it. Under the lock.
    async fn make_history(&mut self) -> Result<Vec<HistoryRow>, Failure> {
        // A set that cannot be brought together at all must not leave an empty table behind.
        Overview::build(self.set.scripts(), &History::default(), &self.settings.migration)?;
        let contact = self.first_contact().await?;
        let (missing, baseline) = match contact {
            (missing, FirstContact::CreateTable) => (missing, None),
            (missing, FirstContact::CreateWithBaseline(row)) => (missing, Some(row)),
            (_, FirstContact::Refuse(finding)) => return Err((*finding).into()),
        };
        if baseline.is_some() {
            self.fire(name::Event::BeforeBaseline).await?;
        }
        let written = self.create_history(&missing, baseline.as_deref()).await?;
        if baseline.is_some() {
            self.fire(name::Event::AfterBaseline).await?;
        }
        if self.common.dry_run {
            return Ok(written.iter().map(as_row).collect());
        }
        Ok(self.rows().await?.unwrap_or_default())
    }

    /// The schemas that are missing, and what to do about the missing table.
    async fn first_contact(&mut self) -> Result<(Vec<String>, FirstContact), Failure> {
        let look = "look at the schema";
        let schemas = std::iter::once(&self.table.schema).chain(&self.settings.more_schemas);
        let (mut missing, mut non_empty) = (Vec::new(), Vec::new());
        for schema in schemas {
            if !self.session.schema_exists(schema).await.map_err(Failure::database(look))? {
                missing.push(schema.clone());
            } else if !self.session.schema_is_empty(schema).await.map_err(Failure::database(look))? {
                non_empty.push(schema.clone());
            }
        }
        if !missing.is_empty() && !self.settings.create_schemas {
            let finding =
                Finding::error("no-schema", format!("schema {} does not exist", missing.join(", ")));
            return Err(finding.next_step("create it, or allow that it is made").into());
        }
        if !missing.is_empty() {
            // The table is made along with the schema: what is in other schemas does not count any more.
            non_empty.clear();
        }
        Ok((missing, decide_first_contact(&non_empty, &self.settings.migration)))
    }

    /// Missing schemas, the table, a baseline row and the row about the schemas, in one transaction; the rows.
    pub(super) async fn create_history(
        &mut self,
        missing: &[String],
        baseline: Option<&NewRow>,
    ) -> Result<Vec<NewRow>, Failure> {
        let dialect = self.table.dialect;
        let mut statements: Vec<String> =
            missing.iter().filter_map(|schema| sql::create_schema(dialect, schema)).collect();
        let (tablespace, by) = (self.settings.tablespace.as_deref(), self.settings.installed_by.as_deref());
        statements.extend(sql::create_history_table(&self.table, tablespace, baseline.map(|row| (row, by))));
        let mut rows: Vec<NewRow> = baseline.cloned().into_iter().collect();
        if !missing.is_empty() {
            let rank = if baseline.is_some() { 2 } else { History::default().next_rank(&RowType::Schema) };
            let row = NewRow::schemas(dialect, missing, rank);
            statements.push(sql::insert_row(&self.table, &row, by));
            rows.push(row);
        }
        if !self.common.dry_run {
            self.say_making(missing, baseline.is_some());
        }
        self.execute("make the schema history table", statements).await?;
        Ok(rows)
    }

    fn say_making(&self, missing: &[String], with_baseline: bool) {
        for schema in missing {
            self.reporter
                .line(Level::Info, Event::Notice)
                .database(&self.settings.name)
                .with("makes_schema", sql::quote_identifier(self.table.dialect, schema))
                .say(&format!("making schema {schema}"));
        }
        self.reporter
            .line(Level::Info, Event::Notice)
            .database(&self.settings.name)
            .with("makes_table", self.table.quoted())
            .with("with_baseline", with_baseline)
            .say(&format!("making the history table {}", self.table.quoted()));
    }

    /// What would be done; nothing is written, no lock is taken.
    async fn dry_run(&mut self, rows: Option<Vec<HistoryRow>>) -> Result<MigrateReport, Failure> {
        let creates_history = rows.is_none();
        if self.settings.migration.validate_on_migrate {
            self.fire(name::Event::AfterValidate).await?;
        }
        self.intend_part("migrate");
        self.fire_create_schema().await?;
        let rows = match rows {
            Some(rows) => rows,
            None => self.make_history().await?,
        };
        self.intend_session();
        self.fire(name::Event::BeforeMigrate).await?;
        let course = self.plan(rows).await?;
        self.warn_about(&course.plan.warnings);
        self.version.clone_from(&course.plan.before);
        let ids: Vec<_> = course.plan.steps.iter().map(|step| step.id).collect();
        let mut risks = self.risks_of(&ids).await?.into_iter();
        let mut planned = Vec::with_capacity(ids.len());
        let mut rank = course.last_rank;
        for step in &course.plan.steps {
            let script = self.planned(step, risks.next())?;
            rank = rank.wrapping_add(1);
            self.intend_step(step, &script, rank, course.plan.skip_executing).await?;
            planned.push(script);
        }
        self.intend_end(!planned.is_empty()).await?;
        let steps = course.plan.steps;
        let rehearsal = if self.common.request.rehearse { Some(self.rehearse(&steps).await?) } else { None };
        let before = course.plan.before;
        Ok(MigrateReport { after: before.clone(), before, planned, creates_history, rehearsal })
    }

    async fn intend_step(
        &mut self,
        step: &Step,
        script: &PlannedScript,
        rank: i32,
        is_skipped: bool,
    ) -> Result<(), Failure> {
        let id = step.id;
        if self.turns_to_repeatables(id) {
            self.fire(name::Event::AfterVersioned).await?;
            self.fire(name::Event::BeforeRepeatables).await?;
        }
        self.intend_part(match &script.version {
            Some(version) => format!("migrate -> v{version}"),
            None => format!("migrate -> {}", script.description),
        });
        self.started(step).tell();
        if !is_skipped {
            self.fire(name::Event::BeforeEachMigrate).await?;
            self.intend_script(id, script.sql.clone());
            self.fire(name::Event::AfterEachMigrate).await?;
        }
        self.intend_row(&NewRow::of_script(self.set.script(id), rank, 0, true));
        Ok(())
    }

    async fn intend_end(&mut self, has_applied: bool) -> Result<(), Failure> {
        if !self.repeatables_begun {
            self.fire(name::Event::AfterVersioned).await?;
        }
        if has_applied {
            self.fire(name::Event::AfterMigrateApplied).await?;
        }
        self.fire(name::Event::AfterMigrate).await?;
        self.fire(name::Event::AfterMigrateOperationFinish).await
    }

    /// The SQL of a script after its placeholders were replaced, without what is secret.
    pub(super) fn shown_text(&self, id: ScriptId) -> Result<String, SetError> {
        Ok(shown(&self.set.text(id)?, &self.settings))
    }

    fn planned(&self, step: &Step, risk: Option<ScriptRisk>) -> Result<PlannedScript, Failure> {
        let script = self.set.script(step.id);
        Ok(PlannedScript {
            script: script.script.clone(),
            version: script.version().map(|version| version.as_str().to_owned()),
            description: script.name.description.clone(),
            run: step.run,
            statements: step.statements,
            implicit_commits: step.implicit_commits,
            out_of_order: step.out_of_order,
            sql: self.shown_text(step.id)?,
            risk,
        })
    }
}

/// A row that would be written, as if it had been.
fn as_row(row: &NewRow) -> HistoryRow {
    HistoryRow {
        installed_rank: row.installed_rank,
        version: row.version.clone(),
        description: row.description.clone(),
        row_type: row.row_type.clone(),
        script: row.script.clone(),
        checksum: row.checksum,
        installed_by: String::new(),
        installed_on: String::new(),
        execution_time: row.execution_time,
        success: row.success,
    }
}
