//! Statements of scripts: what came of them, and those that are sent ahead of their answers.

use crate::answers::{ExecuteError, Executed, Warnings, executed};
use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

impl Session {
    /// Runs one statement of a script as it stands. Rows are dropped.
    pub async fn execute(&mut self, sql: &str, warnings: Warnings) -> Result<Executed, ExecuteError> {
        executed(match &mut self.engine {
            Engine::Postgres(engine) => engine.execute(sql).await,
            Engine::MySql(engine) => engine.execute(sql, warnings).await,
            Engine::Sqlite(engine) => engine.execute(sql).await,
        })
    }

    /// Sends a statement of a script whose answer is fetched later, in order, by [`Session::answer`]. Only inside a
    /// transaction: there a statement that fails takes the effect from those behind it. Only where
    /// [`crate::Capabilities::sends_ahead`] says so; of MySQL and MariaDB only those that
    /// [change rows](whimbrel_migration::statement::changes_rows).
    pub async fn send(&mut self, sql: &str, warnings: Warnings) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.send(sql).await,
            Engine::MySql(engine) => engine.send(sql, warnings).await,
            Engine::Sqlite(_) => Err(not_ahead()),
        }
    }

    /// The answer to the oldest statement that was sent ahead.
    pub async fn answer(&mut self) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.answer().await),
            Engine::MySql(engine) => executed(engine.answer().await),
            Engine::Sqlite(_) => Err(ExecuteError { error: not_ahead(), notices: Vec::new() }),
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

pub(crate) fn not_ahead() -> DatabaseError {
    DatabaseError::Protocol("this engine takes one statement at a time".into())
}
