//! Flyway's command line: `flyway [-key=value…] verb…`, its exit codes, and lines that scripts around it recognise.
//!
//! What is done is what [`crate::engine`] does; here are only the words. A parameter that changes what happens and that
//! we do not have is refused by its name, never taken and left aside.
//!
//! | module | |
//! |---|---|
//! | [`crate::parameters`] | what the parameters are, where they stand, and what they change |
//! | `args`, `text`, `answer`, `words`, `json`, `layout`, [`info_filter`] | the command line and what it answers |
//! | `place`, `console`, `dry_run` | what the lines name, and where they go; the SQL that would be run |

mod answer;
mod args;
mod console;
mod dry_run;
pub mod info_filter;
mod json;
mod layout;
mod place;
mod text;
mod words;

use std::cell::Cell;
use std::process::ExitCode;

use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::{Environment, ProcessEnvironment};
use whimbrel_cli::exit;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;

use crate::cli::Verb;
use crate::failure::Failure;
use crate::report::Reporter;
use crate::settings::RunSettings;
use crate::turn::{Report, Turn};
use crate::turns::{Run, carry_out};
use console::Console;
use dry_run::DryRun;
use place::Place;

pub use args::{Invocation, Refusal};

/// The version of Flyway whose behaviour this face follows.
pub const FOLLOWED_VERSION: &str = "11.20.3";

/// What Flyway ends with where its open-source edition lacks something.
const EDITION: u8 = 35;

/// Whether a program that was started by this name is meant to be Flyway.
pub fn is_called(argv0: &str) -> bool {
    argv0.rsplit('/').next() == Some("flyway")
}

/// Reads a command line, with these variables and the files around this process.
///
/// # Errors
/// When it is not to be carried out.
pub fn parse(arguments: &[String], environment: &impl Environment) -> Result<Invocation, Refusal> {
    args::parse(arguments, &crate::parameters::surroundings(environment))
}

/// The whole program: arguments without the program's own name.
pub fn main(arguments: &[String]) -> ExitCode {
    let invocation = match parse(arguments, &ProcessEnvironment) {
        Ok(invocation) => invocation,
        Err(refusal) => {
            let json = arguments.iter().any(|argument| argument == "-outputType=json");
            Printer::new(&GlobalArgs::default()).line_or_error(json, &refusal.message);
            return ExitCode::from(refusal.exit);
        }
    };
    let global = GlobalArgs { quiet: invocation.quiet, ..GlobalArgs::default() };
    let about_edition = Cell::new(false);
    let (invocation, edition) = (&invocation, &about_edition);
    let code = whimbrel_cli::main_with(&global, |printer| async move {
        Ok(run_verbs(&printer, invocation, edition).await)
    });
    if about_edition.get() { ExitCode::from(EDITION) } else { code }
}

/// One verb after the other; the first that fails ends it.
async fn run_verbs(printer: &Printer, invocation: &Invocation, edition: &Cell<bool>) -> exit::ExitCode {
    let Invocation { settings, verbs, json, .. } = invocation;
    let Some((settings, database)) =
        settings.as_ref().and_then(|settings| Some((settings, settings.databases.first()?)))
    else {
        match invocation {
            Invocation { version: true, .. } => printer.line(headline()),
            // Flyway says nothing at all then.
            Invocation { json: true, .. } | Invocation { quiet: true, .. } => {}
            _ => printer.line(text::USAGE),
        }
        return exit::ExitCode::Done;
    };
    let stop = match Stop::watch() {
        Ok(stop) => stop,
        Err(error) => {
            printer.line_or_error(*json, &error.to_string());
            return exit::ExitCode::No;
        }
    };
    // What JSON documents are written to is written at the end.
    let file = invocation.output_file.as_deref().filter(|_| !json);
    let console = match Console::new(printer.clone(), (invocation.quiet, invocation.debug), file) {
        Ok(console) => console,
        Err(error) => {
            printer.line_or_error(*json, &format!("the output file was not made: {error}"));
            return exit::ExitCode::No;
        }
    };
    let mut script = match invocation.dry_run_output.as_deref().map(DryRun::begin).transpose() {
        Ok(script) => script,
        Err(error) => {
            printer.line_or_error(*json, &format!("Unable to write dry run output: {error}"));
            return exit::ExitCode::No;
        }
    };
    let mut documents = Vec::new();
    if !json {
        console.line(headline());
        if script.is_some() {
            console.warning(json::DRY_RUN);
        }
        if !invocation.quiet {
            invocation.words.iter().for_each(|word| printer.stderr_line(&format!("WARNING: {word}")));
        }
    }
    for verb in verbs {
        let settings = RunSettings { verb: *verb, ..settings.clone() };
        let place = Place::of(database, invocation.url.clone(), invocation.debug);
        let (run, mut failed) = run_one(printer, &console, &place, invocation, &settings, stop.clone()).await;
        if let Some(script) = &mut script
            && let Err(error) = script.add(&run)
        {
            printer.line_or_error(false, &format!("Unable to write dry run output: {error}"));
            failed = true;
        }
        if *json {
            documents.push(json::document(&settings, &place.seen_by(&run), &run));
        }
        edition.set(run.turns.iter().filter_map(|turn| turn.failure.as_ref()).any(words::is_about_edition));
        if failed {
            if *json && documents.len() > 1 {
                documents.drain(..documents.len() - 1);
            }
            print_documents(printer, invocation, documents);
            return exit::ExitCode::No;
        }
    }
    print_documents(printer, invocation, documents);
    exit::ExitCode::Done
}

fn headline() -> String {
    format!("Whimbrel {}, in the place of Flyway {FOLLOWED_VERSION}\n", env!("CARGO_PKG_VERSION"))
}

fn print_documents(printer: &Printer, invocation: &Invocation, mut documents: Vec<serde_json::Value>) {
    let document = match documents.len() {
        0 => return,
        1 => documents.remove(0),
        _ => serde_json::json!({ "individualResults": documents }),
    };
    let text = layout::text(&document);
    if let Some(path) = &invocation.output_file
        && let Err(error) = fs_err::write(path, format!("{text}\n"))
    {
        printer.stderr_line(&format!("ERROR: the output file was not written: {error}"));
    }
    printer.line(text);
}

async fn run_one(
    printer: &Printer,
    console: &Console,
    place: &Place,
    invocation: &Invocation,
    settings: &RunSettings,
    stop: Stop,
) -> (Run, bool) {
    let (json, filter) = (invocation.json, &invocation.filter);
    let reporter = Reporter::silent(printer.clone(), settings.common.run_id.clone());
    if !json {
        console.begin();
        let ids_only = filter.ids_only && settings.verb == Verb::Info;
        reporter.listen(Box::new(text::Lines::new(console.clone(), settings, place.clone(), ids_only)));
    }
    let mut run = carry_out(&reporter, settings, stop).await;
    for turn in &mut run.turns {
        name_files(turn);
        if let Some(Report::Info(report)) = &mut turn.report {
            filter.apply(&mut report.migrations);
            if filter.ids_only && !json {
                console.line(info_filter::ids(&report.migrations));
                return (run, false);
            }
        }
    }
    if !json {
        answer::answer(console, &place.clone().seen_by(&run), settings, &run);
    }
    // A validation that fails is no failure of the command where JSON tells it.
    let failed = run.exit != exit::ExitCode::Done
        && !(json && settings.verb == Verb::Validate && run.turns.iter().all(|turn| turn.failure.is_none()));
    (run, failed)
}

/// Scripts that cannot be together are named by their files, not by their paths below a location.
fn name_files(turn: &mut Turn) {
    let (Some(Failure::Refused(findings)), Some(set)) = (&mut turn.failure, &turn.set) else { return };
    for finding in findings {
        let mut named = Vec::new();
        let lines = finding.message.lines().map(|line| {
            let script = line.strip_prefix("-> ").and_then(|line| line.strip_suffix(" (SQL)"));
            let mut files = script.into_iter().flat_map(|script| set.find_all(script)).map(|(_, path)| path);
            let Some(path) = files.find(|path| !named.contains(path)) else { return line.to_owned() };
            named.push(path);
            format!("-> {} (SQL)", path.display())
        });
        finding.message = lines.collect::<Vec<_>>().join("\n");
    }
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
            self.line(layout::text(&error));
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
