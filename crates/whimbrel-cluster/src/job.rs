//! What a Job is at this moment; following it through time is [`crate::follow`]'s.

use k8s_openapi::api::batch::v1::Job;
use kube::Api;

use crate::client::{Cluster, ClusterError};

/// A Job as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobNow {
    /// Which of the Jobs of this name it is.
    pub uid: String,
    /// Whether it has its condition `Complete` or `Failed`.
    pub ended: bool,
}

/// Reads a Job by its name; `None` where there is none.
///
/// # Errors
/// When the cluster does not answer or gives no right to read it.
pub async fn job_now(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<JobNow>, ClusterError> {
    let jobs: Api<Job> = Api::namespaced(cluster.client(), namespace);
    let job = cluster.within(format!("read the job {namespace}/{name}"), jobs.get_opt(name)).await?;
    Ok(job.map(|job| {
        let conditions = job.status.and_then(|status| status.conditions).unwrap_or_default();
        let ends = |kind: &str| matches!(kind, "Complete" | "Failed");
        let ended = conditions.iter().any(|condition| ends(&condition.type_) && condition.status == "True");
        JobNow { uid: job.metadata.uid.unwrap_or_default(), ended }
    }))
}
