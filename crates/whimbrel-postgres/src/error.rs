//! What can go wrong with a server of one's own.

use std::path::PathBuf;
use std::time::Duration;

/// Why the server could not be found, started or stopped. Every message fits after "failed to run PostgreSQL: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// A file or folder could not be read or written; the path is in the source.
    #[error("cannot prepare the server's files")]
    Files(#[source] std::io::Error),
    /// Started by root on a machine without any user to become.
    #[error("PostgreSQL refuses to run as root, and the machine has no user to run it as")]
    NoServerUser,
    /// No folder that the server's user could reach.
    #[error("no folder for the server's data: tried \
             {}", tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    NoHome {
        /// The folders that were tried.
        tried: Vec<PathBuf>,
    },
    /// The named folder does not hold the programs of a server.
    #[error("{} does not hold initdb, pg_ctl and postgres", folder.display())]
    NotAnInstallation {
        /// The folder.
        folder: PathBuf,
    },
    /// Fetching the server's programs failed; trying again may help.
    #[error("no PostgreSQL is installed, and version {version} could not be fetched")]
    Fetch {
        /// The version asked for.
        version: &'static str,
        /// What the archive said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Fetching took longer than its deadline; trying again may help.
    #[error("no PostgreSQL is installed, and fetching it did not end within {} s", deadline.as_secs())]
    FetchDeadline {
        /// The deadline.
        deadline: Duration,
    },
    /// A program of PostgreSQL could not be started at all.
    #[error("cannot run {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A program of PostgreSQL ended badly.
    #[error("{} ended with {status}: {output}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status, in words.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A program of PostgreSQL did not end in time and was stopped.
    #[error("{} did not end within {} s", program.display(), deadline.as_secs())]
    Deadline {
        /// The program.
        program: PathBuf,
        /// The deadline.
        deadline: Duration,
    },
    /// The server did not come up.
    #[error("the server did not start; the end of {}: {tail}", log.display())]
    Start {
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The version could not be read from the program's answer.
    #[error("{} --version said {answer:?}", program.display())]
    Version {
        /// The program.
        program: PathBuf,
        /// Its answer.
        answer: String,
    },
}
