//! `down`: stops what `up` started.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use whimbrel_cli::project::Project;
use whimbrel_postgres::{BinarySource, Cluster, Stopped};

use super::error::UpError;
use super::event::UpEvent;
use super::up::{lock, password_file};

/// What `down` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DownReport {
    /// Whether a server ran and was stopped.
    pub stopped: bool,
    /// Whether its data was removed.
    pub forgotten: bool,
}

/// Stops the server of this checkout; with `volumes` its data goes away, too.
pub async fn down(
    project: &Project,
    volumes: bool,
    lock_deadline: Duration,
    report: &dyn Fn(UpEvent),
) -> Result<DownReport, UpError> {
    let _lock = lock(project, lock_deadline, report).await?;
    let cluster = Cluster::locate(&project.root, &project.state(), BinarySource::default())?;
    let say = &mut |progress| report(UpEvent::Server(progress));
    let stopped = if volumes { cluster.forget(say).await? } else { cluster.stop(say).await? };
    if volumes {
        remove(vec![project.state_path("content"), password_file(project)]).map_err(UpError::Files)?;
    }
    Ok(DownReport { stopped: stopped == Stopped::Stopped, forgotten: volumes })
}

fn remove(paths: Vec<PathBuf>) -> std::io::Result<()> {
    for path in paths {
        let removed = if path.is_dir() { fs_err::remove_dir_all(&path) } else { fs_err::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
