//! What `undo` will do: which applied versions are taken back, by which script, and with which row.
//!
//! An undo is recorded as a DELETE row: Flyway's open-source edition, which has no undo and stops at the rows of its
//! paid one, reads it as if the version had never been applied.

use serde::Serialize;

use crate::{
    finding::Finding,
    history::{self, History, HistoryRow, NewRow, RowType},
    name::ScriptKind,
    pick::{self, Pick},
    script::{ResolvedScript, ScriptId},
    settings::{Settings, Target},
    state::{Overview, State},
    version::Version,
};

/// How far `undo` goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum UndoTarget {
    /// The version that was applied last; what `cherryPick` names, where it names something.
    #[default]
    Last,
    /// Every version above this one; none: every version.
    Above(Option<Version>),
    /// What was applied since this version, and that version too: what Flyway's `target` means to its undo.
    From(Version),
}

/// One version that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoStep {
    /// The undo script.
    pub id: ScriptId,
    /// The version.
    pub version: String,
    /// The rank of the row that is taken away.
    pub undoes: i32,
    /// The row to append; its rank and time are for whoever carries it out.
    pub row: NewRow,
}

/// What `undo` will do, and what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoPlan {
    /// The version of the database now.
    pub before: Option<String>,
    /// The version of the database afterwards.
    pub after: Option<String>,
    /// What is taken back, in this order: what was applied last comes first.
    pub steps: Vec<UndoStep>,
    /// Nothing may run while there is one of these.
    pub refusals: Vec<Finding>,
    /// What should be said.
    pub warnings: Vec<Finding>,
}

/// A row that counts, with its version and its script.
type Applied<'a> = (&'a HistoryRow, &'a Version, Option<&'a ResolvedScript>);

/// Plans `undo`. Repeatables have no version and are left alone, as in Flyway.
///
/// Refused where an undo script is missing for any of the versions, where a baseline would have to be taken back, and
/// while there is a failed row.
///
/// # Errors
/// What [`Overview::build`] finds: files or rows that contradict each other.
pub fn plan_undo(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
    target: &UndoTarget,
) -> Result<UndoPlan, Finding> {
    let settings = Settings { target: Target::Latest, out_of_order: true, ..settings.clone() };
    let overview = Overview::build(scripts, history, &settings)?;
    let mut plan = UndoPlan {
        before: overview.current_version().map(|version| version.as_str().to_owned()),
        after: None,
        steps: Vec::new(),
        refusals: Vec::new(),
        warnings: Vec::new(),
    };
    let mut applied: Vec<Applied<'_>> = overview
        .rows()
        .iter()
        .filter(|row| row.state.is_applied() && !matches!(row.state, State::Deleted | State::Undone))
        .filter_map(|row| Some((row.applied?, row.version?, row.script.map(|(_, script)| script))))
        .filter(|(row, ..)| row.row_type != RowType::Delete)
        .collect();
    applied.sort_by_key(|(row, ..)| std::cmp::Reverse(row.installed_rank));
    let mut read = history.read_rows().iter();
    if let Some(failed) = read.find(|read| !read.row.success && read.row.row_type != RowType::Delete) {
        plan.refusals.push(history::failed_migration(
            &failed.row.script,
            failed.version.as_ref(),
            "the history contains a failed migration",
        ));
        return Ok(plan);
    }
    if *target != UndoTarget::Last && !settings.cherry_pick.is_empty() {
        plan.refusals.push(pick::beside_a_target("each of them tells what is taken back"));
        return Ok(plan);
    }
    let all: Vec<_> = applied.iter().map(|(row, version, _)| (row.installed_rank, *version)).collect();
    match target {
        UndoTarget::Last if settings.cherry_pick.is_empty() => applied.truncate(1),
        UndoTarget::Last => plan.warnings = keep_picked(&mut applied, &settings),
        UndoTarget::Above(None) => {}
        UndoTarget::Above(Some(limit)) => applied.retain(|(_, version, _)| *version > limit),
        UndoTarget::From(limit) => {
            let stays = applied.iter().position(|(_, version, _)| *version < limit);
            applied.truncate(stays.unwrap_or(applied.len()));
        }
    }
    for (row, version, script) in applied {
        if row.row_type.is_baseline() {
            plan.refusals.push(baseline(row, version));
            continue;
        }
        match undo_script(scripts, version) {
            Some(id) => plan.steps.push(UndoStep {
                id,
                version: version.as_str().to_owned(),
                undoes: row.installed_rank,
                row: NewRow::delete(row, 0),
            }),
            None => plan.refusals.push(missing(row, version)),
        }
        if script.is_some_and(|script| !script.checksum_matches(row.checksum)) {
            plan.warnings.push(changed(row, version));
        }
    }
    let stays = |rank: i32| plan.steps.iter().all(|step| step.undoes != rank);
    let left = all.iter().filter(|(rank, _)| stays(*rank)).map(|(_, version)| *version);
    plan.after = left.max().map(|version| version.as_str().to_owned());
    Ok(plan)
}

/// Only what is picked, in the reverse of the order named; a pick that is not applied takes nothing back.
fn keep_picked(applied: &mut Vec<Applied<'_>>, settings: &Settings) -> Vec<Finding> {
    let place = |(row, version, _): &Applied<'_>| settings.pick_place(Some(version), &row.description);
    applied.retain(|row| place(row).is_some());
    applied.sort_by_key(|row| std::cmp::Reverse(place(row)));
    let is_applied =
        |pick: &Pick| applied.iter().any(|(row, version, _)| pick.names(Some(version), &row.description));
    let picks = settings.cherry_pick.iter();
    picks.filter(|pick| !is_applied(pick)).map(not_applied).collect()
}

fn not_applied(pick: &Pick) -> Finding {
    Finding::warning(
        "undo-not-applied",
        format!("cherryPick names {}, and no version that is applied is that", pick.as_str()),
    )
}

fn undo_script(scripts: &[ResolvedScript], version: &Version) -> Option<ScriptId> {
    let is_it =
        |script: &ResolvedScript| script.name.kind == ScriptKind::Undo && script.version() == Some(version);
    let index = scripts.iter().position(is_it)?;
    Some(ScriptId(u32::try_from(index).unwrap_or(u32::MAX)))
}

fn missing(row: &HistoryRow, version: &Version) -> Finding {
    Finding::error("undo-missing", format!("there is no undo script for version {version}"))
        .in_script(row.script.clone())
        .of_version(version.as_str())
        .next_step(format!(
            "write U{version}__{}.sql, or have one proposed by propose-undo {version}",
            row.description.replace(' ', "_")
        ))
}

fn baseline(row: &HistoryRow, version: &Version) -> Finding {
    Finding::error("undo-baseline", format!("version {version} is a baseline: nothing can take it back"))
        .in_script(row.script.clone())
        .of_version(version.as_str())
        .next_step("choose a target that is not below it")
}

fn changed(row: &HistoryRow, version: &Version) -> Finding {
    Finding::warning(
        "undo-of-changed",
        format!("version {version} was changed after it was applied: does its undo script still fit?"),
    )
    .in_script(row.script.clone())
    .of_version(version.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NamingRules;

    fn scripts(names: &[&str]) -> Vec<ResolvedScript> {
        let rules = NamingRules { undo_prefix: Some("U".into()), ..NamingRules::default() };
        names
            .iter()
            .map(|name| ResolvedScript::new(rules.parse(name).expect("a legal name"), *name, 7))
            .collect()
    }

    fn row(installed_rank: i32, version: &str, row_type: RowType) -> HistoryRow {
        HistoryRow {
            installed_rank,
            version: Some(version.to_owned()),
            description: "a".to_owned(),
            row_type,
            script: format!("V{version}__a.sql"),
            checksum: Some(7),
            installed_by: "me".to_owned(),
            installed_on: "now".to_owned(),
            execution_time: 1,
            success: true,
        }
    }

    fn plan(names: &[&str], rows: Vec<HistoryRow>, target: &UndoTarget) -> UndoPlan {
        let history = History::read(rows).expect("legal rows");
        plan_undo(&scripts(names), &history, &Settings::default(), target).expect("they fit together")
    }

    fn versions(plan: &UndoPlan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.version.as_str()).collect()
    }

    fn slugs(plan: &UndoPlan) -> Vec<&str> {
        plan.refusals.iter().map(|finding| finding.slug).collect()
    }

    const ALL: [&str; 5] = ["V1__a.sql", "V2__a.sql", "V3__a.sql", "U2__a.sql", "U3__a.sql"];

    fn three() -> Vec<HistoryRow> {
        // Version 2 came out of order.
        vec![row(1, "1", RowType::Sql), row(2, "3", RowType::Sql), row(3, "2", RowType::Sql)]
    }

    #[test]
    fn what_was_applied_last_is_taken_back_first() {
        assert_eq!(versions(&plan(&ALL, three(), &UndoTarget::Last)), ["2"]);
        let above = UndoTarget::Above(Version::parse("1").ok());
        let plan = plan(&ALL, three(), &above);
        assert_eq!(versions(&plan), ["2", "3"]);
        assert_eq!(plan.steps[0].undoes, 3);
        assert_eq!(plan.steps[0].row.row_type, RowType::Delete);
        assert_eq!(plan.before.as_deref(), Some("3"));
    }

    #[test]
    fn a_missing_undo_script_or_a_baseline_stops_everything() {
        let every = plan(&ALL, three(), &UndoTarget::Above(None));
        assert_eq!((versions(&every), slugs(&every)), (vec!["2", "3"], vec!["undo-missing"]));
        let baseline = plan(&ALL, vec![row(1, "1", RowType::Baseline)], &UndoTarget::Last);
        assert_eq!(slugs(&baseline), ["undo-baseline"]);
    }

    #[test]
    fn what_was_taken_back_already_does_not_count() {
        let rows = vec![row(1, "2", RowType::Sql), row(2, "3", RowType::Sql), row(3, "3", RowType::Delete)];
        assert_eq!(versions(&plan(&ALL, rows, &UndoTarget::Last)), ["2"]);
        assert_eq!(versions(&plan(&ALL, Vec::new(), &UndoTarget::Last)), Vec::<&str>::new());
    }

    #[test]
    fn a_failed_row_stops_everything() {
        let failed = HistoryRow { success: false, ..row(1, "2", RowType::Sql) };
        assert_eq!(slugs(&plan(&ALL, vec![failed], &UndoTarget::Last)), ["failed-migration"]);
    }
}
