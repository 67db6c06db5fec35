//! Why a recorded checksum is not that of the file: a harmless difference is named, so that nobody looks for an edit.

use std::collections::HashMap;

use whimbrel_migration::explain::{Difference, advice};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::state::Overview;

use super::Engine;

impl Engine<'_> {
    /// Adds to findings about checksums what explains them.
    pub(super) fn explained(&self, overview: &Overview<'_>, findings: Vec<Finding>) -> Vec<Finding> {
        let explain = |finding: Finding| {
            if finding.slug != "checksum-mismatch" {
                return finding;
            }
            let rows = overview.rows().iter();
            let mut found = rows.filter(|row| Some(row.path()) == finding.script.as_deref());
            let row = found.find_map(|row| Some((row.script?.0, row.applied?.checksum?)));
            match row.and_then(|(id, recorded)| self.difference(id, recorded)) {
                Some(difference) => finding.next_step(advice(difference)),
                None => finding,
            }
        };
        findings.into_iter().map(explain).collect()
    }

    /// The harmless difference between a file and what was applied, where there is one. A file that cannot be read any
    /// more is told by whoever runs it.
    pub(super) fn difference(&self, id: ScriptId, recorded: i32) -> Option<Difference> {
        self.set.explain(id, recorded).ok().flatten()
    }

    /// For each script whose file is not what was applied: how the two differ, where it is harmless.
    pub(super) fn differences(&self, overview: &Overview<'_>) -> HashMap<ScriptId, Difference> {
        let changed = overview.rows().iter().filter_map(|row| {
            let (id, script) = row.script?;
            let applied = row.applied.filter(|row| !row.row_type.is_synthetic())?;
            (!script.checksum_matches(applied.checksum)).then_some((id, applied.checksum?))
        });
        changed.filter_map(|(id, recorded)| Some((id, self.difference(id, recorded)?))).collect()
    }
}
