//! Indexes that a statement can leave half made.

use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

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

impl Session {
    /// The state of an index that a statement may leave half made. The name is as in SQL: quoted where need be, qualified or found by the search path.
    pub async fn index_state(&mut self, name: &str) -> Result<IndexState, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.index_state(name).await,
            // No statement of theirs leaves an index half made.
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(IndexState::Absent),
        }
    }

    /// The names of all INVALID indexes outside the system's schemas, quoted and qualified.
    pub async fn invalid_indexes(&mut self) -> Result<Vec<String>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.invalid_indexes().await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Vec::new()),
        }
    }
}
