//! What is said about a script that runs, and what of it is kept in mind for the record of the run.

use whimbrel_migration::plan::{RunMode, Step};
use whimbrel_migration::record::{ScriptOutcome, ScriptRecord};
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::version::Version;

use super::Engine;
use super::running::Work;
use crate::failure::Failure;
use crate::report::{Event, Level, Line};

impl Engine<'_> {
    pub(super) fn record_of(&self, id: ScriptId, outcome: ScriptOutcome, millis: u64) -> ScriptRecord {
        let script = self.set.script(id);
        ScriptRecord {
            script: script.script.clone(),
            version: script.version().map(|version| version.as_str().to_owned()),
            description: script.name.description.clone(),
            outcome,
            millis,
        }
    }

    /// Says that a script begins, or that a version is taken back.
    pub(super) fn say_begun(&self, work: &Work<'_>) {
        if let Some(step) = work.step {
            return self.say_started(step);
        }
        let (script, version) = (self.set.script(work.id), work.version());
        self.reporter
            .line(Level::Info, Event::ScriptStarted)
            .database(&self.settings.name)
            .script(&script.script)
            .with("version", version)
            .with("description", &script.name.description)
            .with("run_mode", work.run)
            .say(&format!("taking version {} back with {}", version.unwrap_or_default(), script.script));
    }

    /// Says that a script begins.
    pub(super) fn say_started(&self, step: &Step) {
        let script = self.set.script(step.id);
        self.started(step).say(&format!("applying {}", script.script));
    }

    /// Whether the script was meant to run outside of a transaction, or has to.
    fn is_non_transactional(&self, step: &Step) -> bool {
        let conf = &self.set.script(step.id).conf;
        let meant = conf.execute_in_transaction.unwrap_or(self.settings.migration.execute_in_transaction);
        step.run == RunMode::StatementByStatement || !meant
    }

    pub(super) fn started(&self, step: &Step) -> Line<'_> {
        let script = self.set.script(step.id);
        self.reporter
            .line(Level::Info, Event::ScriptStarted)
            .database(&self.settings.name)
            .script(&script.script)
            .with("version", script.version().map(Version::as_str))
            .with("description", &script.name.description)
            .with("statements", step.statements)
            .with("run_mode", step.run)
            .with("non_transactional", self.is_non_transactional(step))
            .with("out_of_order", step.out_of_order)
    }

    /// A script and its row are there: says so, and keeps it in mind.
    pub(super) fn note_applied(&mut self, id: ScriptId, record: ScriptRecord) {
        let version = self.set.script(id).version().cloned();
        self.raise_version(version.as_ref());
        self.reporter
            .line(Level::Info, Event::ScriptApplied)
            .database(&self.settings.name)
            .script(&record.script)
            .with("version", &record.version)
            .with("millis", record.millis)
            .say(&format!("applied {} in {} ms", record.script, record.millis));
        self.ran.push(record);
    }

    /// A script failed: says so, and keeps it in mind.
    pub(super) fn note_failed(&mut self, id: ScriptId, failure: &Failure, millis: u64) {
        if matches!(failure, Failure::Script(_)) {
            let record = self.record_of(id, ScriptOutcome::Failed, millis);
            self.say_failed(&record.script, failure, millis);
            self.ran.push(record);
        }
    }

    pub(super) fn say_failed(&self, path: &str, failure: &Failure, millis: u64) {
        let Failure::Script(script) = failure else { return };
        let server = script.error.server();
        self.reporter
            .line(Level::Error, Event::ScriptFailed)
            .database(&self.settings.name)
            .script(path)
            .with("version", &script.version)
            .with("file", script.path.display().to_string())
            .with("line", script.line)
            .with("column", script.column)
            .with("sqlstate", server.map(|error| error.sqlstate.as_str()))
            .with("error", server.map(|error| crate::failure::redacted(&error.message)))
            .with("kept", script.kept_in_words())
            .with("millis", millis)
            .say(&format!("{path} failed at {}", script.place()));
    }

    fn raise_version(&mut self, version: Option<&Version>) {
        let Some(version) = version else { return };
        let current = self.version.as_deref().and_then(|text| Version::parse(text).ok());
        if current.is_none_or(|current| *version > current) {
            self.version = Some(version.as_str().to_owned());
        }
    }
}
