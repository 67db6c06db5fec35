//! Locks and who waits for them.

use serde::Serialize;

/// A lock on a table, in its engine's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Lock {
    /// The mode as the manual calls it; empty where none is taken.
    pub name: &'static str,
    /// Whether SELECT waits while it is held.
    pub reads_wait: bool,
    /// Whether INSERT, UPDATE and DELETE wait while it is held.
    pub writes_wait: bool,
}

impl Lock {
    const fn new(name: &'static str, reads_wait: bool, writes_wait: bool) -> Self {
        Self { name, reads_wait, writes_wait }
    }

    /// No lock that anybody meets.
    pub const NONE: Self = Self::new("", false, false);
    /// PostgreSQL: SELECT.
    pub const ACCESS_SHARE: Self = Self::new("ACCESS SHARE", false, false);
    /// PostgreSQL: INSERT, UPDATE, DELETE.
    pub const ROW_EXCLUSIVE: Self = Self::new("ROW EXCLUSIVE", false, false);
    /// PostgreSQL: VACUUM, ANALYZE, what runs CONCURRENTLY.
    pub const SHARE_UPDATE_EXCLUSIVE: Self = Self::new("SHARE UPDATE EXCLUSIVE", false, false);
    /// PostgreSQL: CREATE INDEX.
    pub const SHARE: Self = Self::new("SHARE", false, true);
    /// PostgreSQL: CREATE TRIGGER, foreign keys.
    pub const SHARE_ROW_EXCLUSIVE: Self = Self::new("SHARE ROW EXCLUSIVE", false, true);
    /// PostgreSQL: REFRESH MATERIALIZED VIEW CONCURRENTLY.
    pub const EXCLUSIVE: Self = Self::new("EXCLUSIVE", false, true);
    /// PostgreSQL: most of ALTER TABLE, DROP, TRUNCATE.
    pub const ACCESS_EXCLUSIVE: Self = Self::new("ACCESS EXCLUSIVE", true, true);
    /// MySQL: the metadata lock of online DDL, exclusive for a moment at its beginning and end.
    pub const METADATA: Self = Self::new("metadata, exclusive for a moment", true, true);
    /// MySQL: online DDL that works long; exclusive only at its beginning and end.
    pub const METADATA_ONLINE: Self = Self::new("metadata, shared", false, false);
    /// MySQL: DDL that lets nobody write meanwhile.
    pub const METADATA_NO_WRITE: Self = Self::new("metadata, no writes", false, true);
    /// MySQL: DML.
    pub const ROWS: Self = Self::new("rows", false, false);
    /// SQLite: the whole database has one writer.
    pub const DATABASE: Self = Self::new("database, one writer", false, true);

    /// Whether any lock is taken.
    pub fn is_taken(self) -> bool {
        !self.name.is_empty()
    }
}
