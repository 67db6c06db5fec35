//! The state of one file or row, from what is known of all of them.

use std::{cmp::Ordering, collections::HashMap};

use super::{InfoRow, State};
use crate::{
    history::{ReadRow, RowType},
    name::ScriptKind,
    script::{ResolvedScript, ScriptId},
    settings::Settings,
    version::Version,
};

/// A row with what the other rows say about it.
pub(super) struct Applied<'a> {
    pub(super) read: &'a ReadRow,
    pub(super) out_of_order: bool,
    pub(super) deleted: bool,
}

impl<'a> Applied<'a> {
    pub(super) fn version(&self) -> Option<&'a Version> {
        self.read.version.as_ref()
    }
}

/// What the state of one script depends on besides itself.
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) last_resolved: Option<&'a Version>,
    pub(super) last_applied: Option<&'a Version>,
    /// The highest version of any baseline row, deleted ones too: those count as long as any version is
    /// applied.
    pub(super) applied_baseline: Option<&'a Version>,
    pub(super) pending_baseline: Option<&'a Version>,
    /// None: no limit.
    pub(super) target: Option<&'a Version>,
    /// `current` on a database without versions: everything is above it.
    pub(super) nothing_below_target: bool,
    pub(super) latest_runs: HashMap<&'a str, i32>,
}

impl<'a> Context<'a> {
    pub(super) fn of(settings: &'a Settings) -> Self {
        Self {
            settings,
            last_resolved: None,
            last_applied: None,
            applied_baseline: None,
            pending_baseline: None,
            target: None,
            nothing_below_target: false,
            latest_runs: HashMap::new(),
        }
    }

    pub(super) fn is_latest(&self, applied: &Applied<'_>) -> bool {
        let row = &applied.read.row;
        self.latest_runs.get(row.description.as_str()) == Some(&row.installed_rank)
    }

    pub(super) fn applied_row(
        &self,
        scripts: &'a [ResolvedScript],
        applied: &Applied<'a>,
        script: Option<ScriptId>,
    ) -> InfoRow<'a> {
        let script = script.map(|id| (id, &scripts[id.index()]));
        let state = self.applied_state(applied, script.map(|(_, script)| script));
        InfoRow { script, applied: Some(&applied.read.row), version: applied.version(), state }
    }

    pub(super) fn open_row(&self, scripts: &'a [ResolvedScript], id: ScriptId) -> InfoRow<'a> {
        let script = &scripts[id.index()];
        InfoRow {
            script: Some((id, script)),
            applied: None,
            version: script.version(),
            state: self.open_state(script),
        }
    }

    pub(super) fn effective_baseline(&self) -> Option<&'a Version> {
        self.applied_baseline.filter(|_| self.last_applied.is_some())
    }

    /// The state of a file without a row.
    fn open_state(&self, script: &ResolvedScript) -> State {
        let settings = self.settings;
        if !settings.considers(script.version(), &script.name.description) {
            return State::Ignored;
        }
        let Some(version) = script.version() else { return State::Pending };
        let baseline = self.effective_baseline().or(self.pending_baseline);
        let is_baseline_script = script.name.kind == ScriptKind::Baseline;
        match baseline.map(|baseline| version.cmp(baseline)) {
            Some(Ordering::Less) => return State::BelowBaseline,
            // On a database without a version the highest baseline script runs, but not where there ever was one.
            Some(Ordering::Equal) if is_baseline_script && self.applied_baseline.is_none() => {
                return State::Pending;
            }
            Some(Ordering::Equal) => return State::BaselineIgnored,
            _ => {}
        }
        if self.nothing_below_target || self.target.is_some_and(|target| version > target) {
            return State::AboveTarget;
        }
        if is_baseline_script {
            return State::Ignored;
        }
        // What is picked runs in the order of the picks, which is the order that counts.
        let any_order = settings.out_of_order || !settings.cherry_pick.is_empty();
        if !any_order && Some(version) < self.last_applied {
            return State::Ignored;
        }
        State::Pending
    }

    /// The state of a row.
    fn applied_state(&self, applied: &Applied<'_>, script: Option<&ResolvedScript>) -> State {
        let row = &applied.read.row;
        if applied.deleted {
            return State::Deleted;
        }
        match row.row_type {
            RowType::Baseline => return State::Baseline,
            RowType::Schema | RowType::Delete => return State::Success,
            _ => {}
        }
        let Some(script) = script else { return self.unresolved_state(applied) };
        if !row.success {
            return State::Failed;
        }
        if row.row_type.is_baseline() {
            return State::Baseline;
        }
        if applied.version().is_none() {
            return match self.is_latest(applied) {
                false => State::Superseded,
                true if script.checksum_matches(row.checksum) => State::Success,
                true => State::Outdated,
            };
        }
        if applied.out_of_order { State::OutOfOrder } else { State::Success }
    }

    fn unresolved_state(&self, applied: &Applied<'_>) -> State {
        let row = &applied.read.row;
        let version = applied.version();
        if row.row_type.is_baseline() && !row.success {
            return State::Failed;
        }
        if version.is_none() && !self.is_latest(applied) {
            return if row.success { State::Superseded } else { State::Failed };
        }
        let is_past = version.is_none() || version < self.last_resolved;
        match (is_past, row.success) {
            (true, true) => State::Missing,
            (true, false) => State::MissingFailed,
            (false, true) => State::Future,
            (false, false) => State::FutureFailed,
        }
    }
}
