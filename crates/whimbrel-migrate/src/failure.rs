//! Why a database's turn ended without success, with the exit code and what to do next.

mod advice;
mod script;

use std::borrow::Cow;
use std::time::Duration;

use thiserror::Error;
use whimbrel_cli::error::ErrorKind;
use whimbrel_cli::exit::ExitCode;
use whimbrel_database::{ConnectError, ConnectErrorKind, DatabaseError, EngineKind, LockHolder};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::risk::Level;
use whimbrel_migration::version::Version;

use self::advice::{advice, connect_hint, kind_of, lock_hint, next_steps, server_hint};
use crate::cli::Verb;
use crate::files::FilesError;
use crate::patience::Stopped;
use crate::risk::ScriptRisk;
use crate::set::SetError;

pub use self::script::{Kept, ScriptFailure};

/// What ended the work on one database.
#[derive(Debug, Error)]
pub enum Failure {
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Our own SQL failed.
    #[error("cannot {what}")]
    Database {
        /// What was being done.
        what: Cow<'static, str>,
        /// What came instead.
        #[source]
        error: DatabaseError,
    },
    /// The files.
    #[error(transparent)]
    Set(#[from] SetError),
    /// Files and history disagree, or a script must not run.
    #[error("{}", findings(.0))]
    Refused(Vec<Finding>),
    /// Somebody else holds the lock.
    #[error("another runner holds the lock of {table}{}", held_by(.holder.as_ref()))]
    Locked {
        /// What kind of server it is.
        engine: EngineKind,
        /// The quoted history table.
        table: String,
        /// Who holds it.
        holder: Option<LockHolder>,
        /// How long we waited.
        waited: Duration,
    },
    /// Between us and the server is somebody who hands out other backends.
    #[error("the connection changed its backend in the middle of the work")]
    Pooler {
        /// What kind of server it is.
        engine: EngineKind,
    },
    /// A script failed.
    #[error(transparent)]
    Script(Box<ScriptFailure>),
    /// A callback failed; what the command did before stays as it is.
    #[error("error while executing {} callback: {failure}", .event.as_str())]
    Callback {
        /// What it was called for.
        event: whimbrel_migration::name::Event,
        /// Why it failed.
        #[source]
        failure: Box<ScriptFailure>,
    },
    /// `clean` without permission.
    #[error("clean is disabled: it would drop everything in schema {schema}")]
    CleanDisabled {
        /// The schema.
        schema: String,
    },
    /// The server does not tell what became of a COMMIT.
    #[error(
        "the connection was lost during COMMIT of {script}, and what became of it could not be found out"
    )]
    CommitUnknown {
        /// The script.
        script: String,
        /// Why not.
        #[source]
        source: Box<Failure>,
    },
    /// Rows without a run, and nobody said yes.
    #[error("{} {version} writes rows and runs nothing:{}", .verb.name(), listed(.dangers))]
    Unconfirmed {
        /// `skip` or `stamp`.
        verb: Verb,
        /// The version.
        version: Version,
        /// What may go wrong.
        dangers: Vec<String>,
    },
    /// Others would notice more than was allowed.
    #[error("{}", too_risky(*.limit, .risks))]
    TooRisky {
        /// What was allowed.
        limit: Level,
        /// The scripts above it.
        risks: Vec<ScriptRisk>,
    },
    /// The database did not reach the version in time.
    #[error(
        "the database is at {}, not at {wanted}, after {} s",
        crate::report::version(.version.as_ref().map(Version::as_str)),
        .waited.as_secs()
    )]
    NotYet {
        /// What was waited for.
        wanted: Version,
        /// What there is.
        version: Option<Version>,
        /// For how long.
        waited: Duration,
    },
    /// Signal or deadline.
    #[error("{}", stopped(*.0))]
    Stopped(Stopped),
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        Self::Set(error.into())
    }
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        Self::Refused(vec![finding])
    }
}

impl Failure {
    /// Our own SQL failed while doing `what`.
    pub fn database(what: impl Into<Cow<'static, str>>) -> impl FnOnce(DatabaseError) -> Self {
        let what = what.into();
        move |error| Self::Database { what, error }
    }

    /// Whether the file of a script changed while it was run outside of a transaction.
    pub fn is_change_midway(&self) -> bool {
        matches!(self, Self::Set(SetError::Files(FilesError::ChangedMidway(_))))
    }

    /// The kind, and with it the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(error) if error.kind == ConnectErrorKind::Tls => ErrorKind::DatabaseUnreachable,
            Self::Connect(_) => ErrorKind::DatabaseUnreachable,
            Self::Database { error, .. } if error.is_connection_lost() => ErrorKind::DatabaseUnreachable,
            Self::Database { error: DatabaseError::NotAHistory(_), .. } => ErrorKind::HistoryDisagrees,
            Self::Database { .. } => ErrorKind::No,
            Self::Set(SetError::Refused(finding)) => kind_of(std::slice::from_ref(finding)),
            Self::Set(_) if self.is_change_midway() => ErrorKind::ScriptPartlyKept,
            Self::Set(_) => ErrorKind::Usage,
            Self::Refused(findings) => kind_of(findings),
            Self::Locked { .. } => ErrorKind::Locked,
            Self::Pooler { .. } => ErrorKind::Usage,
            Self::Script(failure) | Self::Callback { failure, .. } if failure.kept == Kept::Nothing => {
                ErrorKind::ScriptFailed
            }
            Self::Script(_) | Self::Callback { .. } | Self::CommitUnknown { .. } => {
                ErrorKind::ScriptPartlyKept
            }
            Self::CleanDisabled { .. } | Self::Unconfirmed { .. } | Self::TooRisky { .. } => {
                ErrorKind::Refused
            }
            Self::NotYet { .. } => ErrorKind::Deadline,
            Self::Stopped(Stopped::Signal(cause)) => cause.error_kind(),
            Self::Stopped(Stopped::Deadline) => ErrorKind::Deadline,
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        self.kind().exit_code()
    }

    /// The whole chain of causes, without what looks like a secret.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        // A script's failure tells what the server said in lines of its own.
        let told = matches!(self, Self::Script(_) | Self::Callback { .. });
        let mut cause = std::error::Error::source(self).filter(|_| !told);
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        redacted(&text)
    }

    /// What to do next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => connect_hint(error.kind).into_iter().map(str::to_owned).collect(),
            Self::Database { error: DatabaseError::NotAHistory(_), .. } => vec![
                "compare the table with one that Flyway made, and correct it by hand; or name another one as history"
                    .to_owned(),
            ],
            Self::Database { error, .. } if error.is_undefined_table() => {
                vec!["the history table is gone: put it back as it was, and run the command again".to_owned()]
            }
            Self::Database { error, .. } => error.server().and_then(server_hint).into_iter().collect(),
            Self::Set(SetError::Refused(finding)) => finding.next_step.clone().into_iter().collect(),
            Self::Refused(findings) => next_steps(findings),
            Self::Locked { engine, holder, .. } => vec![lock_hint(*engine, holder.as_ref())],
            Self::Pooler { engine } => {
                let server = engine.dialect().name();
                vec![format!(
                    "connect to {server} itself, or to a pool in session mode: the lock belongs to a session"
                )]
            }
            Self::Script(failure) => failure.hints(),
            Self::Callback { failure, .. } => failure.callback_hints(),
            Self::Unconfirmed { .. } => {
                vec!["--yes accepts that; --dry-run shows the rows".to_owned()]
            }
            Self::TooRisky { risks, .. } => advice(risks),
            Self::NotYet { .. } => vec!["--wait says how long to wait".to_owned()],
            Self::CleanDisabled { .. } => vec!["--clean-enabled allows it".to_owned()],
            Self::CommitUnknown { .. } => {
                vec!["run migrate again: it finds out from the history what was kept".to_owned()]
            }
            Self::Set(SetError::Files(FilesError::ChangedMidway(_))) => {
                vec!["undo by hand what was kept, run repair, then run migrate again".to_owned()]
            }
            Self::Set(SetError::NoLocation(_)) => {
                vec!["correct the locations of the database, or make the folder".to_owned()]
            }
            Self::Set(_) | Self::Stopped(_) => Vec::new(),
        }
    }
}

/// Without anything that looks like a secret.
pub fn redacted(text: &str) -> String {
    whimbrel_migration::redact::redact(text).into_owned()
}

fn findings(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Each on a line of its own.
fn listed(dangers: &[String]) -> String {
    dangers.iter().map(|danger| format!("\n  - {danger}")).collect()
}

fn too_risky(limit: Level, risks: &[ScriptRisk]) -> String {
    let mut text = format!("others would notice more than the level {limit} that is allowed:");
    for risk in risks {
        text.push_str(&format!("\n  {}: {}", risk.script, risk.level));
        for impact in risk.impacts.iter().filter(|impact| impact.level > limit) {
            text.push_str(&format!("\n    {impact}"));
        }
    }
    text
}

fn held_by(holder: Option<&LockHolder>) -> String {
    holder.map(|holder| format!(": {holder}")).unwrap_or_default()
}

fn stopped(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Signal(_) => "stopped as asked by a signal",
        Stopped::Deadline => "the deadline of this run has passed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disagreement_wins_over_other_findings() {
        let findings =
            vec![Finding::error("own-transaction-control", "x"), Finding::error("checksum-mismatch", "y")];
        assert_eq!(Failure::Refused(findings).exit_code().code(), 6);
        assert_eq!(Failure::from(Finding::error("own-transaction-control", "x")).exit_code().code(), 1);
        assert_eq!(Failure::from(Finding::error("placeholder-missing", "x")).exit_code().code(), 2);
    }
}
