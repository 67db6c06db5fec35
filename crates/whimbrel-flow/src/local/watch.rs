//! `dev`: `up`, and then again after every save.

use whimbrel_cli::project::Project;
use whimbrel_cli::signals::{Stop, StopRequest, Urgency};
use whimbrel_files::watch::{Change, WatchOptions, WatchedPaths, Watcher};

use super::error::UpError;
use super::event::UpEvent;
use super::report::{UpEnd, UpReport};
use super::up::{LocalFlow, Mode, Prepared, RoundEnd, UpSettings, lock};

/// How a dev loop ended.
#[derive(Debug)]
pub enum DevEnd {
    /// It was asked to stop.
    Stopped(StopRequest),
    /// It could not begin.
    Refused(UpEnd),
}

/// What happened in the loop, for whoever shows it.
#[derive(Debug)]
pub enum DevStep {
    /// A round is over: the first one, or one after a save.
    Round(UpReport),
    /// A round could not be finished; the loop goes on with the next save.
    Failed(UpError),
}

/// Brings everything up, then applies every save until it is asked to stop.
pub async fn dev(
    mut settings: UpSettings,
    stop: &Stop,
    report: &dyn Fn(UpEvent),
    step: &dyn Fn(DevStep),
) -> Result<DevEnd, UpError> {
    let mut asked = stop.clone();
    'project: loop {
        let guard = lock(&settings.project, settings.lock_deadline, report).await?;
        let mut flow = match LocalFlow::prepare(settings.clone(), report).await? {
            Prepared::Ready(flow) => flow,
            Prepared::Refused(refused) => return Ok(DevEnd::Refused(UpEnd::SecretsRefused(refused))),
        };
        // Before the first round: whatever is saved from here on is seen.
        let folders = flow.locations();
        let watched = WatchedPaths { folders: folders.clone(), files: vec![settings.project.path.clone()] };
        let mut watcher = Watcher::start(watched, WatchOptions::default())?;
        step(round(&mut flow, stop, report).await);
        drop(guard);
        report(UpEvent::Watching { folders });
        loop {
            let change = tokio::select! {
                request = asked.asked(Urgency::Finish) => return Ok(DevEnd::Stopped(request)),
                change = watcher.changed() => change?,
            };
            for folder in &change.gone {
                report(UpEvent::FolderGone { folder: folder.clone() });
            }
            if concerns_project(&change, &settings.project) {
                match Project::load(&settings.project.path) {
                    Ok(project) => {
                        settings.project = project;
                        continue 'project;
                    }
                    Err(error) => {
                        step(DevStep::Failed(error.into()));
                        continue;
                    }
                }
            }
            let guard = lock(&settings.project, settings.lock_deadline, report).await?;
            if !flow.server_answers()? {
                return Err(UpError::ServerGone);
            }
            step(round(&mut flow, stop, report).await);
            drop(guard);
        }
    }
}

async fn round(flow: &mut LocalFlow, stop: &Stop, report: &dyn Fn(UpEvent)) -> DevStep {
    let started = std::time::Instant::now();
    match flow.round(Mode::Watching, stop, report).await {
        Ok(RoundEnd { rows, code }) => DevStep::Round(UpReport {
            databases: rows,
            look: flow.look(),
            exit_code: code,
            millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }),
        Err(error) => DevStep::Failed(error),
    }
}

fn concerns_project(change: &Change, project: &Project) -> bool {
    let path = std::path::absolute(&project.path).unwrap_or_else(|_| project.path.clone());
    change.paths.contains(&path)
}
