//! The lock that only one runner has, in the words of all engines.
//!
//! | engine | lock | excludes real Flyway |
//! |---|---|---|
//! | PostgreSQL | advisory lock of the session, Flyway's key | yes |
//! | MySQL, MariaDB | `GET_LOCK`, Flyway's name | yes |
//! | SQLite | a lock on the folder of the file | Flyway has none; SQLite's own lock on the file does |

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
