//! Statements of scripts: what came of them, and those that are sent ahead of their answers.

use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

/// What came of a statement, and what the server said meanwhile.
pub(crate) type Outcome = (Result<u64, DatabaseError>, Vec<Notice>);

/// A message that the server sent along with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a `WARNING`, not a `NOTICE` or `INFO`.
    pub is_warning: bool,
    /// Five characters that name the condition; `00000` where it has no name of its own.
    pub sqlstate: String,
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

impl Session {
    /// Sends a statement of a script whose answer is fetched later, in order, by [`Session::answer`]. Only inside a
    /// transaction: there a statement that fails takes the effect from those behind it. Only where
    /// [`Capabilities::sends_ahead`] says so.
    pub async fn send(&mut self, sql: &str) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.send(sql).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(not_ahead()),
        }
    }

    /// The answer to the oldest statement that was sent ahead.
    pub async fn answer(&mut self) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.answer().await),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: not_ahead(), notices: Vec::new() })
            }
        }
    }

    /// Begins a `COPY … FROM STDIN` whose data comes in pieces. All answers must have been fetched.
    pub async fn begin_copy(&mut self, statement: &str) -> Result<(), ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.begin_copy(statement).await).map(drop),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: no_copy(), notices: Vec::new() })
            }
        }
    }

    /// Some of the data.
    pub async fn copy_data(&mut self, data: &[u8]) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.copy_data(data).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(no_copy()),
        }
    }

    /// The data is complete.
    pub async fn finish_copy(&mut self) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.finish_copy().await),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: no_copy(), notices: Vec::new() })
            }
        }
    }
}

fn no_copy() -> DatabaseError {
    DatabaseError::Protocol("COPY … FROM STDIN is PostgreSQL's".into())
}

fn not_ahead() -> DatabaseError {
    DatabaseError::Protocol("this engine takes one statement at a time".into())
}

pub(crate) fn executed(outcome: Outcome) -> Result<Executed, ExecuteError> {
    match outcome {
        (Ok(affected), notices) => Ok(Executed { affected, notices }),
        (Err(error), notices) => Err(ExecuteError { error, notices }),
    }
}
