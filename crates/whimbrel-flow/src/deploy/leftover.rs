//! A release that a killed helm left `pending-*`: every later helm refuses it, until somebody clears it.
//!
//! A pending release may also be one that somebody is deploying right now. The difference is time: a living helm writes
//! the end of its Job down at once. So the Job is waited for, and a state that does not change after it is left over.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use whimbrel_cli::project::Cluster as ClusterNames;
use whimbrel_cluster::client::Cluster;
use whimbrel_cluster::helm::{Helm, Release, Repair};
use whimbrel_cluster::job::job_now;

use super::DeployError;

/// How long a pending release without a running Job must not change to count as left over. helm's own requests to the
/// cluster end well within it.
const STILL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// What is needed to look and to repair.
#[derive(Debug)]
pub struct Leftover<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The helm program.
    pub helm: &'a Helm,
    /// The names of release and Job.
    pub names: &'a ClusterNames,
    /// How long somebody else's deployment is waited for.
    pub patience: Duration,
}

impl Leftover<'_> {
    /// Waits until the release is not pending, or repairs it when nobody works on it any more.
    ///
    /// # Errors
    /// When somebody else's Job is still running after the patience is over, or helm or the cluster do not answer.
    pub async fn clear(
        &self,
        cancel: &CancellationToken,
        say: &mut impl FnMut(String),
    ) -> Result<Option<Repair>, DeployError> {
        let deadline = Instant::now() + self.patience;
        let mut still: Option<(Release, Instant)> = None;
        loop {
            let release = match self.helm.release(&self.names.release).await? {
                Some(release) if release.is_pending() => release,
                _ => return Ok(None),
            };
            let job = job_now(self.cluster, &self.names.namespace, &self.names.job).await?;
            let is_running = job.is_some_and(|job| !job.ended);
            if still.is_none() {
                let (name, status) = (&self.names.release, &release.status);
                say(format!("release {name} is {status}: waiting whether somebody is still working on it"));
            }
            match &still {
                Some((seen, since)) if *seen == release && !is_running => {
                    if since.elapsed() >= STILL {
                        return Ok(Some(self.helm.repair(&self.names.release).await?));
                    }
                }
                _ => still = Some((release.clone(), Instant::now())),
            }
            if Instant::now() >= deadline {
                return Err(DeployError::Busy {
                    release: self.names.release.clone(),
                    status: release.status,
                });
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = cancel.cancelled() => return Err(DeployError::Stopped),
            }
        }
    }
}
