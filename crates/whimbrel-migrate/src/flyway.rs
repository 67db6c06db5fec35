//! Flyway's command line: `flyway [-key=value…] verb…`, its exit codes, and lines that scripts around it recognise.
//!
//! What is done is what [`crate::engine`] does; here are only the words. A parameter that changes what happens and that
//! we do not have is refused by its name, never taken and left aside.

mod args;
mod json;
mod text;

use std::process::ExitCode;

use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::exit;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;

use crate::cli::Verb;
use crate::report::Reporter;
use crate::run::{self, Run};
use crate::settings::RunSettings;

pub use args::{Invocation, parse};

/// The version of Flyway whose behaviour this face follows.
pub const FOLLOWED_VERSION: &str = "11.20.3";

/// Whether a program that was started by this name is meant to be Flyway.
pub fn is_called(argv0: &str) -> bool {
    argv0.rsplit('/').next() == Some("flyway")
}

/// The whole program: arguments without the program's own name.
pub fn main(arguments: &[String]) -> ExitCode {
    let invocation = match args::parse(arguments, &ProcessEnvironment) {
        Ok(invocation) => invocation,
        Err(message) => {
            let json = arguments.iter().any(|argument| argument == "-outputType=json");
            Printer::new(&GlobalArgs::default()).line_or_error(json, &message);
            return ExitCode::FAILURE;
        }
    };
    let global = GlobalArgs { quiet: invocation.quiet, ..GlobalArgs::default() };
    whimbrel_cli::main_with(&global, |printer| async move { Ok(run_verbs(&printer, &invocation).await) })
}

/// One verb after the other; the first that fails ends it.
async fn run_verbs(printer: &Printer, invocation: &Invocation) -> exit::ExitCode {
    let Invocation { settings, verbs, json, .. } = invocation;
    let Some(settings) = settings else {
        printer.line(text::USAGE);
        return exit::ExitCode::Done;
    };
    let stop = match Stop::watch() {
        Ok(stop) => stop,
        Err(error) => {
            printer.line_or_error(*json, &error.to_string());
            return exit::ExitCode::No;
        }
    };
    let mut documents = Vec::new();
    if !json {
        printer.line(format!(
            "Whimbrel {}, in the place of Flyway {FOLLOWED_VERSION}\n",
            env!("CARGO_PKG_VERSION")
        ));
    }
    for verb in verbs {
        let settings = RunSettings { verb: *verb, ..settings.clone() };
        let (run, failed) = run_one(printer, &settings, *json, stop.clone()).await;
        if *json {
            documents.push(json::document(&settings, &run));
        }
        if failed {
            if *json && documents.len() > 1 {
                documents.drain(..documents.len() - 1);
            }
            print_documents(printer, documents);
            return exit::ExitCode::No;
        }
    }
    print_documents(printer, documents);
    exit::ExitCode::Done
}

fn print_documents(printer: &Printer, mut documents: Vec<serde_json::Value>) {
    let document = match documents.len() {
        0 => return,
        1 => documents.remove(0),
        _ => serde_json::json!({ "individualResults": documents }),
    };
    printer.line(serde_json::to_string_pretty(&document).unwrap_or_default());
}

async fn run_one(printer: &Printer, settings: &RunSettings, json: bool, stop: Stop) -> (Run, bool) {
    let reporter = Reporter::silent(printer.clone(), settings.common.run_id.clone());
    if !json {
        reporter.listen(Box::new(text::Lines::new(printer.clone(), settings)));
    }
    let run = run::carry_out(&reporter, settings, stop).await;
    if !json {
        text::answer(printer, settings, &run);
    }
    // A validation that fails is no failure of the command where JSON tells it.
    let failed = run.exit != exit::ExitCode::Done
        && !(json && settings.verb == Verb::Validate && run.turns.iter().all(|turn| turn.failure.is_none()));
    (run, failed)
}

/// Errors as Flyway writes them.
trait FlywayErrors {
    fn line_or_error(&self, json: bool, message: &str);
}

impl FlywayErrors for Printer {
    fn line_or_error(&self, json: bool, message: &str) {
        if json {
            let error =
                serde_json::json!({"error": {"errorCode": "ERROR", "message": message, "cause": null}});
            self.line(serde_json::to_string_pretty(&error).unwrap_or_default());
        } else {
            self.stderr_line(&format!("ERROR: {message}"));
        }
    }
}

/// A line to stderr that `--quiet` does not silence and that nothing decorates.
trait PlainErrors {
    fn stderr_line(&self, line: &str);
}

impl PlainErrors for Printer {
    fn stderr_line(&self, line: &str) {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}
