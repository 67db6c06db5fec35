//! What a run leaves on the screen: a table for people, a document for programs, and the errors.

mod own;

use serde::Serialize;
use whimbrel_cli::error::CommandError;
use whimbrel_cli::printer::{Printer, counted};
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::record::DatabaseOutcome;
use whimbrel_migration::repair::RepairAction;

use crate::engine::{InfoReport, MigrateReport, RepairReport, ValidateReport};
use crate::report::{Reporter, version};
use crate::settings::RunSettings;
use crate::turn::{Report, Turn};
use crate::turns::Run;

/// Where the width of a terminal is not known.
const WIDTH: usize = 100;

/// Shows a finished run.
pub fn render(reporter: &Reporter, settings: &RunSettings, run: &Run) {
    if reporter.printer().is_json() {
        if !settings.is_followed() {
            reporter.printer().json(&document(settings, run));
        }
        errors(reporter, run);
        if settings.is_followed() {
            reporter.finish(&run.record, &summary(run));
        }
        return;
    }
    for turn in &run.turns {
        if let Some(report) = &turn.report {
            answer(reporter, settings, turn, report);
        }
    }
    if settings.is_followed() {
        for line in run_table(run) {
            reporter.printer().line(line);
        }
        reporter.finish(&run.record, &summary(run));
    }
    errors(reporter, run);
}

/// Errors with their hints; on a JSON log they are in the lines and in the record already.
fn errors(reporter: &Reporter, run: &Run) {
    for turn in &run.turns {
        let Some(failure) = &turn.failure else { continue };
        let mut error = CommandError::new(
            failure.kind(),
            Told(turn.record.error.clone().unwrap_or_default(), turn.record.database.clone()),
        );
        for hint in failure.hints() {
            error = error.hinted(hint);
        }
        if !reporter.printer().is_json() {
            reporter.printer().error(&error);
        }
    }
}

/// An error that is told already as text.
#[derive(Debug)]
struct Told(String, String);

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.1, self.0)
    }
}

impl std::error::Error for Told {}

fn summary(run: &Run) -> String {
    let applied: usize = run.record.databases.iter().map(|database| database.scripts.len()).sum();
    match run.exit.code() {
        0 if run.turns.iter().any(|turn| matches!(turn.report, Some(Report::Undo(_)))) => {
            format!("{} taken back", counted(applied, "version"))
        }
        0 => {
            let databases = counted(run.record.databases.len(), "database");
            format!("{databases}, {} applied", counted(applied, "script"))
        }
        code => format!("ended with exit code {code}"),
    }
}

/// What programs read of a run.
#[derive(Serialize)]
struct Document<'run> {
    schema: u8,
    run: &'run str,
    verb: &'static str,
    dry_run: bool,
    databases: Vec<Entry<'run>>,
    exit_code: u8,
}

/// The report of one database, with its name and its error.
#[derive(Serialize)]
struct Entry<'run> {
    #[serde(flatten)]
    report: Option<&'run Report>,
    database: &'run str,
    error: Option<&'run str>,
}

fn document<'run>(settings: &RunSettings, run: &'run Run) -> Document<'run> {
    let entry = |turn: &'run Turn| Entry {
        report: turn.report.as_ref(),
        database: &turn.record.database,
        error: turn.record.error.as_deref(),
    };
    Document {
        schema: 1,
        run: &run.record.run,
        verb: settings.verb.name(),
        dry_run: settings.common.dry_run,
        databases: run.turns.iter().map(entry).collect(),
        exit_code: run.exit.code(),
    }
}

fn answer(reporter: &Reporter, settings: &RunSettings, turn: &Turn, report: &Report) {
    let printer = reporter.printer();
    let name = &turn.record.database;
    let lines = match report {
        Report::Migrate(report) if settings.common.dry_run => return planned(printer, name, report),
        Report::Migrate(_) => Vec::new(),
        Report::Undo(report) if settings.common.dry_run => return own::undo(printer, name, report),
        Report::Undo(_) => Vec::new(),
        Report::Stamp(report) => own::stamp(name, report),
        Report::Ping(report) => own::ping(name, report),
        Report::Wait(report) => own::waited(name, report),
        Report::Info(report) => info(name, report),
        Report::Validate(report) => validated(name, report),
        Report::Repair(report) => repaired(name, report, settings.common.dry_run),
        Report::Baseline(report) if report.already_there => {
            vec![format!("{name}: baseline {} is there already", report.version)]
        }
        Report::Baseline(report) => {
            let verb = if settings.common.dry_run { "would be written" } else { "written" };
            vec![format!("{name}: baseline {} {verb}", report.version)]
        }
        Report::Clean(report) => {
            let verb = if settings.common.dry_run { "would be" } else { "was" };
            let cleaned =
                report.cleaned.iter().map(|schema| format!("{name}: schema {schema} {verb} emptied"));
            let dropped =
                report.dropped.iter().map(|schema| format!("{name}: schema {schema} {verb} dropped"));
            cleaned.chain(dropped).collect()
        }
    };
    for line in lines {
        printer.line(line);
    }
}

fn run_table(run: &Run) -> Vec<String> {
    let head = ["database", "before", "after", "scripts", "time", "outcome"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for (index, database) in run.record.databases.iter().enumerate() {
        let millis = run.turns.get(index).map(|turn| turn.millis);
        let is_known = database.outcome != DatabaseOutcome::Skipped;
        let show = |version: &Option<String>| match version {
            Some(version) => version.clone(),
            None if is_known => "-".to_owned(),
            None => String::new(),
        };
        rows.push(vec![
            database.database.clone(),
            show(&database.before),
            show(&database.after),
            if is_known { database.scripts.len().to_string() } else { String::new() },
            millis.map(|millis| format!("{millis} ms")).unwrap_or_default(),
            outcome(database.outcome).to_owned(),
        ]);
    }
    table(&rows, usize::MAX)
}

fn outcome(outcome: DatabaseOutcome) -> &'static str {
    match outcome {
        DatabaseOutcome::Applied => "applied",
        DatabaseOutcome::UpToDate => "up to date",
        DatabaseOutcome::Failed => "failed",
        DatabaseOutcome::Skipped => "skipped",
    }
}

fn planned(printer: &Printer, name: &str, report: &MigrateReport) {
    printer.line(format!("{name}: {}", version(report.before.as_deref())));
    if report.creates_history {
        printer.line("  would make the history table");
    }
    if report.planned.is_empty() {
        printer.line("  nothing to do");
    }
    let rows: Vec<Vec<String>> = report
        .planned
        .iter()
        .map(|script| {
            let how = match script.run {
                RunMode::InTransaction if script.implicit_commits => "committed by its DDL on the way",
                RunMode::InTransaction => "in one transaction",
                RunMode::StatementByStatement => "statement by statement, cannot be rolled back",
                RunMode::ManagesOwnTransactions => "manages its own transactions, cannot be rolled back",
            };
            let order = if script.out_of_order { ", out of order" } else { "" };
            let plural = if script.statements == 1 { "" } else { "s" };
            vec![
                format!("  would apply {}", script.script),
                format!("{} statement{plural}, {how}{order}", script.statements),
            ]
        })
        .collect();
    let lines = |lines: Vec<String>| lines.iter().for_each(|line| printer.line(line));
    lines(table(&rows, usize::MAX));
    for script in &report.planned {
        script.risk.iter().for_each(|risk| lines(own::risk(risk)));
        own::sql(printer, &script.script, &script.sql);
    }
    report.rehearsal.iter().for_each(|rehearsal| lines(own::rehearsal(rehearsal)));
}

fn info(name: &str, report: &InfoReport) -> Vec<String> {
    let mut lines = vec![format!("{name}: {}", version(report.version.as_deref()))];
    let head = ["version", "description", "type", "installed on", "state"].map(str::to_owned).to_vec();
    let mut rows = vec![head];
    for row in &report.migrations {
        let installed = row.installed_on.as_deref().unwrap_or_default();
        rows.push(vec![
            row.version.clone().unwrap_or_default(),
            row.description.clone(),
            row.row_type.as_str().to_owned(),
            // To the second.
            installed.split('.').next().unwrap_or_default().to_owned(),
            row.state.as_str().to_owned(),
        ]);
    }
    if report.migrations.is_empty() {
        lines.push("  no scripts and no history".to_owned());
    } else {
        lines.extend(table(&rows, WIDTH).into_iter().map(|line| format!("  {line}")));
    }
    lines.extend(own::origins(&report.migrations));
    lines.extend(own::differences(&report.migrations));
    lines.extend(report.risks.iter().flat_map(own::risk));
    lines
}

fn validated(name: &str, report: &ValidateReport) -> Vec<String> {
    if report.findings.is_empty() && !report.schema_missing {
        return vec![format!("{name}: files and history agree ({} validated)", report.validated)];
    }
    let mut lines = Vec::new();
    if report.schema_missing {
        lines.push(format!("{name}: schema-missing: the schema does not exist"));
    }
    for finding in &report.findings {
        let mut text = finding.message.lines();
        let place = finding.script.as_deref().unwrap_or_default();
        lines.push(format!("{name}: {}: {place}: {}", finding.slug, text.next().unwrap_or_default()));
        lines.extend(text.map(|line| format!("    {line}")));
    }
    lines
}

fn repaired(name: &str, report: &RepairReport, dry_run: bool) -> Vec<String> {
    if !report.history_exists {
        return vec![format!("{name}: there is no history table")];
    }
    if report.actions.is_empty() {
        return vec![format!("{name}: nothing to repair")];
    }
    let would = if dry_run { "would be " } else { "" };
    let actions = report.actions.iter().map(|action| match action {
        RepairAction::RemoveFailed { installed_rank, script, .. } => {
            format!("{name}: failed row {installed_rank} of {script} {would}removed")
        }
        RepairAction::MarkDeleted { row, .. } => format!("{name}: {} {would}marked as deleted", row.script),
        RepairAction::Align { installed_rank, version, was, checksum, .. } => {
            let number =
                |checksum: &Option<i32>| checksum.map_or_else(|| "none".to_owned(), |sum| sum.to_string());
            format!(
                "{name}: row {installed_rank} ({}) {would}aligned with its file: checksum {} -> {}",
                version.as_deref().unwrap_or("repeatable"),
                number(was),
                number(checksum)
            )
        }
    });
    actions.collect()
}

/// Columns of equal width; the widest gives way where the line would be too long.
fn table(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let cell_width =
        |index: usize| rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.chars().count()).max();
    let mut widths: Vec<usize> = (0..columns).map(|index| cell_width(index).unwrap_or_default()).collect();
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    while total(&widths) > width {
        let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > 10) else { break };
        *widest -= 1;
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| fit(cell, *width)).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

fn fit(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return format!("{cell:<width$}");
    }
    let short: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{short}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_its_width_and_has_no_trailing_blanks() {
        let rows = vec![
            vec!["a".to_owned(), "x".repeat(200), "end".to_owned()],
            vec!["bb".to_owned(), "y".to_owned(), String::new()],
        ];
        let lines = table(&rows, 40);
        assert_eq!(lines[0].chars().count(), 40);
        assert!(lines[0].ends_with("…  end"));
        assert_eq!(lines[1], "bb  y");
    }
}
