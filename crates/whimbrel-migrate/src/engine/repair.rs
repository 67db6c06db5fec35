//! `repair`: what of the history has to follow the files, in one transaction.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use whimbrel_migration::history::History;
use whimbrel_migration::repair::{RepairAction, plan_repair};
use whimbrel_migration::settings::{Settings, Target};
use whimbrel_migration::sql;
use whimbrel_migration::state::Overview;

use super::{Engine, callbacks};
use crate::failure::Failure;

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

impl Engine<'_> {
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
        // As the plan, and as Flyway: a target that no script has is no obstacle to a repair, nor a pick that is gone.
        let migration = self.settings.migration.clone();
        let settings = Settings { target: Target::Latest, cherry_pick: Vec::new(), ..migration };
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
}

fn descriptions(history: &History) -> BTreeMap<i32, String> {
    history.rows().map(|row| (row.installed_rank, row.description.clone())).collect()
}
