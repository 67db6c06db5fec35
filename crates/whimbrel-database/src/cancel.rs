//! Cancelling what a session is doing, and forbidding what it is about to do, from another task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::connecting::ConnectSettings;
use crate::engine::Engine;
use crate::error::{ConnectError, DatabaseError};
use crate::session::Session;
use crate::target::Target;

/// Cancels the statement that a session is running.
#[derive(Clone, Debug)]
pub struct Canceller(Cancel);

#[derive(Clone, Debug)]
enum Cancel {
    /// By a statement of another session.
    Statement { target: Box<Target>, application_name: String, statement: String },
    /// By a word to the engine, which runs in this process.
    Interrupt(Arc<AtomicBool>),
}

impl Canceller {
    /// Cancels the running statement, where there is a server from a connection of its own. Whether there was one is
    /// not known afterwards.
    pub async fn cancel(&self) -> Result<(), CancelError> {
        let (target, application_name, statement) = match &self.0 {
            Cancel::Interrupt(interrupt) => {
                interrupt.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Cancel::Statement { target, application_name, statement } => {
                (target, application_name, statement)
            }
        };
        ask_beside(target, application_name, statement).await?.close().await;
        Ok(())
    }
}

/// Forbids that the transaction of a session is committed by [`Session::send_end`], although that may be on its way.
#[derive(Clone, Debug)]
pub struct Veto {
    target: Box<Target>,
    application_name: String,
    statement: String,
}

impl Veto {
    /// Forbids it as long as the session that is returned lives. A COMMIT that was there before is waited for.
    pub async fn hold(&self) -> Result<Session, CancelError> {
        ask_beside(&self.target, &self.application_name, &self.statement).await
    }
}

/// A word to the server on a connection of its own.
async fn ask_beside(
    target: &Target,
    application_name: &str,
    statement: &str,
) -> Result<Session, CancelError> {
    let settings = ConnectSettings {
        attempt_timeout: Duration::from_secs(3),
        ..ConnectSettings::once(application_name.to_owned())
    };
    let mut session = Session::connect(target, &settings, |_| {}).await?;
    session.query(statement).await?;
    Ok(session)
}

/// A statement could not be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No second connection.
    #[error("no connection to cancel the statement from")]
    Connect(#[from] ConnectError),
    /// The server refused.
    #[error("the server did not cancel the statement")]
    Refused(#[from] DatabaseError),
}

impl Session {
    /// Something with which another task can forbid what this session is about to do, where that can be sent ahead.
    pub fn veto(&self) -> Option<Veto> {
        let Engine::Postgres(engine) = &self.engine else { return None };
        Some(Veto {
            target: Box::new(self.target.clone()),
            application_name: self.application_name.clone(),
            statement: engine.veto_statement(),
        })
    }

    /// Something with which another task can cancel what this session is doing.
    pub fn canceller(&self) -> Canceller {
        let by_statement = |statement| {
            Canceller(Cancel::Statement {
                target: Box::new(self.target.clone()),
                application_name: self.application_name.clone(),
                statement,
            })
        };
        match &self.engine {
            Engine::Postgres(engine) => by_statement(engine.cancel_statement()),
            Engine::MySql(engine) => by_statement(engine.cancel_statement()),
            Engine::Sqlite(engine) => Canceller(Cancel::Interrupt(engine.interrupt())),
        }
    }
}
