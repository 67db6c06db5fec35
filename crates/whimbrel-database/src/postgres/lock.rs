//! Flyway's lock: an advisory lock of the session, tried and never waited for inside the server.
//!
//! A session that waits inside `pg_advisory_lock` holds a snapshot, and `CREATE INDEX CONCURRENTLY` of the one who
//! holds the lock would wait for it: both would stand still. So the lock is tried, outside a transaction, again and
//! again. It is taken on the connection that does the work: who loses one loses the other.

use whimbrel_migration::sql::{TableName, is_true, postgres as sql};

use super::Postgres;
use crate::answers::{Awaited, LockHolder, Row, Unlocked, single, values};
use crate::error::DatabaseError;

impl Postgres {
    /// Tries once to take the lock.
    pub(crate) async fn try_lock(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        Ok(is_taken(&self.query(&locking(table)).await?))
    }

    /// Both questions go together. Each is a transaction of its own, so that the rows are those under the lock,
    /// whatever isolation the role is used to.
    pub(crate) async fn try_lock_and_read(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<Option<Vec<Row>>, DatabaseError> {
        let (lock, read) = self.locking_and_reading(table, installed_rank);
        let [taken, rows] = self.driver.ask_all([&lock, &read]).await?;
        if is_taken(&taken.rows()?) { rows.rows().map(Some) } else { Ok(None) }
    }

    /// [`Self::unlock_and_reset`], then [`Self::try_lock_and_read`], in one round trip.
    pub(crate) async fn pass_on(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<(Unlocked, Option<Vec<Row>>), DatabaseError> {
        let (lock, read) = self.locking_and_reading(table, installed_rank);
        let [given, taken, rows] = self.driver.ask_all([&self.unlocking(table), &lock, &read]).await?;
        let unlocked = self.unlocked_by(&given.rows()?);
        Ok((unlocked, if is_taken(&taken.rows()?) { Some(rows.rows()?) } else { None }))
    }

    fn locking_and_reading(&self, table: &TableName, installed_rank: i32) -> (String, String) {
        let read = whimbrel_migration::sql::select_rows_after(table, installed_rank);
        (self.ours(&locking(table)).into_owned(), self.ours(&read).into_owned())
    }

    /// Who holds the lock, if it still is held.
    pub(crate) async fn lock_holder(
        &mut self,
        table: &TableName,
    ) -> Result<Option<LockHolder>, DatabaseError> {
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
            let mut next = values(row);
            LockHolder {
                backend: next().and_then(|pid| pid.parse().ok()).unwrap_or_default(),
                application_name: next(),
                user: next(),
                since: next(),
            }
        }))
    }

    /// Whether somebody else lately asked for the lock and went away without it. Who tries and tries again is in no
    /// queue of the server's, but its question is the last that it asked. Flyway asks for a lock of its session or, as
    /// is usual, of a transaction. Of other roles the server shows neither question nor time, unless ours may see all.
    pub(crate) async fn awaited(&mut self, table: &TableName) -> Result<Awaited, DatabaseError> {
        let query = format!(
            "SELECT CASE WHEN a.query_start IS NULL THEN 'unseen' ELSE 'seen' END \
             FROM pg_catalog.pg_stat_activity a \
             WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() \
             AND (a.query LIKE '%pg_try_advisory%lock({})%' AND a.query_start > pg_catalog.clock_timestamp() - interval '2s' \
             OR a.query = '<insufficient privilege>' AND a.usesysid IS NOT NULL) \
             ORDER BY 1 LIMIT 1",
            sql::lock_key(table)
        );
        Ok(match single(&self.query(&query).await?).as_deref() {
            Some("seen") => Awaited::Seen,
            Some(_) => Awaited::Unseen,
            None => Awaited::Not,
        })
    }

    /// Gives the lock back and makes the session as good as new, in one round trip.
    pub(crate) async fn unlock_and_reset(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        let rows = self.plain(&self.unlocking(table)).await?;
        Ok(self.unlocked_by(&rows))
    }

    fn unlocking(&self, table: &TableName) -> String {
        // Roles first: the right to take things back is the login role's.
        format!(
            "{RESET_ROLE}; SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_advisory_unlock({}); \
             SELECT pg_catalog.pg_advisory_unlock_all(); {}",
            sql::lock_key(table),
            self.reset_statements()
        )
    }

    fn unlocked_by(&self, rows: &[Row]) -> Unlocked {
        match rows.first().map(Vec::as_slice) {
            Some([backend, held]) => self.unlocked(backend.as_deref(), held.as_deref()),
            _ => Unlocked::Lost,
        }
    }

    /// What it means that this backend said so of the lock.
    pub(super) fn unlocked(&self, backend: Option<&str>, held: Option<&str>) -> Unlocked {
        match held {
            _ if backend != Some(self.backend.to_string().as_str()) => Unlocked::OtherBackend,
            Some("t") => Unlocked::Held,
            _ => Unlocked::Lost,
        }
    }
}

fn locking(table: &TableName) -> String {
    format!("SELECT pg_catalog.pg_try_advisory_lock({})", sql::lock_key(table))
}

fn is_taken(rows: &[Row]) -> bool {
    single(rows).is_some_and(|answer| is_true(&answer))
}

/// `RESET ALL` leaves the role alone.
pub(super) const RESET_ROLE: &str = "RESET SESSION AUTHORIZATION; RESET ROLE";
