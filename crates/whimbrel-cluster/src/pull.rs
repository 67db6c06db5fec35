//! Whether a node can pull an image: the only true test of a registry's second name.
//!
//! A pod with the image is made and its container's state watched. The image need not be runnable: a container that
//! cannot be started has been pulled, one that waits with a pull error has not.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container, ContainerState, Pod, PodSpec};
use kube::api::{Api, DeleteParams, ObjectMeta, PostParams};

use crate::client::{Cluster, ClusterError, ClusterErrorKind};

const POLL: Duration = Duration::from_millis(250);

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullOutcome {
    /// The image came.
    Pulled,
    /// It did not, with the node's words.
    Failed(String),
    /// No node said anything in time, with the last state.
    Unknown(String),
}

/// Makes a pod named `name` that uses `image`, waits for the node's word, and deletes the pod.
///
/// # Errors
/// When the cluster cannot be reached or gives no right to make a pod. The pod is deleted in every case in which the
/// cluster still answers.
pub async fn try_pull(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    image: &str,
    timeout: Duration,
) -> Result<PullOutcome, ClusterError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    let doing = format!("make the pod {namespace}/{name} that tries to pull");
    cluster.within(doing, pods.create(&PostParams::default(), &pod(name, image))).await?;
    let outcome = wait_for_word(cluster, &pods, name, Instant::now() + timeout).await;
    let at_once = DeleteParams::default().grace_period(0);
    cluster.find(format!("delete the pod {namespace}/{name}"), pods.delete(name, &at_once)).await?;
    outcome
}

async fn wait_for_word(
    cluster: &Cluster,
    pods: &Api<Pod>,
    name: &str,
    deadline: Instant,
) -> Result<PullOutcome, ClusterError> {
    let mut last = "no node took the pod".to_owned();
    while Instant::now() < deadline {
        let pod = match cluster.find(format!("read the pod {name}"), pods.get(name)).await {
            Ok(pod) => pod,
            Err(error) if error.kind == ClusterErrorKind::Unreachable => None,
            Err(error) => return Err(error),
        };
        let state = pod.and_then(|pod| pod.status?.container_statuses?.into_iter().next()?.state);
        if let Some(state) = state {
            match read_state(&state) {
                PullOutcome::Unknown(waiting) => last = waiting,
                known => return Ok(known),
            }
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(PullOutcome::Unknown(last))
}

fn read_state(state: &ContainerState) -> PullOutcome {
    let Some(waiting) = &state.waiting else { return PullOutcome::Pulled };
    let reason = waiting.reason.as_deref().unwrap_or("waiting");
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "RegistryUnavailable" => {
            PullOutcome::Failed(waiting.message.clone().unwrap_or_else(|| reason.to_owned()))
        }
        // These come after the pull.
        "CreateContainerError" | "RunContainerError" | "CrashLoopBackOff" => PullOutcome::Pulled,
        other => PullOutcome::Unknown(other.to_owned()),
    }
}

fn pod(name: &str, image: &str) -> Pod {
    let container = Container {
        name: "probe".to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some("Always".to_owned()),
        command: Some(vec!["/nothing".to_owned()]),
        ..Container::default()
    };
    Pod {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: Some(PodSpec {
            containers: vec![container],
            restart_policy: Some("Never".to_owned()),
            automount_service_account_token: Some(false),
            active_deadline_seconds: Some(120),
            ..PodSpec::default()
        }),
        ..Pod::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStateWaiting};
    use test_case::test_case;

    use super::{PullOutcome, read_state};

    fn waiting(reason: &str) -> ContainerState {
        let waiting =
            ContainerStateWaiting { reason: Some(reason.to_owned()), message: Some("why".to_owned()) };
        ContainerState { waiting: Some(waiting), ..ContainerState::default() }
    }

    #[test_case("ErrImagePull", PullOutcome::Failed("why".to_owned()))]
    #[test_case("ContainerCreating", PullOutcome::Unknown("ContainerCreating".to_owned()))]
    #[test_case("RunContainerError", PullOutcome::Pulled)]
    fn a_waiting_container_tells_whether_its_image_came(reason: &str, expected: PullOutcome) {
        assert_eq!(read_state(&waiting(reason)), expected);
    }

    #[test]
    fn a_container_that_ended_had_its_image() {
        let terminated =
            Some(ContainerStateTerminated { exit_code: 127, ..ContainerStateTerminated::default() });
        assert_eq!(
            read_state(&ContainerState { terminated, ..ContainerState::default() }),
            PullOutcome::Pulled
        );
    }
}
