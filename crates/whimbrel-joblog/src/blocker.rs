//! What holds a Job up or has broken it, from the status of its Pods, from its conditions and from events.
//!
//! | slug | seen in | heals when |
//! |---|---|---|
//! | `image-pull` | waiting `ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`, … | the container runs |
//! | `container-config` | waiting `CreateContainerConfigError` (a secret or key is missing) | the container runs |
//! | `container-start` | waiting `CreateContainerError`, `RunContainerError`, … | the container runs |
//! | `crash-loop` | waiting `CrashLoopBackOff` | the container runs |
//! | `unschedulable` | condition `PodScheduled` false | the Pod is scheduled |
//! | `out-of-memory` | terminated `OOMKilled` | never |
//! | `evicted` | Pod reason `Evicted`, condition `DisruptionTarget` | never |
//! | `volume-mount`, `sandbox` | events of a Pod | the Pod gets beyond them |
//! | `pod-not-created` | events of the Job (`FailedCreate`: quota, admission) | a Pod appears |
//! | `suspended` | condition `Suspended` | it is resumed |
//! | `deadline-exceeded`, `backoff-limit-exceeded`, `job-failing` | conditions `FailureTarget`, `Failed` | never |
//! | `job-deleted` | the Job is gone before its end | it is made anew |

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::{ContainerStatus, Event, Pod},
};

use crate::{
    Blocker, Output,
    attempt::{Attempt, created_of, statuses},
    clean::clean_text,
};

/// One blocker is the same as long as its key is.
type Key = (&'static str, String, String);

/// The blockers that were reported.
#[derive(Debug, Clone, Default)]
pub(crate) struct Blockers {
    open: BTreeMap<Key, Blocker>,
}

impl Blockers {
    /// Reports what appeared and what healed. A container that waits for its next try has not healed: only one that runs;
    /// and at the end of a Job its Pods vanish with all that was wrong with them.
    pub(crate) fn update(
        &mut self,
        job: &Job,
        gone: bool,
        attempts: &[Attempt],
        events: &[Event],
        outputs: &mut Vec<Output>,
    ) {
        let seen = observe(job, gone, attempts, events);
        let ending = gone || seen.iter().any(|blocker| ENDS.contains(&blocker.slug));
        let keep = still_waiting(attempts);
        let seen: BTreeMap<Key, Blocker> = seen.into_iter().map(|blocker| (key(&blocker), blocker)).collect();
        let healed: Vec<Key> = self
            .open
            .keys()
            .filter(|key| !ending && !seen.contains_key(*key) && !is_final(key.0) && !keep.contains(&key.1))
            .cloned()
            .collect();
        for key in healed {
            if let Some(blocker) = self.open.remove(&key) {
                outputs.push(Output::Healed(blocker));
            }
        }
        for (key, blocker) in seen {
            if let std::collections::btree_map::Entry::Vacant(entry) = self.open.entry(key) {
                entry.insert(blocker.clone());
                outputs.push(Output::Blocker(blocker));
            }
        }
    }

    /// Forgets a Job that is not followed any more.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}

/// Kubernetes words an image pull differently from try to try; a missing key is another one than the last missing key.
fn key(blocker: &Blocker) -> Key {
    let detail = if blocker.slug == "container-config" { blocker.message.clone() } else { String::new() };
    (blocker.slug, blocker.subject.clone(), detail)
}

const ENDS: [&str; 3] = ["deadline-exceeded", "backoff-limit-exceeded", "job-failing"];

/// What has happened cannot heal.
fn is_final(slug: &str) -> bool {
    ENDS.contains(&slug) || matches!(slug, "out-of-memory" | "evicted" | "job-deleted")
}

/// All blockers of a Job as it was last seen.
fn observe(job: &Job, job_gone: bool, attempts: &[Attempt], events: &[Event]) -> Vec<Blocker> {
    let mut found = of_conditions(job);
    let subject = job_subject(job);
    if job_gone {
        let message = "the Job was deleted before it ended".to_owned();
        found.push(Blocker { slug: "job-deleted", reason: "Deleted".to_owned(), subject, message });
        return found;
    }
    for attempt in attempts.iter().filter(|attempt| !attempt.gone) {
        of_pod(attempt, &mut found);
    }
    let job_uid = job.metadata.uid.as_deref().unwrap_or_default();
    for event in events {
        of_event(event, job_uid, &subject, attempts, &mut found);
    }
    found
}

/// The containers that neither run nor have ended: what blocked them a moment ago still does.
fn still_waiting(attempts: &[Attempt]) -> BTreeSet<String> {
    let mut subjects = BTreeSet::new();
    for attempt in attempts.iter().filter(|attempt| !attempt.is_over()) {
        for status in statuses(&attempt.pod).filter(|status| is_between(status)) {
            subjects.insert(container_subject(attempt.name(), &status.name));
        }
    }
    subjects
}

fn is_between(status: &ContainerStatus) -> bool {
    match status.state.as_ref() {
        Some(state) => state.running.is_none() && state.terminated.is_none(),
        None => true,
    }
}

fn job_subject(job: &Job) -> String {
    format!("job {}", job.metadata.name.as_deref().unwrap_or_default())
}

fn container_subject(pod: &str, container: &str) -> String {
    format!("pod {pod} container {container}")
}

fn of_conditions(job: &Job) -> Vec<Blocker> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut found: Vec<Blocker> = Vec::new();
    for condition in conditions.filter(|condition| condition.status == "True") {
        let slug = match (condition.type_.as_str(), condition.reason.as_deref()) {
            ("Suspended", _) => "suspended",
            ("Failed" | "FailureTarget", Some("DeadlineExceeded")) => "deadline-exceeded",
            ("Failed" | "FailureTarget", Some("BackoffLimitExceeded")) => "backoff-limit-exceeded",
            ("Failed" | "FailureTarget", _) => "job-failing",
            _ => continue,
        };
        if !found.iter().any(|blocker| blocker.slug == slug) {
            found.push(of_condition(job, slug, condition));
        }
    }
    found
}

fn of_condition(job: &Job, slug: &'static str, condition: &JobCondition) -> Blocker {
    Blocker {
        slug,
        reason: condition.reason.clone().unwrap_or_else(|| condition.type_.clone()),
        subject: job_subject(job),
        message: clean_text(condition.message.as_deref().unwrap_or_default()),
    }
}

fn of_pod(attempt: &Attempt, found: &mut Vec<Blocker>) {
    let pod = &attempt.pod;
    let subject = format!("pod {}", attempt.name());
    found.extend(unschedulable(pod, &subject));
    found.extend(evicted(pod, &subject));
    for status in statuses(pod) {
        let subject = container_subject(attempt.name(), &status.name);
        found.extend(waiting(status, &subject));
        found.extend(out_of_memory(status, &subject));
    }
}

fn unschedulable(pod: &Pod, subject: &str) -> Option<Blocker> {
    let condition = pod_condition(pod, "PodScheduled", "False")?;
    Some(Blocker {
        slug: "unschedulable",
        reason: condition.reason.clone().unwrap_or_else(|| "Unschedulable".to_owned()),
        subject: subject.to_owned(),
        message: clean_text(condition.message.as_deref().unwrap_or_default()),
    })
}

fn evicted(pod: &Pod, subject: &str) -> Option<Blocker> {
    let status = pod.status.as_ref()?;
    let (reason, message) = match pod_condition(pod, "DisruptionTarget", "True") {
        // The Job's own controller marks what it ends itself, at the deadline for instance: the Job tells that.
        Some(condition) if condition.reason.as_deref() != Some("JobControllerTermination") => {
            (condition.reason.clone().unwrap_or_default(), condition.message.clone())
        }
        _ if status.reason.as_deref() == Some("Evicted") => ("Evicted".to_owned(), status.message.clone()),
        _ => return None,
    };
    let message = clean_text(&message.unwrap_or_default());
    Some(Blocker { slug: "evicted", reason, subject: subject.to_owned(), message })
}

fn pod_condition<'a>(
    pod: &'a Pod,
    kind: &str,
    status: &str,
) -> Option<&'a k8s_openapi::api::core::v1::PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == status)
}

fn waiting(status: &ContainerStatus, subject: &str) -> Option<Blocker> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    let slug = match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => "image-pull",
        "CreateContainerConfigError" => "container-config",
        "CreateContainerError" | "RunContainerError" | "PreStartHookError" | "PostStartHookError" => {
            "container-start"
        }
        "CrashLoopBackOff" => "crash-loop",
        _ => return None,
    };
    let message = clean_text(waiting.message.as_deref().unwrap_or_default());
    Some(Blocker { slug, reason: reason.to_owned(), subject: subject.to_owned(), message })
}

fn out_of_memory(status: &ContainerStatus, subject: &str) -> Option<Blocker> {
    let end = crate::attempt::terminated_of(status)?;
    if end.reason.as_deref() != Some("OOMKilled") {
        return None;
    }
    let message = "the container used more memory than its limit".to_owned();
    Some(Blocker {
        slug: "out-of-memory",
        reason: "OOMKilled".to_owned(),
        subject: subject.to_owned(),
        message,
    })
}

/// A kubelet under load is late with its own caches and tries again within a second: only if that goes on it is told.
fn is_passing(event: &Event) -> bool {
    let message = event.message.as_deref().unwrap_or_default();
    let is_cache = message.contains("failed to sync") && message.contains("cache");
    is_cache && event.count.unwrap_or(1) < 4
}

/// Nothing beyond volumes and sandbox was tried yet.
fn is_being_made(pod: &Pod) -> bool {
    statuses(pod).all(|status| {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        let reason = waiting.and_then(|waiting| waiting.reason.as_deref());
        status.state.is_none() || matches!(reason, Some("ContainerCreating" | "PodInitializing"))
    })
}

/// A Pod that came after the complaint answers it; one that was there before does not.
fn no_pod_since(event: &Event, attempts: &[Attempt]) -> bool {
    let Some(last) = attempts.last() else { return true };
    let newest = created_of(&last.pod);
    last.is_over() && time_of(event).is_some_and(|time| newest.is_none_or(|newest| newest < time))
}

fn time_of(event: &Event) -> Option<Timestamp> {
    let counted =
        event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    counted.or(last).or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn of_event(event: &Event, job_uid: &str, job: &str, attempts: &[Attempt], found: &mut Vec<Blocker>) {
    let uid = event.involved_object.uid.as_deref().unwrap_or_default();
    let reason = event.reason.as_deref().unwrap_or_default();
    let (slug, subject) = match reason {
        "FailedCreate" if uid == job_uid && no_pod_since(event, attempts) => {
            ("pod-not-created", job.to_owned())
        }
        "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox" => {
            let waits = |attempt: &&Attempt| {
                attempt.uid() == uid && !attempt.is_over() && is_being_made(&attempt.pod)
            };
            let Some(attempt) = attempts.iter().find(waits) else { return };
            if is_passing(event) {
                return;
            }
            let slug = if reason == "FailedCreatePodSandBox" { "sandbox" } else { "volume-mount" };
            (slug, format!("pod {}", attempt.name()))
        }
        _ => return,
    };
    let message = clean_text(event.message.as_deref().unwrap_or_default());
    found.push(Blocker { slug, reason: reason.to_owned(), subject, message });
}
