//! Who keeps a session waiting, asked from another session while it waits: afterwards nobody can tell any more.

use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

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

impl Session {
    /// Who keeps the backend waiting right now: nobody, where the engine does not tell
    /// ([`crate::Capabilities::tells_blockers`]).
    pub async fn blockers_of(&mut self, backend: i32) -> Result<Vec<Blocker>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.blockers_of(backend).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Vec::new()),
        }
    }

    /// Who may hold the locks that this session's last statement waited for, for the message after a timeout.
    pub async fn oldest_transactions(&mut self) -> Result<Vec<String>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.oldest_transactions().await,
            // SQLite does not tell; MySQL does only to those who may see all processes.
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Vec::new()),
        }
    }
}
