//! A run: the databases' turns, one after the other or side by side, the record, and the code that it all ends with.

use std::collections::BTreeMap;
use std::path::Path;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::signals::Stop;
use whimbrel_migration::record::{self, RunOutcome, RunRecord};

use crate::failure::Failure;
use crate::patience::Patience;
use crate::report::{Event, Level, Reporter, now, tool};
use crate::settings::{CommonSettings, RunSettings};
use crate::turn::{self, Turn};

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

/// The run itself, without a word at its end.
pub async fn carry_out(reporter: &Reporter, settings: &RunSettings, stop: Stop) -> Run {
    let common = &settings.common;
    let started = now();
    let patience = Patience::new(stop, common.grace, common.deadline);
    if settings.is_followed() {
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
