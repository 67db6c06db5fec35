//! Whether files and history agree.

use crate::{
    finding::{Finding, FlywayCode},
    history::{self, NO_DESCRIPTION, RowType},
    settings::{IgnorePattern, PatternState, PatternType},
    state::{InfoRow, Overview, State},
};

/// Who asks: `migrate` does not mind what is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The verb `validate`: a pending script is a finding.
    Validate,
    /// The check before `migrate`: pending scripts are what it is about to run, but a repeatable's checksum
    /// has to be that of its text with placeholders replaced.
    Migrate,
}

const REVERT_OR_REPAIR: &str =
    "Either revert the changes to the migration, or run repair to update the schema history.";

/// Every disagreement, in the order of `info`; empty when all is well.
pub fn validate(overview: &Overview<'_>, purpose: Purpose) -> Vec<Finding> {
    let mut patterns = overview.settings.ignore_patterns.clone();
    if purpose == Purpose::Migrate {
        patterns.push(IgnorePattern { kind: PatternType::Any, state: PatternState::Pending });
    }
    let pending_is_ignored = pending_is_ignored(&patterns);
    let check = Check { overview, patterns, pending_is_ignored };
    overview.rows().iter().filter_map(|row| check.row(row)).collect()
}

/// Whether an ignore pattern covers a line. `*` covers every state: what failed or was changed, too.
pub fn is_ignored(patterns: &[IgnorePattern], row: &InfoRow<'_>) -> bool {
    patterns.iter().any(|pattern| {
        let kind = match pattern.kind {
            PatternType::Any => true,
            PatternType::Versioned => row.version.is_some(),
            PatternType::Repeatable => row.version.is_none(),
        };
        kind && match pattern.state {
            PatternState::Any => true,
            PatternState::Missing => row.state == State::Missing,
            PatternState::Pending => row.state == State::Pending,
            PatternState::Ignored => row.state == State::Ignored,
            // A failed one is only covered where the pattern is for all types.
            PatternState::Future => {
                row.state == State::Future
                    || (row.state == State::FutureFailed && pattern.kind == PatternType::Any)
            }
        }
    })
}

struct Check<'o, 'a> {
    overview: &'o Overview<'a>,
    patterns: Vec<IgnorePattern>,
    pending_is_ignored: bool,
}

/// Whether everything pending is ignored: that hides outdated repeatables too, and lets the checksums of the
/// others be compared. `repeatable:pending` does not.
fn pending_is_ignored(patterns: &[IgnorePattern]) -> bool {
    patterns.iter().any(|pattern| {
        pattern.kind == PatternType::Any && matches!(pattern.state, PatternState::Pending | PatternState::Any)
    })
}

impl Check<'_, '_> {
    fn row(&self, row: &InfoRow<'_>) -> Option<Finding> {
        if matches!(row.state, State::Undone | State::AboveTarget | State::Deleted)
            || is_ignored(&self.patterns, row)
        {
            return None;
        }
        let finding = failed(row).or_else(|| self.disagreement(row))?;
        let finding = finding.in_script(row.path()).of_description(row.description());
        Some(match row.version {
            Some(version) => finding.of_version(version.as_str()),
            None => finding,
        })
    }

    fn disagreement(&self, row: &InfoRow<'_>) -> Option<Finding> {
        if !self.overview.settings.considers(row.version, row.description()) {
            return None;
        }
        not_resolved(row)
            .or_else(|| ignored(row))
            .or_else(|| if self.pending_is_ignored { None } else { pending(row).or_else(|| outdated(row)) })
            .or_else(|| self.mismatch(row))
    }

    fn mismatch(&self, row: &InfoRow<'_>) -> Option<Finding> {
        let (applied, (_, script)) = (row.applied?, row.script?);
        // What lies at or below a baseline was never compared with its file, and an undo is no run of it.
        if applied.row_type == RowType::Delete
            || applied.row_type.is_undo()
            || (row.version.is_some() && row.version <= self.overview.baseline)
        {
            return None;
        }
        let name = match row.version {
            Some(version) => format!("version {version}"),
            None => applied.script.clone(),
        };
        let mismatch = |slug, code, what: &str, stored: &str, local: &str| {
            Finding::error(
                slug,
                format!(
                    "Migration {what} mismatch for migration {name}\n-> Applied to database : {stored}\n-> \
                     Resolved locally    : {local}\n{REVERT_OR_REPAIR}"
                ),
            )
            .coded(code)
            .next_step("revert the file to what was applied, or run repair to accept it as it is")
        };
        if applied.row_type != script.row_type() {
            return Some(mismatch(
                "type-mismatch",
                FlywayCode::TypeMismatch,
                "type",
                applied.row_type.as_str(),
                script.row_type().as_str(),
            ));
        }
        let compares_checksum = row.version.is_some()
            || (self.pending_is_ignored && !matches!(row.state, State::Outdated | State::Superseded));
        if compares_checksum && applied.checksum.is_some_and(|stored| stored != script.checksum()) {
            let stored = applied.checksum.map_or_else(|| "null".to_owned(), |checksum| checksum.to_string());
            return Some(mismatch(
                "checksum-mismatch",
                FlywayCode::ChecksumMismatch,
                "checksum",
                &stored,
                &script.checksum().to_string(),
            ));
        }
        let local = script.stored_description();
        if !is_same_description(&applied.description, &local) {
            return Some(mismatch(
                "description-mismatch",
                FlywayCode::DescriptionMismatch,
                "description",
                &applied.description,
                &local,
            ));
        }
        None
    }
}

pub(crate) fn is_same_description(stored: &str, local: &str) -> bool {
    stored == local || (stored == NO_DESCRIPTION && local.is_empty())
}

fn failed(row: &InfoRow<'_>) -> Option<Finding> {
    if !row.state.is_failed() {
        return None;
    }
    const AFTERWARDS: &str =
        "Please remove any half-completed changes then run repair to fix the schema history.";
    let message = match row.version {
        Some(version) => {
            format!("Detected failed migration to version {version} ({}).\n{AFTERWARDS}", row.description())
        }
        None => format!("Detected failed repeatable migration: {}.\n{AFTERWARDS}", row.description()),
    };
    Some(history::failed_migration(row.path(), row.version, message))
}

fn not_resolved(row: &InfoRow<'_>) -> Option<Finding> {
    let applied = row.applied?;
    if row.script.is_some() || applied.row_type.is_synthetic() || row.state == State::Superseded {
        return None;
    }
    if matches!(applied.row_type, RowType::UndoScript) {
        return None;
    }
    const AFTERWARDS: &str =
        "If you removed this migration intentionally, run repair to mark the migration as deleted.";
    let finding = match row.version {
        Some(version) => Finding::error(
            "applied-migration-missing",
            format!("Detected applied migration not resolved locally: {version}.\n{AFTERWARDS}"),
        )
        .coded(FlywayCode::AppliedVersionedMigrationNotResolved),
        None => Finding::error(
            "applied-migration-missing",
            format!("Detected applied migration not resolved locally: {}.\n{AFTERWARDS}", row.description()),
        )
        .coded(FlywayCode::AppliedRepeatableMigrationNotResolved),
    };
    Some(finding.next_step("bring the file back, or run repair to mark it as deleted"))
}

fn ignored(row: &InfoRow<'_>) -> Option<Finding> {
    // A baseline script on a database with history is not missed.
    (row.state == State::Ignored && row.row_type() != RowType::SqlBaseline).then(|| {
        not_applied(
            row,
            "migration-ignored",
            "To ignore this migration, set -ignoreMigrationPatterns='*:ignored'. To allow executing this \
             migration, set -outOfOrder=true.",
            "give it a version above the applied ones, or allow outOfOrder",
        )
    })
}

fn pending(row: &InfoRow<'_>) -> Option<Finding> {
    (row.state == State::Pending).then(|| {
        not_applied(
            row,
            "migration-pending",
            "To fix this error, either run migrate, or set -ignoreMigrationPatterns='*:pending'.",
            "run migrate",
        )
    })
}

fn not_applied(row: &InfoRow<'_>, slug: &'static str, hint: &str, next_step: &str) -> Finding {
    let finding = match row.version {
        Some(version) => Finding::error(
            slug,
            format!("Detected resolved migration not applied to database: {version}.\n{hint}"),
        )
        .coded(FlywayCode::ResolvedVersionedMigrationNotApplied),
        None => Finding::error(
            slug,
            format!(
                "Detected resolved repeatable migration not applied to database: {}.\n{hint}",
                row.description()
            ),
        )
        .coded(FlywayCode::ResolvedRepeatableMigrationNotApplied),
    };
    finding.next_step(next_step)
}

fn outdated(row: &InfoRow<'_>) -> Option<Finding> {
    (row.state == State::Outdated).then(|| {
        Finding::error(
            "repeatable-outdated",
            format!(
                "Detected outdated resolved repeatable migration that should be re-applied to database: \
                 {}.\nRun migrate to execute this migration.",
                row.description()
            ),
        )
        .coded(FlywayCode::OutdatedRepeatableMigration)
        .next_step("run migrate")
    })
}
