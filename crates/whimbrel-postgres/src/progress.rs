//! What the server's life tells while it goes on.

use std::fmt;
use std::time::Duration;

use crate::ServerVersion;

/// What is going on, for a status line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The programs are being fetched.
    Fetching {
        /// Their version.
        version: &'static str,
    },
    /// A new data folder is being made.
    Initialising {
        /// The server's version.
        version: ServerVersion,
        /// Who will run it, when that is not us.
        user: Option<String>,
    },
    /// The server is being started.
    Starting {
        /// The port that was chosen.
        port: u16,
    },
    /// A server that somebody else is starting or stopping is waited for.
    Waiting {
        /// For what.
        reason: &'static str,
        /// How long at most.
        deadline: Duration,
    },
    /// The old data cannot be used and is made anew.
    Discarded {
        /// Why.
        reason: String,
    },
    /// The server is being stopped.
    Stopping,
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetching { version } => {
                write!(formatter, "fetching PostgreSQL {version} (15 MB, once): none is installed")
            }
            Self::Initialising { version, user: None } => {
                write!(formatter, "making a data folder for PostgreSQL {version}")
            }
            Self::Initialising { version, user: Some(user) } => {
                write!(
                    formatter,
                    "making a data folder for PostgreSQL {version}, run as {user}: it refuses root"
                )
            }
            Self::Starting { port } => write!(formatter, "starting PostgreSQL on 127.0.0.1:{port}"),
            Self::Waiting { reason, deadline } => {
                write!(formatter, "waiting for {reason} (at most {} s)", deadline.as_secs())
            }
            Self::Discarded { reason } => write!(formatter, "making the server's data anew: {reason}"),
            Self::Stopping => write!(formatter, "stopping PostgreSQL"),
        }
    }
}
