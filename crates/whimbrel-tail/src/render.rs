//! What is told, as text for people or as JSON, one object a line.
//!
//! As text, the log and its gaps go to stdout and everything about it to stderr; as JSON everything goes to stdout.

use serde::Serialize;
use serde_json::{Map, Value};
use whimbrel_cli::printer::Printer;
use whimbrel_joblog::{Blocker, Gap, KnownBy, Line, Notice, Outcome, Output, Place, Verdict};
use whimbrel_migration::record::{DatabaseOutcome, RunRecord};

use crate::{cli::Prefix, settings::Style};

/// One object of the JSON stream.
#[derive(Serialize)]
struct Object<'a, T: Serialize> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

/// Shows what a followed Job tells.
pub struct Renderer {
    printer: Printer,
    style: Style,
    first: Option<Place>,
    several: bool,
    lines: u64,
}

impl Renderer {
    /// A renderer on a printer.
    pub fn new(printer: Printer, style: Style) -> Self {
        Self { printer, style, first: None, several: false, lines: 0 }
    }

    /// Shows one thing.
    pub fn show(&mut self, output: &Output) {
        match output {
            Output::Command(_) => {}
            Output::Line(line) => self.line(line),
            Output::Notice(notice) => self.notice(notice),
            Output::Blocker(blocker) => self.blocker("blocker", "blocked", blocker),
            Output::Healed(blocker) => self.blocker("healed", "no longer blocked", blocker),
            Output::Gap(gap) => self.gap(gap),
            Output::Outcome(outcome) => self.outcome(outcome),
        }
    }

    fn json(&self, kind: &'static str, body: &impl Serialize) {
        self.printer.json(&Object { schema: 1, kind, body });
    }

    fn line(&mut self, line: &Line) {
        self.lines += 1;
        if self.printer.is_json() {
            return self.json("log", line);
        }
        let prefix = self.prefix(&line.place);
        let time = if self.style.timestamps { format!("{} ", line.time) } else { String::new() };
        for text in texts(line) {
            self.printer.line(format!("{prefix}{time}{text}"));
        }
    }

    fn prefix(&mut self, place: &Place) -> String {
        let first = self.first.get_or_insert_with(|| place.clone());
        self.several |= first != place;
        let shown = match self.style.prefix {
            Prefix::Always => true,
            Prefix::Never => false,
            Prefix::Auto => self.several,
        };
        if shown { format!("{} {} | ", place.attempt, place.container) } else { String::new() }
    }

    fn notice(&self, notice: &Notice) {
        if self.printer.is_json() {
            return self.json("notice", notice);
        }
        self.printer.status(&notice.message);
    }

    fn blocker(&self, kind: &'static str, word: &str, blocker: &Blocker) {
        if self.printer.is_json() {
            return self.json(kind, blocker);
        }
        let Blocker { reason, subject, message, .. } = blocker;
        let text = if message.is_empty() || kind == "healed" {
            format!("{word}: {reason} ({subject})")
        } else {
            format!("{word}: {reason} ({subject}): {message}")
        };
        match kind {
            "healed" => self.printer.status(text),
            _ => self.printer.warn(text),
        }
    }

    fn gap(&mut self, gap: &Gap) {
        if self.printer.is_json() {
            return self.json("gap", gap);
        }
        let prefix = self.prefix(&gap.place);
        self.printer.line(format!("{prefix}--- {gap} ---"));
    }

    fn outcome(&self, outcome: &Outcome) {
        if self.printer.is_json() {
            return self.json("outcome", outcome);
        }
        // Who saw no line learns at least what the runner left behind.
        if self.lines == 0 || outcome.known_by != KnownBy::Condition {
            outcome.record.iter().flat_map(record_lines).for_each(|line| self.printer.status(line));
        }
        self.printer.status(outcome.to_string());
        if let (Some(message), Verdict::Failed) = (&outcome.message, outcome.verdict) {
            self.printer.status(format!("  {message}"));
        }
    }
}

/// A runner's line as people read it; any other line as it is.
fn texts(line: &Line) -> Vec<String> {
    let readable = line.fields.as_ref().and_then(readable);
    let text = readable.unwrap_or_else(|| line.text.clone());
    let mut texts: Vec<String> = text.split('\n').map(str::to_owned).collect();
    texts.iter_mut().skip(1).for_each(|text| text.insert_str(0, "    "));
    texts
}

fn readable(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let message = text("message")?;
    let level = match text("level") {
        None | Some("info") => String::new(),
        Some(level) => format!("{level}: "),
    };
    let time = text("time").and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let time = time.map(|time| time.strftime("%H:%M:%S ").to_string()).unwrap_or_default();
    // Several databases share one log.
    let database = text("database").map(|database| format!("{database}: ")).unwrap_or_default();
    // A failed script is told whole when its database is done: place, the server's words, statement.
    let error =
        text("error").filter(|error| text("event") != Some("script-failed") && !message.contains(error));
    let error = error.map(|error| format!("\n{error}")).unwrap_or_default();
    Some(format!("{time}{level}{database}{message}{error}"))
}

/// The run record in a few lines.
fn record_lines(record: &Value) -> Vec<String> {
    let Ok(record) = serde_json::from_value::<RunRecord>(record.clone()) else { return Vec::new() };
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
    let databases = record.databases.iter().map(|database| {
        let outcome = match database.outcome {
            DatabaseOutcome::Applied => "applied",
            DatabaseOutcome::UpToDate => "up to date",
            DatabaseOutcome::Failed => "failed",
            DatabaseOutcome::Skipped => "skipped",
        };
        let error = database.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        let (before, after) = (version(&database.before), version(&database.after));
        format!("  {}: {before} → {after}, {outcome}{error}", database.database)
    });
    std::iter::once(format!("run {} ended with exit code {}", record.run, record.exit_code))
        .chain(databases)
        .collect()
}

#[cfg(test)]
mod tests;
