//! The plan of `migrate`: from the history, the scripts and what an earlier run left, to what is run next.

use whimbrel_database::Progress;
use whimbrel_migration::history::{History, HistoryRow};
use whimbrel_migration::name::ScriptKind;
use whimbrel_migration::plan::{self, MigratePlan};
use whimbrel_migration::state::{Overview, State};
use whimbrel_migration::version::Version;

use super::Engine;
use super::migrate::Course;
use crate::failure::Failure;
use crate::report::{Event, Level};
use crate::set::SetError;

impl Engine<'_> {
    /// Plans from these rows; a plan that may not be carried out is a failure.
    pub(super) async fn plan(&mut self, rows: Vec<HistoryRow>) -> Result<Course, Failure> {
        let course = self.course(rows).await?;
        self.allowed(course)
    }

    /// Plans from these rows, whatever speaks against the plan.
    pub(super) async fn course(&mut self, rows: Vec<HistoryRow>) -> Result<Course, Failure> {
        let last_rank = rows.iter().map(|row| row.installed_rank).max().unwrap_or(0);
        let mut resumes = self.resumable(&rows).await?;
        // The failed row that may be taken up again is the last one, and no obstacle.
        let others = rows[..rows.len() - usize::from(resumes.is_some())].to_vec();
        let mut history = self.compared(others)?;
        let mut plan = self.plan_from(&history)?;
        if plan.is_allowed() && resumes.as_ref().is_some_and(|progress| !self.takes_up(&plan, progress)) {
            resumes = None;
            history = self.compared(rows)?;
            plan = self.plan_from(&history)?;
        }
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

    pub(super) fn tell_validated(&self, overview: &Overview<'_>) {
        if self.settings.migration.validate_on_migrate {
            let line = self.reporter.line(Level::Info, Event::Validated);
            line.with("validated", overview.rows().len()).tell();
        }
    }

    pub(super) fn allowed(&mut self, course: Course) -> Result<Course, Failure> {
        if course.plan.is_allowed() { Ok(course) } else { Err(self.refuse(course.plan)) }
    }

    pub(super) fn refuse(&mut self, plan: MigratePlan) -> Failure {
        self.before.clone_from(&plan.before);
        self.version = plan.before;
        Failure::Refused(plan.refusals)
    }

    fn plan_from(&mut self, history: &History) -> Result<MigratePlan, SetError> {
        let mut settings = self.settings.migration.clone();
        let named = &self.common.request.out_of_order;
        settings.out_of_order |= !named.is_empty();
        let (set, facts) = (&self.set, &mut self.facts);
        let facts_of = |id, _: &_| facts.of(set, settings.dialect, id).map(|(facts, _)| facts.clone());
        let mut plan = plan::plan_migrate(set.scripts(), history, &settings, facts_of)?;
        if plan.invalid {
            let overview = Overview::build(set.scripts(), history, &settings)?;
            plan.refusals = self.explained(&overview, plan.refusals);
        }
        let named = &self.common.request.out_of_order;
        if !self.settings.migration.out_of_order && !named.is_empty() {
            plan.keep_only_named(set.scripts(), named, &settings.ignore_patterns);
        }
        Ok(plan)
    }

    /// Whether this plan, from a history without its row, comes to the script that failed. A lower version before it would
    /// be out of order, and a baseline script belongs to a history without versions.
    fn takes_up(&self, plan: &MigratePlan, progress: &Progress) -> bool {
        for (before, step) in plan.steps.iter().enumerate() {
            let script = self.set.script(step.id);
            if script.stored_script() == progress.script {
                return before == 0 || script.version().is_none() || self.settings.migration.out_of_order;
            }
            if script.name.kind == ScriptKind::Baseline {
                return false;
            }
        }
        false
    }

    /// How far a script came whose row is the last one and failed, if we may take it up again: its progress stands and
    /// the script is unchanged.
    async fn resumable(&mut self, rows: &[HistoryRow]) -> Result<Option<Progress>, Failure> {
        let last = rows.last().filter(|row| !row.success && row.installed_rank >= 0);
        // What failed halfway is not done by a row that says so.
        let Some(failed) = last.filter(|_| !self.settings.migration.skip_executing) else { return Ok(None) };
        let progress = self.session.read_progress(&self.table, &failed.script).await;
        let progress = progress.map_err(Failure::database("read the progress of a failed script"))?;
        Ok(progress.filter(|progress| {
            let unchanged = self.set.scripts().iter().any(|script| {
                script.stored_script() == failed.script && script.checksum() == progress.checksum
            });
            progress.failed && progress.installed_rank == failed.installed_rank && unchanged
        }))
    }
}
