//! The lock that only one runner has, in the words of all engines.
//!
//! | engine | lock | excludes real Flyway |
//! |---|---|---|
//! | PostgreSQL | advisory lock of the session, Flyway's key | yes |
//! | MySQL, MariaDB | `GET_LOCK`, Flyway's name | yes |
//! | SQLite | a lock on the folder of the file | Flyway has none; SQLite's own lock on the file does |

use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::sql::TableName;

use crate::answers::{Awaited, LockHolder, Unlocked};
use crate::engine::{Engine, on_engine};
use crate::error::DatabaseError;
use crate::history::history_rows;
use crate::session::Session;

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

    /// Who else tries to get the lock that we hold. Only PostgreSQL has to be asked: MySQL and MariaDB keep
    /// a queue, and SQLite's lock belongs to this machine.
    pub async fn awaited(&mut self, table: &TableName) -> Result<Awaited, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.awaited(table).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Awaited::Not),
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
