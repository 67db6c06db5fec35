//! What can go wrong besides a bad secret.

use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cluster::client::{ClusterError, ClusterErrorKind};
use whimbrel_files::secrets::{SeedError, WriteError};

use super::ContractsError;

/// We could not find out, or could not make the values.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The project's settings make no contract.
    #[error(transparent)]
    Contracts(#[from] ContractsError),
    /// The cluster did not answer or said no.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The cluster is not one on somebody's own machine.
    #[error("the cluster is not a local one: {reason}")]
    NotLocal {
        /// How we know.
        reason: String,
    },
    /// Two databases want different values under one key of one secret.
    #[error("databases `{first}` and `{second}` share key `{key}` of secret `{secret}`")]
    SharedKey {
        /// The secret.
        secret: String,
        /// The key.
        key: String,
        /// The first database.
        first: String,
        /// The second.
        second: String,
    },
    /// There is no seed.
    #[error("the checkout has no seed for local values")]
    Seed(#[from] SeedError),
    /// A value could not be written.
    #[error("a local secret could not be written")]
    Write(#[from] WriteError),
}

impl SecretsError {
    /// Whether the same question may be answered a moment later.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Cluster(error) if error.kind.may_retry())
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Contracts(_) | Self::SharedKey { .. } => ErrorKind::Usage,
            Self::Cluster(error) if error.kind == ClusterErrorKind::Configuration => ErrorKind::Usage,
            Self::Cluster(_) => ErrorKind::Unavailable,
            Self::NotLocal { .. } => ErrorKind::Refused,
            Self::Seed(_) | Self::Write(_) => ErrorKind::No,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cluster(error) => match error.kind {
                ClusterErrorKind::Configuration => {
                    Some("name a context with --context, or check local secrets: --from local")
                }
                ClusterErrorKind::Unreachable => {
                    Some("see whether the cluster answers: kubectl cluster-info; local secrets: --from local")
                }
                ClusterErrorKind::Unauthorized => Some("log in to the cluster again"),
                ClusterErrorKind::NotFound => {
                    Some("see whether the namespace exists: kubectl get namespaces")
                }
                _ => None,
            },
            Self::NotLocal { .. } => Some(
                "local values are for local clusters; elsewhere secrets come from whoever runs the databases",
            ),
            Self::SharedKey { .. } => {
                Some("give each database its own secret or its own keys in whimbrel.toml")
            }
            _ => None,
        }
    }
}

impl From<SecretsError> for CommandError {
    fn from(error: SecretsError) -> Self {
        let (kind, hint) = (error.kind(), error.hint());
        let command_error = Self::new(kind, error);
        match hint {
            Some(hint) => command_error.hinted(hint),
            None => command_error,
        }
    }
}

impl From<ContractsError> for CommandError {
    fn from(error: ContractsError) -> Self {
        SecretsError::Contracts(error).into()
    }
}
