//! Why `up`, `dev` or `down` could not go on.

use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_postgres::PostgresError;

use super::admin::AdminError;
use super::job::JobError;
use super::lock::LockError;
use super::scripts::ScriptsError;
use crate::image::RoundError;
use crate::secrets::{ContractsError, SecretsError};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// Another process works on this checkout.
    #[error("another whimbrel works on this checkout")]
    Lock(#[from] LockError),
    /// The server could not be had.
    #[error("no local PostgreSQL")]
    Postgres(#[from] PostgresError),
    /// The server did not do what we wanted.
    #[error("the local PostgreSQL refused")]
    Admin(#[from] AdminError),
    /// The secrets could not be made or looked at.
    #[error("no local secrets")]
    Secrets(#[from] SecretsError),
    /// The project's settings make no contract.
    #[error("no contract about secrets")]
    Contracts(#[from] ContractsError),
    /// A script is not text.
    #[error("a script cannot be read")]
    Scripts(#[from] ScriptsError),
    /// The image could not be built.
    #[error("no image")]
    Image(#[from] RoundError),
    /// The Job could not be run.
    #[error("no run")]
    Job(#[from] JobError),
    /// The folders cannot be watched.
    #[error("cannot watch the scripts")]
    Watch(#[from] whimbrel_files::watch::WatchError),
    /// A file of ours could not be written.
    #[error("cannot write the state of this checkout")]
    Files(#[source] std::io::Error),
    /// The project file is not usable any more.
    #[error("the project cannot be read")]
    Project(#[from] whimbrel_cli::project::ProjectError),
    /// A database was named that the project does not have or does not enable.
    #[error("the project has no enabled database {name}")]
    NoDatabase {
        /// The name.
        name: String,
    },
    /// The server went away while saves were waited for.
    #[error("the local PostgreSQL was stopped")]
    ServerGone,
}

impl UpError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Lock(LockError::Deadline { .. }) | Self::Job(JobError::Deadline { .. }) => {
                ErrorKind::Deadline
            }
            Self::Admin(AdminError::Connect(_)) | Self::ServerGone => ErrorKind::DatabaseUnreachable,
            Self::Admin(AdminError::ReservedName { .. })
            | Self::Scripts(_)
            | Self::Project(_)
            | Self::NoDatabase { .. }
            | Self::Contracts(_)
            | Self::Secrets(SecretsError::Contracts(_) | SecretsError::SharedKey { .. })
            | Self::Image(RoundError::Runner(_) | RoundError::Name(_)) => ErrorKind::Usage,
            _ => ErrorKind::Unavailable,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Postgres(PostgresError::Fetch { .. } | PostgresError::FetchDeadline { .. }) => Some(
                "install PostgreSQL (Debian: apt-get install postgresql; macOS: brew install postgresql), or try again",
            ),
            Self::Postgres(PostgresError::Start { .. }) => {
                Some("`down --volumes` forgets the data of the local server, and `up` makes it anew")
            }
            Self::NoDatabase { .. } => {
                Some("`whimbrel config` lists the databases and whether they are enabled")
            }
            Self::ServerGone => Some("`whimbrel dev` starts it again"),
            _ => None,
        }
    }
}

impl From<UpError> for CommandError {
    fn from(error: UpError) -> Self {
        let (kind, hint) = (error.kind(), error.hint());
        let error = Self::new(kind, error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}
