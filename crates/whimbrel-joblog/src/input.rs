//! What is told to the step function.

use jiff::SignedDuration;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};

/// Which Job to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The Job of this name.
    Name(String),
    /// The newest Job with these labels; whoever watches applies the selector.
    Selector(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "Job {name}"),
            Self::Selector(selector) => write!(f, "a Job with {selector}"),
        }
    }
}

/// What to follow, and how patient to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The Job.
    pub target: Target,
    /// The UID of a Job that is not meant: the one of the last release.
    pub after: Option<String>,
    /// How long a deleted Job may take to come back under another UID.
    pub remake_grace: SignedDuration,
    /// How long the rest of a log may take to be read after its container ended.
    pub drain_limit: SignedDuration,
}

impl Settings {
    /// The defaults.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            after: None,
            remake_grace: SignedDuration::from_secs(10),
            drain_limit: SignedDuration::from_secs(15),
        }
    }
}

/// The name of one opened log stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// How a log stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEnd {
    /// The server closed it in good order.
    Complete,
    /// It broke, or it could not be opened just now.
    Cut(String),
    /// The server has no such pod any more.
    PodGone,
}

/// One observation.
#[derive(Debug, Clone)]
pub enum Input {
    /// All Jobs that there are; a Job that is not among them is gone.
    JobsListed(Vec<Job>),
    /// A Job was made or changed.
    Job(Box<Job>),
    /// A Job was deleted; its last state.
    JobGone(Box<Job>),
    /// All Pods of the followed Job.
    PodsListed(Vec<Pod>),
    /// A Pod was made or changed.
    Pod(Box<Pod>),
    /// A Pod was deleted; its last state.
    PodGone(Box<Pod>),
    /// An event of the namespace, of this or another object.
    Event(Box<Event>),
    /// A piece of an opened log; cut anywhere.
    LogChunk {
        /// Which log.
        stream: StreamId,
        /// The piece.
        bytes: Vec<u8>,
    },
    /// An opened log ended.
    LogEnded {
        /// Which log.
        stream: StreamId,
        /// How.
        end: StreamEnd,
    },
    /// Time passed.
    Tick,
}
