//! What helm and the tail say, put together.

use serde::Serialize;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cluster::follow::FollowEnd;
use whimbrel_cluster::helm::HelmError;
use whimbrel_image::Reference;
use whimbrel_joblog::{Outcome, Verdict};
use whimbrel_migration::record::RunRecord;

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// helm and Job are content.
    Deployed,
    /// helm is content, and it made no Job: migrations are off in the chart's values.
    DeployedWithoutJob,
    /// The Job failed, did not end, or was deleted before it did.
    JobFailed,
    /// helm failed before there was a Job, or after it had completed.
    HelmFailed,
}

/// How a deployment ended, and what is known about the run.
#[derive(Debug)]
pub struct DeployReport {
    /// What was deployed.
    pub image: Reference,
    /// How it ended.
    pub ending: Ending,
    /// What to exit with: the runner's own code when its record tells it.
    pub exit: ExitCode,
    /// helm's words, when it failed.
    pub helm: Option<String>,
    /// How the Job ended, when one was followed.
    pub job: Option<Outcome>,
    /// The runner's record.
    pub record: Option<RunRecord>,
}

/// Puts both together. It is deployed when both are content; the Job's word outweighs helm's.
///
/// helm takes a hook Job that somebody deletes for a success, and does not look at all at a Job that is no hook.
pub(super) fn judge(image: Reference, helm: Result<(), HelmError>, tail: Option<FollowEnd>) -> DeployReport {
    let has_no_job = matches!(tail, Some(FollowEnd::NoJob));
    let is_late = matches!(tail, Some(FollowEnd::Deadline { .. }));
    let job = match tail {
        Some(FollowEnd::Outcome(outcome)) => Some(*outcome),
        _ => None,
    };
    let record = job.as_ref().and_then(run_record);
    let job_failed = job.as_ref().is_some_and(|job| job.verdict != Verdict::Complete);
    let (ending, exit) = match &helm {
        Ok(()) if has_no_job => (Ending::DeployedWithoutJob, ExitCode::Done),
        Ok(()) if is_late => (Ending::JobFailed, ExitCode::Deadline),
        Ok(()) if !job_failed => (Ending::Deployed, ExitCode::Done),
        _ if job_failed => (Ending::JobFailed, runner_code(job.as_ref(), record.as_ref())),
        Ok(()) | Err(HelmError::Failed { .. }) => (Ending::HelmFailed, ExitCode::No),
        Err(HelmError::Deadline { .. }) => (Ending::HelmFailed, ExitCode::Deadline),
        Err(HelmError::Start { .. }) => (Ending::HelmFailed, ExitCode::Usage),
        Err(HelmError::Answer { .. }) => (Ending::HelmFailed, ExitCode::Unavailable),
    };
    DeployReport { image, ending, exit, helm: helm.err().map(|error| error.to_string()), job, record }
}

fn run_record(job: &Outcome) -> Option<RunRecord> {
    RunRecord::parse(&job.record.as_ref()?.to_string())
}

/// The runner's code from its record, else from its container; what is not in our table is a plain no.
fn runner_code(job: Option<&Outcome>, record: Option<&RunRecord>) -> ExitCode {
    let recorded = record.map(|record| i32::from(record.exit_code));
    let ended = job.and_then(|job| job.exit_code);
    let code = recorded.or(ended).and_then(|code| u8::try_from(code).ok());
    match code.and_then(ExitCode::from_code) {
        Some(ExitCode::Done) | None => ExitCode::No,
        Some(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_cli::exit::ExitCode;
    use whimbrel_cluster::follow::FollowEnd;
    use whimbrel_cluster::helm::HelmError;
    use whimbrel_joblog::{KnownBy, Outcome, Verdict};

    use super::{Ending, judge};

    fn job(verdict: Verdict, exit_code: Option<i32>, reason: &str) -> Option<FollowEnd> {
        Some(FollowEnd::Outcome(Box::new(Outcome {
            verdict,
            known_by: KnownBy::Condition,
            job: "db-migrations".to_owned(),
            uid: "1".to_owned(),
            created: None,
            attempts: 1,
            reason: Some(reason.to_owned()),
            message: None,
            exit_code,
            record: None,
        })))
    }

    fn failed() -> Result<(), HelmError> {
        Err(HelmError::Failed { verb: "upgrade", words: "pre-upgrade hooks failed".to_owned() })
    }

    fn ending(helm: Result<(), HelmError>, tail: Option<FollowEnd>) -> (Ending, ExitCode) {
        let image = "k3d-dev-reg:5000/shop/migrations:dev".parse().unwrap();
        let report = judge(image, helm, tail);
        (report.ending, report.exit)
    }

    #[test]
    fn helm_decides_whether_it_is_deployed_and_the_job_tells_why_not() {
        let complete = || job(Verdict::Complete, Some(0), "");
        assert_eq!(ending(Ok(()), complete()), (Ending::Deployed, ExitCode::Done));
        assert_eq!(ending(Ok(()), Some(FollowEnd::NoJob)), (Ending::DeployedWithoutJob, ExitCode::Done));
        let by_script = job(Verdict::Failed, Some(7), "BackoffLimitExceeded");
        assert_eq!(ending(failed(), by_script), (Ending::JobFailed, ExitCode::ScriptFailed));
        assert_eq!(ending(failed(), Some(FollowEnd::NoJob)), (Ending::HelmFailed, ExitCode::No));
        assert_eq!(ending(failed(), complete()), (Ending::HelmFailed, ExitCode::No));
    }

    #[test]
    fn helms_content_is_not_enough_when_the_job_is_deleted_failed_or_late() {
        let deleted = job(Verdict::Unknown, None, "");
        assert_eq!(ending(Ok(()), deleted), (Ending::JobFailed, ExitCode::No));
        let plain = job(Verdict::Failed, Some(8), "BackoffLimitExceeded");
        assert_eq!(ending(Ok(()), plain), (Ending::JobFailed, ExitCode::ScriptPartlyKept));
        let late = Some(FollowEnd::Deadline { waiting_for: String::new() });
        assert_eq!(ending(Ok(()), late), (Ending::JobFailed, ExitCode::Deadline));
    }

    #[test]
    fn a_code_that_is_not_in_our_table_is_a_plain_no() {
        for code in [Some(137), Some(0), None] {
            let tail = job(Verdict::Failed, code, "DeadlineExceeded");
            assert_eq!(ending(failed(), tail), (Ending::JobFailed, ExitCode::No));
        }
    }

    #[test]
    fn without_a_tail_helm_is_believed() {
        assert_eq!(ending(Ok(()), None), (Ending::Deployed, ExitCode::Done));
        assert_eq!(ending(failed(), None), (Ending::HelmFailed, ExitCode::No));
    }
}
