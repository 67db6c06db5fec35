//! The order in which Flyway lists files and rows.
//!
//! Rows stand by rank. Files at or below the baseline come before all rows, everything else after them: by
//! version, then repeatables by description.

use std::cmp::Ordering;

use super::{InfoRow, State};
use crate::script::compare_utf16;

pub(super) fn sorted(rows: Vec<InfoRow<'_>>) -> Vec<InfoRow<'_>> {
    let (mut applied, mut open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.applied.is_some());
    applied.sort_by_key(|row| row.applied.map(|applied| applied.installed_rank));
    open.sort_by(compare_open);
    let (mut sorted, after): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|row| matches!(row.state, State::BelowBaseline | State::BaselineIgnored));
    sorted.extend(applied);
    sorted.extend(after);
    sorted
}

fn compare_open(mine: &InfoRow<'_>, theirs: &InfoRow<'_>) -> Ordering {
    match (mine.version, theirs.version) {
        (Some(my_version), Some(their_version)) => my_version
            .cmp(their_version)
            .then_with(|| mine.row_type().is_baseline().cmp(&theirs.row_type().is_baseline())),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => compare_utf16(mine.description(), theirs.description()),
    }
}
