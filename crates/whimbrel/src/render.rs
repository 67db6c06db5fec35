//! What `up`, `dev` and `down` show: lines while they work, a table at the end.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_flow::local::{DatabaseRow, DownReport, JobLine, Look, UpEnd, UpEvent, UpReport};
use whimbrel_migration::record::DatabaseOutcome;

use crate::invocation::{invocation, quote};

/// Shows events and ends.
pub(crate) struct Renderer<'a> {
    printer: &'a Printer,
    project: &'a Project,
    here: Option<PathBuf>,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(printer: &'a Printer, project: &'a Project) -> Self {
        Self { printer, project, here: std::env::current_dir().ok() }
    }

    pub(crate) fn event(&self, event: &UpEvent) {
        if self.printer.is_json() {
            self.printer.json(&event.to_json());
            return;
        }
        match event {
            UpEvent::Job(JobLine::Event(line)) => self.log_line(line),
            UpEvent::Job(JobLine::Text(text)) => self.printer.status(text),
            event => {
                let text = event.to_string();
                self.printer.status(match &self.here {
                    Some(here) => text.replace(&format!("{}/", here.display()), ""),
                    None => text,
                });
            }
        }
    }

    /// A line of the runner's log, with the paths that a person would open.
    fn log_line(&self, line: &Value) {
        let Some(text) = render_log_line(line) else { return };
        let text = self.with_source_paths(&text);
        let mut lines = text.lines();
        self.printer.status(format!("  {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.printer.status(format!("  {line}")));
    }

    /// The text with the scripts' own places instead of those in the unpacked image.
    fn with_source_paths(&self, text: &str) -> String {
        let words = text.split_inclusive(char::is_whitespace);
        words
            .map(|word| match self.source_of(word) {
                Some(source) => source,
                None => word.to_owned(),
            })
            .collect()
    }

    /// `…/content/<digest>/sql/<database>/<script>:4:8` as the project has it.
    fn source_of(&self, word: &str) -> Option<String> {
        let content = self.project.state_path("content").display().to_string();
        let below = word.strip_prefix(&*content)?.strip_prefix('/')?;
        let (database, script) = below.split_once("/sql/")?.1.split_once('/')?;
        let end = script.find([':', '\n', ' ']).unwrap_or(script.len());
        let (script, rest) = script.split_at(end);
        let entry = self.project.file.databases.get(database)?;
        let mut places = self.project.locations(entry).into_iter().map(|location| location.join(script));
        let place = places.find(|path| path.is_file())?;
        Some(format!("{}{rest}", self.relative(&place).display()))
    }

    /// The path as it is typed here.
    fn relative(&self, path: &Path) -> PathBuf {
        let below = self.here.as_deref().and_then(|here| path.strip_prefix(here).ok());
        below.unwrap_or(path).to_owned()
    }

    pub(crate) fn end(&self, end: &UpEnd) {
        match end {
            UpEnd::Finished(report) => self.finished(report),
            UpEnd::SecretsRefused(report) => whimbrel_secrets::render::report(self.printer, report),
        }
    }

    fn finished(&self, report: &UpReport) {
        if self.printer.is_json() {
            let mut document = json!({"schema": 1, "event": "up-finished"});
            merge(&mut document, report);
            self.printer.json(&document);
            return;
        }
        if report.exit_code == 0 && report.databases.iter().all(is_quiet) {
            let total = report.databases.len();
            self.printer.line(format!("nothing to do: {total} of {total} databases are up to date"));
        } else {
            render_table(&report.databases).iter().for_each(|line| self.printer.line(line));
        }
        self.next_steps(&report.look);
        let seconds = std::time::Duration::from_millis(report.millis).as_secs_f32();
        let word = if report.exit_code == 0 { "done" } else { "failed" };
        self.printer.status(format!("{word} in {seconds:.1} s"));
    }

    /// One round of the loop: short, since there will be many.
    pub(crate) fn round(&self, report: &UpReport) {
        if self.printer.is_json() {
            let mut document = json!({"schema": 1, "event": "round-finished"});
            merge(&mut document, report);
            self.printer.json(&document);
            return;
        }
        if report.databases.is_empty() {
            return;
        }
        render_table(&report.databases).iter().for_each(|line| self.printer.line(line));
        let word = if report.exit_code == 0 { "applied" } else { "failed" };
        self.printer.status(format!("{word} in {} ms", report.millis));
    }

    pub(crate) fn down(&self, done: DownReport) {
        if self.printer.is_json() {
            let DownReport { stopped, forgotten } = done;
            self.printer.json(&json!({
                "schema": 1, "event": "down-finished", "stopped": stopped, "forgotten": forgotten,
            }));
            return;
        }
        self.printer.line(match (done.stopped, done.forgotten) {
            (true, true) => "stopped, and its data is forgotten",
            (false, true) => "nothing ran; its data is forgotten",
            (true, false) => "stopped; the data stays for the next `up`",
            (false, false) => "nothing ran",
        });
    }

    fn next_steps(&self, look: &[Look]) {
        let Some(first) = look.iter().find(|look| look.database == "platform").or(look.first()) else {
            return;
        };
        self.printer.status("");
        self.printer.status("look at a database:");
        self.printer.status(format!("  {}", psql_line(first, &self.project.root)));
        if !is_on_path("psql") {
            let file = self.relative(&first.password_file);
            let advice = "psql is not installed here; any other client will do, the passwords are in";
            self.printer.status(format!("  ({advice} {})", file.display()));
        }
        self.printer.status("stop the server (--volumes forgets the data):");
        self.printer.status(format!("  {} down", invocation()));
    }
}

fn merge(document: &mut Value, report: &UpReport) {
    if let (Value::Object(document), Ok(Value::Object(fields))) = (document, serde_json::to_value(report)) {
        document.extend(fields);
    }
}

fn is_quiet(row: &DatabaseRow) -> bool {
    row.outcome == DatabaseOutcome::UpToDate && row.before == row.after
}

/// The lines of a log line that a person wants to see; the first one begins with the database.
fn render_log_line(line: &Value) -> Option<String> {
    let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
    let quiet = ["run-started", "run-finished", "database-started", "script-started", "database-finished"];
    if quiet.contains(&text("event")) && text("level") == "info" {
        return None;
    }
    let message = match text("event") {
        // What the end of its database tells in full.
        "script-failed" | "run-finished" => return None,
        "database-finished" if !text("error").is_empty() => text("error"),
        _ => text("message"),
    };
    let database = text("database");
    Some(match database {
        "" => message.to_owned(),
        database => format!("{database}: {message}"),
    })
}

pub(crate) fn render_table(rows: &[DatabaseRow]) -> Vec<String> {
    let header = ["DATABASE", "BEFORE", "AFTER", "SCRIPTS", "TIME", "OUTCOME"].map(str::to_owned);
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
    let cells = rows.iter().map(|row| {
        [
            row.database.clone(),
            version(&row.before),
            version(&row.after),
            row.scripts.to_string(),
            format!("{} ms", row.millis),
            outcome(row.outcome).to_owned(),
        ]
    });
    let all: Vec<[String; 6]> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

fn outcome(outcome: DatabaseOutcome) -> &'static str {
    match outcome {
        DatabaseOutcome::Applied => "applied",
        DatabaseOutcome::UpToDate => "up to date",
        DatabaseOutcome::Failed => "failed",
        DatabaseOutcome::Skipped => "skipped",
    }
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A line that works when it is pasted, here or elsewhere.
fn psql_line(look: &Look, root: &std::path::Path) -> String {
    let here = std::env::current_dir().ok();
    let is_here =
        here.as_deref().and_then(|here| fs_err::canonicalize(here).ok()) == fs_err::canonicalize(root).ok();
    let file = match look.password_file.strip_prefix(root) {
        Ok(below) if is_here => below.to_owned(),
        _ => std::path::absolute(&look.password_file).unwrap_or_else(|_| look.password_file.clone()),
    };
    let Look { host, port, user, name, .. } = look;
    format!("PGPASSFILE={} psql -h {host} -p {port} -U {user} {name}", quote(&file.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let row = |database: &str, before: Option<&str>, outcome| DatabaseRow {
            database: database.to_owned(),
            before: before.map(str::to_owned),
            after: Some("5".to_owned()),
            outcome,
            scripts: 2,
            millis: 12,
            error: None,
        };
        let rows =
            [row("a", None, DatabaseOutcome::Applied), row("platform", Some("5"), DatabaseOutcome::UpToDate)];
        insta::assert_snapshot!(render_table(&rows).join("\n"), @r"
        DATABASE  BEFORE  AFTER  SCRIPTS  TIME   OUTCOME
        a         -       5      2        12 ms  applied
        platform  5       5      2        12 ms  up to date
        ");
    }

    #[test]
    fn only_what_people_want_of_the_log_is_shown() {
        let line = json!({"level": "info", "event": "script-started", "database": "a", "message": "x"});
        assert_eq!(render_log_line(&line), None);
        let line =
            json!({"level": "error", "event": "database-finished", "database": "a", "error": "V1: no"});
        assert_eq!(render_log_line(&line).unwrap(), "a: V1: no");
    }

    #[test]
    fn a_psql_line_elsewhere_names_the_whole_path() {
        let look = Look {
            database: "a".into(),
            host: "127.0.0.1".into(),
            port: 5,
            user: "a".into(),
            name: "a".into(),
            password_file: "/some where/.whimbrel/pgpass".into(),
        };
        let line = psql_line(&look, std::path::Path::new("/some where"));
        assert_eq!(line, "PGPASSFILE='/some where/.whimbrel/pgpass' psql -h 127.0.0.1 -p 5 -U a a");
    }
}
