//! The step function: which Job is followed, what its Pods do, when it is over.
//!
//! | state | goes on when |
//! |---|---|
//! | no Job yet | a Job appears that is meant (not `after`, not being deleted) |
//! | following | its condition says Complete or Failed, or it is deleted |
//! | ending | its Pods are known and every log is read, or the patience for that is over |
//! | deleted | another Job of that name appears, or the grace is over: the last known outcome |
//! | done | never |

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod},
};
use serde_json::Value;

use crate::{
    Command, Input, Line, Notice, Output, Settings, StreamEnd, StreamId, Target,
    attempt::{Attempt, created_of, uid_of},
    blocker::Blockers,
    container::{Around, ContainerLog, Phase},
    outcome::{decide, final_condition},
};

/// How long the Pods that a Job's status counts may take to be seen.
const POD_LAG: SignedDuration = SignedDuration::from_secs(2);
/// How many events are remembered: they can be seen before what they are about.
const EVENT_LIMIT: usize = 256;

/// Everything that was seen, and what was told of it.
#[derive(Debug, Clone)]
pub struct State {
    settings: Settings,
    followed: Option<Followed>,
    /// Jobs that match, by UID.
    candidates: BTreeMap<String, Job>,
    events: Vec<Event>,
    blockers: Blockers,
    next_stream: u64,
    listed: bool,
    told_waiting: bool,
    done: bool,
}

#[derive(Debug, Clone)]
struct Followed {
    job: Job,
    uid: String,
    gone_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    pods_listed: bool,
    attempts: Vec<Attempt>,
    record: Option<(u32, Value)>,
}

impl State {
    /// The beginning.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            followed: None,
            candidates: BTreeMap::new(),
            events: Vec::new(),
            blockers: Blockers::default(),
            next_stream: 0,
            listed: false,
            told_waiting: false,
            done: false,
        }
    }

    /// The UID of the Job that is followed, once there is one.
    pub fn job_uid(&self) -> Option<&str> {
        self.followed.as_ref().map(|followed| followed.uid.as_str())
    }

    /// What is being waited for, as a message at a deadline needs it.
    pub fn waiting_for(&self) -> String {
        match &self.followed {
            None => format!("waiting for {} to appear", self.settings.target),
            Some(followed) if followed.gone_at.is_some() => {
                format!("waiting for the deleted job {} to come back", followed.name())
            }
            Some(followed) if followed.ended_at.is_some() => {
                format!("reading the rest of the log of job {}", followed.name())
            }
            Some(followed) => format!("waiting for job {} to end", followed.name()),
        }
    }
}

/// Takes one observation: what is to be done and told now, and the new state.
pub fn step(mut state: State, input: Input, now: Timestamp) -> (Vec<Output>, State) {
    let mut outputs = Vec::new();
    if !state.done {
        state.take(input, now, &mut outputs);
        state.settle(now, &mut outputs);
    }
    (outputs, state)
}

impl State {
    fn take(&mut self, input: Input, now: Timestamp, outputs: &mut Vec<Output>) {
        match input {
            Input::JobsListed(jobs) => self.take_job_list(jobs, now),
            Input::Job(job) => self.take_job(*job),
            Input::JobGone(job) => self.take_job_gone(&job, now),
            Input::PodsListed(pods) => self.take_pod_list(pods),
            Input::Pod(pod) => self.take_pod(*pod, false),
            Input::PodGone(pod) => self.take_pod(*pod, true),
            Input::Event(event) => self.take_event(*event),
            Input::LogChunk { stream, bytes } => {
                self.with_log(stream, now, outputs, |log, around| log.feed(&bytes, around));
            }
            Input::LogEnded { stream, end } => self.take_log_end(stream, end, now, outputs),
            Input::Tick => {}
        }
    }

    fn take_job_list(&mut self, jobs: Vec<Job>, now: Timestamp) {
        self.listed = true;
        self.candidates.clear();
        for job in jobs {
            self.take_job(job);
        }
        let Some(followed) = &mut self.followed else { return };
        if !self.candidates.contains_key(&followed.uid) {
            followed.gone_at.get_or_insert(now);
        }
    }

    fn take_job(&mut self, job: Job) {
        let Some(uid) = job.metadata.uid.clone() else { return };
        let named = match &self.settings.target {
            Target::Name(name) => job.metadata.name.as_deref() == Some(name),
            Target::Selector(_) => true,
        };
        if !named || self.settings.after.as_deref() == Some(&uid) {
            return;
        }
        if let Some(followed) = self.followed.as_mut().filter(|followed| followed.uid == uid) {
            followed.job = job.clone();
            // A list from a cache may have been older than the Job.
            followed.gone_at = None;
        }
        self.candidates.insert(uid, job);
    }

    fn take_job_gone(&mut self, job: &Job, now: Timestamp) {
        let Some(uid) = &job.metadata.uid else { return };
        self.candidates.remove(uid);
        if let Some(followed) = self.followed.as_mut().filter(|followed| followed.uid == *uid) {
            followed.job = job.clone();
            followed.gone_at.get_or_insert(now);
        }
    }

    fn take_pod_list(&mut self, mut pods: Vec<Pod>) {
        pods.sort_by_key(|pod| (created_of(pod), pod.metadata.name.clone()));
        let Some(followed) = &mut self.followed else { return };
        followed.pods_listed = true;
        for attempt in &mut followed.attempts {
            attempt.gone |= !pods.iter().any(|pod| uid_of(pod) == attempt.uid());
        }
        for pod in pods {
            self.take_pod(pod, false);
        }
    }

    fn take_pod(&mut self, pod: Pod, gone: bool) {
        let Some(followed) = self.followed.as_mut().filter(|followed| owns(&followed.uid, &pod)) else {
            return;
        };
        match followed.attempts.iter_mut().find(|attempt| attempt.uid() == uid_of(&pod)) {
            Some(attempt) => {
                attempt.observe(pod);
                attempt.gone |= gone;
            }
            None => {
                let number = u32::try_from(followed.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
                let mut attempt = Attempt::new(number, pod);
                attempt.gone = gone;
                followed.attempts.push(attempt);
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        if !matches!(event.involved_object.kind.as_deref(), Some("Job" | "Pod")) {
            return;
        }
        self.events.retain(|known| known.metadata.uid != event.metadata.uid);
        self.events.push(event);
        if self.events.len() > EVENT_LIMIT {
            self.events.remove(0);
        }
    }

    fn take_log_end(&mut self, stream: StreamId, end: StreamEnd, now: Timestamp, outputs: &mut Vec<Output>) {
        self.with_log(stream, now, outputs, |log, around| log.ended(end, around));
    }

    fn with_log(
        &mut self,
        stream: StreamId,
        now: Timestamp,
        outputs: &mut Vec<Output>,
        act: impl FnOnce(&mut ContainerLog, &mut Around<'_>),
    ) {
        let Some(followed) = &mut self.followed else { return };
        let logs = followed.attempts.iter_mut().flat_map(|attempt| &mut attempt.logs);
        let Some(log) = logs.into_iter().find(|log| log.has_stream(stream)) else { return };
        let from = outputs.len();
        let drain_limit = self.settings.drain_limit;
        let mut around = Around { now, drain_limit, next_stream: &mut self.next_stream, outputs };
        act(log, &mut around);
        let lines = outputs[from..].iter().filter_map(|output| match output {
            Output::Line(line) => Some(line),
            _ => None,
        });
        if let Some(found) = lines.rev().find_map(record_of) {
            followed.record = Some(found);
        }
    }

    /// Draws the consequences of what is known now.
    fn settle(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        self.choose_job(now, outputs);
        let Some(followed) = &mut self.followed else { return };
        if followed.ended_at.is_none() && final_condition(&followed.job).is_some() {
            followed.ended_at = Some(now);
        }
        let mut around = Around {
            now,
            drain_limit: self.settings.drain_limit,
            next_stream: &mut self.next_stream,
            outputs,
        };
        followed.read_logs(&mut around);
        let gone = followed.gone_at.is_some() && followed.ended_at.is_none();
        self.blockers.update(&followed.job, gone, &followed.attempts, &self.events, outputs);
        followed.tell_attempts(outputs);
        if followed.is_over(&self.settings, now) {
            let outcome = decide(&followed.job, &followed.attempts, &self.events, followed.record.as_ref());
            self.done = true;
            outputs.push(Output::Outcome(Box::new(outcome)));
        }
    }

    fn choose_job(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        if self
            .followed
            .as_ref()
            .is_some_and(|followed| followed.gone_at.is_none() || followed.ended_at.is_some())
        {
            return;
        }
        let alive = self.candidates.values().filter(|job| job.metadata.deletion_timestamp.is_none());
        let Some(job) =
            alive.max_by_key(|job| job.metadata.creation_timestamp.as_ref().map(|time| time.0)).cloned()
        else {
            self.tell_waiting(outputs);
            return;
        };
        let new = Followed::new(job);
        outputs.push(Output::Notice(new.notice(self.followed.as_ref(), now)));
        self.blockers.clear();
        if let Some(old) = self.followed.replace(new) {
            outputs.extend(old.open_streams().map(|stream| Output::Command(Command::CloseLog { stream })));
        }
        if let Some(uid) = self.job_uid() {
            outputs.push(Output::Command(Command::WatchPods { uid: uid.to_owned() }));
        }
    }

    fn tell_waiting(&mut self, outputs: &mut Vec<Output>) {
        if self.listed && self.followed.is_none() && !self.told_waiting {
            self.told_waiting = true;
            let message = self.waiting_for();
            outputs.push(Output::Notice(Notice { slug: "waiting-for-job", message }));
        }
    }
}

impl Followed {
    fn new(job: Job) -> Self {
        let uid = job.metadata.uid.clone().unwrap_or_default();
        Self {
            job,
            uid,
            gone_at: None,
            ended_at: None,
            pods_listed: false,
            attempts: Vec::new(),
            record: None,
        }
    }

    fn name(&self) -> &str {
        self.job.metadata.name.as_deref().unwrap_or_default()
    }

    fn notice(&self, old: Option<&Self>, now: Timestamp) -> Notice {
        let (name, uid) = (self.name(), &self.uid);
        if old.is_some() {
            let message = format!("job {name} was made anew (uid {uid}); following the new one");
            return Notice { slug: "job-replaced", message };
        }
        let age =
            self.job.metadata.creation_timestamp.as_ref().map(|time| now.duration_since(time.0).as_secs());
        let age = match age {
            Some(seconds) if seconds > 1 => format!(", made {seconds} s ago"),
            _ => String::new(),
        };
        Notice { slug: "job-found", message: format!("following job {name} (uid {uid}{age})") }
    }

    fn open_streams(&self) -> impl Iterator<Item = StreamId> {
        self.attempts.iter().flat_map(|attempt| &attempt.logs).filter_map(ContainerLog::stream_id)
    }

    /// What has ended is read in order: attempt by attempt, init containers first. What runs is read as it comes.
    fn read_logs(&mut self, around: &mut Around<'_>) {
        let mut held = false;
        for attempt in &mut self.attempts {
            let mut logs = std::mem::take(&mut attempt.logs);
            for log in &mut logs {
                let observed = attempt.observed(&log.place.container);
                log.decide(observed, held, around);
                held |= !log.drained && observed.phase == Phase::Ended;
            }
            attempt.logs = logs;
        }
    }

    fn tell_attempts(&mut self, outputs: &mut Vec<Output>) {
        for attempt in &mut self.attempts {
            if !attempt.started_told && attempt.has_started() {
                attempt.started_told = true;
                let message = format!("attempt {} started: pod {}", attempt.number, attempt.name());
                outputs.push(Output::Notice(Notice { slug: "attempt-started", message }));
            }
            if !attempt.ended_told && attempt.is_over() && attempt.is_drained() {
                attempt.ended_told = true;
                let message = attempt.end_sentence();
                outputs.push(Output::Notice(Notice { slug: "attempt-ended", message }));
            }
        }
    }

    fn is_over(&self, settings: &Settings, now: Timestamp) -> bool {
        if let Some(ended) = self.ended_at {
            let age = now.duration_since(ended);
            let known = self.pods_listed && (self.counts_agree() || age > POD_LAG);
            // No log may hold the outcome back for ever.
            return (known && self.is_drained()) || age > settings.drain_limit * 2;
        }
        self.gone_at.is_some_and(|gone| {
            let age = now.duration_since(gone);
            age > settings.remake_grace
                && (self.is_drained() || age > settings.remake_grace + settings.drain_limit)
        })
    }

    fn is_drained(&self) -> bool {
        self.attempts.iter().all(|attempt| attempt.is_over() && attempt.is_drained())
    }

    /// The Job's and the Pods' observations travel apart.
    fn counts_agree(&self) -> bool {
        let status = self.job.status.as_ref();
        let count =
            |value: Option<i32>| value.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let ended = status.map_or(0, |status| count(status.succeeded) + count(status.failed));
        self.attempts.iter().filter(|attempt| attempt.is_over()).count() >= ended
    }
}

fn owns(uid: &str, pod: &Pod) -> bool {
    let owners = pod.metadata.owner_references.iter().flatten();
    let labels = pod.metadata.labels.iter().flatten();
    owners.into_iter().any(|owner| owner.uid == uid)
        || labels.into_iter().any(|(name, value)| name.ends_with("controller-uid") && value == uid)
}

/// The run record in a runner's last line.
fn record_of(line: &Line) -> Option<(u32, Value)> {
    let record = line.fields.as_ref()?.get("record")?;
    record.get("exit_code")?;
    Some((line.place.attempt, record.clone()))
}
