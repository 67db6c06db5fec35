//! `skip` and `stamp`: rows that are written although nothing was run.

use serde::Serialize;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, HistoryRow};
use whimbrel_migration::sql;
use whimbrel_migration::stamp::{StampAction, plan_skip, plan_stamp};
use whimbrel_migration::state::Overview;
use whimbrel_migration::version::Version;

use super::Engine;
use crate::cli::Verb;
use crate::failure::Failure;

/// What `skip` or `stamp` wrote, or would write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StampReport {
    /// The version before.
    pub before: Option<String>,
    /// The version afterwards, or now.
    pub after: Option<String>,
    /// The rows.
    pub actions: Vec<StampAction>,
    /// What may go wrong because of it.
    pub dangers: Vec<String>,
    /// Whether the rows were written.
    pub written: bool,
}

impl Engine<'_> {
    /// Writes rows without running anything, where that was confirmed.
    pub async fn stamp(&mut self, verb: Verb) -> Result<StampReport, Failure> {
        let version = self.common.request.version.clone().ok_or_else(|| nothing_named(verb))?;
        let history = self.history().await?;
        let (actions, before) = self.plan_stamp(verb, history.as_ref(), &version)?;
        self.before.clone_from(&before);
        self.version.clone_from(&before);
        let dangers = dangers(verb, &actions);
        let report = StampReport { after: before.clone(), before, actions, dangers, written: false };
        if self.common.dry_run || report.actions.is_empty() {
            return Ok(report);
        }
        if !self.common.request.confirmed {
            return Err(Failure::Unconfirmed { verb, version, dangers: report.dangers });
        }
        self.prepare_to_write().await?;
        self.with_lock(async |engine| engine.stamp_locked(verb, &version, &report).await).await?;
        self.recorded_ranks = report.actions.iter().map(|action| action.row().installed_rank).collect();
        Ok(StampReport { after: self.version.clone(), written: true, ..report })
    }

    fn plan_stamp(
        &self,
        verb: Verb,
        history: Option<&History>,
        version: &Version,
    ) -> Result<(Vec<StampAction>, Option<String>), Finding> {
        let empty = History::default();
        let history = history.unwrap_or(&empty);
        let settings = &self.settings.migration;
        let actions = match verb {
            Verb::Skip => plan_skip(self.set.scripts(), history, settings, version)?,
            _ => plan_stamp(self.set.scripts(), history, settings, version)?,
        };
        let overview = Overview::build(self.set.scripts(), history, settings)?;
        Ok((actions, overview.current_version().map(|version| version.as_str().to_owned())))
    }

    /// Under the lock: only if the plan still is the one whose dangers were confirmed.
    async fn stamp_locked(
        &mut self,
        verb: Verb,
        version: &Version,
        report: &StampReport,
    ) -> Result<(), Failure> {
        let history: Option<Vec<HistoryRow>> = self.rows().await?;
        let known = match history {
            Some(rows) => rows,
            None => {
                let missing = self.missing_schemas().await?;
                self.create_history(&missing, None).await?;
                self.rows().await?.unwrap_or_default()
            }
        };
        let history = History::read(known)?;
        let (actions, _) = self.plan_stamp(verb, Some(&history), version)?;
        if actions != report.actions {
            return Err(moved(verb.name()).into());
        }
        let by = self.settings.installed_by.as_deref();
        let statements: Vec<String> =
            actions.iter().map(|action| sql::insert_row(&self.table, action.row(), by)).collect();
        let written = self.session.transaction(&statements).await;
        written.map_err(Failure::database("write the rows"))?;
        let history = self.history().await?.unwrap_or_default();
        let overview = Overview::build(self.set.scripts(), &history, &self.settings.migration)?;
        self.version = overview.current_version().map(|version| version.as_str().to_owned());
        Ok(())
    }
}

/// Somebody else wrote there between the plan and the lock.
pub(super) fn moved(verb: &str) -> Finding {
    Finding::error("history-moved", "the history was changed by somebody else in the meantime")
        .next_step(format!("look at info, then run {verb} again"))
}

fn nothing_named(verb: Verb) -> Failure {
    let message = format!("{} needs a version", verb.name());
    Finding::error("target-unknown", message).next_step(format!("{} VERSION", verb.name())).into()
}

/// What may go wrong, told before anything is written.
fn dangers(verb: Verb, actions: &[StampAction]) -> Vec<String> {
    let mut dangers = Vec::new();
    let marks = actions.iter().filter(|action| matches!(action, StampAction::Mark { .. })).count();
    let forgets = actions.len() - marks;
    if marks > 0 {
        let scripts = if marks == 1 { "its script is" } else { "their scripts are" };
        dangers.push(format!(
            "{scripts} not run, now or later: what it makes is missing unless somebody made it by hand, and \
             later scripts that need it fail"
        ));
        dangers.push(
            "neither info nor Flyway shows that it was not run; only our own record keeps it".to_owned(),
        );
    }
    if forgets > 0 {
        dangers.push(
            "what was applied above that version stays in the database: the next migrate runs those scripts again, \
             and fails where their objects are there already; undo takes versions back for real"
                .to_owned(),
        );
    }
    if verb == Verb::Stamp && marks > 1 {
        dangers.push("a database with objects but without history is better given a baseline".to_owned());
    }
    dangers
}
