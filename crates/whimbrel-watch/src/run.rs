//! Wiring: rounds, the watch between them, and what each end means.

use std::path::{Path, PathBuf};
use std::time::Duration;

use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::Environment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::{Project, Registry};
use whimbrel_cli::signals::{Stop, Urgency};
use whimbrel_files::watch::{WatchError, WatchedPaths, Watcher};
use whimbrel_flow::image::{DeliverError, Outcome, Round, RoundError, Runner, announced_registry};
use whimbrel_registry::RegistryErrorKind;

use crate::cli::WatchArgs;
use crate::render;
use crate::settings::{Caller, WatchSettings, registry_is_unknown};

/// Runs one round with `--once`, else rounds until a signal ends them.
///
/// # Errors
/// When the options are wrong, or the one round could not be finished.
pub async fn run(
    args: &WatchArgs,
    global: &GlobalArgs,
    environment: &impl Environment,
    caller: &Caller,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let here = std::env::current_dir().map_err(CommandError::usage)?;
    let mut project = Project::find(global.config.as_deref(), &here)?;
    let resolve = |project: &Project| WatchSettings::resolve(args, project, environment, caller);
    let announced = if registry_is_unknown(args, &project, environment) {
        ask_cluster(&project, printer).await
    } else {
        None
    };
    project.file.registry = project.file.registry.or_else(|| announced.clone());
    let settings = resolve(&project)?;
    tell_runner(&settings, printer);
    let stop = Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    let round = Round::new(settings.round.clone());
    let mut rounds = Rounds { round, settings, resolve: &resolve, announced, here, stop, printer };
    if rounds.settings.once { rounds.once(&project).await } else { rounds.watch(project).await }
}

/// The registry that the cluster announces. That it cannot be asked is told, and is no error by itself.
async fn ask_cluster(project: &Project, printer: &Printer) -> Option<Registry> {
    match announced_registry(project).await {
        Ok(Some(registry)) => {
            let (push, pull) = (&registry.push, registry.pull());
            printer.status(format!("the cluster announces the registry {push}, pulled as {pull}"));
            Some(registry)
        }
        Ok(None) => None,
        Err(error) => {
            printer.status(format!("the cluster cannot be asked for its registry: {error}"));
            None
        }
    }
}

fn tell_runner(settings: &WatchSettings, printer: &Printer) {
    if settings.round.runner == Runner::None {
        printer.warn(
            "the image holds scripts only: no static runner here; use --runner PATH or --base REFERENCE",
        );
    }
}

struct Rounds<'a> {
    round: Round,
    settings: WatchSettings,
    resolve: &'a dyn Fn(&Project) -> Result<WatchSettings, CommandError>,
    /// The registry of the cluster, where the project names none.
    announced: Option<Registry>,
    here: PathBuf,
    stop: Stop,
    printer: &'a Printer,
}

/// How long after a failed delivery it is tried again although nothing was saved.
const FIRST_AGAIN: Duration = Duration::from_secs(2);
const LAST_AGAIN: Duration = Duration::from_secs(30);

impl Rounds<'_> {
    async fn once(&mut self, project: &Project) -> Result<ExitCode, CommandError> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = self.one_round(project) => match result {
                Ok(Outcome::Delivered(_)) => Ok(ExitCode::Done),
                Ok(Outcome::Refused(_)) => Ok(ExitCode::No),
                Err(error) => Err(error),
            },
            // A push that is cut leaves blobs without a tag, which registries collect.
            request = stop.asked(Urgency::Finish) => Ok(exit_of(request.cause)),
        }
    }

    async fn watch(&mut self, mut project: Project) -> Result<ExitCode, CommandError> {
        let mut watcher = self.start_watcher(&project)?;
        let mut again = None;
        loop {
            let mut stop = self.stop.clone();
            tokio::select! {
                result = self.one_round(&project) => again = self.after(result, again),
                request = stop.asked(Urgency::Finish) => return Ok(exit_of(request.cause)),
            }
            tokio::select! {
                change = watcher.changed() => {
                    change.map_err(watch_error)?;
                    again = None;
                }
                () = pause(again) => {}
                request = stop.asked(Urgency::Finish) => return Ok(exit_of(request.cause)),
            }
            if let Some(changed) = self.reload(&project) {
                let moved = paths(&changed) != paths(&project);
                project = changed;
                if moved {
                    watcher = self.start_watcher(&project)?;
                }
            }
        }
    }

    fn start_watcher(&self, project: &Project) -> Result<Watcher, CommandError> {
        let (folders, files) = paths(project);
        let count = folders.len();
        let watcher =
            Watcher::start(WatchedPaths { folders, files }, self.settings.watch).map_err(watch_error)?;
        self.printer.status(format!("watching {} of scripts; Ctrl-C ends", render::count(count, "folder")));
        Ok(watcher)
    }

    /// The project as it is now. While it is broken the last good one stays.
    fn reload(&mut self, project: &Project) -> Option<Project> {
        let mut loaded = Project::load(&project.path).map_err(CommandError::usage);
        if let Ok(project) = &mut loaded {
            project.file.registry = project.file.registry.take().or_else(|| self.announced.clone());
        }
        match loaded.and_then(|project| Ok(((self.resolve)(&project)?, project))) {
            Ok((settings, project)) => {
                self.round.change_settings(settings.round.clone());
                self.settings = settings;
                Some(project)
            }
            Err(error) => {
                self.printer.error(&error);
                None
            }
        }
    }

    /// Tells about a round that failed, and when it is tried again.
    fn after(&self, result: Result<Outcome, CommandError>, before: Option<Duration>) -> Option<Duration> {
        let error = result.err()?;
        self.printer.error(&error);
        let pause = before.map_or(FIRST_AGAIN, |pause| (pause * 2).min(LAST_AGAIN));
        self.printer.status(format!("next try in {} s, or at the next save", pause.as_secs()));
        Some(pause)
    }

    async fn one_round(&mut self, project: &Project) -> Result<Outcome, CommandError> {
        let (printer, here) = (self.printer, &self.here);
        let told = |event| render::event(&event, here, printer);
        let outcome = self.round.run(project, &told).await.map_err(round_error)?;
        if let (Outcome::Delivered(report), Some(file)) = (&outcome, &self.settings.ref_out) {
            let reference = report.pushed.clone().unwrap_or_else(|| report.digest.to_string());
            write_reference(file, &reference).map_err(CommandError::usage)?;
        }
        Ok(outcome)
    }
}

/// Replaces the file in one step, so that no reader sees half a reference.
fn write_reference(file: &Path, reference: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    fs_err::write(&temporary, format!("{reference}\n"))?;
    fs_err::rename(&temporary, file)
}

fn paths(project: &Project) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let folders = project.enabled().flat_map(|(_, database)| project.locations(database)).collect();
    (folders, vec![project.path.clone()])
}

async fn pause(again: Option<Duration>) {
    match again {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn exit_of(cause: Option<whimbrel_cli::signals::Cause>) -> ExitCode {
    cause.map_or(ExitCode::Interrupted, |cause| cause.error_kind().exit_code())
}

fn watch_error(error: WatchError) -> CommandError {
    let limit = matches!(error, WatchError::Limit);
    let error = CommandError::unavailable(error);
    if limit {
        error.hinted("raise fs.inotify.max_user_watches, or use --poll 500")
    } else {
        error.hinted("use --poll 500 where the file system tells no changes")
    }
}

fn round_error(error: RoundError) -> CommandError {
    match &error {
        RoundError::Deliver(DeliverError::Registry { source, .. }) => {
            let kind = match &source.kind {
                RegistryErrorKind::Deadline { last: None } => ErrorKind::Deadline,
                _ => ErrorKind::Unavailable,
            };
            let hint = match &source.kind {
                RegistryErrorKind::Unauthorized { .. } => format!("docker login {}", source.registry),
                _ => format!("is the registry {} up? `whimbrel doctor` looks", source.registry),
            };
            CommandError::new(kind, error).hinted(hint)
        }
        RoundError::Deliver(DeliverError::Docker(_)) => {
            CommandError::unavailable(error).hinted("is the Docker engine up, and DOCKER_HOST right?")
        }
        RoundError::Runner(_) => CommandError::usage(error)
            .hinted("use --runner with a static program of the image's platform, --base, or --sql-only"),
        RoundError::Build(_) | RoundError::Settings(_) => CommandError::new(ErrorKind::Bug, error),
        _ => CommandError::usage(error),
    }
}
