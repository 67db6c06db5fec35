//! Looking, comparing, and doing so again until a deadline.

use std::time::Duration;

use tokio::time::Instant;
use whimbrel_cluster::client::{Cluster, ConnectOptions};
use whimbrel_cluster::secrets::observe_secrets;
use whimbrel_contract::{Conclusion, DatabaseContract, Observations, Report, check};
use whimbrel_files::secrets::{observe_dotenv, observe_folder};

use super::{SecretsError, Source};

/// How long to wait for secrets to become good, and how often to look.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// After this, the last answer counts.
    pub deadline: Duration,
    /// The pause between two looks.
    pub interval: Duration,
}

impl Patience {
    /// Looks every two seconds.
    pub fn until(deadline: Duration) -> Self {
        Self { deadline, interval: Duration::from_secs(2) }
    }
}

/// Why another look is taken.
#[derive(Debug)]
pub enum Waiting<'a> {
    /// Something is wrong with the secrets, or is not known.
    Report(&'a Report),
    /// The cluster does not answer.
    Unreachable(&'a SecretsError),
}

/// Looks for the secrets.
///
/// # Errors
/// When nothing could be found out at all.
pub async fn observe(source: &Source, contracts: &[DatabaseContract]) -> Result<Observations, SecretsError> {
    match source {
        Source::Kubernetes { context, namespace } => {
            let options = ConnectOptions { context: context.clone(), ..ConnectOptions::default() };
            let cluster = Cluster::connect(options).await?;
            Ok(observe_secrets(&cluster, namespace, contracts).await?)
        }
        Source::Folder(folder) => Ok(observe_folder(folder, contracts)),
        Source::Dotenv(file) => Ok(observe_dotenv(file, contracts)),
    }
}

/// Looks for the secrets and compares them with the contracts.
///
/// # Errors
/// When nothing could be found out at all.
pub async fn verify(source: &Source, contracts: &[DatabaseContract]) -> Result<Report, SecretsError> {
    Ok(check(contracts, &observe(source, contracts).await?))
}

/// Looks again until all is well or the deadline has passed; `waiting` is told why, with the time left.
///
/// # Errors
/// When nothing could be found out at all, and no waiting could change that.
pub async fn verify_until(
    source: &Source,
    contracts: &[DatabaseContract],
    patience: Patience,
    mut waiting: impl FnMut(Waiting<'_>, Duration),
) -> Result<Report, SecretsError> {
    let deadline = Instant::now() + patience.deadline;
    loop {
        let answer = verify(source, contracts).await;
        let left = deadline.saturating_duration_since(Instant::now());
        match &answer {
            Ok(report) if report.conclusion() == Conclusion::Clean => return answer,
            Err(error) if !error.may_retry() => return answer,
            _ if left.is_zero() => return answer,
            Ok(report) => waiting(Waiting::Report(report), left),
            Err(error) => waiting(Waiting::Unreachable(error), left),
        }
        tokio::time::sleep(patience.interval.min(left)).await;
    }
}
