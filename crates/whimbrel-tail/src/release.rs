//! The last witness for a Job that is gone: the Helm release that it was a hook of.

use jiff::Timestamp;
use whimbrel_cluster::{
    client::Cluster,
    helm::{Helm, Release},
};
use whimbrel_joblog::{KnownBy, Outcome, Verdict};

use crate::settings::TailSettings;

/// Asks helm, where the project names a release and helm is installed; else the outcome stays unknown.
pub(crate) async fn ask(settings: &TailSettings, cluster: &Cluster, outcome: &mut Outcome) {
    let Some(name) = &settings.release else { return };
    let helm = Helm {
        program: "helm".into(),
        kubeconfig: settings.connect.kubeconfig.clone(),
        context: settings.connect.context.clone(),
        namespace: settings.namespace.clone().unwrap_or_else(|| cluster.default_namespace().to_owned()),
    };
    match helm.release(name).await {
        Ok(Some(release)) => judge(&release, outcome),
        Ok(None) => {}
        Err(error) => tracing::debug!(%error, "helm was asked in vain"),
    }
}

/// A release speaks for the Job only if its newest operation made it: the Job is younger than the operation. And it only
/// speaks against it: helm takes a hook Job that somebody deletes for a success.
fn judge(release: &Release, outcome: &mut Outcome) {
    let is_of_it = match (release.updated, outcome.created) {
        (Some(began), Some(created)) => floor(began) <= created,
        _ => false,
    };
    if is_of_it && release.status == "failed" {
        outcome.verdict = Verdict::Failed;
        outcome.known_by = KnownBy::Release;
        outcome.reason = Some(format!("revision {} is {}", release.revision, release.status));
        outcome.message = Some(release.description.clone()).filter(|text| !text.is_empty());
    }
}

/// Kubernetes tells times in whole seconds.
fn floor(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("deployed", "2026-01-01T00:00:04Z" => (Verdict::Unknown, KnownBy::Nothing); "deployed proves nothing")]
    #[test_case("failed", "2026-01-01T00:00:05.7Z" => (Verdict::Failed, KnownBy::Release); "its release failed")]
    #[test_case("failed", "2026-01-01T00:00:06Z" => (Verdict::Unknown, KnownBy::Nothing); "a later release")]
    #[test_case("pending-upgrade", "2026-01-01T00:00:04Z" => (Verdict::Unknown, KnownBy::Nothing); "still pending")]
    fn a_release_speaks_for_the_job_it_made(status: &str, updated: &str) -> (Verdict, KnownBy) {
        let release = Release {
            revision: 3,
            status: status.to_owned(),
            description: String::new(),
            updated: updated.parse().ok(),
        };
        let mut outcome = Outcome {
            verdict: Verdict::Unknown,
            known_by: KnownBy::Nothing,
            job: "db".to_owned(),
            uid: "u".to_owned(),
            created: "2026-01-01T00:00:05Z".parse().ok(),
            attempts: 1,
            reason: None,
            message: None,
            exit_code: None,
            record: None,
        };
        judge(&release, &mut outcome);
        (outcome.verdict, outcome.known_by)
    }
}
