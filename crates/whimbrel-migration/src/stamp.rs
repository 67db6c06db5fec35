//! Rows that are written without anything being run: one version that is passed over, or the version that a database
//! is said to have.

use serde::Serialize;

use crate::{
    finding::Finding,
    history::{self, History, NewRow, RowType},
    script::{ResolvedScript, ScriptId},
    settings::{Settings, Target},
    state::{Overview, State},
    version::Version,
};

/// One row that is written, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum StampAction {
    /// The script counts as applied; nothing of it is run.
    Mark {
        /// The script.
        id: ScriptId,
        /// The row.
        row: NewRow,
    },
    /// The version does not count as applied any more; nothing of it is taken back.
    Forget {
        /// The rank of the row that is taken away.
        installed_rank: i32,
        /// The row.
        row: NewRow,
    },
}

impl StampAction {
    /// The row to write.
    pub fn row(&self) -> &NewRow {
        match self {
            Self::Mark { row, .. } | Self::Forget { row, .. } => row,
        }
    }
}

/// Plans to pass over one version that is pending or was left behind.
///
/// # Errors
/// What [`Overview::build`] finds, or that there is no such version to pass over.
pub fn plan_skip(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
    version: &Version,
) -> Result<Vec<StampAction>, Finding> {
    let settings = everything(settings);
    let overview = Overview::build(scripts, history, &settings)?;
    let found = overview.rows().iter().filter(|row| row.version == Some(version));
    let mut state = None;
    for row in found {
        if let (State::Pending | State::Ignored, Some((id, script))) = (row.state, row.script) {
            let rank = history.next_rank(&script.row_type());
            return Ok(vec![StampAction::Mark { id, row: NewRow::of_script(script, rank, 0, true) }]);
        }
        state = Some(row.state);
    }
    let message = match state {
        None => format!("there is no script of version {version}"),
        Some(state) => format!("version {version} is not pending: its state is {state}"),
    };
    Err(Finding::error("nothing-to-skip", message)
        .of_version(version.as_str())
        .next_step("look at info for what is pending"))
}

/// Plans to say that the database is at this version: what is pending up to it counts as applied, what was applied
/// above it does not count any more.
///
/// # Errors
/// What [`Overview::build`] finds; that no script and no row has the version; that a row failed; that a baseline is above it.
pub fn plan_stamp(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
    version: &Version,
) -> Result<Vec<StampAction>, Finding> {
    let settings = everything(settings);
    let overview = Overview::build(scripts, history, &settings)?;
    if !overview.rows().iter().any(|row| row.version == Some(version)) {
        return Err(Finding::error(
            "target-unknown",
            format!("neither a script nor a row has the version {version}"),
        )
        .of_version(version.as_str())
        .next_step("look at info for the versions that there are"));
    }
    if let Some(failed) = overview.rows().iter().find(|row| row.state.is_failed()) {
        let message = "the history contains a failed migration";
        return Err(history::failed_migration(failed.path(), failed.version, message));
    }
    let mut rank = history.next_rank(&RowType::Sql);
    let mut next = || {
        rank = rank.wrapping_add(1);
        rank.wrapping_sub(1)
    };
    let mut actions = Vec::new();
    for row in overview.rows() {
        let Some(its) = row.version else { continue };
        match (row.state, row.applied, row.script) {
            (State::Pending | State::Ignored, _, Some((id, script))) if its <= version => {
                actions.push(StampAction::Mark { id, row: NewRow::of_script(script, next(), 0, true) });
            }
            (State::Deleted | State::Undone, ..) => {}
            (state, Some(applied), _) if state.is_applied() && its > version => {
                if applied.row_type.is_baseline() {
                    return Err(Finding::error(
                        "stamp-below-baseline",
                        format!("version {its} is a baseline: the database cannot be below it"),
                    )
                    .of_version(its.as_str())
                    .next_step("choose the baseline's version or a higher one"));
                }
                if applied.row_type != RowType::Delete {
                    let row = NewRow::delete(applied, next());
                    actions.push(StampAction::Forget { installed_rank: applied.installed_rank, row });
                }
            }
            _ => {}
        }
    }
    Ok(actions)
}

/// Neither target nor order count: somebody names the version.
fn everything(settings: &Settings) -> Settings {
    Settings { target: Target::Latest, out_of_order: true, cherry_pick: Vec::new(), ..settings.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryRow;
    use crate::name::NamingRules;

    fn scripts(names: &[&str]) -> Vec<ResolvedScript> {
        let rules = NamingRules::default();
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

    fn version(text: &str) -> Version {
        Version::parse(text).expect("a version")
    }

    const THREE: [&str; 3] = ["V1__a.sql", "V2__a.sql", "V3__a.sql"];

    #[test]
    fn a_pending_version_is_marked_and_nothing_else() {
        let history = History::read(vec![row(4, "1", RowType::Sql)]).unwrap();
        let skip = |number| plan_skip(&scripts(&THREE), &history, &Settings::default(), &version(number));
        let actions = skip("2").unwrap();
        let [StampAction::Mark { row, .. }] = actions.as_slice() else { panic!("one, not {actions:?}") };
        assert_eq!((row.installed_rank, row.version.as_deref(), row.success), (5, Some("2"), true));
        assert_eq!(row.row_type, RowType::Sql);
        assert_eq!(skip("1").unwrap_err().slug, "nothing-to-skip");
        assert_eq!(skip("9").unwrap_err().slug, "nothing-to-skip");
    }

    #[test]
    fn a_stamp_marks_what_is_below_and_forgets_what_is_above() {
        let history = History::read(vec![row(1, "1", RowType::Sql), row(2, "3", RowType::Sql)]).unwrap();
        let stamp = |number| plan_stamp(&scripts(&THREE), &history, &Settings::default(), &version(number));
        let told = |actions: Vec<StampAction>| -> Vec<(i32, String, &'static str)> {
            actions
                .iter()
                .map(|action| {
                    let row = action.row();
                    let what = if matches!(action, StampAction::Mark { .. }) { "mark" } else { "forget" };
                    (row.installed_rank, row.version.clone().unwrap(), what)
                })
                .collect()
        };
        assert_eq!(told(stamp("3").unwrap()), [(3, "2".to_owned(), "mark")]);
        assert_eq!(told(stamp("1").unwrap()), [(3, "3".to_owned(), "forget")]);
        assert_eq!(stamp("9").unwrap_err().slug, "target-unknown");
        let baseline = History::read(vec![row(1, "2", RowType::Baseline)]).unwrap();
        let below = plan_stamp(&scripts(&THREE), &baseline, &Settings::default(), &version("1"));
        assert_eq!(below.unwrap_err().slug, "stamp-below-baseline");
    }
}
