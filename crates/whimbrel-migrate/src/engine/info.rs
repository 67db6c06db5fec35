//! `info`: every script and every row, with its state.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use whimbrel_migration::history::{HistoryRow, RowType};
use whimbrel_migration::name::{Event, ScriptKind};
use whimbrel_migration::state::{Category, Overview, State};
use whimbrel_migration::version::Version;

use super::{Engine, callbacks};
use crate::failure::Failure;
use crate::risk::ScriptRisk;

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

impl Engine<'_> {
    /// Every script and row with its state.
    pub async fn info(&mut self) -> Result<InfoReport, Failure> {
        let report = self.around(callbacks::INFO, async |engine| engine.look().await).await?;
        self.fire(Event::AfterInfoOperationFinish).await?;
        Ok(report)
    }

    async fn look(&mut self) -> Result<InfoReport, Failure> {
        let history = self.compared_history().await?;
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
}
