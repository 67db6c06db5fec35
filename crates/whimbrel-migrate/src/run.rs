//! The command line's entry: settings from the process, the run, what it leaves on the screen.

use std::path::Path;

use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;
use whimbrel_migration::record;

use crate::cli::{FilesVerb, MigrateArgs, Options, Task, Verb};
use crate::report::Reporter;
use crate::settings::RunSettings;
use crate::turns::{Run, carry_out};
use crate::{check, propose, render, resolve};

/// Resolves the settings from the process, runs, renders.
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
    let resolved = resolve::run(verb, options, global, &ProcessEnvironment, folder);
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
