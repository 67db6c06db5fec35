//! A dry run of `migrate`: what would be done, and nothing is written.

use whimbrel_migration::history::{HistoryRow, NewRow};
use whimbrel_migration::name;
use whimbrel_migration::plan::Step;
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::secrets;
use super::migrate::{MigrateReport, PlannedScript};
use crate::failure::Failure;
use crate::risk::ScriptRisk;
use crate::set::{SetError, ShownSql};

impl Engine<'_> {
    /// What would be done; nothing is written, no lock is taken.
    pub(super) async fn dry_run(&mut self, rows: Option<Vec<HistoryRow>>) -> Result<MigrateReport, Failure> {
        let creates_history = rows.is_none();
        if self.settings.migration.validate_on_migrate {
            self.fire(name::Event::AfterValidate).await?;
        }
        self.intend_part("migrate");
        self.fire_create_schema().await?;
        let rows = match rows {
            Some(mut rows) => {
                rows.extend(self.make_late_schemas().await?.map(|row| row.written("", "")));
                rows
            }
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
        let rehearsal =
            if self.common.request.rehearse { Some(Box::pin(self.rehearse(&steps)).await?) } else { None };
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
        self.intend_row(id, &NewRow::of_script(self.set.script(id), rank, 0, true));
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
    pub(super) fn shown_sql(&self, id: ScriptId) -> Result<ShownSql, SetError> {
        self.set.shown(id, secrets(&self.settings).map(str::to_owned).collect())
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
            sql: self.shown_sql(step.id)?,
            risk,
        })
    }
}
