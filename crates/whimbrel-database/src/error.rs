//! What a database can answer instead of what was asked for.

use thiserror::Error;

/// A boxed cause of another crate's type.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// SQLite's number for a statement that was interrupted.
const SQLITE_INTERRUPT: i32 = 9;

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

    /// Whether a table that was asked for does not exist.
    pub fn is_undefined_table(&self) -> bool {
        match self.sqlstate.as_str() {
            // SQLite has one code for all mistakes in a statement.
            "" => self.message.starts_with("no such table"),
            state => matches!(state, "42P01" | "42S02"),
        }
    }

    /// Whether somebody cancelled the statement.
    pub fn is_cancelled(&self) -> bool {
        match self.sqlstate.as_str() {
            "57014" => true,
            // KILL QUERY of MySQL, and the same of MariaDB.
            "70100" => self.code == 1317,
            "" => self.code == SQLITE_INTERRUPT,
            _ => false,
        }
    }
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
}

impl DatabaseError {
    /// The server's own error, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            Self::ConnectionLost(_) | Self::Protocol(_) => None,
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

    /// Whether the session has come to its end with this error.
    pub fn is_connection_lost(&self) -> bool {
        match self {
            Self::Server(error) => error.ends_session(),
            Self::ConnectionLost(_) | Self::Protocol(_) => true,
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
