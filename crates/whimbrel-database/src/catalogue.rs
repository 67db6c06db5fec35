//! What the server's catalogue and views tell: who keeps a session waiting, indexes that a statement left half made, and how
//! big tables are, without looking at them.

use crate::answers::{Blocker, IndexState, TableFacts};
use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

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

    /// The state of an index that a statement may leave half made. The name is as in SQL: quoted where need be, qualified or
    /// found by the search path.
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

    /// Rows and bytes of these tables (or indexes), named as in SQL: not known, where the engine does not tell
    /// ([`crate::Capabilities::tells_sizes`]).
    pub async fn table_facts(&mut self, names: &[String]) -> Result<Vec<TableFacts>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) if !names.is_empty() => engine.table_facts(names).await,
            _ => Ok(vec![TableFacts::Unknown; names.len()]),
        }
    }
}
