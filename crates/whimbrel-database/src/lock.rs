//! The lock that only one runner has, in the words of all engines.
//!
//! | engine | lock | excludes real Flyway |
//! |---|---|---|
//! | PostgreSQL | advisory lock of the session, Flyway's key | yes |
//! | MySQL, MariaDB | `GET_LOCK`, Flyway's name | yes |
//! | SQLite | a lock on the folder of the file | Flyway has none; SQLite's own lock on the file does |

use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::sql::TableName;

use crate::engine::{Engine, on_engine};
use crate::error::DatabaseError;
use crate::history::history_rows;
use crate::session::Session;

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

impl Session {
    /// Tries once to take the lock.
    pub async fn try_lock(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.try_lock(table).await)
    }

    /// Tries once to take the lock, and reads the rows above a rank under it; none where somebody else has it.
    pub async fn try_lock_and_read(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<Option<Vec<HistoryRow>>, DatabaseError> {
        if let Engine::Postgres(engine) = &mut self.engine {
            let rows = engine.try_lock_and_read(table, installed_rank).await?;
            return rows.map(|rows| history_rows(table, &rows)).transpose();
        }
        if !self.try_lock(table).await? {
            return Ok(None);
        }
        self.read_history_after(table, installed_rank).await.map(Some)
    }

    /// Who holds the lock, if it still is held and the engine tells.
    pub async fn lock_holder(&mut self, table: &TableName) -> Result<Option<LockHolder>, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.lock_holder(table).await)
    }

    /// Whether somebody else tries to get the lock that we hold. Only PostgreSQL has to be asked: MySQL and MariaDB keep
    /// a queue, and SQLite's lock belongs to this machine.
    pub async fn is_awaited(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.is_awaited(table).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(false),
        }
    }

    /// Gives the lock back and makes the session as good as new.
    pub async fn unlock_and_reset(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.unlock_and_reset(table).await)
    }

    /// Gives the lock back, makes the session as good as new, and tries once to take the lock again, for the rows above a
    /// rank: [`Session::unlock_and_reset`] and [`Session::try_lock_and_read`], in one round trip where the engine can.
    pub async fn pass_on(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<(Unlocked, Option<Vec<HistoryRow>>), DatabaseError> {
        if let Engine::Postgres(engine) = &mut self.engine {
            let (unlocked, rows) = engine.pass_on(table, installed_rank).await?;
            let rows = rows.map(|rows| history_rows(table, &rows)).transpose()?;
            return Ok((unlocked, rows));
        }
        let unlocked = self.unlock_and_reset(table).await?;
        Ok((unlocked, self.try_lock_and_read(table, installed_rank).await?))
    }
}
