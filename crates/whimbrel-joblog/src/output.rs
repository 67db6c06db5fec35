//! What the step function answers.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Outcome, StreamId};

/// One answer: a thing to do or a thing to tell, in the order in which it is to be done or told.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Something to do.
    Command(Command),
    /// A line of a container's log.
    Line(Line),
    /// Something worth knowing.
    Notice(Notice),
    /// Something holds the Job up or has broken it. Reported once, when it appears.
    Blocker(Blocker),
    /// A reported blocker is gone.
    Healed(Blocker),
    /// Lines are missing or may be missing here.
    Gap(Gap),
    /// The end. Nothing comes after it.
    Outcome(Box<Outcome>),
}

/// Something for the loop to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Watch the Pods of this Job, and of no other any more.
    WatchPods {
        /// The Job's UID: the value of the Pods' label `batch.kubernetes.io/controller-uid`.
        uid: String,
    },
    /// Open a log, with timestamps.
    OpenLog {
        /// How its pieces are to be named.
        stream: StreamId,
        /// The Pod.
        pod: String,
        /// The container.
        container: String,
        /// From which whole second on; `None` is from the beginning.
        since: Option<Timestamp>,
        /// Whether to stay until the container ends.
        follow: bool,
        /// Whether the container instance before the current one is meant.
        previous: bool,
    },
    /// Close a log; nothing of it is wanted any more.
    CloseLog {
        /// Which.
        stream: StreamId,
    },
}

/// Where something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The attempt, from 1: each Pod of the Job is one.
    pub attempt: u32,
    /// The Pod.
    pub pod: String,
    /// The container.
    pub container: String,
}

/// A line of a log, cleaned: no control characters, no passwords in URLs, bounded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// Where it comes from.
    #[serde(flatten)]
    pub place: Place,
    /// When the container printed it, by its node's clock.
    pub time: Timestamp,
    /// The line.
    pub text: String,
    /// The line's fields when it is a JSON object of a runner (`schema`, `run`, `seq`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
}

/// Something worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its stable name.
    pub slug: &'static str,
    /// What happened.
    pub message: String,
}

/// Something that holds the Job up or has broken it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// Its stable name.
    pub slug: &'static str,
    /// Kubernetes' own word: `ImagePullBackOff`, `Unschedulable`, …
    pub reason: String,
    /// What it concerns: `pod db-1 container migrate`, `job db`.
    pub subject: String,
    /// What Kubernetes says about it.
    pub message: String,
}

/// Lines that are missing, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// In which log.
    #[serde(flatten)]
    pub place: Place,
    /// What is missing.
    #[serde(flatten)]
    pub loss: Loss,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "loss", rename_all = "kebab-case")]
pub enum Loss {
    /// Exactly these lines, by the runner's own count.
    Lines {
        /// The run.
        run: String,
        /// The first lost line.
        first: u64,
        /// The last lost line.
        last: u64,
    },
    /// The log does not go on where it broke: it was rotated, and what lay between is not served any more.
    Possible {
        /// The last line before.
        after: Timestamp,
        /// The first line after.
        before: Timestamp,
    },
    /// The rest could not be read.
    Rest {
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.loss {
            Loss::Lines { first, last, .. } if first == last => write!(f, "line {first} lost"),
            Loss::Lines { first, last, .. } => write!(f, "lines {first}..{last} lost"),
            Loss::Possible { after, before } => {
                write!(f, "lines may be lost between {after} and {before}: the log was rotated")
            }
            Loss::Rest { why } => write!(f, "the rest of the log could not be read: {why}"),
        }
    }
}
