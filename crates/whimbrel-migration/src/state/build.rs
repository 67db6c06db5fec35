//! Files and rows brought together, and the state of each pair.

use std::collections::{HashMap, HashSet};

use super::{
    Overview, State,
    context::{Applied, Context},
    order, resolve,
};
use crate::{
    finding::{Finding, FlywayCode},
    history::{History, RowType},
    name::ScriptKind,
    pick,
    script::{ResolvedScript, ScriptId},
    settings::{Settings, Target},
    version::Version,
};

/// Files by what matches them with rows.
struct Resolved<'a> {
    versioned: HashMap<(&'a Version, RowType), ScriptId>,
    repeatable: HashMap<String, ScriptId>,
}

pub(super) fn overview<'a>(
    scripts: &'a [ResolvedScript],
    history: &'a History,
    settings: &'a Settings,
) -> Result<Overview<'a>, Finding> {
    pick::check(scripts, history, settings)?;
    let mut context = Context::of(settings);
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
            rows.push(context.applied_row(scripts, applied, script));
        }
    }
    rows.extend(open.into_iter().map(|id| context.open_row(scripts, id)));

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
        rows.push(context.applied_row(scripts, applied, script));
    }
    rows.extend(open.into_iter().map(|id| context.open_row(scripts, id)));

    let rows = order::sorted(rows, settings);
    let mut overview = Overview { rows, settings, baseline: context.effective_baseline() };
    if settings.target == Target::Next {
        limit_to_next(&mut overview);
    }
    Ok(overview)
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
    let mut resolved = Resolved { versioned: HashMap::new(), repeatable: HashMap::new() };
    for id in resolve::distinct(scripts)? {
        let script = &scripts[id.index()];
        match (script.name.kind, script.version()) {
            (ScriptKind::Versioned | ScriptKind::Baseline, Some(version)) => {
                context.last_resolved = context.last_resolved.max(Some(version));
                let considered = context.settings.considers(Some(version), &script.name.description);
                if script.name.kind == ScriptKind::Baseline && considered {
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
            "No migration with a target version {version} could be found. Ensure target is specified \
             correctly and the migration exists."
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
