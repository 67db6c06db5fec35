//! A run: the databases one after the other, the record, and the code that it all ends with.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;
use whimbrel_migration::record::{self, RunOutcome, RunRecord};

use crate::check;
use crate::cli::{FilesVerb, MigrateArgs, Options, Task, Verb};
use crate::failure::Failure;
use crate::patience::Patience;
use crate::propose;
use crate::render;
use crate::report::{Event, Level, Reporter, now};
use crate::settings::{self, CommonSettings, RunSettings};
use crate::turn;

pub use crate::turn::{Report, Turn};

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
    let exit = turns.iter().fold(ExitCode::Done, |exit, turn| exit.gravest(turn.exit_code()));
    let begun = turns.iter().map(|turn| turn.record.clone());
    let records = begun.chain(settings.databases.iter().skip(turns.len()).map(turn::skipped)).collect();
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
            running.push(async move { (place, turn::take(reporter, settings, database, patience).await) });
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

fn stops_the_run(turn: &Turn, common: &CommonSettings) -> bool {
    match &turn.failure {
        Some(Failure::Stopped(_)) => true,
        Some(_) => !common.keep_going,
        None => false,
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
