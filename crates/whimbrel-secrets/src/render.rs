//! How it is told.

use serde::Serialize;
use whimbrel_cli::error::CommandError;
use whimbrel_cli::printer::Printer;
use whimbrel_contract::{Conclusion, DatabaseStatus, Finding, Report, Severity};
use whimbrel_flow::secrets::Waiting;

/// What became of a value that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is new.
    Created,
    /// It was there with this content.
    Unchanged,
    /// It was there; with which content was not asked.
    AlreadyThere,
    /// It was there with other content, and was left.
    Kept,
}

/// A file or secret that was to be made.
#[derive(Clone, Debug, Serialize)]
pub struct Made {
    /// Its path or name.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

#[derive(Serialize)]
struct ReportDocument<'a> {
    schema: u32,
    conclusion: Conclusion,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Serialize)]
struct MadeDocument<'a> {
    schema: u32,
    made: &'a [Made],
}

/// Writes a report: findings are data, what could not be found out is conversation (in JSON, all is one document).
pub fn report(printer: &Printer, report: &Report) {
    if printer.is_json() {
        printer.json(&ReportDocument { schema: 1, conclusion: report.conclusion(), report });
        return;
    }
    for line in table(report) {
        printer.line(line);
    }
    for (position, finding) in report.findings.iter().enumerate() {
        // What to do about several secrets at once is told behind the last of them.
        let follower = report.findings.get(position + 1);
        let with_next = follower.is_none_or(|follower| follower.next != finding.next);
        finding_lines(finding, with_next).iter().for_each(|line| printer.line(line));
    }
    let mut hints: Vec<&str> = Vec::new();
    for unknown in &report.unknown {
        let (database, secret) = (&unknown.database, &unknown.secret);
        let message = format!("could not find out about {database} ({secret}): {}", unknown.message);
        printer.error(&CommandError::unavailable(message));
        if !hints.contains(&unknown.next.as_str()) {
            hints.push(&unknown.next);
        }
    }
    hints.iter().for_each(|hint| printer.hint(hint));
    printer.status(summary(report));
}

fn table(report: &Report) -> Vec<String> {
    let width =
        |title: &str, cells: &mut dyn Iterator<Item = usize>| cells.max().unwrap_or(0).max(title.len());
    let database = width("DATABASE", &mut report.databases.iter().map(|entry| entry.database.len()));
    let secret = width("SECRET", &mut report.databases.iter().map(|entry| entry.secret.len()));
    let row = |a: &str, b: &str, c: &str| format!("{a:<database$}  {b:<secret$}  {c}");
    let rows =
        report.databases.iter().map(|entry| row(&entry.database, &entry.secret, status_word(entry.status)));
    std::iter::once(row("DATABASE", "SECRET", "STATUS")).chain(rows).collect()
}

fn status_word(status: DatabaseStatus) -> &'static str {
    match status {
        DatabaseStatus::Ok => "ok",
        DatabaseStatus::Warning => "ok, with warnings",
        DatabaseStatus::Unusable => "unusable",
        DatabaseStatus::Unknown => "unknown",
    }
}

fn finding_lines(finding: &Finding, with_next: bool) -> Vec<String> {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = match (&finding.database, &finding.secret) {
        (Some(database), Some(secret)) => format!("{database} ({secret}): "),
        _ => String::new(),
    };
    let mut lines = vec![format!("{severity}: {place}{}: {}", finding.slug, finding.message)];
    lines.extend(finding.causes.iter().map(|cause| format!("  because: {}: {}", cause.slug, cause.message)));
    if with_next {
        lines.push(format!("  next: {}", finding.next));
    }
    lines
}

fn summary(report: &Report) -> String {
    let count = |status| report.databases.iter().filter(|entry| entry.status == status).count();
    let counted = [
        (count(DatabaseStatus::Ok) + count(DatabaseStatus::Warning), "usable"),
        (count(DatabaseStatus::Unusable), "unusable"),
        (count(DatabaseStatus::Unknown), "unknown"),
    ];
    let parts: Vec<String> = counted
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    format!("secrets of {} in {}: {}", databases(report.databases.len()), report.place, parts.join(", "))
}

fn databases(number: usize) -> String {
    if number == 1 { "1 database".to_owned() } else { format!("{number} databases") }
}

/// Why another look is taken, as a line.
pub fn waiting(why: &Waiting<'_>) -> String {
    match why {
        Waiting::Unreachable(error) => error.to_string(),
        Waiting::Report(report) => match report.errors().next() {
            Some(finding) => finding_lines(finding, false).swap_remove(0),
            None => "could not find out about every secret".to_owned(),
        },
    }
}

/// Writes what was made. Only what is new or was left is worth a line each.
pub fn made(printer: &Printer, made: &[Made]) {
    if printer.is_json() {
        printer.json(&MadeDocument { schema: 1, made });
        return;
    }
    for entry in made {
        match entry.outcome {
            Outcome::Created => printer.line(format!("created {}", entry.what)),
            Outcome::AlreadyThere => printer.line(format!("already there {}", entry.what)),
            Outcome::Kept => printer.line(format!("kept {}: it has other content", entry.what)),
            Outcome::Unchanged => {}
        }
    }
    let unchanged = made.iter().filter(|entry| entry.outcome == Outcome::Unchanged).count();
    if unchanged > 0 {
        printer.status(format!("{unchanged} unchanged"));
    }
    if made.iter().any(|entry| entry.outcome == Outcome::Kept) {
        printer.warn("what is there is never overwritten; delete it to have it made anew");
    }
}
