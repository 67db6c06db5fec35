//! A run: the databases one after the other, the record, and the code that it all ends with.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;
use whimbrel_migration::record::{self, DatabaseOutcome, DatabaseRecord, RunOutcome, RunRecord};
use whimbrel_migration::sql::TableName;

use crate::check;
use crate::cli::{FilesVerb, MigrateArgs, Options, Task, Verb};
use crate::engine::{
    BaselineReport, CleanReport, Engine, InfoReport, Intended, MigrateReport, RepairReport, StampReport,
    UndoReport, ValidateReport,
};
use crate::failure::Failure;
use crate::patience::Patience;
use crate::propose;
use crate::reach::{self, PingReport, WaitReport};
use crate::render;
use crate::report::{Event, Level, Reporter, now};
use crate::set::ScriptSet;
use crate::settings::{self, CommonSettings, DatabaseSettings, RunSettings};

/// What one verb did on one database.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
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

/// A whole run.
#[derive(Debug)]
pub struct Run {
    /// The record.
    pub record: RunRecord,
    /// The databases in their order; those that were not reached are missing.
    pub turns: Vec<Turn>,
    /// The code that it ends with.
    pub exit: ExitCode,
}

/// The command line's entry: resolves the settings from the process, runs, renders.
///
/// # Errors
/// When the settings cannot be resolved; what goes wrong afterwards is rendered here and becomes the code.
pub async fn run(
    printer: Printer,
    global: &GlobalArgs,
    args: &MigrateArgs,
) -> Result<ExitCode, CommandError> {
    let folder = std::env::current_dir().map_err(CommandError::usage)?;
    let verb = match args.verb {
        Task::Databases(verb) => verb,
        Task::Files(FilesVerb::ProposeUndo) => {
            return propose::run(&printer, global, &args.options, &folder);
        }
        Task::Files(FilesVerb::Check) => return check::run(&printer, global, &args.options, &folder).await,
    };
    let settings = resolve(verb, &args.options, global, &folder)?;
    refuse_report(settings.common.report.as_deref())?;
    let stop = Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    Ok(run_with(printer, &settings, stop).await.exit)
}

/// A report that could not be written at the end is found before anything runs. The attempt leaves no file behind.
fn refuse_report(path: Option<&Path>) -> Result<(), CommandError> {
    let Some(path) = path else { return Ok(()) };
    let is_new = !path.exists();
    let refused = |error| {
        CommandError::usage(format!("the run record cannot be written: {error}"))
            .hinted("--report names a file in a folder that is there and can be written to")
    };
    fs_err::OpenOptions::new().append(true).create(true).open(path).map_err(refused)?;
    if is_new {
        fs_err::remove_file(path).map_err(refused)?;
    }
    Ok(())
}

fn resolve(
    verb: Verb,
    options: &Options,
    global: &GlobalArgs,
    folder: &Path,
) -> Result<RunSettings, CommandError> {
    let resolved = settings::resolve(verb, options, global, &ProcessEnvironment, folder);
    if let Err(error) = &resolved {
        leave_last_words(error);
    }
    resolved
}

/// Kubernetes is told as well when it does not even come to a run.
fn leave_last_words(error: &CommandError) {
    use whimbrel_cli::env::{Environment, TERMINATION_LOG};
    if let Some(path) = ProcessEnvironment.get(TERMINATION_LOG).filter(|path| !path.is_empty()) {
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(record::TERMINATION_MESSAGE_BYTES));
        let _ = fs_err::write(path, text);
    }
}

/// Runs with resolved settings and renders what comes out: for flows that bring their own settings and stop.
pub async fn run_with(printer: Printer, settings: &RunSettings, stop: Stop) -> Run {
    let reporter = Reporter::new(printer, settings.common.run_id.clone());
    let run = carry_out(&reporter, settings, stop).await;
    render::render(&reporter, settings, &run);
    run
}

/// The run itself, without a word at its end.
pub async fn carry_out(reporter: &Reporter, settings: &RunSettings, stop: Stop) -> Run {
    let common = &settings.common;
    let started = now();
    let patience = Patience::new(stop, common.grace, common.deadline);
    if is_followed(settings) {
        let names: Vec<&str> = settings.databases.iter().map(|database| database.name.as_str()).collect();
        reporter
            .line(Level::Info, Event::RunStarted)
            .with("verb", settings.verb.name())
            .with("tool", tool())
            .with("image", &common.image)
            .with("databases", &names)
            .say(&format!("{} {} on {}", tool(), settings.verb.name(), names.join(", ")));
    }
    let turns = take_turns(reporter, settings, &patience).await;
    let exit = turns.iter().fold(ExitCode::Done, |exit, turn| exit.gravest(turn_code(turn)));
    let begun = turns.iter().map(|turn| turn.record.clone());
    let records = begun.chain(settings.databases.iter().skip(turns.len()).map(skipped)).collect();
    let record = RunRecord {
        schema: record::SCHEMA,
        run: common.run_id.clone(),
        started,
        finished: now(),
        tool: tool(),
        image: common.image.clone(),
        databases: records,
        outcome: outcome(exit),
        exit_code: exit.code(),
    };
    leave_record(reporter, common, &record);
    Run { record, turns, exit }
}

/// As many databases at once as was asked for, begun in their order; a failure stops what has not begun. Those that
/// were begun are therefore always the first ones.
async fn take_turns(reporter: &Reporter, settings: &RunSettings, patience: &Patience) -> Vec<Turn> {
    let common = &settings.common;
    let mut waiting = settings.databases.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut turns = BTreeMap::new();
    let mut must_stop = false;
    loop {
        while !must_stop && running.len() < common.request.jobs.get() {
            let Some((place, database)) = waiting.next() else { break };
            let patience = patience.clone();
            running.push(async move { (place, take_turn(reporter, settings, database, patience).await) });
        }
        let Some((place, turn)) = running.next().await else { break };
        must_stop |= stops_the_run(&turn, common);
        turns.insert(place, turn);
    }
    turns.into_values().collect()
}

/// Verbs that change something tell how it goes, line by line; the others only answer.
pub fn is_followed(settings: &RunSettings) -> bool {
    matches!(settings.verb, Verb::Migrate | Verb::Undo) && !settings.common.dry_run
}

async fn take_turn(
    reporter: &Reporter,
    settings: &RunSettings,
    database: &DatabaseSettings,
    patience: Patience,
) -> Turn {
    let started = Instant::now();
    let followed = is_followed(settings);
    if followed {
        reporter
            .line(Level::Info, Event::DatabaseStarted)
            .database(&database.name)
            .with("target", database.target.to_string())
            .say(&format!("connecting to {}", database.target));
    }
    let mut record = skipped(database);
    let (mut report, mut failure, mut table, mut set, mut intended) = (None, None, None, None, Vec::new());
    // The version as it was last seen; none where nobody could look.
    let mut seen: Option<Option<String>> = None;
    let begun = now();
    let common = &settings.common;
    match settings.verb {
        Verb::Ping => match reach::ping(database, common, reporter, patience).await {
            Ok(found) => report = Some(Report::Ping(found)),
            Err(error) => failure = Some(error),
        },
        Verb::Wait => match reach::wait(database, common, reporter, patience).await {
            Ok(found) => {
                record.after.clone_from(&found.version);
                report = Some(Report::Wait(found));
            }
            Err(error) => failure = Some(error),
        },
        _ => match Engine::open(database, common, reporter, patience).await {
            Err(unopened) => {
                seen = unopened.seen;
                failure = Some(unopened.failure);
            }
            Ok(mut engine) => {
                match act(&mut engine, settings.verb).await {
                    Ok(done) => report = Some(done),
                    Err(error) => failure = Some(error),
                }
                table = Some(engine.table().clone());
                record.scripts = engine.ran().to_vec();
                seen = engine.version().map(|version| Some(version.to_owned()));
                if seen.is_none() && failure.is_some() {
                    seen = engine.look_up_version().await;
                }
                record.after = seen.clone().flatten();
                record.before = match settings.verb {
                    Verb::Migrate | Verb::Undo | Verb::Skip | Verb::Stamp => {
                        // What did not come to a plan did nothing either.
                        let unchanged = record.after.clone().filter(|_| engine.ran().is_empty());
                        engine.before().map(str::to_owned).or(unchanged.filter(|_| failure.is_some()))
                    }
                    _ => record.after.clone(),
                };
                close(&mut record, &failure);
                engine.leave_record(settings.verb, &begun, &record).await;
                let (scripts, pieces) = engine.close().await;
                (set, intended) = (Some(scripts), pieces);
            }
        },
    }
    if failure.is_some() && record.after.is_none() {
        // It was not opened: nothing was changed.
        record.after = seen.clone().flatten();
        record.before.clone_from(&record.after);
    }
    if let Some(Report::Migrate(done)) = &report {
        record.before.clone_from(&done.before);
        record.after.clone_from(&done.after);
    }
    close(&mut record, &failure);
    let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let turn = Turn { record, table, report, failure, set, intended, millis };
    if followed {
        say_finished(reporter, &turn, seen.is_some());
    }
    turn
}

/// How it ended, and why.
fn close(record: &mut DatabaseRecord, failure: &Option<Failure>) {
    record.outcome = match (failure, record.scripts.is_empty()) {
        (Some(_), _) => DatabaseOutcome::Failed,
        (None, true) => DatabaseOutcome::UpToDate,
        (None, false) => DatabaseOutcome::Applied,
    };
    record.error = failure.as_ref().map(error_text);
}

async fn act(engine: &mut Engine<'_>, verb: Verb) -> Result<Report, Failure> {
    Ok(match verb {
        Verb::Migrate => Report::Migrate(engine.migrate().await?),
        Verb::Info => Report::Info(engine.info().await?),
        Verb::Validate => Report::Validate(engine.validate().await?),
        Verb::Repair => Report::Repair(engine.repair().await?),
        Verb::Baseline => Report::Baseline(engine.baseline().await?),
        Verb::Clean => Report::Clean(engine.clean().await?),
        Verb::Undo => Report::Undo(engine.undo().await?),
        Verb::Skip | Verb::Stamp => Report::Stamp(engine.stamp(verb).await?),
        // These need no scripts, or no database, and never come here.
        Verb::Ping | Verb::Wait => Report::Info(engine.info().await?),
    })
}

fn say_finished(reporter: &Reporter, turn: &Turn, is_known: bool) {
    let record = &turn.record;
    let level = if turn.failure.is_some() { Level::Error } else { Level::Info };
    let applied = record.scripts.len();
    let version = render::version(record.after.as_deref());
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

/// The whole chain of causes, without what looks like a secret.
fn error_text(failure: &Failure) -> String {
    let mut text = failure.to_string();
    // A script's failure tells what the server said in lines of its own.
    let told = matches!(failure, Failure::Script(_) | Failure::Callback { .. });
    let mut cause = std::error::Error::source(failure).filter(|_| !told);
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    crate::failure::redacted(&text)
}

fn turn_code(turn: &Turn) -> ExitCode {
    match (&turn.failure, &turn.report) {
        (Some(failure), _) => failure.exit_code(),
        (None, Some(Report::Validate(found))) => validate_code(found),
        (None, _) => ExitCode::Done,
    }
}

fn validate_code(found: &ValidateReport) -> ExitCode {
    if found.findings.is_empty() && !found.schema_missing {
        return ExitCode::Done;
    }
    Failure::Refused(found.findings.clone()).exit_code()
}

fn stops_the_run(turn: &Turn, common: &CommonSettings) -> bool {
    match &turn.failure {
        Some(Failure::Stopped(_)) => true,
        Some(_) => !common.keep_going,
        None => false,
    }
}

fn skipped(database: &DatabaseSettings) -> DatabaseRecord {
    DatabaseRecord {
        database: database.name.clone(),
        before: None,
        after: None,
        outcome: DatabaseOutcome::Skipped,
        scripts: Vec::new(),
        error: None,
    }
}

fn outcome(exit: ExitCode) -> RunOutcome {
    match exit {
        ExitCode::Done => RunOutcome::Ok,
        ExitCode::Interrupted | ExitCode::Terminated | ExitCode::Deadline => RunOutcome::Cancelled,
        _ => RunOutcome::Failed,
    }
}

pub(crate) fn tool() -> String {
    format!("whimbrel-migrate {}", env!("CARGO_PKG_VERSION"))
}

/// Best effort: the run is over, and its code must not change because a file could not be written.
fn leave_record(reporter: &Reporter, common: &CommonSettings, record: &RunRecord) {
    let write = |path: &Path, text: String| {
        if let Err(error) = fs_err::write(path, text) {
            reporter.printer().warn(format!("the run record was not written: {error}"));
        }
    };
    if let Some(path) = &common.termination_log {
        write(path, record.to_termination_message());
    }
    if let Some(path) = &common.report {
        write(path, record.to_json());
    }
}
