//! What a database can answer instead of what was asked for.

use thiserror::Error;

use crate::target::EngineKind;

/// A boxed cause of another crate's type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Numbers of MySQL and MariaDB: shutdown, connection killed, session killed, session timed out.
const ENDS_SESSION: [i32; 4] = [1053, 1927, 3169, 4031];

/// An error that the server reported, field by field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{severity}: {message} ({})", self.number())]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`.
    pub severity: &'static str,
    /// Five characters that name the condition; empty where the engine has none (SQLite).
    pub sqlstate: String,
    /// The engine's own number for the condition; 0 where it has none (PostgreSQL).
    pub code: i32,
    /// The message.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// The server's advice.
    pub hint: Option<String>,
    /// Where in the statement: characters, counted from 1.
    pub position: Option<usize>,
    /// The calls that led to it, innermost first (PL/pgSQL functions and the like).
    pub context: Option<String>,
    /// The constraint that was hurt.
    pub constraint: Option<String>,
}

impl ServerError {
    /// An error without more to it than its message.
    pub fn new(sqlstate: impl Into<String>, code: i32, message: impl Into<String>) -> Self {
        Self {
            severity: "ERROR",
            sqlstate: sqlstate.into(),
            code,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            constraint: None,
        }
    }

    /// What a server that may not be written to answers, for those who know it before they ask.
    pub fn read_only(engine: EngineKind) -> Self {
        match engine {
            EngineKind::PostgreSql => Self::new("25006", 0, "transactions of this session are read-only"),
            EngineKind::MySql => Self::new("HY000", 1290, "the server is read-only (innodb_read_only)"),
            EngineKind::Sqlite => Self::new("", 8, "the file was opened read-only"),
        }
    }

    /// The engine's name for the condition: `SQLSTATE 42P01`, `SQLSTATE 42S02, error 1146`, or `error 1`.
    pub fn number(&self) -> String {
        match (self.sqlstate.as_str(), self.code) {
            ("", code) => format!("error {code}"),
            (state, 0) => format!("SQLSTATE {state}"),
            (state, code) => format!("SQLSTATE {state}, error {code}"),
        }
    }

    /// Whether the server ended the session with this error.
    pub fn ends_session(&self) -> bool {
        self.severity != "ERROR"
            || ENDS_SESSION.contains(&self.code)
            || matches!(self.sqlstate.as_str(), "57P01" | "57P02" | "57P03" | "57P05" | "25P03")
    }

    /// What it means, whatever the engine calls it.
    pub fn condition(&self) -> Condition {
        match self.engine() {
            EngineKind::PostgreSql => of_postgres(&self.sqlstate),
            EngineKind::MySql => of_mysql(self.code),
            EngineKind::Sqlite => of_sqlite(self.code, &self.message),
        }
    }

    /// The kind of engine that says so.
    pub fn engine(&self) -> EngineKind {
        match (self.sqlstate.is_empty(), self.code) {
            (true, _) => EngineKind::Sqlite,
            (false, 0) => EngineKind::PostgreSql,
            (false, _) => EngineKind::MySql,
        }
    }

    /// Whether a table that was asked for does not exist.
    pub fn is_undefined_table(&self) -> bool {
        self.condition() == Condition::UndefinedTable
    }

    /// Whether somebody, or a limit, ended the statement.
    pub fn is_cancelled(&self) -> bool {
        self.condition() == Condition::Ended
    }
}

/// What an error of a server means for those who have to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A lock was waited for in vain.
    LockTimeout,
    /// Two sessions waited for each other, and this one had to give way: its transaction is rolled back.
    Deadlock,
    /// Somebody cancelled the statement, or it ran for longer than it may.
    Ended,
    /// Nothing may be written: a replica, a setting, the rights of a file.
    ReadOnly,
    /// The role lacks a right.
    NoRight,
    /// The statement cannot run in a transaction, or wanted to end ours.
    NotInTransaction,
    /// A new value of an enum is used by the transaction that added it.
    EnumTooNew,
    /// The disk is full.
    DiskFull,
    /// There is no such table.
    UndefinedTable,
    /// There is no such column.
    UndefinedColumn,
    /// The file cannot be opened.
    CannotOpen,
    /// Anything else.
    Other,
}

fn of_postgres(sqlstate: &str) -> Condition {
    match sqlstate {
        "55P03" => Condition::LockTimeout,
        "40P01" => Condition::Deadlock,
        "57014" => Condition::Ended,
        "25006" => Condition::ReadOnly,
        "42501" => Condition::NoRight,
        // A procedure that commits has the second one.
        "25001" | "2D000" => Condition::NotInTransaction,
        "55P04" => Condition::EnumTooNew,
        "53100" => Condition::DiskFull,
        "42P01" => Condition::UndefinedTable,
        "42703" => Condition::UndefinedColumn,
        _ => Condition::Other,
    }
}

/// Numbers of MySQL and of MariaDB; where they differ, both.
fn of_mysql(code: i32) -> Condition {
    match code {
        1205 => Condition::LockTimeout,
        1213 => Condition::Deadlock,
        // KILL QUERY; max_statement_time of MariaDB; max_execution_time of MySQL.
        1317 | 1969 | 3024 => Condition::Ended,
        1290 | 1792 | 1836 => Condition::ReadOnly,
        1044 | 1142 | 1143 | 1227 | 1370 | 1419 => Condition::NoRight,
        1021 => Condition::DiskFull,
        1146 => Condition::UndefinedTable,
        1054 => Condition::UndefinedColumn,
        _ => Condition::Other,
    }
}

/// SQLite has one number for all mistakes in a statement: there its words decide.
fn of_sqlite(code: i32, message: &str) -> Condition {
    match code {
        5 | 6 => Condition::LockTimeout,
        8 => Condition::ReadOnly,
        9 => Condition::Ended,
        13 => Condition::DiskFull,
        14 => Condition::CannotOpen,
        // "cannot VACUUM from within a transaction", "… inside a transaction".
        _ if message.contains("within a transaction") || message.contains("inside a transaction") => {
            Condition::NotInTransaction
        }
        _ if message.starts_with("no such table") => Condition::UndefinedTable,
        _ if message.starts_with("no such column") => Condition::UndefinedColumn,
        _ => Condition::Other,
    }
}

/// A table of the history's name that cannot be read as one.
#[derive(Debug, thiserror::Error)]
#[error("{table} is no schema history as Flyway makes it: {why}")]
pub struct NotAHistory {
    /// The quoted table.
    pub table: String,
    /// What is wrong with it.
    pub why: String,
}

/// A query did not give its answer.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The server said no. The session can go on, unless [`ServerError::ends_session`].
    #[error("the server refused the statement")]
    Server(#[source] ServerError),
    /// The connection is gone: what the last statement did is not known.
    #[error("the connection to the database was lost")]
    ConnectionLost(#[source] BoxError),
    /// The server answered something that we did not expect. The session must not be used any more.
    #[error("the database's answer was not understood")]
    Protocol(#[source] BoxError),
    /// What should be the schema history is something else. The session can go on.
    #[error(transparent)]
    NotAHistory(NotAHistory),
}

impl DatabaseError {
    /// The server's own error, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            Self::ConnectionLost(_) | Self::Protocol(_) | Self::NotAHistory(_) => None,
        }
    }

    /// Whether a table that was asked for does not exist.
    pub fn is_undefined_table(&self) -> bool {
        self.server().is_some_and(ServerError::is_undefined_table)
    }

    /// The SQLSTATE, if the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        self.server().map(|error| error.sqlstate.as_str())
    }

    /// What the server's error means; nothing is known where it gave none.
    pub fn condition(&self) -> Condition {
        self.server().map_or(Condition::Other, ServerError::condition)
    }

    /// Whether the session has come to its end with this error.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Server(error) => error.ends_session(),
            Self::ConnectionLost(_) | Self::Protocol(_) => true,
            Self::NotAHistory(_) => false,
        }
    }
}

/// Why there is no session, in classes that tell whether waiting helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// Nobody answers there, or the name is not known (yet).
    Unreachable,
    /// The server is starting up, shutting down, or has no free slot.
    NotReady,
    /// Wrong password, unknown role, or not allowed from here.
    LoginRefused,
    /// There is no such database.
    NoDatabase,
    /// TLS was wanted and failed.
    Tls,
    /// The server answered something else.
    Other,
}

impl ConnectErrorKind {
    /// Whether the same attempt may succeed later without anybody changing a setting.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::NotReady)
    }

    fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "cannot be reached",
            Self::NotReady => "is not ready",
            Self::LoginRefused => "refused the login",
            Self::NoDatabase => "does not exist",
            Self::Tls => "could not be reached by TLS",
            Self::Other => "could not be connected to",
        }
    }
}

/// No session came about. Transient kinds have been tried again until the deadline.
#[derive(Debug, Error)]
#[error("database {target} {}", kind.words())]
pub struct ConnectError {
    /// The class of the failure.
    pub kind: ConnectErrorKind,
    /// `host:port/database`.
    pub target: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What the last attempt met.
    #[source]
    pub cause: BoxError,
}

impl ConnectError {
    /// What is the matter, as the end of a sentence that begins with the database.
    pub fn kind_in_words(&self) -> &'static str {
        self.kind.words()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_its_own_words_for_the_same_conditions() {
        for (sqlstate, code, message, condition) in [
            ("55P03", 0, "", Condition::LockTimeout),
            ("HY000", 1205, "", Condition::LockTimeout),
            ("", 5, "database is locked", Condition::LockTimeout),
            ("40P01", 0, "", Condition::Deadlock),
            ("40001", 1213, "", Condition::Deadlock),
            ("70100", 1969, "", Condition::Ended),
            ("", 9, "interrupted", Condition::Ended),
            ("42S02", 1146, "", Condition::UndefinedTable),
            ("", 1, "no such table: a", Condition::UndefinedTable),
            ("42S22", 1054, "", Condition::UndefinedColumn),
            ("", 1, "cannot VACUUM from within a transaction", Condition::NotInTransaction),
            ("42601", 0, "no such table", Condition::Other),
        ] {
            assert_eq!(ServerError::new(sqlstate, code, message).condition(), condition, "{sqlstate} {code}");
        }
        for engine in [EngineKind::PostgreSql, EngineKind::MySql, EngineKind::Sqlite] {
            let error = ServerError::read_only(engine);
            assert_eq!((error.engine(), error.condition()), (engine, Condition::ReadOnly));
        }
    }
}
