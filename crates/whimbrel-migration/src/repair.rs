//! What `repair` will do to the history.
//!
//! In this order: failed rows are removed; every row whose file is gone gets a DELETE row; rows whose file
//! changed are aligned with it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    finding::{Finding, FlywayCode},
    history::{History, NewRow, RowType},
    name::ScriptKind,
    pick,
    script::ResolvedScript,
    settings::{Settings, Target},
    state::{InfoRow, Overview, State},
    validate::is_ignored,
};

/// One change to the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum RepairAction {
    /// Remove a failed row.
    RemoveFailed {
        /// Its rank.
        installed_rank: i32,
        /// Its version.
        version: Option<String>,
        /// Its description.
        description: String,
        /// Its path.
        script: String,
    },
    /// Append a DELETE row for a row whose file is gone.
    MarkDeleted {
        /// The rank of the row that is taken away.
        deletes: i32,
        /// The row to append.
        row: NewRow,
    },
    /// Make a row say what its file says.
    Align {
        /// Its rank.
        installed_rank: i32,
        /// Its version.
        version: Option<String>,
        /// The description from now on.
        description: String,
        /// The type from now on.
        #[serde(rename = "type")]
        row_type: RowType,
        /// The checksum from now on.
        checksum: Option<i32>,
        /// The checksum until now.
        was: Option<i32>,
    },
}

/// Plans `repair`. The settings' target and out-of-order rule do not count, as in Flyway.
///
/// # Errors
/// What [`Overview::build`] finds: files or rows that contradict each other; and two rows of one version without a
/// script, since nobody could read a history with a DELETE row for each.
pub fn plan_repair(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
) -> Result<Vec<RepairAction>, Finding> {
    let settings = Settings { target: Target::Latest, out_of_order: true, ..settings.clone() };
    pick::check(scripts, history, &settings)?;
    let mut actions = Vec::new();
    let mut kept = Vec::new();
    for read in history.read_rows() {
        let row = &read.row;
        if row.success || !settings.considers(read.version.as_ref(), &row.description) {
            kept.push(read.clone());
        } else {
            actions.push(RepairAction::RemoveFailed {
                installed_rank: row.installed_rank,
                version: row.version.clone(),
                description: row.description.clone(),
                script: row.script.clone(),
            });
        }
    }
    let history = History::from_read(kept);
    // A row that was picked may be gone by now.
    let all = Settings { cherry_pick: Vec::new(), ..settings.clone() };
    let overview = Overview::build(scripts, &history, &all)?;
    let mut rank = history.next_rank(&RowType::Delete);
    let mut gone = BTreeSet::new();
    for row in overview.rows().iter().filter(|row| is_gone(row, &settings)) {
        let Some(applied) = row.applied else { continue };
        if row.version.is_some_and(|version| !gone.insert(version)) {
            return Err(gone_twice(row));
        }
        actions.push(RepairAction::MarkDeleted {
            deletes: applied.installed_rank,
            row: NewRow::delete(applied, rank),
        });
        rank = rank.wrapping_add(1);
    }
    let considered = overview.rows().iter().filter(|row| settings.considers(row.version, row.description()));
    actions.extend(considered.filter_map(align));
    Ok(actions)
}

fn gone_twice(row: &InfoRow<'_>) -> Finding {
    let version = row.version.map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "two rows of version {version} have no script, and no verb could read a history with a DELETE row for each"
    );
    Finding::error("history-gone-twice", message)
        .coded(FlywayCode::DuplicateDeletedMigration)
        .of_version(version)
        .in_script(row.path())
        .next_step("delete one of the two rows by hand, or bring its script back")
}

fn is_gone(row: &InfoRow<'_>, settings: &Settings) -> bool {
    let gone =
        matches!(row.state, State::Missing | State::MissingFailed | State::Future | State::FutureFailed);
    let row_type = row.row_type();
    gone && settings.considers(row.version, row.description())
        && !row_type.is_synthetic()
        && !row_type.is_undo()
        && !is_ignored(&settings.ignore_patterns, row)
}

fn align(row: &InfoRow<'_>) -> Option<RepairAction> {
    let (applied, (_, script)) = (row.applied?, row.script?);
    if row.state == State::Undone || applied.row_type.is_synthetic() {
        return None;
    }
    let differs = if script.name.kind == ScriptKind::Repeatable {
        applied.checksum == Some(script.raw_checksum) && applied.checksum != Some(script.checksum())
    } else {
        applied.checksum != Some(script.checksum())
            || applied.row_type != script.row_type()
            || applied.description != script.stored_description()
    };
    differs.then(|| RepairAction::Align {
        installed_rank: applied.installed_rank,
        version: applied.version.clone(),
        description: script.stored_description(),
        row_type: script.row_type(),
        checksum: Some(script.checksum()),
        was: applied.checksum,
    })
}
