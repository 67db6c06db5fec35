//! One database's turn in a run: the verb is carried out, and what came of it becomes a record.

use std::borrow::Cow;
use std::time::Instant;

use serde::Serialize;
use whimbrel_cli::exit::ExitCode;
use whimbrel_migration::record::{DatabaseOutcome, DatabaseRecord, ScriptRecord};
use whimbrel_migration::sql::TableName;

use crate::cli::Verb;
use crate::engine::{
    BaselineReport, CleanReport, Engine, InfoReport, Intended, MigrateReport, RepairReport, SeenVersion,
    StampReport, UndoReport, ValidateReport,
};
use crate::failure::Failure;
use crate::patience::Patience;
use crate::reach::{self, PingReport, WaitReport};
use crate::report::{Event, Level, Reporter, now, version};
use crate::set::ScriptSet;
use crate::settings::{CommonSettings, DatabaseSettings, RunSettings};

/// What one verb did on one database.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// `migrate`.
    Migrate(MigrateReport),
    /// `info`.
    Info(InfoReport),
    /// `validate`.
    Validate(ValidateReport),
    /// `repair`.
    Repair(RepairReport),
    /// `baseline`.
    Baseline(BaselineReport),
    /// `clean`.
    Clean(CleanReport),
    /// `undo`.
    Undo(UndoReport),
    /// `skip` and `stamp`.
    Stamp(StampReport),
    /// `ping`.
    Ping(PingReport),
    /// `wait`.
    Wait(WaitReport),
}

/// One database's turn.
#[derive(Debug)]
pub struct Turn {
    /// What was done, with its scripts.
    pub record: DatabaseRecord,
    /// The history table; none where it did not come to that.
    pub table: Option<TableName>,
    /// What the verb answered.
    pub report: Option<Report>,
    /// Why it ended otherwise.
    pub failure: Option<Failure>,
    /// The scripts; none where it did not come to that.
    pub set: Option<ScriptSet>,
    /// What a dry run would have sent to the server.
    pub intended: Vec<Intended>,
    /// How long it took.
    pub millis: u64,
}

impl Turn {
    /// The code that a run with this database alone ends with.
    pub fn exit_code(&self) -> ExitCode {
        match (&self.failure, &self.report) {
            (Some(failure), _) => failure.exit_code(),
            (None, Some(Report::Validate(found))) => validate_code(found),
            (None, _) => ExitCode::Done,
        }
    }
}

fn validate_code(found: &ValidateReport) -> ExitCode {
    if found.findings.is_empty() && !found.schema_missing {
        return ExitCode::Done;
    }
    Failure::Refused(found.findings.clone()).exit_code()
}

/// What came of the verb, and what was seen of the database meanwhile.
struct Outcome {
    result: Result<Report, Failure>,
    table: Option<TableName>,
    scripts: Vec<ScriptRecord>,
    /// The version before anything was applied, where it came to a plan.
    before: Option<String>,
    /// The version as it was last seen; none where nobody could look.
    seen: Option<SeenVersion>,
    set: Option<ScriptSet>,
    /// What a dry run would have sent to the server.
    intended: Vec<Intended>,
}

impl Outcome {
    /// No history was opened.
    fn unopened(result: Result<Report, Failure>, seen: Option<SeenVersion>) -> Self {
        Self { result, table: None, scripts: Vec::new(), before: None, seen, set: None, intended: Vec::new() }
    }

    fn record(&self, database: &str, verb: Verb) -> DatabaseRecord {
        let (before, after) = self.versions(verb);
        DatabaseRecord {
            database: database.to_owned(),
            before,
            after,
            outcome: match (&self.result, self.scripts.is_empty()) {
                (Err(_), _) => DatabaseOutcome::Failed,
                (Ok(_), true) => DatabaseOutcome::UpToDate,
                (Ok(_), false) => DatabaseOutcome::Applied,
            },
            scripts: self.scripts.clone(),
            error: self.result.as_ref().err().map(Failure::text),
        }
    }

    /// The versions of the database before and after.
    fn versions(&self, verb: Verb) -> (Option<String>, Option<String>) {
        let after = self.seen.clone().flatten();
        // What did not come to a plan did nothing either.
        let unchanged = || after.clone().filter(|_| self.scripts.is_empty() && self.result.is_err());
        let before = match (&self.result, verb) {
            (Ok(Report::Migrate(done)), _) => return (done.before.clone(), done.after.clone()),
            (Ok(Report::Wait(found)), _) => return (None, found.version.clone()),
            (Err(_), _) if after.is_none() => None,
            (_, Verb::Migrate | Verb::Undo | Verb::Skip | Verb::Stamp) => {
                self.before.clone().or_else(unchanged)
            }
            _ => after.clone(),
        };
        (before, after)
    }
}

/// Carries the verb out on one database.
pub(crate) async fn take(
    reporter: &Reporter,
    settings: &RunSettings,
    database: &DatabaseSettings,
    patience: Patience,
) -> Turn {
    let started = Instant::now();
    let followed = settings.is_followed();
    if followed {
        reporter
            .line(Level::Info, Event::DatabaseStarted)
            .database(&database.name)
            .with("target", database.target.to_string())
            .say(&format!("connecting to {}", database.target));
    }
    let opening = Opening { reporter, common: &settings.common, verb: settings.verb, database, patience };
    let outcome = opening.carry_out().await;
    let record = outcome.record(&database.name, settings.verb);
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (report, failure) = match outcome.result {
        Ok(report) => (Some(report), None),
        Err(failure) => (None, Some(failure)),
    };
    let Outcome { table, seen, set, intended, .. } = outcome;
    let turn = Turn { record, table, report, failure, set, intended, millis };
    if followed {
        say_finished(reporter, &turn, seen.is_some());
    }
    turn
}

/// What is needed to begin.
struct Opening<'a> {
    reporter: &'a Reporter,
    common: &'a CommonSettings,
    verb: Verb,
    database: &'a DatabaseSettings,
    patience: Patience,
}

impl Opening<'_> {
    async fn carry_out(self) -> Outcome {
        let verb = self.verb;
        match verb {
            Verb::Ping => {
                let found = reach::ping(self.database, self.common, self.reporter, self.patience).await;
                Outcome::unopened(found.map(Report::Ping), None)
            }
            Verb::Wait => {
                let found = reach::wait(self.database, self.common, self.reporter, self.patience).await;
                Outcome::unopened(found.map(Report::Wait), None)
            }
            Verb::Migrate => self.opened(async |engine| engine.migrate().await.map(Report::Migrate)).await,
            Verb::Info => self.opened(async |engine| engine.info().await.map(Report::Info)).await,
            Verb::Validate => self.opened(async |engine| engine.validate().await.map(Report::Validate)).await,
            Verb::Repair => self.opened(async |engine| engine.repair().await.map(Report::Repair)).await,
            Verb::Baseline => self.opened(async |engine| engine.baseline().await.map(Report::Baseline)).await,
            Verb::Clean => self.opened(async |engine| engine.clean().await.map(Report::Clean)).await,
            Verb::Undo => self.opened(async |engine| engine.undo().await.map(Report::Undo)).await,
            Verb::Skip | Verb::Stamp => {
                self.opened(async |engine| engine.stamp(verb).await.map(Report::Stamp)).await
            }
        }
    }

    /// Opens the database, does this, and writes down what was done.
    async fn opened(self, work: impl AsyncFnOnce(&mut Engine<'_>) -> Result<Report, Failure>) -> Outcome {
        let begun = now();
        let Self { reporter, common, verb, database, patience } = self;
        let database = match verb {
            // To them scripts are names; what cannot be read, or stands twice, is no obstacle.
            Verb::Baseline | Verb::Clean => {
                Cow::Owned(DatabaseSettings { skip_scripts: true, ..database.clone() })
            }
            _ => Cow::Borrowed(database),
        };
        let mut engine = match Engine::open(&database, common, reporter, patience).await {
            Ok(engine) => engine,
            Err(unopened) => return Outcome::unopened(Err(unopened.failure), unopened.seen),
        };
        let result = work(&mut engine).await;
        let mut seen = engine.version().map(|version| Some(version.to_owned()));
        if seen.is_none() && result.is_err() {
            seen = engine.look_up_version().await;
        }
        let outcome = Outcome {
            table: Some(engine.table().clone()),
            scripts: engine.ran().to_vec(),
            before: engine.before().map(str::to_owned),
            ..Outcome::unopened(result, seen)
        };
        engine.leave_record(verb, &begun, &outcome.record(&database.name, verb)).await;
        let (set, intended) = engine.close().await;
        Outcome { set: Some(set), intended, ..outcome }
    }
}

/// A database that it did not come to.
pub(crate) fn skipped(database: &DatabaseSettings) -> DatabaseRecord {
    DatabaseRecord {
        database: database.name.clone(),
        before: None,
        after: None,
        outcome: DatabaseOutcome::Skipped,
        scripts: Vec::new(),
        error: None,
    }
}

fn say_finished(reporter: &Reporter, turn: &Turn, is_known: bool) {
    let record = &turn.record;
    let level = if turn.failure.is_some() { Level::Error } else { Level::Info };
    let applied = record.scripts.len();
    let version = version(record.after.as_deref());
    let undid = matches!(turn.report, Some(Report::Undo(_)));
    let message = match (&turn.failure, applied) {
        (None, 0) if undid => format!("nothing to take back; the database is at {version}"),
        (None, applied) if undid => format!("{applied} taken back, now at {version}"),
        (Some(_), _) if is_known => format!("failed; the database is at {version}"),
        (Some(_), _) => "failed; the database's version is not known".to_owned(),
        (None, 0) => format!("up to date at {version}"),
        (None, applied) => format!("{applied} applied, now at {version}"),
    };
    reporter
        .line(level, Event::DatabaseFinished)
        .database(&record.database)
        .with("before", &record.before)
        .with("after", &record.after)
        .with("outcome", record.outcome)
        .with("scripts", applied)
        .with("millis", turn.millis)
        .with("error", &record.error)
        .say(&message);
}

#[cfg(test)]
mod tests {
    use whimbrel_migration::record::ScriptOutcome;

    use super::*;
    use crate::patience::Stopped;

    fn outcome(before: Option<&str>, seen: Option<Option<&str>>, scripts: usize, failed: bool) -> Outcome {
        let script = ScriptRecord {
            script: "V1__a.sql".to_owned(),
            version: None,
            description: String::new(),
            outcome: ScriptOutcome::Applied,
            millis: 1,
        };
        let clean = Report::Clean(CleanReport::default());
        let result = if failed { Err(Failure::Stopped(Stopped::Deadline)) } else { Ok(clean) };
        Outcome {
            scripts: vec![script; scripts],
            before: before.map(str::to_owned),
            ..Outcome::unopened(result, seen.map(|version| version.map(str::to_owned)))
        }
    }

    #[test]
    fn the_record_tells_the_versions_that_were_seen() {
        let (failed, ended) = (true, false);
        for (verb, seen, versions) in [
            // Planned, applied one, failed.
            (Verb::Migrate, outcome(Some("1"), Some(Some("2")), 1, failed), (Some("1"), Some("2"))),
            // It did not come to a plan: nothing was changed.
            (Verb::Migrate, outcome(None, Some(Some("2")), 0, failed), (Some("2"), Some("2"))),
            (Verb::Migrate, outcome(None, None, 0, failed), (None, None)),
            (Verb::Undo, outcome(Some("2"), Some(Some("1")), 1, ended), (Some("2"), Some("1"))),
            (Verb::Stamp, outcome(None, Some(Some("3")), 0, ended), (None, Some("3"))),
            (Verb::Info, outcome(None, Some(Some("3")), 0, ended), (Some("3"), Some("3"))),
        ] {
            let record = seen.record("app", verb);
            assert_eq!((record.before.as_deref(), record.after.as_deref()), versions, "{verb:?}");
        }
    }

    #[test]
    fn the_record_tells_how_it_ended() {
        let of = |scripts, failed| outcome(None, None, scripts, failed).record("app", Verb::Migrate);
        assert_eq!(of(0, false).outcome, DatabaseOutcome::UpToDate);
        assert_eq!(of(1, false).outcome, DatabaseOutcome::Applied);
        let failed = of(1, true);
        assert_eq!((failed.outcome, failed.error.is_some()), (DatabaseOutcome::Failed, true));
    }
}
