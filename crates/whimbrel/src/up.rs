//! `up`, `dev`, `down`: from arguments to settings, and from events to lines.

use std::path::PathBuf;

use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::{self, Environment, ProcessEnvironment};
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_cli::signals::Stop;
use whimbrel_flow::image::Runner;
use whimbrel_flow::local::{self, DevEnd, DevStep, UpEnd, UpEvent, UpSettings};
use whimbrel_flow::secrets::{Source, SourceChoice};

use crate::cli::{DownArgs, UpArgs};
use crate::render::Renderer;

pub(crate) async fn up(
    global: &GlobalArgs,
    args: UpArgs,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    if args.watch {
        return dev(global, args, printer).await;
    }
    let settings = resolve(global, args)?;
    let renderer = Renderer::new(printer, &settings.project);
    let stop = watch_signals()?;
    let end = local::up(&settings, &stop, &|event| renderer.event(&event)).await?;
    renderer.end(&end);
    finish(&stop, &end)
}

pub(crate) async fn dev(
    global: &GlobalArgs,
    args: UpArgs,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let settings = resolve(global, args)?;
    let renderer = Renderer::new(printer, &settings.project);
    let stop = watch_signals()?;
    let report = |event: UpEvent| renderer.event(&event);
    let step = |step: DevStep| match step {
        DevStep::Round(report) => renderer.round(&report),
        // The loop goes on: the next save may be the repair.
        DevStep::Failed(error) => printer.error(&error.into()),
    };
    match local::dev(settings.clone(), &stop, &report, &step).await? {
        DevEnd::Refused(end) => {
            renderer.end(&end);
            finish(&stop, &end)
        }
        DevEnd::Stopped(_) => {
            printer.status("stopped; the server goes on until `down`");
            Ok(stop.request().cause.map_or(ExitCode::Done, |cause| cause.error_kind().exit_code()))
        }
    }
}

pub(crate) async fn down(
    global: &GlobalArgs,
    args: DownArgs,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let project = find_project(global)?;
    let renderer = Renderer::new(printer, &project);
    let report = |event: UpEvent| renderer.event(&event);
    let done = local::down(&project, args.volumes, args.lock_wait, &report).await?;
    renderer.down(done);
    Ok(ExitCode::Done)
}

pub(crate) fn find_project(global: &GlobalArgs) -> Result<Project, CommandError> {
    Ok(Project::find_from_here(global.config.as_deref())?)
}

fn resolve(global: &GlobalArgs, args: UpArgs) -> Result<UpSettings, CommandError> {
    let databases =
        if args.databases.is_empty() { databases_of(&ProcessEnvironment) } else { args.databases };
    let project = find_project(global)?;
    Ok(UpSettings {
        databases,
        binaries: args.postgres,
        secrets: args.from.map(|choice| source_of(choice, &project)).transpose()?.flatten(),
        runner: runner_of(args.runner, args.base)?,
        project,
        front_door: front_door().map_err(|error| CommandError::new(ErrorKind::Bug, error))?,
        placeholders: env::placeholders(&ProcessEnvironment),
        job_deadline: args.timeout,
        lock_deadline: args.lock_wait,
    })
}

/// Where the secrets of a server of yours are; none means our own server.
fn source_of(choice: SourceChoice, project: &Project) -> Result<Option<Source>, CommandError> {
    match choice {
        SourceChoice::Local => Ok(None),
        SourceChoice::Kubernetes => Err(CommandError::usage("`up` runs on this machine, not in a cluster")
            .hinted("`whimbrel deploy` runs the migrations in the cluster")),
        choice => Ok(Some(Source::resolve(choice, project, None, None))),
    }
}

fn runner_of(program: Option<PathBuf>, base: Option<String>) -> Result<Option<Runner>, CommandError> {
    let base = base.map(|base| base.parse().map(Runner::Base)).transpose().map_err(CommandError::usage)?;
    Ok(program.map(Runner::Program).or(base))
}

fn databases_of(environment: &impl Environment) -> Vec<String> {
    let names = environment.get(env::DATABASES).unwrap_or_default();
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Our own file. A build that replaced it while we run leaves it reachable under the process's own link.
fn front_door() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(if program.is_file() { program } else { PathBuf::from("/proc/self/exe") })
}

fn watch_signals() -> Result<Stop, CommandError> {
    Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))
}

/// A run that ended because it was asked to says so by its code.
fn finish(stop: &Stop, end: &UpEnd) -> Result<ExitCode, CommandError> {
    if let Some(cause) = stop.request().cause
        && end.exit_code() != 0
    {
        return Ok(cause.error_kind().exit_code());
    }
    Ok(ExitCode::from_code(end.exit_code()).unwrap_or(ExitCode::No))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn databases_are_separated_by_commas() {
        let environment = BTreeMap::from([("WHIMBREL_DATABASES".to_owned(), " a, b,,".to_owned())]);
        assert_eq!(databases_of(&environment), ["a", "b"]);
        assert!(databases_of(&BTreeMap::new()).is_empty());
    }
}
