//! How a Job ended, and how we know.

use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::{Job, JobCondition},
    core::v1::Event,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    attempt::{Attempt, describe},
    clean::{clean_fields, clean_text},
};

/// The end of a Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It did what it should.
    Complete,
    /// It did not.
    Failed,
    /// It is gone, and nothing that was seen tells how it ended.
    Unknown,
}

/// What the verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// The Job's own condition `Complete` or `Failed`.
    Condition,
    /// An event of the Job controller; the Job itself is gone.
    Event,
    /// The runner's run record, in its log or termination message; the Job itself is gone.
    RunRecord,
    /// How the last container ended; the Job itself is gone.
    LastAttempt,
    /// The state of the Helm release that the Job was a hook of; the Job itself is gone.
    Release,
    /// Nothing.
    Nothing,
}

/// How a Job ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub known_by: KnownBy,
    /// The Job's name.
    pub job: String,
    /// The Job's UID.
    pub uid: String,
    /// When the Job was made.
    pub created: Option<Timestamp>,
    /// How many attempts were seen.
    pub attempts: u32,
    /// Kubernetes' word: `BackoffLimitExceeded`, `DeadlineExceeded`, …
    pub reason: Option<String>,
    /// Kubernetes' sentence.
    pub message: Option<String>,
    /// The exit code of the last attempt.
    pub exit_code: Option<i32>,
    /// The runner's run record, from its log or its termination message.
    pub record: Option<Value>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let job = &self.job;
        match self.verdict {
            Verdict::Complete => write!(f, "job {job} complete")?,
            Verdict::Failed => write!(f, "job {job} failed")?,
            Verdict::Unknown => write!(f, "job {job} is gone, its outcome is unknown")?,
        }
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        if let (Some(code), Verdict::Failed) = (self.exit_code, self.verdict) {
            write!(f, ", the last attempt ended with exit code {code}")?;
        }
        match self.known_by {
            KnownBy::Condition | KnownBy::Nothing => Ok(()),
            KnownBy::Event => f.write_str(" (the Job is gone; by its events)"),
            KnownBy::RunRecord => f.write_str(" (the Job is gone; by the runner's record)"),
            KnownBy::Release => f.write_str(" (the Job is gone; by its Helm release)"),
            KnownBy::LastAttempt => f.write_str(" (the Job is gone; by its last container)"),
        }
    }
}

/// The condition that ends a Job.
pub(crate) fn final_condition(job: &Job) -> Option<(Verdict, &JobCondition)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().filter(|condition| condition.status == "True").find_map(|condition| {
        match condition.type_.as_str() {
            "Complete" => Some((Verdict::Complete, condition)),
            "Failed" => Some((Verdict::Failed, condition)),
            _ => None,
        }
    })
}

/// Decides from everything that was seen.
pub(crate) fn decide(
    job: &Job,
    attempts: &[Attempt],
    events: &[Event],
    logged: Option<&(u32, Value)>,
) -> Outcome {
    let last = attempts.last().and_then(Attempt::terminated);
    // The record of an earlier attempt says nothing about the last one.
    let current = logged.filter(|(attempt, _)| attempts.last().is_some_and(|last| last.number == *attempt));
    let record = current.map(|(_, record)| record.clone()).or_else(|| {
        let message = last?.message.as_deref()?;
        parse_record(message)
    });
    let exit_code = last.map(|end| end.exit_code);
    let (verdict, known_by, reason, message) = match final_condition(job) {
        Some((verdict, condition)) => {
            (verdict, KnownBy::Condition, condition.reason.clone(), condition.message.clone())
        }
        None => infer(job, attempts, events, record.as_ref()),
    };
    Outcome {
        verdict,
        known_by,
        job: job.metadata.name.clone().unwrap_or_default(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        attempts: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
        reason: reason.filter(|reason| reason != "CompletionsReached"),
        message: message.map(|message| clean_text(&message)).filter(|message| !message.is_empty()),
        exit_code,
        record,
    }
}

type Inferred = (Verdict, KnownBy, Option<String>, Option<String>);

/// The Job is gone without a condition: the surest witness speaks.
fn infer(job: &Job, attempts: &[Attempt], events: &[Event], record: Option<&Value>) -> Inferred {
    let uid = job.metadata.uid.as_deref();
    let told = events.iter().rev().find_map(|event| {
        let ours = event.involved_object.uid.as_deref() == uid;
        let verdict = match event.reason.as_deref() {
            Some("Completed") if ours => Verdict::Complete,
            Some("BackoffLimitExceeded" | "DeadlineExceeded" | "PodFailurePolicy") if ours => Verdict::Failed,
            _ => return None,
        };
        Some((verdict, event))
    });
    if let Some((verdict, event)) = told {
        return (verdict, KnownBy::Event, event.reason.clone(), event.message.clone());
    }
    if let Some(code) = record.and_then(|record| record.get("exit_code")).and_then(Value::as_i64) {
        return (verdict_of(code == 0), KnownBy::RunRecord, None, None);
    }
    // A container that failed may have been tried again; one that succeeded ends the Job.
    match attempts.last().filter(|attempt| attempt.phase() == Some("Succeeded")).and_then(Attempt::terminated)
    {
        Some(end) => (verdict_of(end.exit_code == 0), KnownBy::LastAttempt, Some(describe(end)), None),
        None => (Verdict::Unknown, KnownBy::Nothing, None, None),
    }
}

fn verdict_of(good: bool) -> Verdict {
    if good { Verdict::Complete } else { Verdict::Failed }
}

/// A run record is a JSON object with a schema and an exit code; anything else is somebody's text.
pub(crate) fn parse_record(text: &str) -> Option<Value> {
    match serde_json::from_str(text.trim()) {
        Ok(Value::Object(fields)) if fields.contains_key("schema") && fields.contains_key("exit_code") => {
            Some(Value::Object(clean_fields(fields)))
        }
        _ => None,
    }
}
