//! Files and rows brought together, and the state of each pair.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use super::{InfoRow, Overview, State, order, resolve};
use crate::{
    finding::{Finding, FlywayCode},
    history::{History, ReadRow, RowType},
    name::ScriptKind,
    script::{ResolvedScript, ScriptId},
    settings::{Settings, Target},
    version::Version,
};

/// A row with what the other rows say about it.
struct Applied<'a> {
    read: &'a ReadRow,
    out_of_order: bool,
    deleted: bool,
}

/// What the state of one script depends on besides itself.
#[derive(Default)]
struct Context<'a> {
    last_resolved: Option<&'a Version>,
    last_applied: Option<&'a Version>,
    /// The highest version of any baseline row, deleted ones too: those count as long as any version is
    /// applied.
    applied_baseline: Option<&'a Version>,
    pending_baseline: Option<&'a Version>,
    /// None: no limit.
    target: Option<&'a Version>,
    /// `current` on a database without versions: everything is above it.
    nothing_below_target: bool,
    out_of_order: bool,
    latest_runs: HashMap<&'a str, i32>,
}

/// Files by what matches them with rows.
struct Resolved<'a> {
    scripts: &'a [ResolvedScript],
    versioned: HashMap<(&'a Version, RowType), ScriptId>,
    repeatable: HashMap<String, ScriptId>,
}

pub(super) fn overview<'a>(
    scripts: &'a [ResolvedScript],
    history: &'a History,
    settings: &'a Settings,
) -> Result<Overview<'a>, Finding> {
    let mut context = Context { out_of_order: settings.out_of_order, ..Context::default() };
    let resolved = resolve_scripts(scripts, &mut context)?;
    let (mut versioned, repeatable) = split_rows(history)?;
    read_versions(&mut versioned, &mut context);
    set_target(&resolved, &versioned, settings, &mut context)?;

    let mut rows = Vec::with_capacity(scripts.len() + history.rows().len());
    let mut open: HashSet<ScriptId> = resolved.versioned.values().copied().collect();
    for applied in &versioned {
        let key = (applied.version(), applied.read.row.row_type.clone());
        let script = key.0.and_then(|version| resolved.versioned.get(&(version, key.1)).copied());
        if let Some(id) = script
            && !applied.deleted
        {
            open.remove(&id);
        }
        if is_listed(applied) {
            rows.push(context.applied_row(&resolved, applied, script));
        }
    }
    rows.extend(open.into_iter().map(|id| context.open_row(&resolved, id)));

    for applied in &repeatable {
        let row = &applied.read.row;
        if row.row_type == RowType::Delete && row.success {
            context.latest_runs.remove(row.description.as_str());
        } else {
            context.latest_runs.insert(&row.description, row.installed_rank);
        }
    }
    let mut open: HashSet<ScriptId> = resolved.repeatable.values().copied().collect();
    for applied in &repeatable {
        let row = &applied.read.row;
        let script = resolved.repeatable.get(row.description.as_str()).copied();
        if let Some(id) = script
            && context.is_latest(applied)
            && !applied.deleted
            && row.row_type != RowType::Delete
            && scripts[id.index()].checksum_matches(row.checksum)
        {
            open.remove(&id);
        }
        rows.push(context.applied_row(&resolved, applied, script));
    }
    rows.extend(open.into_iter().map(|id| context.open_row(&resolved, id)));

    let rows = order::sorted(rows);
    let mut overview = Overview { rows, settings, baseline: context.effective_baseline() };
    if settings.target == Target::Next {
        limit_to_next(&mut overview);
    }
    Ok(overview)
}

impl<'a> Applied<'a> {
    fn version(&self) -> Option<&'a Version> {
        self.read.version.as_ref()
    }
}

/// A DELETE row that took a versioned row away is not shown itself.
fn is_listed(applied: &Applied<'_>) -> bool {
    let row = &applied.read.row;
    !(row.row_type == RowType::Delete && row.success)
}

fn resolve_scripts<'a>(
    scripts: &'a [ResolvedScript],
    context: &mut Context<'a>,
) -> Result<Resolved<'a>, Finding> {
    let mut resolved = Resolved { scripts, versioned: HashMap::new(), repeatable: HashMap::new() };
    for id in resolve::distinct(scripts)? {
        let script = &scripts[id.index()];
        match (script.name.kind, script.version()) {
            (ScriptKind::Versioned | ScriptKind::Baseline, Some(version)) => {
                context.last_resolved = context.last_resolved.max(Some(version));
                if script.name.kind == ScriptKind::Baseline {
                    context.pending_baseline = context.pending_baseline.max(Some(version));
                }
                resolved.versioned.insert((version, script.row_type()), id);
            }
            (ScriptKind::Repeatable, _) => {
                resolved.repeatable.insert(script.stored_description(), id);
            }
            _ => {}
        }
    }
    Ok(resolved)
}

/// The rows with and without a version, with the deletions carried out.
fn split_rows(history: &History) -> Result<(Vec<Applied<'_>>, Vec<Applied<'_>>), Finding> {
    let mut versioned: Vec<Applied<'_>> = Vec::new();
    let mut repeatable: Vec<Applied<'_>> = Vec::new();
    let mut latest_version: HashMap<&Version, usize> = HashMap::new();
    let mut latest_description: HashMap<&str, usize> = HashMap::new();
    for read in history.read_rows() {
        let row = &read.row;
        let deletes = row.row_type == RowType::Delete && row.success;
        let synthetic = row.row_type.is_synthetic();
        match &read.version {
            Some(version) => {
                if deletes {
                    mark_deleted(latest_version.get(version), &mut versioned, version.as_str())?;
                }
                if !synthetic {
                    latest_version.insert(version, versioned.len());
                }
                versioned.push(Applied { read, out_of_order: false, deleted: false });
            }
            None => {
                // For repeatables Flyway does not mind a second one.
                if deletes && let Some(&latest) = latest_description.get(row.description.as_str()) {
                    repeatable[latest].deleted = true;
                }
                if !synthetic {
                    latest_description.insert(&row.description, repeatable.len());
                }
                repeatable.push(Applied { read, out_of_order: false, deleted: false });
            }
        }
    }
    Ok((versioned, repeatable))
}

fn mark_deleted(latest: Option<&usize>, rows: &mut [Applied<'_>], what: &str) -> Result<(), Finding> {
    let Some(&index) = latest else { return Ok(()) };
    let applied = &mut rows[index];
    if applied.deleted {
        return Err(Finding::error(
            "history-deleted-twice",
            format!("Corrupted schema history: multiple delete entries for version {what}"),
        )
        .coded(FlywayCode::DuplicateDeletedMigration)
        .of_version(what)
        .next_step("delete the later of the two DELETE rows by hand: no verb of Flyway can go past it"));
    }
    applied.deleted = true;
    Ok(())
}

fn read_versions<'a>(versioned: &mut [Applied<'a>], context: &mut Context<'a>) {
    for applied in versioned {
        let Some(version) = applied.version() else { continue };
        let row_type = &applied.read.row.row_type;
        if Some(version) > context.last_applied {
            if *row_type != RowType::Delete && !applied.deleted {
                context.last_applied = Some(version);
            }
        } else {
            applied.out_of_order = true;
        }
        if row_type.is_baseline() {
            context.applied_baseline = context.applied_baseline.max(Some(version));
        }
    }
    // A baseline script only runs on a database on which no version was applied.
    if context.last_applied.is_some() {
        context.pending_baseline = None;
    }
}

fn set_target<'a>(
    resolved: &Resolved<'a>,
    versioned: &[Applied<'a>],
    settings: &'a Settings,
    context: &mut Context<'a>,
) -> Result<(), Finding> {
    match &settings.target {
        Target::Latest | Target::Next => {}
        Target::Current => {
            context.target = context.last_applied;
            context.nothing_below_target = context.last_applied.is_none();
        }
        Target::Version { version, must_exist } => {
            context.target = Some(version);
            let is_known = || {
                resolved.versioned.keys().any(|(known, _)| *known == version)
                    || versioned.iter().any(|applied| applied.version() == Some(version))
            };
            if *must_exist && !is_known() {
                return Err(unknown_target(version));
            }
        }
    }
    Ok(())
}

fn unknown_target(version: &Version) -> Finding {
    Finding::error(
        "target-unknown",
        format!(
            "No migration with a target version {version} could be found. Ensure target is specified correctly and the migration exists."
        ),
    )
    .coded(FlywayCode::Error)
    .of_version(version.as_str())
    .next_step(format!("write {version}? when the script need not exist"))
}

/// `next`: everything after the first pending script is above the target.
fn limit_to_next(overview: &mut Overview<'_>) {
    let first = overview.rows.iter().find(|row| row.state == State::Pending).and_then(|row| row.version);
    let Some(first) = first else { return };
    for row in &mut overview.rows {
        let is_open = row.applied.is_none() && matches!(row.state, State::Pending | State::Ignored);
        if is_open && row.version > Some(first) {
            row.state = State::AboveTarget;
        }
    }
}

impl<'a> Context<'a> {
    fn is_latest(&self, applied: &Applied<'_>) -> bool {
        let row = &applied.read.row;
        self.latest_runs.get(row.description.as_str()) == Some(&row.installed_rank)
    }

    fn applied_row(
        &self,
        resolved: &Resolved<'a>,
        applied: &Applied<'a>,
        script: Option<ScriptId>,
    ) -> InfoRow<'a> {
        let script = script.map(|id| (id, &resolved.scripts[id.index()]));
        let state = self.applied_state(applied, script.map(|(_, script)| script));
        InfoRow { script, applied: Some(&applied.read.row), version: applied.version(), state }
    }

    fn open_row(&self, resolved: &Resolved<'a>, id: ScriptId) -> InfoRow<'a> {
        let script = &resolved.scripts[id.index()];
        InfoRow {
            script: Some((id, script)),
            applied: None,
            version: script.version(),
            state: self.open_state(script),
        }
    }

    fn effective_baseline(&self) -> Option<&'a Version> {
        self.applied_baseline.filter(|_| self.last_applied.is_some())
    }

    /// The state of a file without a row.
    fn open_state(&self, script: &ResolvedScript) -> State {
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
        if !self.out_of_order && Some(version) < self.last_applied {
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
