//! `up`, `dev`, `down`: from arguments to settings, and from events to lines.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use whimbrel_cli::args::{GlobalArgs, duration};
use whimbrel_cli::env::{self, Environment, ProcessEnvironment};
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_cli::signals::Stop;
use whimbrel_flow::image::Runner;
use whimbrel_flow::local::{self, DevEnd, DevStep, UpEnd, UpEvent, UpSettings};
use whimbrel_flow::secrets::{Source, SourceChoice};
use whimbrel_postgres::BinarySource;

use crate::render::Renderer;

/// Options of `up` and `dev`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Databases of whimbrel.toml [default: all that are enabled, or $WHIMBREL_DATABASES]
    #[arg(value_name = "DATABASE")]
    pub databases: Vec<String>,

    /// Stay, and apply every save
    #[arg(long)]
    pub watch: bool,

    /// Take the secrets of a server of yours from folder:PATH or dotenv:PATH; start none, rebuild nothing
    #[arg(long, value_name = "SOURCE")]
    pub from: Option<SourceChoice>,

    /// Put this static program into the image [default: a static one of ours]
    #[arg(long, value_name = "FILE", conflicts_with = "base")]
    pub runner: Option<PathBuf>,

    /// Build on this image, which has the program already
    #[arg(long, value_name = "REFERENCE")]
    pub base: Option<String>,

    /// Where the server's programs come from: installed (else fetched), fetch, or a folder
    #[arg(long, value_name = "SOURCE", value_parser = binary_source,
        env = "WHIMBREL_POSTGRES", hide_env = true, default_value = "installed")]
    pub postgres: BinarySource,

    /// Stop the migrations after this time
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub timeout: Duration,

    /// Wait so long for another whimbrel that works on this checkout
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub lock_wait: Duration,
}

/// Options of `down`.
#[derive(Clone, Debug, Args)]
pub struct DownArgs {
    /// Forget the data as well
    #[arg(long)]
    pub volumes: bool,

    /// Wait so long for another whimbrel that works on this checkout
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub lock_wait: Duration,
}

fn binary_source(text: &str) -> Result<BinarySource, String> {
    match text {
        "" => Err("name a folder, or write installed or fetch".to_owned()),
        "installed" => Ok(BinarySource::InstalledOrFetched),
        "fetch" => Ok(BinarySource::Fetched),
        folder => Ok(BinarySource::Folder(folder.into())),
    }
}

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
    let project = Project::find_from_here(global.config.as_deref())?;
    let renderer = Renderer::new(printer, &project);
    let report = |event: UpEvent| renderer.event(&event);
    let done = local::down(&project, args.volumes, args.lock_wait, &report).await?;
    renderer.down(done);
    Ok(ExitCode::Done)
}

fn resolve(global: &GlobalArgs, args: UpArgs) -> Result<UpSettings, CommandError> {
    let databases =
        if args.databases.is_empty() { databases_of(&ProcessEnvironment) } else { args.databases };
    let project = Project::find_from_here(global.config.as_deref())?;
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
    fn the_servers_programs_can_be_named() {
        assert_eq!(binary_source("fetch"), Ok(BinarySource::Fetched));
        assert_eq!(binary_source("/opt/pg/bin"), Ok(BinarySource::Folder("/opt/pg/bin".into())));
    }

    #[test]
    fn databases_are_separated_by_commas() {
        let environment = BTreeMap::from([("WHIMBREL_DATABASES".to_owned(), " a, b,,".to_owned())]);
        assert_eq!(databases_of(&environment), ["a", "b"]);
        assert!(databases_of(&BTreeMap::new()).is_empty());
    }
}
