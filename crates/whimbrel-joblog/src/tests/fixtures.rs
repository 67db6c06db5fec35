//! Jobs, Pods and a driver that answers the step function's commands.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use serde_json::{Value, json};

use crate::{Blocker, Command, Input, Outcome, Output, Settings, State, StreamEnd, StreamId, Target, step};

pub(super) fn job(uid: &str, status: Value) -> Job {
    serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "db", "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": status,
    }))
    .unwrap()
}

pub(super) fn complete() -> Value {
    json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True", "reason": "CompletionsReached"}]})
}

pub(super) fn failed(count: u32, reason: &str) -> Value {
    let condition = json!({"type": "Failed", "status": "True", "reason": reason, "message": "why it failed"});
    json!({"failed": count, "conditions": [condition]})
}

/// A Pod `db-N` of the Job with one container `migrate` in the given state.
pub(super) fn pod(job: &str, number: u32, phase: &str, state: Value) -> Pod {
    let status = json!({"phase": phase, "containerStatuses": [
        {"name": "migrate", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state}
    ]});
    pod_with(job, number, status)
}

pub(super) fn pod_with(job: &str, number: u32, status: Value) -> Pod {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("db-{number}"), "uid": format!("pod-{job}-{number}"),
            "creationTimestamp": format!("2026-01-01T00:00:{number:02}Z"),
            "labels": {"batch.kubernetes.io/controller-uid": job},
        },
        "spec": {"containers": [{"name": "migrate"}]},
        "status": status,
    }))
    .unwrap()
}

pub(super) fn running() -> Value {
    json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
}

pub(super) fn ended(exit_code: i32, reason: &str) -> Value {
    json!({"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": "2026-01-01T00:00:00Z", "containerID": "c"}})
}

pub(super) fn waiting(reason: &str, message: &str) -> Value {
    json!({"waiting": {"reason": reason, "message": message}})
}

pub(super) fn event(kind: &str, uid: &str, reason: &str, message: &str) -> Input {
    let event: Event = serde_json::from_value(json!({
        "metadata": {"uid": format!("event-{uid}-{reason}")}, "reason": reason, "message": message,
        "involvedObject": {"kind": kind, "uid": uid},
    }))
    .unwrap();
    Input::Event(Box::new(event))
}

/// Keeps the state and the time, and collects what was told.
pub(super) struct Driver {
    pub(super) state: Option<State>,
    pub(super) now: Timestamp,
    pub(super) told: Vec<Output>,
    pub(super) commands: Vec<Command>,
}

impl Driver {
    pub(super) fn new() -> Self {
        Self::with(Settings::new(Target::Name("db".to_owned())))
    }

    pub(super) fn with(settings: Settings) -> Self {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { state: Some(State::new(settings)), now, told: Vec::new(), commands: Vec::new() }
    }

    pub(super) fn give(&mut self, input: Input) -> &mut Self {
        let state = self.state.take().unwrap();
        let (outputs, state) = step(state, input, self.now);
        self.state = Some(state);
        for output in outputs {
            match output {
                Output::Command(command) => self.commands.push(command),
                told => self.told.push(told),
            }
        }
        self
    }

    pub(super) fn job(&mut self, uid: &str, status: Value) -> &mut Self {
        self.give(Input::Job(Box::new(job(uid, status))))
    }

    pub(super) fn pod(&mut self, pod: Pod) -> &mut Self {
        self.give(Input::Pod(Box::new(pod)))
    }

    /// A Job with its (empty) list of Pods.
    pub(super) fn fresh_job(&mut self, uid: &str) -> &mut Self {
        self.give(Input::JobsListed(vec![job(uid, json!({}))])).give(Input::PodsListed(Vec::new()))
    }

    pub(super) fn wait(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds * 4 {
            self.now = self.now.checked_add(SignedDuration::from_millis(250)).unwrap();
            self.give(Input::Tick);
        }
        self
    }

    /// The streams opened since the last call.
    pub(super) fn opened(&mut self) -> Vec<(StreamId, String, bool)> {
        std::mem::take(&mut self.commands)
            .into_iter()
            .filter_map(|command| match command {
                Command::OpenLog { stream, pod, follow, .. } => Some((stream, pod, follow)),
                _ => None,
            })
            .collect()
    }

    /// The one stream opened since the last call.
    pub(super) fn only_opened(&mut self) -> StreamId {
        let opened = self.opened();
        assert_eq!(opened.len(), 1, "{opened:?}");
        opened[0].0
    }

    pub(super) fn serve(&mut self, stream: StreamId, text: &str) -> &mut Self {
        self.give(Input::LogChunk { stream, bytes: text.as_bytes().to_vec() })
    }

    pub(super) fn end(&mut self, stream: StreamId) -> &mut Self {
        self.give(Input::LogEnded { stream, end: StreamEnd::Complete })
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let lines = self.told.iter().filter_map(|output| match output {
            Output::Line(line) => Some(format!("{}:{}", line.place.attempt, line.text)),
            _ => None,
        });
        lines.collect()
    }

    pub(super) fn slugs(&self) -> Vec<String> {
        let slugs = self.told.iter().filter_map(|output| match output {
            Output::Blocker(blocker) => Some(format!("+{}", blocker.slug)),
            Output::Healed(blocker) => Some(format!("-{}", blocker.slug)),
            _ => None,
        });
        slugs.collect()
    }

    pub(super) fn blockers(&self) -> Vec<&Blocker> {
        let blockers = self.told.iter().filter_map(|output| match output {
            Output::Blocker(blocker) => Some(blocker),
            _ => None,
        });
        blockers.collect()
    }

    pub(super) fn notices(&self) -> Vec<&str> {
        let notices = self.told.iter().filter_map(|output| match output {
            Output::Notice(notice) => Some(notice.slug),
            _ => None,
        });
        notices.collect()
    }

    pub(super) fn gaps(&self) -> Vec<String> {
        let gaps = self.told.iter().filter_map(|output| match output {
            Output::Gap(gap) => Some(gap.to_string()),
            _ => None,
        });
        gaps.collect()
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.told.iter().find_map(|output| match output {
            Output::Outcome(outcome) => Some(&**outcome),
            _ => None,
        })
    }
}
