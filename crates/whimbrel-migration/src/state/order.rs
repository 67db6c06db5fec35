//! The order in which Flyway lists files and rows.
//!
//! Rows stand by rank. A file below the baseline comes before all rows, an ignored one before the first row
//! with a higher version, everything else after the rows: by version, then repeatables by description.

use std::cmp::Ordering;

use super::{InfoRow, State};
use crate::script::compare_utf16;

pub(super) fn sorted(rows: Vec<InfoRow<'_>>) -> Vec<InfoRow<'_>> {
    let total = rows.len();
    let (mut applied, mut open): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.applied.is_some());
    applied.sort_by_key(|row| row.applied.map(|applied| applied.installed_rank));
    open.sort_by(compare_open);

    let mut sorted = Vec::with_capacity(total);
    let (below, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|row| row.state == State::BelowBaseline);
    let (ignored, after): (Vec<_>, Vec<_>) = open.into_iter().partition(|row| row.state == State::Ignored);
    sorted.extend(below);
    let mut ignored = ignored.into_iter().peekable();
    for row in applied {
        while let Some(next) = ignored.next_if(|next| row.version.is_some() && next.version < row.version) {
            sorted.push(next);
        }
        sorted.push(row);
    }
    let mut rest: Vec<_> = ignored.chain(after).collect();
    rest.sort_by(compare_open);
    sorted.extend(rest);
    sorted
}

fn compare_open(mine: &InfoRow<'_>, theirs: &InfoRow<'_>) -> Ordering {
    match (mine.version, theirs.version) {
        (Some(my_version), Some(their_version)) => my_version
            .cmp(their_version)
            .then_with(|| theirs.row_type().is_baseline().cmp(&mine.row_type().is_baseline())),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => compare_utf16(mine.description(), theirs.description()),
    }
}
