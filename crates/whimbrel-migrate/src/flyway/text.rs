//! Flyway's lines.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::printer::counted;
use whimbrel_database::{ConnectError, ConnectErrorKind, ServerError};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::repair::RepairAction;
use whimbrel_migration::sql::postgres::quote_identifier;

use super::PlainErrors as _;
use crate::cli::Verb;
use crate::engine::{InfoReport, RepairReport};
use crate::failure::{Failure, Kept, ScriptFailure};
use crate::report::Listener;
use crate::run::{Report, Run, Turn};
use crate::settings::RunSettings;

/// For `-h`, `-v` and no verb at all.
pub(super) const USAGE: &str = "Usage: flyway [-key=value...] verb...\n\
    Verbs: migrate, info, validate, repair, baseline, clean\n\
    Example: flyway -url=jdbc:postgresql://localhost/db -user=u -locations=filesystem:sql migrate\n\
    This is Whimbrel, in the place of Flyway; `whimbrel-migrate --help` shows its own command line.";

/// The last line of a failed validation.
const LEARN_MORE: &str = "\nNeed more flexibility with validation rules? Learn more: https://rd.gt/3AbJUZE";

/// Says what happens while it happens.
pub(super) struct Lines {
    printer: Printer,
    verb: Verb,
    url: String,
    schema: String,
    table: String,
    validates: bool,
    began: Instant,
    /// What has been said and is not to be said again.
    said: RefCell<BTreeSet<&'static str>>,
    /// Lines that Flyway prints after those of the plan.
    later: RefCell<Vec<String>>,
}

impl Lines {
    pub(super) fn new(printer: Printer, settings: &RunSettings) -> Self {
        let database = &settings.databases[0];
        let schema = quote_identifier(database.schema.as_deref().unwrap_or("public"));
        Self {
            printer,
            verb: settings.verb,
            url: database.target.public_url(),
            table: format!("{schema}.{}", quote_identifier(&database.table)),
            schema,
            validates: database.migration.validate_on_migrate,
            began: Instant::now(),
            said: RefCell::default(),
            later: RefCell::default(),
        }
    }

    fn once(&self, what: &'static str, line: impl FnOnce() -> String) {
        if self.said.borrow_mut().insert(what) {
            self.printer.line(line());
        }
    }

    fn planned(&self, line: &Value) {
        if self.validates {
            let count = usize::try_from(line["validated"].as_u64().unwrap_or_default()).unwrap_or_default();
            let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
            let text = || {
                format!(
                    "Successfully validated {} (execution time {})",
                    counted(count, "migration"),
                    time(took)
                )
            };
            self.once("validated", text);
            if count == 0 {
                self.once("nothing found", || {
                    "WARNING: No migrations found. Are your locations set up correctly?".to_owned()
                });
            }
        }
        self.later.borrow_mut().drain(..).for_each(|line| self.printer.line(line));
        let before = line["before"].as_str().unwrap_or("<< Empty Schema >>");
        self.once("version", || format!("Current version of schema {}: {before}", self.schema));
    }
}

impl Listener for Lines {
    fn line(&self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        match text("event") {
            "connected" => self.printer.line(format!("Database: {} ({})", self.url, text("product"))),
            "history-missing" if self.verb != Verb::Baseline => {
                self.once("missing", || format!("Schema history table {} does not exist yet", self.table));
            }
            "planned" => self.planned(line),
            "script-started" => {
                let mode = if text("run_mode") == "in-transaction" { "" } else { " [non-transactional]" };
                let order = if line["out_of_order"] == true { " [out of order]" } else { "" };
                let (schema, description) = (&self.schema, text("description"));
                self.printer.line(match line["version"].as_str() {
                    Some(version) => {
                        format!(
                            "Migrating schema {schema} to version \"{version} - {description}\"{order}{mode}"
                        )
                    }
                    None => {
                        format!("Migrating schema {schema} with repeatable migration \"{description}\"{mode}")
                    }
                });
            }
            "callback-started" => {
                let (callback, description) = (text("callback"), text("description"));
                self.printer.line(format!("Executing SQL callback: {callback} - {description}"));
            }
            "notice" if line["script"].is_string() => {
                let message = text("message");
                self.printer.line(match text("level") {
                    "warn" => format!("WARNING: DB: {message} (SQL State: 01000 - Error Code: 0)"),
                    _ => format!("DB: {message}"),
                });
            }
            "notice" if text("message").starts_with("making the history table") => {
                let table = text("message").trim_start_matches("making the history table ");
                let line = format!("Creating Schema History table {table} ...");
                match self.verb {
                    Verb::Migrate => self.later.borrow_mut().push(line),
                    _ => self.printer.line(line),
                }
            }
            "notice" | "waiting" if text("level") == "warn" => {
                self.printer.line(format!("WARNING: {}", text("message")));
            }
            "waiting" => self.printer.line(text("message")),
            _ => {}
        }
    }
}

/// What a verb answers at its end.
pub(super) fn answer(printer: &Printer, settings: &RunSettings, run: &Run) {
    let Some(turn) = run.turns.first() else { return };
    let database = &settings.databases[0];
    let schema = quote_identifier(database.schema.as_deref().unwrap_or("public"));
    let table = format!("{schema}.{}", quote_identifier(&database.table));
    if let Some(failure) = &turn.failure {
        return failed(printer, &schema, failure);
    }
    match &turn.report {
        Some(Report::Migrate(_)) => migrated(printer, &schema, turn),
        Some(Report::Info(report)) => info(printer, report),
        Some(Report::Validate(report)) if report.findings.is_empty() && !report.schema_missing => {
            printer.line(format!(
                "Successfully validated {} (execution time {})",
                counted(report.validated, "migration"),
                time(turn.millis)
            ));
        }
        Some(Report::Validate(report)) => {
            let mut text = if report.schema_missing {
                format!("ERROR: Validate failed: Schema {schema} doesn't exist yet\n")
            } else {
                "ERROR: Validate failed: Migrations have failed validation".to_owned()
            };
            for finding in &report.findings {
                text.push_str(&format!("\n{}", finding.message));
            }
            text.push_str(LEARN_MORE);
            printer.stderr_line(&text);
        }
        Some(Report::Repair(report)) => repaired(printer, &table, turn.millis, report),
        Some(Report::Baseline(report)) => {
            let description = &database.migration.baseline_description;
            if report.already_there {
                printer.line(format!(
                    "Schema history table {table} already initialized with ({},{description}). Skipping.",
                    report.version
                ));
            } else {
                printer.line(format!("Creating Schema History table {table} with baseline ..."));
                printer.line(format!("Successfully baselined schema with version: {}", report.version));
            }
        }
        // Verbs that Flyway's command line does not have.
        Some(Report::Undo(_) | Report::Stamp(_) | Report::Ping(_) | Report::Wait(_)) => {}
        Some(Report::Clean(report)) => {
            let took = format!("(execution time {})", time(turn.millis));
            printer.line(format!("Successfully dropped pre-schema database level objects {took}"));
            // Flyway goes through the schemas twice.
            for schema in report.cleaned.iter().chain(&report.cleaned) {
                printer.line(format!("Successfully cleaned schema {} {took}", quote_identifier(schema)));
            }
            printer.line(format!("Successfully dropped post-schema database level objects {took}"));
            for schema in &report.dropped {
                printer.line(format!("Successfully dropped schema {} {took}", quote_identifier(schema)));
            }
        }
        None => {}
    }
}

fn migrated(printer: &Printer, schema: &str, turn: &Turn) {
    let scripts = &turn.record.scripts;
    if scripts.is_empty() {
        printer.line(format!("Schema {schema} is up to date. No migration necessary."));
        return;
    }
    let last = scripts.iter().rev().find_map(|script| script.version.as_deref());
    let now = last.map(|version| format!(", now at version v{version}")).unwrap_or_default();
    printer.line(format!(
        "Successfully applied {} to schema {schema}{now} (execution time {})",
        counted(scripts.len(), "migration"),
        time(turn.millis)
    ));
}

fn info(printer: &Printer, report: &InfoReport) {
    let version = report.version.as_deref().unwrap_or("<< Empty Schema >>");
    printer.line(format!("Schema version: {version}\n"));
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
            undoable(row.version.as_deref(), row.state.as_str()).to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    let rule: String =
        widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+";
    printer.line(&rule);
    let empty = rows.len() == 1;
    for (index, row) in rows.iter().enumerate() {
        let cells: String =
            row.iter().zip(&widths).map(|(cell, width)| format!("| {cell:<width$} ")).collect();
        printer.line(format!("{cells}|"));
        if index == 0 {
            printer.line(&rule);
        }
    }
    if empty {
        let width = rule.chars().count() - 4;
        printer.line(format!("| {:<width$} |", "No migrations found"));
    }
    printer.line(format!("{rule}\n"));
}

/// What has a version could be undone, and not by us here. The table leaves the word out where a row is taken away.
fn undoable(version: Option<&str>, state: &str) -> &'static str {
    match version {
        Some(_) if state != "Deleted" => "No",
        _ => "",
    }
}

fn repaired(printer: &Printer, table: &str, millis: u64, report: &RepairReport) {
    let nothing = format!("Repair of failed migration in Schema History table {table} not necessary");
    if !report.history_exists {
        printer.line(format!("{nothing} as table doesn't exist."));
        return;
    }
    if !report.actions.iter().any(|action| matches!(action, RepairAction::RemoveFailed { .. })) {
        printer.line(format!("{nothing}. No failed migration detected."));
    }
    for action in &report.actions {
        match action {
            RepairAction::RemoveFailed { .. } => {}
            RepairAction::MarkDeleted { row, .. } => printer.line(match &row.version {
                Some(version) => {
                    format!("Repairing Schema History table for version \"{version}\" (Marking as DELETED)  ...")
                }
                None => format!(
                    "Repairing Schema History table for description \"{}\" (Marking as DELETED)  ...",
                    row.description
                ),
            }),
            RepairAction::Align { version, description, row_type, checksum, .. } => printer.line(format!(
                "Repairing Schema History table for version {} (Description: {description}, Type: {row_type}, Checksum: {})  ...",
                version.as_deref().unwrap_or("null"),
                checksum.map_or_else(|| "null".to_owned(), |checksum| checksum.to_string())
            )),
        }
    }
    printer.line(format!(
        "Successfully repaired schema history table {table} (execution time {}).",
        time(millis)
    ));
}

fn failed(printer: &Printer, schema: &str, failure: &Failure) {
    if let Failure::Script(script) = failure {
        let rolled_back = match script.kept {
            Kept::Nothing if !script.non_transactional => "Changes successfully rolled back.",
            _ => "Please restore backups and roll back database and code!",
        };
        let mode = if script.non_transactional { " [non-transactional]" } else { "" };
        let what = match &script.version {
            Some(version) => format!("to version \"{version} - {}\"", script.description),
            None => format!("with repeatable migration \"{}\"", script.description),
        };
        printer
            .stderr_line(&format!("ERROR: Migration of schema {schema} {what}{mode} failed! {rolled_back}"));
        printer.stderr_line(&format!("ERROR: {}", block(script)));
        return;
    }
    let text = match failure {
        Failure::Refused(findings) if is_old_failure(findings) => old_failure(schema, findings),
        other => message(other),
    };
    printer.stderr_line(&format!("ERROR: {text}"));
}

/// Whether these are findings of a validation, and not of something else that was looked at before a run.
pub(super) fn is_validation(findings: &[Finding]) -> bool {
    let of_validation = |message: &str| {
        ["Migration checksum", "Migration description", "Migration type", "Detected "]
            .iter()
            .any(|start| message.starts_with(start))
    };
    findings.iter().any(|finding| of_validation(&finding.message) && finding.slug != "mixed-statements")
}

/// Whether an old failed row stands in the way.
pub(super) fn is_old_failure(findings: &[Finding]) -> bool {
    findings.first().is_some_and(|finding| finding.slug == "failed-migration")
}

/// The same in Flyway's words, which name the schema.
pub(super) fn old_failure(schema: &str, findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| match &finding.version {
        Some(version) => format!("Schema {schema} contains a failed migration to version {version} !"),
        None => format!(
            "Schema {schema} contains a failed repeatable migration ({}) !",
            finding.description.as_deref().unwrap_or_default()
        ),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What went wrong, in Flyway's words where they are known.
pub(super) fn message(failure: &Failure) -> String {
    match failure {
        Failure::Script(script) => block(script),
        Failure::Callback { event, failure } => {
            format!("Error while executing {} callback: {}", event.as_str(), block(failure))
        }
        Failure::Refused(findings) => {
            let text = findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>().join("\n");
            if is_validation(findings) {
                format!("Validate failed: Migrations have failed validation\n{text}{LEARN_MORE}")
            } else {
                text
            }
        }
        Failure::Locked { .. } => format!(
            "Number of retries exceeded while attempting to acquire PostgreSQL advisory lock. Configure the number of retries with the 'lockRetryCount' configuration option ({failure})"
        ),
        Failure::CleanDisabled { .. } => {
            "Unable to execute clean as it has been disabled with the 'flyway.cleanDisabled' property."
                .to_owned()
        }
        Failure::Connect(error) => {
            let headline =
                format!("Unable to obtain connection from database ({}): {}", error.target, error.cause);
            format!(
                "{headline}\n{}\nSQL State  : {}\nError Code : 0\nMessage    : {}\n",
                "-".repeat(headline.chars().count()),
                connect_state(error),
                error.cause
            )
        }
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            text
        }
    }
}

fn block(script: &ScriptFailure) -> String {
    let name = script.script.rsplit('/').next().unwrap_or_default();
    let headline = format!("Failed to execute script {name}");
    let (state, code, message) = match script.error.server() {
        // SQLite has no such states.
        Some(error) if error.sqlstate.is_empty() => ("null", error.code, server_message(error)),
        Some(error) => (error.sqlstate.as_str(), error.code, server_message(error)),
        None => ("08006", 0, script.error.to_string()),
    };
    format!(
        "{headline}\n{}\nSQL State  : {state}\nError Code : {code}\nMessage    : {message}\nLocation   : {path} ({path})\nLine       : {}\nStatement  : {}\n",
        "-".repeat(headline.len()),
        script.statement_line,
        script.statement,
        path = script.path.display(),
    )
}

/// The condition's five characters, as far as the class of the failure tells it.
pub(super) fn connect_state(error: &ConnectError) -> &'static str {
    match error.kind {
        ConnectErrorKind::Unreachable => "08001",
        ConnectErrorKind::NotReady => "57P03",
        ConnectErrorKind::LoginRefused => "28P01",
        ConnectErrorKind::NoDatabase => "3D000",
        _ => "08006",
    }
}

/// What a driver makes of a server's error; the drivers of MySQL and SQLite have no word before the message.
pub(super) fn server_message(error: &ServerError) -> String {
    let position = error.position.map(|at| format!("\n  Position: {at}")).unwrap_or_default();
    let severity = if error.code == 0 { format!("{}: ", error.severity) } else { String::new() };
    format!("{severity}{}{position}", error.message)
}

/// `00:00.044s`
fn time(millis: u64) -> String {
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
