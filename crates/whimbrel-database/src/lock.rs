//! Flyway's lock: an advisory lock of the session, tried and never waited for inside the server.
//!
//! A session that waits inside `pg_advisory_lock` holds a snapshot, and `CREATE INDEX CONCURRENTLY` of the one who
//! holds the lock would wait for it: both would stand still. So the lock is tried, outside a transaction, again and
//! again. It is taken on the connection that does the work: who loses one loses the other.

use whimbrel_migration::sql::postgres::{self as sql, TableName};

use crate::error::DatabaseError;
use crate::session::Session;

/// Who holds the lock, as far as this role may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// The backend's process id.
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
    /// Another backend answered than the one that gave us the lock: a pooler is between us and the server.
    OtherBackend,
}

impl Session {
    /// Tries once to take the lock.
    pub async fn try_lock(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        self.ask(&format!("SELECT pg_catalog.pg_try_advisory_lock({})", sql::lock_key(table))).await
    }

    /// Who holds the lock, if it still is held.
    pub async fn lock_holder(&mut self, table: &TableName) -> Result<Option<LockHolder>, DatabaseError> {
        let key = sql::lock_key(table).cast_unsigned();
        let query = format!(
            "SELECT l.pid, a.application_name, a.usename, pg_catalog.date_trunc('second', a.backend_start) \
             FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.classid = {} AND l.objid = {} \
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())",
            key >> 32,
            key & 0xFFFF_FFFF
        );
        let rows = self.query(&query).await?;
        Ok(rows.into_iter().next().map(|row| {
            let mut values = row.into_iter();
            let mut next = || values.next().flatten();
            LockHolder {
                backend: next().and_then(|pid| pid.parse().ok()).unwrap_or_default(),
                application_name: next(),
                user: next(),
                since: next(),
            }
        }))
    }

    /// Gives the lock back and makes the session as good as new, in one round trip.
    pub async fn unlock_and_reset(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        let unlock = format!(
            "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_advisory_unlock({}); \
             SELECT pg_catalog.pg_advisory_unlock_all(); ",
            sql::lock_key(table)
        );
        // Roles first: the right to take things back is the login role's.
        let rows = self.query(&format!("{RESET_ROLE}; {unlock}{}", self.reset_statements())).await?;
        let Some([backend, held]) = rows.first().map(Vec::as_slice) else { return Ok(Unlocked::Lost) };
        let same_backend = backend.as_deref() == Some(self.facts().backend.to_string().as_str());
        Ok(match held.as_deref() {
            _ if !same_backend => Unlocked::OtherBackend,
            Some("t") => Unlocked::Held,
            _ => Unlocked::Lost,
        })
    }
}

/// `RESET ALL` leaves the role alone.
pub(crate) const RESET_ROLE: &str = "RESET SESSION AUTHORIZATION; RESET ROLE";
