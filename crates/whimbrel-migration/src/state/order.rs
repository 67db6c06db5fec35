//! The order in which Flyway lists files and rows.
//!
//! Rows stand by rank. Files at or below the baseline come before all rows, everything else after them: by
//! version, then repeatables by description; where something is picked, that comes first and in its order.

use std::cmp::Ordering;

use super::{InfoRow, State};
use crate::{script::compare_utf16, settings::Settings};

pub(super) fn sorted<'a>(rows: Vec<InfoRow<'a>>, settings: &Settings) -> Vec<InfoRow<'a>> {
    let (mut applied, mut open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.applied.is_some());
    applied.sort_by_key(|row| row.applied.map(|applied| applied.installed_rank));
    open.sort_by(compare_open);
    open.sort_by_key(|row| settings.pick_place(row.version, row.description()).unwrap_or(usize::MAX));
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
