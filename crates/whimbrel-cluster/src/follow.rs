//! Following a Job: the dull loop around [`whimbrel_joblog::step`].
//!
//! Watches Jobs, Pods and events, opens the logs that the step function asks for, and hands what it tells to the caller.
//! Watches and streams that break are begun again, with growing pauses; what that means for the lines is the step
//! function's business. One task owns the state; everything else sends it messages.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use whimbrel_joblog::{Command, Input, Notice, Outcome, Output, Settings, State, StreamId, Target, step};

use crate::client::{Cluster, ClusterError, ClusterErrorKind};
use source::{Connection, Message, OpenLog, Sender};

mod source;
#[cfg(test)]
mod tests;

const TICK: Duration = Duration::from_millis(250);
/// How long the first answer of the API server may take, over all tries.
const FIRST_ANSWER: Duration = Duration::from_secs(15);
/// How long a Job may stay unseen after its maker said that it made it.
const WATCH_LAG: Duration = Duration::from_secs(2);
/// Messages that wait for the loop; a log that is read faster than it is told has to wait.
const QUEUE: usize = 256;

/// What to follow, and for how long.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// The Job's namespace.
    pub namespace: String,
    /// The Job.
    pub target: Target,
    /// The UID of a Job that is not meant: the one of the last release.
    pub after: Option<String>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How long a Job that was deleted may take to come back under another UID.
    pub remake_grace: Duration,
    /// Told by the caller: no Job will be made any more. Following ends then if there is none to follow.
    pub no_more_jobs: CancellationToken,
}

impl FollowOptions {
    /// Options with the defaults.
    pub fn new(namespace: impl Into<String>, target: Target) -> Self {
        Self {
            namespace: namespace.into(),
            target,
            after: None,
            timeout: Duration::from_secs(600),
            remake_grace: Duration::from_secs(10),
            no_more_jobs: CancellationToken::new(),
        }
    }
}

/// How following ended.
#[derive(Debug, Clone, PartialEq)]
pub enum FollowEnd {
    /// The Job ended, or is gone.
    Outcome(Box<Outcome>),
    /// Our own deadline passed.
    Deadline {
        /// What was being waited for.
        waiting_for: String,
    },
    /// There was no Job, and there will be none.
    NoJob,
    /// The caller cancelled.
    Cancelled,
    /// The caller had enough.
    Stopped,
}

/// Follows a Job to its end. `tell` gets everything that there is to tell, in order, and may end it.
///
/// # Errors
/// When the cluster cannot be reached at the beginning, or until the deadline, or when the right to watch Jobs and Pods
/// or to read logs is missing. Without the right to watch events only what events tell is missed.
pub async fn follow(
    cluster: &Cluster,
    options: FollowOptions,
    cancel: CancellationToken,
    mut tell: impl FnMut(&Output) -> ControlFlow<()>,
) -> Result<FollowEnd, ClusterError> {
    let mut settings = Settings::new(options.target.clone());
    settings.after = options.after.clone();
    settings.remake_grace = SignedDuration::try_from(options.remake_grace).unwrap_or(SignedDuration::MAX);
    let (sender, receiver) = mpsc::channel(QUEUE);
    let mut following = Following::new(cluster, &options, State::new(settings), sender);
    let end = following.run(&options, cancel, receiver, &mut tell).await;
    following.stop();
    end
}

struct Following {
    state: Option<State>,
    connection: Connection,
    sender: Sender,
    logs: HashMap<StreamId, tokio::task::AbortHandle>,
    watches: Vec<tokio::task::AbortHandle>,
    pods: Option<tokio::task::AbortHandle>,
    started: Instant,
    /// Steps of the machine's clock during the run must not move deadlines.
    epoch: Timestamp,
    answered: bool,
    trouble: Option<ClusterError>,
}

impl Following {
    fn new(cluster: &Cluster, options: &FollowOptions, state: State, sender: Sender) -> Self {
        let connection = Connection::new(cluster, &options.namespace);
        let watches = vec![
            connection.watch_jobs(&options.target, sender.clone()),
            connection.watch_warnings(sender.clone()),
        ];
        Self {
            state: Some(state),
            connection,
            sender,
            logs: HashMap::new(),
            watches,
            pods: None,
            started: Instant::now(),
            epoch: Timestamp::now(),
            answered: false,
            trouble: None,
        }
    }

    fn stop(&mut self) {
        let logs = self.logs.drain().map(|(_, log)| log);
        logs.chain(self.watches.drain(..)).chain(self.pods.take()).for_each(|task| task.abort());
    }

    fn now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.started.elapsed()).unwrap_or(SignedDuration::MAX);
        self.epoch.checked_add(elapsed).unwrap_or(self.epoch)
    }

    async fn run(
        &mut self,
        options: &FollowOptions,
        cancel: CancellationToken,
        mut receiver: mpsc::Receiver<Message>,
        tell: &mut impl FnMut(&Output) -> ControlFlow<()>,
    ) -> Result<FollowEnd, ClusterError> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let deadline = self.started.checked_add(options.timeout);
        let mut last_chance = None;
        loop {
            let message = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(FollowEnd::Cancelled),
                message = receiver.recv() => message,
                _ = ticks.tick() => Some(Message::Input(Input::Tick)),
            };
            // This side holds a sender: the channel does not close.
            let Some(message) = message else { return Ok(FollowEnd::Cancelled) };
            if let ControlFlow::Break(end) = self.handle(message, tell)? {
                return Ok(end);
            }
            if options.no_more_jobs.is_cancelled() && self.following().is_none() {
                let until = *last_chance.get_or_insert_with(|| Instant::now() + WATCH_LAG);
                if Instant::now() >= until {
                    return Ok(FollowEnd::NoJob);
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return self.deadline();
            }
            self.check_first_answer()?;
        }
    }

    fn following(&self) -> Option<&str> {
        self.state.as_ref().and_then(State::job_uid)
    }

    /// Waiting in vain for a server is another thing than waiting in vain for a Job.
    fn deadline(&mut self) -> Result<FollowEnd, ClusterError> {
        match self.trouble.take() {
            Some(error) => Err(error),
            None => {
                let waiting_for = self.state.as_ref().map(State::waiting_for).unwrap_or_default();
                Ok(FollowEnd::Deadline { waiting_for })
            }
        }
    }

    fn check_first_answer(&mut self) -> Result<(), ClusterError> {
        if self.answered || self.started.elapsed() < FIRST_ANSWER {
            return Ok(());
        }
        self.answered = true;
        self.trouble.take().map_or(Ok(()), Err)
    }

    fn handle(
        &mut self,
        message: Message,
        tell: &mut impl FnMut(&Output) -> ControlFlow<()>,
    ) -> Result<ControlFlow<FollowEnd>, ClusterError> {
        match message {
            Message::Input(input) => {
                self.note_answer(&input, tell);
                Ok(self.take(input, tell))
            }
            Message::Trouble(error) if is_final(&error) => Err(error),
            Message::Trouble(error) => {
                self.note_trouble(error, tell);
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn note_answer(&mut self, input: &Input, tell: &mut impl FnMut(&Output) -> ControlFlow<()>) {
        if matches!(input, Input::Tick | Input::LogEnded { .. }) {
            return;
        }
        self.answered = true;
        if self.trouble.take().is_some() {
            let message = "the API server answers again".to_owned();
            let _ = tell(&Output::Notice(Notice { slug: "connection-restored", message }));
        }
    }

    fn note_trouble(&mut self, error: ClusterError, tell: &mut impl FnMut(&Output) -> ControlFlow<()>) {
        tracing::debug!(%error, "watch broke");
        if self.trouble.is_none() {
            let message = format!("{error}; trying again");
            let _ = tell(&Output::Notice(Notice { slug: "connection-lost", message }));
        }
        self.trouble = Some(error);
    }

    fn take(
        &mut self,
        input: Input,
        tell: &mut impl FnMut(&Output) -> ControlFlow<()>,
    ) -> ControlFlow<FollowEnd> {
        if let Input::JobGone(job) = &input
            && let Some(uid) = &job.metadata.uid
        {
            // A Job that succeeded is told of by an ordinary event only, and its condition may have been missed.
            self.watches.push(self.connection.fetch_events(uid, self.sender.clone()));
        }
        let now = self.now();
        let Some(state) = self.state.take() else { return ControlFlow::Break(FollowEnd::Cancelled) };
        let (outputs, state) = step(state, input, now);
        self.state = Some(state);
        for output in outputs {
            match output {
                Output::Command(command) => self.obey(command),
                Output::Outcome(outcome) => {
                    let _ = tell(&Output::Outcome(outcome.clone()));
                    return ControlFlow::Break(FollowEnd::Outcome(outcome));
                }
                told => {
                    if tell(&told).is_break() {
                        return ControlFlow::Break(FollowEnd::Stopped);
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn obey(&mut self, command: Command) {
        tracing::debug!(?command, "next");
        match command {
            Command::WatchPods { uid } => {
                let watch = self.connection.watch_pods(&uid, self.sender.clone());
                if let Some(old) = self.pods.replace(watch) {
                    old.abort();
                }
            }
            Command::OpenLog { stream, pod, container, since, follow, previous } => {
                let wanted = OpenLog { stream, pod, container, since, follow, previous };
                let log = self.connection.read_log(wanted, self.sender.clone());
                self.logs.retain(|_, log| !log.is_finished());
                self.logs.insert(stream, log);
            }
            Command::CloseLog { stream } => {
                if let Some(log) = self.logs.remove(&stream) {
                    log.abort();
                }
            }
        }
    }
}

/// What another try would not change.
fn is_final(error: &ClusterError) -> bool {
    matches!(
        error.kind,
        ClusterErrorKind::Unauthorized | ClusterErrorKind::Forbidden | ClusterErrorKind::Configuration
    )
}
