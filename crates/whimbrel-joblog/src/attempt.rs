//! One attempt: a Pod of the Job with its containers' logs.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

use crate::{
    Place,
    clean::clean_text,
    container::{ContainerLog, Observed, Phase},
};

/// A Pod that was seen, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) pod: Pod,
    pub(crate) gone: bool,
    pub(crate) logs: Vec<ContainerLog>,
    pub(crate) started_told: bool,
    pub(crate) ended_told: bool,
}

impl Attempt {
    pub(crate) fn new(number: u32, pod: Pod) -> Self {
        let mut attempt =
            Self { number, pod, gone: false, logs: Vec::new(), started_told: false, ended_told: false };
        attempt.add_logs();
        attempt
    }

    pub(crate) fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        uid_of(&self.pod)
    }

    pub(crate) fn observe(&mut self, pod: Pod) {
        self.pod = pod;
        self.add_logs();
    }

    /// Init containers first: they run first.
    fn add_logs(&mut self) {
        let Some(spec) = &self.pod.spec else { return };
        let init = spec.init_containers.iter().flatten();
        for container in init.chain(&spec.containers) {
            if !self.logs.iter().any(|log| log.place.container == container.name) {
                let pod = self.pod.metadata.name.clone().unwrap_or_default();
                let place = Place { attempt: self.number, pod, container: container.name.clone() };
                self.logs.push(ContainerLog::new(place));
            }
        }
    }

    pub(crate) fn observed(&self, container: &str) -> Observed {
        let status = statuses(&self.pod).find(|status| status.name == container);
        let restarts = status.map_or(0, |status| status.restart_count);
        let phase = if self.gone { Phase::Gone } else { status.map_or(Phase::Waiting, phase_of) };
        Observed { phase, restarts }
    }

    /// Whether the Pod will print nothing more.
    pub(crate) fn is_over(&self) -> bool {
        self.gone || matches!(self.phase(), Some("Succeeded" | "Failed"))
    }

    /// Whether everything that there was to read is read.
    pub(crate) fn is_drained(&self) -> bool {
        self.logs.iter().all(|log| self.needs_nothing(log))
    }

    /// A container that never ran, in a Pod that is over, has no log.
    fn needs_nothing(&self, log: &ContainerLog) -> bool {
        log.drained || (self.is_over() && self.observed(&log.place.container).phase == Phase::Waiting)
    }

    pub(crate) fn has_started(&self) -> bool {
        statuses(&self.pod).any(|status| phase_of(status) != Phase::Waiting)
    }

    pub(crate) fn phase(&self) -> Option<&str> {
        self.pod.status.as_ref()?.phase.as_deref()
    }

    /// The end of the container that decides: the one that failed, else the last.
    pub(crate) fn terminated(&self) -> Option<&ContainerStateTerminated> {
        let ended: Vec<_> = statuses(&self.pod).filter_map(terminated_of).collect();
        ended.iter().find(|end| end.exit_code != 0).or(ended.last()).copied()
    }

    /// One sentence on how it ended.
    pub(crate) fn end_sentence(&self) -> String {
        let number = self.number;
        let pod = self.name();
        if let Some(end) = self.terminated() {
            return format!("attempt {number} ended: {} (pod {pod})", describe(end));
        }
        let status = self.pod.status.as_ref();
        let told = status.and_then(reason_and_message);
        match told {
            Some(told) => format!("attempt {number} ended: {told} (pod {pod})"),
            None if self.gone => format!("attempt {number} ended: its pod {pod} was deleted"),
            None => format!("attempt {number} ended without running (pod {pod})"),
        }
    }
}

fn reason_and_message(status: &PodStatus) -> Option<String> {
    let reason = status.reason.as_deref()?;
    let message = status.message.as_deref().map(clean_text).unwrap_or_default();
    Some(if message.is_empty() { reason.to_owned() } else { format!("{reason}, {message}") })
}

/// `exit code 7 (OOMKilled)`.
pub(crate) fn describe(end: &ContainerStateTerminated) -> String {
    let mut text = match end.signal {
        Some(signal) if signal != 0 => format!("signal {signal}, exit code {}", end.exit_code),
        _ => format!("exit code {}", end.exit_code),
    };
    if let Some(reason) = end.reason.as_deref().filter(|reason| !matches!(*reason, "Error" | "Completed")) {
        text.push_str(&format!(" ({reason})"));
    }
    text
}

pub(crate) fn uid_of(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

pub(crate) fn created_of(pod: &Pod) -> Option<Timestamp> {
    pod.metadata.creation_timestamp.as_ref().map(|time| time.0)
}

/// Init containers first.
pub(crate) fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().flatten().chain(main.into_iter().flatten())
}

pub(crate) fn terminated_of(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let now = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    now.or_else(|| status.last_state.as_ref().and_then(|state| state.terminated.as_ref()))
}

fn phase_of(status: &ContainerStatus) -> Phase {
    let Some(state) = &status.state else { return Phase::Waiting };
    if state.running.is_some() {
        return Phase::Running;
    }
    if let Some(end) = &state.terminated {
        // A container that was given up before it ever ran has no log.
        let never_ran = end.started_at.is_none() && end.container_id.is_none();
        return if never_ran { Phase::Waiting } else { Phase::Ended };
    }
    let crashed = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    if crashed { Phase::Ended } else { Phase::Waiting }
}
