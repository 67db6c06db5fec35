//! An error that ends a command: what kind it is, what it says, and what to do next.

use std::error::Error;
use std::fmt;

use crate::exit::ExitCode;

/// Why a command could not go on. Each kind has exactly one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The question was understood and the answer is no.
    No,
    /// The command line or the configuration is wrong.
    Usage,
    /// A secret or key is missing or unusable.
    Secret,
    /// The database is unreachable or refused the login.
    DatabaseUnreachable,
    /// Another runner holds the lock.
    Locked,
    /// History and files disagree.
    HistoryDisagrees,
    /// A script failed and nothing of it was kept.
    ScriptFailed,
    /// A script failed and part of it was kept.
    ScriptPartlyKept,
    /// A guard refused.
    Refused,
    /// A system other than the database was unreachable or would not say.
    Unavailable,
    /// This should not happen.
    Bug,
    /// Our own deadline passed.
    Deadline,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl ErrorKind {
    /// The exit code of this kind.
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::No => ExitCode::No,
            Self::Usage => ExitCode::Usage,
            Self::Secret => ExitCode::Secret,
            Self::DatabaseUnreachable => ExitCode::DatabaseUnreachable,
            Self::Locked => ExitCode::Locked,
            Self::HistoryDisagrees => ExitCode::HistoryDisagrees,
            Self::ScriptFailed => ExitCode::ScriptFailed,
            Self::ScriptPartlyKept => ExitCode::ScriptPartlyKept,
            Self::Refused => ExitCode::Refused,
            Self::Unavailable => ExitCode::Unavailable,
            Self::Bug => ExitCode::Bug,
            Self::Deadline => ExitCode::Deadline,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Terminated => ExitCode::Terminated,
        }
    }
}

/// An error on its way to the terminal. The printer alone renders it: `error:`, its causes, then its hints.
#[derive(Debug)]
pub struct CommandError {
    kind: ErrorKind,
    error: Box<dyn Error + Send + Sync>,
    hints: Vec<String>,
}

impl CommandError {
    /// An error of this kind; its `Display` tells one level, its `source()` the rest.
    pub fn new(kind: ErrorKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, error: error.into(), hints: Vec::new() }
    }

    /// Bad command line or configuration.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Usage, error)
    }

    /// Another system was unreachable or would not say.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Unavailable, error)
    }

    /// Adds one thing to do next.
    #[must_use]
    pub fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The exit code that it ends with.
    pub fn exit_code(&self) -> ExitCode {
        self.kind.exit_code()
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The message and those of all its causes, outermost first. A cause whose words the level above already
    /// ends with is left out: some libraries repeat their source.
    pub fn messages(&self) -> Vec<String> {
        let mut messages = vec![self.error.to_string()];
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let message = error.to_string();
            if !messages.last().is_some_and(|last| last.ends_with(&message)) {
                messages.push(message);
            }
            cause = error.source();
        }
        messages
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.messages().join(": "))
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandError, ErrorKind};

    #[derive(Debug, thiserror::Error)]
    #[error("reading the project")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_are_told_outermost_first() {
        let error =
            CommandError::new(ErrorKind::Usage, Outer(std::io::Error::other("disk on fire"))).hinted("run");
        assert_eq!(error.messages(), ["reading the project", "disk on fire"]);
        assert_eq!(error.exit_code().code(), 2);
        assert_eq!(error.hints(), ["run"]);
    }

    #[test]
    fn a_cause_that_is_already_told_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read: disk on fire")]
        struct Repeating(#[source] std::io::Error);
        let error = CommandError::usage(Repeating(std::io::Error::other("disk on fire")));
        assert_eq!(error.messages(), ["cannot read: disk on fire"]);
    }
}
