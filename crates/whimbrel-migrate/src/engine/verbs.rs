//! The verbs that look at the history or change nothing but it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::Serialize;
use whimbrel_migration::baseline::{BaselineDecision, decide_baseline};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, HistoryRow, RowType};
use whimbrel_migration::name::{Event, ScriptKind};
use whimbrel_migration::repair::{RepairAction, plan_repair};
use whimbrel_migration::script::ResolvedScript;
use whimbrel_migration::settings::{Settings, Target};
use whimbrel_migration::sql;
use whimbrel_migration::state::{Category, Overview, State};
use whimbrel_migration::validate::{Purpose, validate};
use whimbrel_migration::version::Version;

use super::{Engine, ScriptRisk, callbacks};
use crate::failure::Failure;
use crate::report::{self, Level};

/// One line of `info`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InfoRow {
    /// Versioned, Repeatable, Baseline, or nothing for markers.
    pub category: Category,
    /// The version.
    pub version: Option<String>,
    /// The description.
    pub description: String,
    /// The `type` column.
    #[serde(rename = "type")]
    pub row_type: RowType,
    /// Its path.
    pub script: String,
    /// The state.
    pub state: State,
    /// The rank of its row.
    pub installed_rank: Option<i32>,
    /// Who.
    pub installed_by: Option<String>,
    /// When, in the server's words.
    pub installed_on: Option<String>,
    /// Milliseconds.
    pub execution_time: Option<i32>,
    /// The applied checksum, or the file's.
    pub checksum: Option<i32>,
    /// The file, where there is one.
    pub file: Option<String>,
    /// The script that undoes it, where one is known.
    #[serde(skip)]
    pub undo: Option<String>,
    /// How the file differs from what was applied, where the checksums do and the difference is harmless.
    pub difference: Option<String>,
    /// The run that wrote its row.
    pub run: Option<String>,
    /// The digest of the image that it ran from.
    pub image: Option<String>,
    /// Why, where somebody had to say it.
    pub reason: Option<String>,
}

/// What `info` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InfoReport {
    /// The version of the database.
    pub version: Option<String>,
    /// Whether there is a history table.
    pub history_exists: bool,
    /// Whether nothing that Flyway counts is in the schema.
    pub schema_empty: bool,
    /// How many scripts were found.
    #[serde(skip)]
    pub scripts: usize,
    /// Its lines.
    pub migrations: Vec<InfoRow>,
    /// What pending scripts do to others (`--risk` only).
    pub risks: Vec<ScriptRisk>,
}

/// What `validate` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValidateReport {
    /// Every disagreement.
    pub findings: Vec<Finding>,
    /// How many lines were looked at.
    pub validated: usize,
    /// Scripts are pending and their schema does not exist: only migrate can help.
    pub schema_missing: bool,
    /// There is a schema, and no history table in it.
    #[serde(skip)]
    pub history_missing: bool,
}

/// What `repair` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// The changes, in their order.
    pub actions: Vec<RepairAction>,
    /// Whether there was a table at all.
    pub history_exists: bool,
    /// The descriptions of the rows by rank, as they were before.
    #[serde(skip)]
    pub descriptions: BTreeMap<i32, String>,
    /// The files of the rows by rank.
    #[serde(skip)]
    pub files: BTreeMap<i32, PathBuf>,
}

/// What `baseline` did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaselineReport {
    /// The version of the row.
    pub version: String,
    /// Whether the row was there already.
    pub already_there: bool,
    /// Whether its schema had to be made.
    #[serde(skip)]
    pub made_schemas: bool,
}

/// What `clean` did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanReport {
    /// Schemas that were emptied.
    pub cleaned: Vec<String>,
    /// Schemas that a marker said were ours, and that are gone.
    pub dropped: Vec<String>,
    /// Schemas that were not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl Engine<'_> {
    /// Every script and row with its state.
    pub async fn info(&mut self) -> Result<InfoReport, Failure> {
        let report = self.around(callbacks::INFO, async |engine| engine.look().await).await?;
        self.fire(Event::AfterInfoOperationFinish).await?;
        Ok(report)
    }

    async fn look(&mut self) -> Result<InfoReport, Failure> {
        let history = self.history().await?;
        let history_exists = history.is_some();
        let schema_empty = if history_exists {
            false
        } else {
            let empty = self.session.schema_is_empty(&self.table.schema).await;
            empty.map_err(Failure::database("look at the schema"))?
        };
        let history = history.unwrap_or_default();
        let runs = if history_exists { self.runs_by_rank().await? } else { HashMap::new() };
        let overview = Overview::build(self.set.scripts(), &history, &self.settings.migration)?;
        let differences = self.differences(&overview);
        let undo_scripts = self.undo_scripts();
        let run_of = |row: Option<&HistoryRow>| row.and_then(|row| runs.get(&row.installed_rank));
        self.version = overview.current_version().map(|version| version.as_str().to_owned());
        let migrations = overview
            .rows()
            .iter()
            .map(|row| InfoRow {
                category: row.category(),
                version: row.version.map(|version| version.as_str().to_owned()),
                description: row.description().to_owned(),
                row_type: row.row_type(),
                script: row.path().to_owned(),
                state: row.state,
                installed_rank: row.applied.map(|applied| applied.installed_rank),
                installed_by: row.applied.map(|applied| applied.installed_by.clone()),
                installed_on: row.applied.map(|applied| applied.installed_on.clone()),
                execution_time: row.applied.map(|applied| applied.execution_time),
                checksum: row.checksum(),
                file: row.script.map(|(id, _)| self.set.path(id).display().to_string()),
                undo: row.version.and_then(|version| undo_scripts.get(version).cloned()),
                difference: row
                    .script
                    .and_then(|(id, _)| differences.get(&id))
                    .map(|difference| format!("{difference} ({})", difference.slug())),
                run: run_of(row.applied).map(|run| run.run.clone()),
                image: run_of(row.applied).and_then(|run| run.image.clone()),
                reason: run_of(row.applied).and_then(|run| run.reason.clone()),
            })
            .collect();
        let pending: Vec<_> = overview.pending().map(|(id, _)| id).collect();
        let risks = if self.common.request.risk { self.risks_of(&pending).await? } else { Vec::new() };
        Ok(InfoReport {
            version: self.version.clone(),
            history_exists,
            schema_empty,
            scripts: self.set.scripts().len(),
            migrations,
            risks,
        })
    }

    /// The files of undo scripts by their versions.
    fn undo_scripts(&self) -> BTreeMap<Version, String> {
        let all = self.set.scripts().iter().filter(|script| script.name.kind == ScriptKind::Undo);
        let found = all.filter_map(|script| {
            let path = self.set.find(&script.script)?.1.display().to_string();
            Some((script.version()?.clone(), path))
        });
        found.collect()
    }

    /// Compares files and history.
    pub async fn validate(&mut self) -> Result<ValidateReport, Failure> {
        self.fire(Event::BeforeValidate).await?;
        let report = match self.compare().await {
            Ok(report) => report,
            Err(failure) => {
                self.fire_after_failure(Event::AfterValidateError, &failure).await;
                return Err(failure);
            }
        };
        if report.findings.is_empty() && !report.schema_missing {
            self.fire(Event::AfterValidate).await?;
        } else {
            // A validation that finds something is an answer, and yet an error to its callbacks.
            self.fire(Event::AfterValidateError).await?;
        }
        Ok(report)
    }

    async fn compare(&mut self) -> Result<ValidateReport, Failure> {
        let history = self.history().await?;
        let exists = history.is_some();
        let history = history.unwrap_or_default();
        let overview = Overview::build(self.set.scripts(), &history, &self.settings.migration)?;
        self.version = overview.current_version().map(|version| version.as_str().to_owned());
        let findings = self.explained(&overview, validate(&overview, Purpose::Validate));
        let validated = overview.rows().len();
        let has_pending = overview.pending().next().is_some();
        let mut schema_missing = false;
        if !exists && has_pending {
            schema_missing = !self.has_schema().await?;
        }
        let history_missing = !exists && !schema_missing;
        Ok(ValidateReport { findings, validated, schema_missing, history_missing })
    }

    /// Plans `repair` and carries it out, in one transaction, under the lock.
    pub async fn repair(&mut self) -> Result<RepairReport, Failure> {
        self.prepare_to_write().await?;
        self.intend_part("repair");
        self.around(callbacks::REPAIR, async |engine| engine.with_lock(Self::repair_locked).await).await
    }

    async fn repair_locked(&mut self) -> Result<RepairReport, Failure> {
        let Some(history) = self.history().await? else {
            // The scripts are looked at all the same.
            plan_repair(self.set.scripts(), &History::default(), &self.settings.migration)?;
            return Ok(RepairReport::default());
        };
        let actions = plan_repair(self.set.scripts(), &history, &self.settings.migration)?;
        let descriptions = descriptions(&history);
        if !actions.is_empty() {
            let statements: Vec<String> =
                actions.iter().map(|action| self.repair_statement(action)).collect();
            self.execute("repair the schema history", statements).await?;
            // A failed row is gone, and with it the right to go on with its script.
            let removed = actions.iter().any(|action| matches!(action, RepairAction::RemoveFailed { .. }));
            if removed && !self.common.dry_run {
                let cleared = self.session.clear_progress(&self.table).await;
                cleared.map_err(Failure::database("forget the progress of failed scripts"))?;
            }
        }
        let history = self.history().await?.unwrap_or_default();
        // As the plan, and as Flyway: a target that no script has is no obstacle to a repair.
        let settings = Settings { target: Target::Latest, ..self.settings.migration.clone() };
        let overview = Overview::build(self.set.scripts(), &history, &settings)?;
        self.version = overview.current_version().map(|version| version.as_str().to_owned());
        let rows = overview.rows().iter();
        let files = rows
            .filter_map(|row| Some((row.applied?.installed_rank, self.set.path(row.script?.0).clone())))
            .collect();
        Ok(RepairReport { actions, history_exists: true, descriptions, files })
    }

    fn repair_statement(&self, action: &RepairAction) -> String {
        match action {
            RepairAction::RemoveFailed { installed_rank, .. } => {
                sql::delete_failed_row(&self.table, *installed_rank)
            }
            RepairAction::MarkDeleted { row, .. } => {
                sql::insert_row(&self.table, row, self.settings.installed_by.as_deref())
            }
            RepairAction::Align { installed_rank, description, row_type, checksum, .. } => {
                sql::update_row(&self.table, *installed_rank, description, row_type, *checksum)
            }
        }
    }

    /// Writes the baseline row, under the lock.
    pub async fn baseline(&mut self) -> Result<BaselineReport, Failure> {
        self.prepare_to_write().await?;
        self.intend_part("baseline");
        self.fire_create_schema().await?;
        self.around(callbacks::BASELINE, async |engine| engine.with_lock(Self::baseline_locked).await).await
    }

    async fn baseline_locked(&mut self) -> Result<BaselineReport, Failure> {
        let history = self.history().await?;
        let settings = self.settings.migration.clone();
        let version = settings.baseline_version.as_str().to_owned();
        let decision = decide_baseline(history.as_ref(), &self.table.quoted(), &settings);
        let mut made_schemas = false;
        let already_there = match decision {
            BaselineDecision::AlreadyThere => true,
            BaselineDecision::Refuse(finding) => return Err((*finding).into()),
            BaselineDecision::Create(row) => {
                let missing = self.missing_schemas().await?;
                self.create_history(&missing, Some(&row)).await?;
                made_schemas = !missing.is_empty();
                false
            }
        };
        self.version = Some(version.clone());
        Ok(BaselineReport { version, already_there, made_schemas })
    }

    pub(super) async fn missing_schemas(&mut self) -> Result<Vec<String>, Failure> {
        let mut missing = Vec::new();
        for schema in std::iter::once(&self.table.schema).chain(&self.settings.more_schemas) {
            let there = self.session.schema_exists(schema).await;
            if !there.map_err(Failure::database("look at the schema"))? {
                missing.push(schema.clone());
            }
        }
        Ok(missing)
    }

    /// Drops everything in the schemas, where that is allowed.
    pub async fn clean(&mut self) -> Result<CleanReport, Failure> {
        if !self.common.clean_enabled {
            return Err(Failure::CleanDisabled { schema: self.table.schema.clone() });
        }
        let ours = self.schemas_of_ours().await?;
        let schemas: Vec<String> =
            std::iter::once(&self.table.schema).chain(&self.settings.more_schemas).cloned().collect();
        let (dropped, cleaned): (Vec<_>, Vec<_>) =
            schemas.into_iter().partition(|schema| ours.contains(schema));
        let absent = self.missing_schemas().await?;
        let (missing, cleaned) = cleaned.into_iter().partition(|schema| absent.contains(schema));
        let report = CleanReport { cleaned, dropped, missing };
        self.prepare_to_write().await?;
        self.intend_part("clean");
        let CleanReport { cleaned, dropped, .. } = &report;
        self.around(callbacks::CLEAN, async |engine| {
            engine.with_lock(async |engine| engine.clean_locked(cleaned, dropped).await).await
        })
        .await?;
        if !self.common.dry_run {
            self.version = None;
        }
        Ok(report)
    }

    async fn clean_locked(&mut self, cleaned: &[String], dropped: &[String]) -> Result<(), Failure> {
        if self.common.dry_run {
            return self.intend_clean(cleaned, dropped).await;
        }
        for schema in cleaned {
            if self.session.schema_exists(schema).await.map_err(Failure::database("look at the schema"))? {
                self.say_dropping(&format!("dropping everything in schema {schema}"));
                self.session.clean_schema(schema).await.map_err(Failure::database("clean the schema"))?;
            }
        }
        for schema in dropped {
            self.say_dropping(&format!("dropping schema {schema}"));
            self.session.drop_schema(schema).await.map_err(Failure::database("drop the schema"))?;
        }
        Ok(())
    }

    fn say_dropping(&self, message: &str) {
        let line = self.reporter.line(Level::Warn, report::Event::Notice).database(&self.settings.name);
        line.with("slug", "dropping").say(message);
    }

    async fn intend_clean(&mut self, cleaned: &[String], dropped: &[String]) -> Result<(), Failure> {
        let look = "look at what is in the schema";
        for schema in cleaned {
            let statements = self.session.clean_statements(schema).await.map_err(Failure::database(look))?;
            self.execute(look, statements).await?;
        }
        for schema in dropped {
            let statements = self.session.drop_statements(schema).await.map_err(Failure::database(look))?;
            self.execute(look, statements).await?;
        }
        Ok(())
    }

    /// The schemas that a marker row of the history says were made for it. Other rows may be such that nobody can go on
    /// from them: `clean` is a way out.
    async fn schemas_of_ours(&mut self) -> Result<Vec<String>, Failure> {
        let Some(rows) = self.rows().await? else { return Ok(Vec::new()) };
        let markers: Vec<&str> = rows
            .iter()
            .filter(|row| row.installed_rank >= 0 && row.row_type == RowType::Schema)
            .map(|row| row.script.as_str())
            .collect();
        let schemas = std::iter::once(&self.table.schema).chain(&self.settings.more_schemas);
        Ok(schemas
            .filter(|schema| {
                let quoted = sql::quote_identifier(self.table.dialect, schema);
                markers.iter().any(|marker| marker.split(',').any(|name| name == quoted))
            })
            .cloned()
            .collect())
    }

    /// The scripts, for those who render them.
    pub fn scripts(&self) -> &[ResolvedScript] {
        self.set.scripts()
    }

    /// The history as it is, for those who compare.
    pub async fn read_history(&mut self) -> Result<Option<History>, Failure> {
        self.history().await
    }
}

fn descriptions(history: &History) -> BTreeMap<i32, String> {
    history.rows().map(|row| (row.installed_rank, row.description.clone())).collect()
}
