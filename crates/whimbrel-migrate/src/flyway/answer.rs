//! What a verb answers at its end, as text.

use std::path::Path;

use whimbrel_cli::printer::counted;
use whimbrel_migration::record::{ScriptOutcome, ScriptRecord};
use whimbrel_migration::repair::RepairAction;
use whimbrel_migration::state::State;

use super::console::Console;
use super::place::Place;
use super::words::{self, LEARN_MORE};
use crate::engine::{InfoReport, InfoRow, MigrateReport, RepairReport, UndoReport, ValidateReport};
use crate::failure::{Failure, Kept, ScriptFailure};
use crate::settings::{DatabaseSettings, RunSettings};
use crate::turn::{Report, Turn};
use crate::turns::Run;

/// What a verb answers at its end.
pub(super) fn answer(console: &Console, place: &Place, settings: &RunSettings, run: &Run) {
    let (Some(turn), Some(database)) = (run.turns.first(), settings.databases.first()) else { return };
    let held = console.release();
    console.flush();
    if turn.failure.is_none() {
        answered(console, place, database, turn);
    }
    held.iter().for_each(|line| console.out(line));
    if let Some(failure) = &turn.failure {
        failed(console, place, failure);
    }
}

fn answered(console: &Console, place: &Place, database: &DatabaseSettings, turn: &Turn) {
    let took = format!("(execution time {})", time(turn.millis));
    match &turn.report {
        Some(Report::Migrate(_)) if console.sums_up() => {
            let scripts = applied(turn);
            let last = scripts.iter().rev().find_map(|script| script.version.as_deref());
            migrated(console, place, (scripts.len(), last), turn.millis);
        }
        Some(Report::Info(report)) => info(console, database, report),
        Some(Report::Validate(report)) => validated(console, place, report, &took),
        Some(Report::Repair(report)) => repaired(console, place, &took, report),
        // Where it made the schema as well, Flyway looks again and finds its own row.
        Some(Report::Baseline(report)) if report.already_there || report.made_schemas => {
            let description = &database.migration.baseline_description;
            console.line(format!(
                "Schema history table {} already initialized with ({},{description}). Skipping.",
                place.table(),
                report.version
            ));
        }
        Some(Report::Baseline(report)) => {
            console.line(format!("Successfully baselined schema with version: {}", report.version));
        }
        Some(Report::Undo(report)) => undone(console, place, report, &took),
        // Verbs that Flyway's command line does not have.
        Some(Report::Migrate(_) | Report::Stamp(_) | Report::Ping(_) | Report::Wait(_)) | None => {}
        Some(Report::Clean(report)) => {
            console.line(format!("Successfully dropped pre-schema database level objects {took}"));
            for schema in &report.missing {
                console.warning(&unknown_schema(place, schema));
            }
            // Flyway goes through the schemas twice, there and back.
            let schemas: Vec<&String> = report.cleaned.iter().chain(&report.dropped).collect();
            for schema in schemas.iter().chain(schemas.iter().rev()) {
                console.line(format!("Successfully cleaned schema {} {took}", place.quoted(schema)));
            }
            console.line(format!("Successfully dropped post-schema database level objects {took}"));
            for schema in &report.dropped {
                console.line(format!("Successfully dropped schema {} {took}", place.quoted(schema)));
            }
        }
    }
}

/// What was applied or undone, or would be in a dry run.
pub(super) fn applied(turn: &Turn) -> Vec<ScriptRecord> {
    let description = |script: &str| {
        let found = turn.set.as_ref().and_then(|set| set.find(script));
        found.map(|(script, _)| script.name.description.clone()).unwrap_or_default()
    };
    let would = |script: &str, version: Option<String>| ScriptRecord {
        script: script.to_owned(),
        version,
        description: description(script),
        outcome: ScriptOutcome::Applied,
        millis: 0,
    };
    let applied = turn.record.scripts.iter().filter(|script| script.outcome == ScriptOutcome::Applied);
    match &turn.report {
        Some(Report::Migrate(MigrateReport { planned, .. })) if !planned.is_empty() => {
            planned.iter().map(|script| would(&script.script, script.version.clone())).collect()
        }
        Some(Report::Undo(UndoReport { undone, .. })) if turn.record.scripts.is_empty() => {
            undone.iter().map(|undone| would(&undone.script, Some(undone.version.clone()))).collect()
        }
        _ => applied.cloned().collect(),
    }
}

fn undone(console: &Console, place: &Place, report: &UndoReport, took: &str) {
    let (schema, count) = (place.schema(), report.undone.len());
    if count == 0 {
        return console.line(format!("Schema {schema} has no migration to undo. No undo necessary."));
    }
    let now = report.after.as_ref().map(|version| format!(", now at version v{version}")).unwrap_or_default();
    console
        .line(format!("Successfully undid {} to schema {schema}{now} {took}", counted(count, "migration")));
}

/// What every verb says that looks for a history in vain.
pub(super) fn history_missing(place: &Place) -> String {
    format!("Schema history table {} does not exist yet", place.table())
}

/// What `clean` says of a schema that is not there.
pub(super) fn unknown_schema(place: &Place, schema: &str) -> String {
    format!("Unable to clean unknown schema: {}", place.quoted(schema))
}

fn validated(console: &Console, place: &Place, report: &ValidateReport, took: &str) {
    if report.history_missing {
        console.line(history_missing(place));
    }
    if report.findings.is_empty() && !report.schema_missing {
        console.line(format!("Successfully validated {} {took}", counted(report.validated, "migration")));
        if report.validated == 0 {
            console.warning("No migrations found. Are your locations set up correctly?");
        }
        return;
    }
    if report.schema_missing {
        let schema = place.schema();
        return console.error(&format!("Validate failed: Schema {schema} doesn't exist yet\n{LEARN_MORE}\n"));
    }
    let mut text = "Validate failed: Migrations have failed validation".to_owned();
    for finding in &report.findings {
        text.push_str(&format!("\n{}", finding.message));
    }
    text.push_str(LEARN_MORE);
    console.error(&format!("{text}\n"));
}

/// How many scripts were applied, and the version of the last of them that has one.
pub(super) fn migrated(
    console: &Console,
    place: &Place,
    (applied, last): (usize, Option<&str>),
    millis: u64,
) {
    let schema = place.schema();
    if applied == 0 {
        console.line(format!("Schema {schema} is up to date. No migration necessary."));
        return;
    }
    let now = last.map(|version| format!(", now at version v{version}")).unwrap_or_default();
    console.line(format!(
        "Successfully applied {} to schema {schema}{now} (execution time {})",
        counted(applied, "migration"),
        time(millis)
    ));
}

fn info(console: &Console, database: &DatabaseSettings, report: &InfoReport) {
    let version = report.version.as_deref().unwrap_or("<< Empty Schema >>");
    console.line(format!("Schema version: {version}\n"));
    // As Flyway: of what is shown.
    if report.migrations.iter().all(|row| row.file.is_none()) {
        nothing_on_disk(console, database);
    }
    let head = ["Category", "Version", "Description", "Type", "Installed On", "State", "Undoable"];
    let mut rows = vec![head.map(str::to_owned)];
    for row in &report.migrations {
        let installed = row.installed_on.as_deref().unwrap_or_default();
        rows.push([
            row.category.as_str().to_owned(),
            row.version.clone().unwrap_or_default(),
            row.description.clone(),
            row.row_type.as_str().to_owned(),
            installed.split('.').next().unwrap_or_default().to_owned(),
            row.state.as_str().to_owned(),
            // The table leaves the word out where a row is taken away.
            if row.state == State::Deleted { String::new() } else { undoable(row).to_owned() },
        ]);
    }
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let rule: String =
        widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+";
    console.line(&rule);
    let empty = rows.len() == 1;
    for (index, row) in rows.iter().enumerate() {
        let cells: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:<width$} ")).collect();
        console.line(format!("{cells}|"));
        if index == 0 {
            console.line(&rule);
        }
    }
    if empty {
        let width = rule.chars().count() - 4;
        console.line(format!("| {:<width$} |", "No migrations found"));
    }
    console.line(format!("{rule}\n"));
}

/// Where no script was found, Flyway shows the settings that could be the reason.
fn nothing_on_disk(console: &Console, database: &DatabaseSettings) {
    console.line("No migrations found on disk.\nHere are some relevant configuration settings.\n");
    let names = |paths: &[std::path::PathBuf]| {
        let mut names: Vec<String> =
            paths.iter().map(|path| format!("filesystem:{}", path.display())).collect();
        names.sort();
        names.join(", ")
    };
    let here = std::env::current_dir().ok();
    let folder = database.working_directory.as_deref().or(here.as_deref());
    let naming = &database.naming;
    let rows = [
        ("locations", names(&database.locations)),
        ("callbackLocations", names(&database.callback_locations)),
        ("workingDirectory", folder.map(Path::display).map(|path| path.to_string()).unwrap_or_default()),
        ("repeatableSqlMigrationPrefix", naming.repeatable_prefix.clone()),
        ("sqlMigrationPrefix", naming.versioned_prefix.clone()),
        ("baselineMigrationPrefix", naming.baseline_prefix.clone()),
        ("sqlMigrationSeparator", naming.separator.clone()),
        ("sqlMigrationSuffixes", naming.suffixes.join(", ")),
    ];
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.chars().count() + 2).max();
    let left = width(&mut rows.iter().map(|(name, _)| *name)).unwrap_or_default();
    let right = width(&mut rows.iter().map(|(_, value)| value.as_str())).unwrap_or_default();
    console.line(format!("| {:<left$} | {:<right$} |", "Setting", "Value"));
    console.line(format!("|{}|{}|", "-".repeat(left + 2), "-".repeat(right + 2)));
    for (name, value) in rows {
        console.line(format!("| {name:<left$} | {value:<right$} |"));
    }
    console.line("");
}

/// What has a version can be undone where there is a script for that.
pub(super) fn undoable(row: &InfoRow) -> &'static str {
    match (&row.version, &row.undo) {
        (Some(_), Some(_)) => "Yes",
        (Some(_), None) => "No",
        (None, _) => "",
    }
}

fn repaired(console: &Console, place: &Place, took: &str, report: &RepairReport) {
    let table = place.table();
    let nothing = format!("Repair of failed migration in Schema History table {table} not necessary");
    if !report.history_exists {
        console.line(format!("{nothing} as table doesn't exist."));
        console.line(history_missing(place));
        console.line(format!("Successfully repaired schema history table {table} {took}."));
        return;
    }
    let any = |wanted: fn(&RepairAction) -> bool| report.actions.iter().any(wanted);
    let removed = any(|action| matches!(action, RepairAction::RemoveFailed { .. }));
    if !removed {
        console.line(format!("{nothing}. No failed migration detected."));
    }
    for action in &report.actions {
        if let Some(line) = action_line(action) {
            console.line(line);
        }
    }
    console.line(format!("Successfully repaired schema history table {table} {took}."));
    if any(|action| matches!(action, RepairAction::MarkDeleted { .. })) {
        console.line(
            "Please ensure the previous contents of the deleted migrations are removed from the database, \
             or moved into an existing migration.",
        );
    }
    if removed && !place.dialect().transactional_ddl() {
        console
            .line("Manual cleanup of the remaining effects of the failed migration may still be required.");
    }
}

fn action_line(action: &RepairAction) -> Option<String> {
    Some(match action {
        RepairAction::RemoveFailed { .. } => return None,
        RepairAction::MarkDeleted { row, .. } => match &row.version {
            Some(version) => {
                format!("Repairing Schema History table for version \"{version}\" (Marking as DELETED)  ...")
            }
            None => format!(
                "Repairing Schema History table for description \"{}\" (Marking as DELETED)  ...",
                row.description
            ),
        },
        RepairAction::Align { version, description, row_type, checksum, .. } => format!(
            "Repairing Schema History table for version {} (Description: {description}, Type: {row_type}, Checksum: {})  ...",
            version.as_deref().unwrap_or("null"),
            checksum.map_or_else(|| "null".to_owned(), |checksum| checksum.to_string())
        ),
    })
}

fn failed(console: &Console, place: &Place, failure: &Failure) {
    if let Failure::Script(script) = failure {
        headline(console, place, script);
    }
    console.error(&words::message(place, failure));
    let (Failure::Script(script) | Failure::Callback { failure: script, .. }) = failure else { return };
    if script.kept != Kept::Nothing {
        console.warning(&format!("{}: {}", script.script, script.kept_in_words()));
    }
    script.notes.iter().for_each(|note| console.warning(note));
}

/// What became of a failed script, in one line.
fn headline(console: &Console, place: &Place, script: &ScriptFailure) {
    // What a script with transactions of its own kept is told by a warning.
    let mode = console.mode();
    // Where DDL commits, Flyway does not look whether there was any.
    let rolled_back = if mode.is_empty() && place.dialect().transactional_ddl() {
        "Changes successfully rolled back."
    } else {
        "Please restore backups and roll back database and code!"
    };
    let verb = if script.undoes { "Undo of migration" } else { "Migration" };
    let what = match &script.version {
        Some(version) => format!("to version \"{}\"", named(version, &script.description)),
        None => format!("with repeatable migration \"{}\"", script.description),
    };
    console.error(&format!("{verb} of schema {} {what}{mode} failed! {rolled_back}", place.schema()));
}

/// `2 - b`, or the version alone where there is no description.
pub(super) fn named(version: &str, description: &str) -> String {
    if description.is_empty() { version.to_owned() } else { format!("{version} - {description}") }
}

/// `00:00.044s`
pub(super) fn time(millis: u64) -> String {
    format!("{:02}:{:02}.{:03}s", millis / 60_000, millis / 1000 % 60, millis % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_like_flyways() {
        assert_eq!(time(44), "00:00.044s");
        assert_eq!(time(61_001), "01:01.001s");
    }
}
