//! What a run says while it works: lines for people, or one JSON object a line with `run` and `seq`.
//!
//! `seq` counts every line of the run from 1 without a hole, so that whoever follows the log can prove that nothing
//! was lost or doubled. The last line is `run-finished` and carries the whole run record.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use whimbrel_cli::printer::Printer;
use whimbrel_migration::record::RunRecord;

/// How grave a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Info,
    /// Not as it should be, and we go on.
    Warn,
    /// Something failed.
    Error,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the contract")]
pub enum Event {
    RunStarted,
    Waiting,
    DatabaseStarted,
    Connected,
    FilesListed,
    HistoryMissing,
    Validated,
    Planned,
    ScriptStarted,
    ScriptApplied,
    ScriptFailed,
    CallbackStarted,
    Notice,
    DatabaseFinished,
    RunFinished,
}

/// Called with each line that is written, for those who show them elsewhere.
pub trait Listener {
    /// A line in its JSON form.
    fn line(&self, line: &Value);
}

/// Writes the lines of one run.
pub struct Reporter {
    printer: Printer,
    run: String,
    seq: Cell<u64>,
    /// Lines for people are in Flyway's words or in none: the face of Flyway prints its own.
    silent: bool,
    listener: RefCell<Option<Box<dyn Listener>>>,
}

/// One line in the making.
#[must_use = "nothing is written until `say` is called"]
pub struct Line<'a> {
    reporter: &'a Reporter,
    level: Level,
    event: Event,
    database: Option<&'a str>,
    script: Option<&'a str>,
    fields: Map<String, Value>,
}

impl Reporter {
    /// A reporter for a run.
    pub fn new(printer: Printer, run: impl Into<String>) -> Self {
        Self { printer, run: run.into(), seq: Cell::new(0), silent: false, listener: RefCell::new(None) }
    }

    /// A reporter that prints nothing.
    pub fn silent(printer: Printer, run: impl Into<String>) -> Self {
        Self { silent: true, ..Self::new(printer, run) }
    }

    /// Hands every line to a listener as well.
    pub fn listen(&self, listener: Box<dyn Listener>) {
        *self.listener.borrow_mut() = Some(listener);
    }

    /// The printer beneath.
    pub fn printer(&self) -> &Printer {
        &self.printer
    }

    /// Begins a line.
    pub fn line(&self, level: Level, event: Event) -> Line<'_> {
        Line { reporter: self, level, event, database: None, script: None, fields: Map::new() }
    }

    /// The last line of the run.
    pub fn finish(&self, record: &RunRecord, message: &str) {
        let level = if record.exit_code == 0 { Level::Info } else { Level::Error };
        self.line(level, Event::RunFinished).with("record", record).say(message);
    }

    /// Whether somebody else shows the lines.
    pub fn is_listened(&self) -> bool {
        self.listener.borrow().is_some()
    }

    /// Whether anybody reads more of a line than its message.
    fn wants_fields(&self) -> bool {
        self.is_listened() || self.prints_json()
    }

    fn prints_json(&self) -> bool {
        self.printer.is_json() && !self.silent
    }

    fn write(&self, line: &Line<'_>, message: &str) {
        self.seq.set(self.seq.get() + 1);
        if self.wants_fields() {
            self.write_json(&self.json(line, message));
        }
        if self.silent || self.printer.is_json() {
            return;
        }
        let text = match line.database {
            Some(database) if !matches!(line.event, Event::RunStarted | Event::RunFinished) => {
                format!("{database}: {message}")
            }
            _ => message.to_owned(),
        };
        match line.level {
            // The whole story of a failure is told once, at the end, by the error.
            _ if line.event == Event::RunFinished => {}
            Level::Info => self.printer.status(text),
            Level::Warn => self.printer.warn(text),
            Level::Error => self.printer.status(text),
        }
    }

    fn write_json(&self, json: &Value) {
        if let Some(listener) = self.listener.borrow().as_ref() {
            listener.line(json);
        }
        if self.prints_json() {
            self.printer.json(json);
        }
    }

    fn json(&self, line: &Line<'_>, message: &str) -> Value {
        let mut object = Map::new();
        object.insert("schema".to_owned(), 1.into());
        object.insert("run".to_owned(), self.run.clone().into());
        object.insert("seq".to_owned(), self.seq.get().into());
        object.insert("time".to_owned(), now().into());
        object.insert("level".to_owned(), serde_json::to_value(line.level).unwrap_or_default());
        object.insert("event".to_owned(), serde_json::to_value(line.event).unwrap_or_default());
        if let Some(database) = line.database {
            object.insert("database".to_owned(), database.into());
        }
        if let Some(script) = line.script {
            object.insert("script".to_owned(), script.into());
        }
        object.extend(line.fields.clone());
        object.insert("message".to_owned(), message.into());
        Value::Object(object)
    }
}

impl<'a> Line<'a> {
    /// Names the database.
    pub fn database(mut self, database: &'a str) -> Self {
        self.database = Some(database);
        self
    }

    /// Names the script.
    pub fn script(mut self, script: &'a str) -> Self {
        self.script = Some(script);
        self
    }

    /// Adds a field of the event.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        if self.reporter.wants_fields() {
            self.fields.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        }
        self
    }

    /// For the listener alone: it is no line of the run.
    pub fn tell(self) {
        if let Some(listener) = self.reporter.listener.borrow().as_ref() {
            listener.line(&self.reporter.json(&self, ""));
        }
    }

    /// Writes it.
    pub fn say(self, message: &str) {
        self.reporter.write(&self, message);
    }
}

/// Now in UTC, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// The name and version of this program.
pub(crate) fn tool() -> String {
    format!("whimbrel-migrate {}", env!("CARGO_PKG_VERSION"))
}

/// A version, or words for none.
pub fn version(version: Option<&str>) -> String {
    version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use whimbrel_cli::args::Format;

    use super::*;

    struct Lines(Rc<RefCell<Vec<Value>>>);

    impl Listener for Lines {
        fn line(&self, line: &Value) {
            self.0.borrow_mut().push(line.clone());
        }
    }

    #[test]
    fn lines_are_counted_from_one_without_a_hole() {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let printer = Printer::to_writers(std::io::sink(), std::io::sink(), Format::Json);
        let reporter = Reporter::new(printer, "r");
        reporter.listen(Box::new(Lines(Rc::clone(&lines))));
        reporter.line(Level::Info, Event::RunStarted).say("begins");
        reporter.line(Level::Warn, Event::Notice).database("shop").with("notice", "x").say("careful");
        let lines = lines.borrow();
        let seq: Vec<u64> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert_eq!(seq, [1, 2]);
        assert_eq!(lines[1]["event"], "notice");
        assert_eq!(lines[1]["level"], "warn");
        assert_eq!(lines[1]["database"], "shop");
        assert!(lines[1]["time"].as_str().unwrap().ends_with('Z'));
    }
}
