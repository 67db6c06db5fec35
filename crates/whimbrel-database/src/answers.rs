//! What every engine answers, and how it is asked to limit itself: the words of the seam, without a type of any driver.

use std::time::Duration;

use whimbrel_migration::dialect::Dialect;

use crate::error::DatabaseError;

/// One row, each value as the server writes it, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// The values of a row, one after the other.
pub(crate) fn values(row: Row) -> impl FnMut() -> Option<String> {
    let mut values = row.into_iter();
    move || values.next().flatten()
}

/// The value of an answer that is one.
pub(crate) fn single(rows: &[Row]) -> Option<String> {
    rows.first()?.first()?.clone()
}

/// What came of a statement, and what the server said meanwhile.
pub(crate) type Outcome = (Result<u64, DatabaseError>, Vec<Notice>);

/// What is done about warnings that an engine keeps to itself until it is asked (MySQL, MariaDB).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warnings {
    /// They are asked for, and come with the answer.
    Told,
    /// Nobody asks: a question would change what the next statement may look at (`ROW_COUNT()`).
    Kept,
}

/// A message that the server sent along with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a `WARNING`, not a `NOTICE` or `INFO`.
    pub is_warning: bool,
    /// Five characters that name the condition; `00000` where it has no name of its own, nothing where the engine names
    /// conditions by numbers.
    pub sqlstate: String,
    /// The number of the condition; 0 where it has none.
    pub code: i32,
    /// The text.
    pub message: String,
}

impl Notice {
    /// Whether the server warns that it is about to end the session: 57P01 and 57P02.
    pub(crate) fn says_goodbye(&self) -> bool {
        self.is_warning && matches!(self.sqlstate.as_str(), "57P01" | "57P02")
    }
}

/// What a statement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Rows that it touched.
    pub affected: u64,
    /// What the server said meanwhile.
    pub notices: Vec<Notice>,
}

/// A statement's error together with what the server had said before.
#[derive(Debug, thiserror::Error)]
#[error("a statement failed")]
pub struct ExecuteError {
    /// The error.
    #[source]
    pub error: DatabaseError,
    /// Notices before it.
    pub notices: Vec<Notice>,
}

pub(crate) fn executed(outcome: Outcome) -> Result<Executed, ExecuteError> {
    match outcome {
        (Ok(affected), notices) => Ok(Executed { affected, notices }),
        (Err(error), notices) => Err(ExecuteError { error, notices }),
    }
}

/// What a session found out when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// What kind of server it is, as it says itself.
    pub dialect: Dialect,
    /// The server's number for this session: a process id, a connection id; 0 where there is no server.
    pub backend: i32,
    /// The role that objects are made as; empty where the engine has no users.
    pub user: String,
    /// The database's name; empty where it has none.
    pub database: String,
    /// The schema that unqualified names are made in, if there is one (PostgreSQL: the first of the search path that
    /// exists).
    pub schema: Option<String>,
    /// The search path as configured; empty where the engine has none.
    pub search_path: String,
    /// The server's version for people.
    pub server_version: String,
    /// Whether nothing can be written: a replica, or a setting.
    pub read_only: bool,
}

/// What is known of a script's transaction that was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How long it took by the server's clock, as its row says, where the server was asked.
    pub millis: Option<u64>,
    /// What became of the lock, where it was kept for another script.
    pub kept: Option<Unlocked>,
}

/// A script's transaction did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The transaction was over before: the script ended it itself, and what it did is committed.
    #[error("the script ended its transaction itself")]
    NotOurs,
    /// Somebody forbade it ([`crate::Veto`]): nothing is kept.
    #[error("the transaction must not be committed any more")]
    Vetoed,
    /// A deferred constraint or the COMMIT was refused: nothing is kept.
    #[error("the transaction could not be committed")]
    Rejected(#[source] DatabaseError),
    /// The history row was refused, which is no fault of the script's: nothing is kept.
    #[error("the history row could not be written")]
    RowRefused(#[source] DatabaseError),
    /// The connection was lost during COMMIT: ask [`crate::Session::fate_of`] in another session.
    #[error("the connection was lost during COMMIT")]
    CommitLost(#[source] DatabaseError),
}

impl FinishError {
    /// What the answer to COMMIT means.
    pub(crate) fn of_commit<T>(answer: Result<T, DatabaseError>) -> Result<(), Self> {
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.is_connection_lost() => Err(Self::CommitLost(error)),
            Err(error) => Err(Self::Rejected(error)),
        }
    }
}

/// Who holds the lock, as far as this role may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The server's number for its session: a process id, a connection id.
    pub backend: i32,
    /// What it calls itself.
    pub application_name: Option<String>,
    /// Its role.
    pub user: Option<String>,
    /// Since when it is connected.
    pub since: Option<String>,
}

impl std::fmt::Display for LockHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "backend {}", self.backend)?;
        if let Some(name) = self.application_name.as_deref().filter(|name| !name.is_empty()) {
            write!(f, ", {name}")?;
        }
        if let Some(user) = &self.user {
            write!(f, ", user {user}")?;
        }
        if let Some(since) = &self.since {
            write!(f, ", since {since}")?;
        }
        Ok(())
    }
}

/// Who else may be trying to get the lock that is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// Nobody.
    Not,
    /// There are sessions of other roles, and this one may not see what they ask for.
    Unseen,
    /// Somebody was seen.
    Seen,
}

/// What an unlock found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It was ours until now.
    Held,
    /// It was not ours any more: a script gave it away (`DISCARD ALL`, `pg_advisory_unlock_all`).
    Lost,
    /// Another session of the server answered than the one that gave us the lock: a pooler is between us and the server.
    OtherBackend,
}

/// How long statements may wait and run. Zero is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementLimits {
    /// For a lock, whatever the server's own setting is.
    pub lock: Option<Duration>,
    /// For a lock, where the server's own setting is for ever. PostgreSQL's usually is; the others have one.
    pub usual_lock: Option<Duration>,
    /// To run, whatever the server's own setting is. Only where [`crate::Capabilities::limits_statements`] says so.
    pub statement: Option<Duration>,
}

/// An index by the name that a statement gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// There is none of this name.
    Absent,
    /// It is there and usable.
    Valid,
    /// It is there, costs every write, and serves no query: what a failed CONCURRENTLY leaves.
    Invalid,
}

/// What the catalogue says about a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFacts {
    /// This engine was not asked.
    Unknown,
    /// There is no such table.
    Missing,
    /// It is there.
    Found {
        /// Rows at the last ANALYZE; none where there was none.
        rows: Option<u64>,
        /// Bytes with its indexes, partitions included.
        bytes: u64,
    },
}

/// A backend that holds a lock, or stands before us in the queue for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Its process id; 0 for a prepared transaction.
    pub backend: i32,
    /// What it calls itself.
    pub application_name: Option<String>,
    /// Its role.
    pub user: Option<String>,
    /// `active`, `idle in transaction`, …
    pub state: Option<String>,
    /// When its transaction began.
    pub since: Option<String>,
    /// The beginning of its last statement; it may hold secrets.
    pub statement: Option<String>,
}

impl std::fmt::Display for Blocker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.backend == 0 {
            return f.write_str("a prepared transaction");
        }
        write!(f, "backend {}", self.backend)?;
        for (before, value) in [
            (", ", &self.application_name),
            (", user ", &self.user),
            (", ", &self.state),
            (", in a transaction since ", &self.since),
        ] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                write!(f, "{before}{value}")?;
            }
        }
        Ok(())
    }
}
