//! Who keeps a session waiting, asked from another session while it waits: afterwards nobody can tell any more.

use std::time::Duration;

use whimbrel_migration::dialect::Dialect;

use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::{Session, TransactionId};

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

/// How long statements may wait and run. Zero is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementLimits {
    /// For a lock, whatever the server's own setting is.
    pub lock: Option<Duration>,
    /// For a lock, where the server's own setting is for ever.
    pub usual_lock: Option<Duration>,
    /// To run, whatever the server's own setting is.
    pub statement: Option<Duration>,
}

impl StatementLimits {
    /// The questions that set them, for this transaction or for the session.
    fn settings(&self, local: bool) -> String {
        let set = |name: &str, limit: Duration, condition: &str| {
            let millis = limit.as_millis();
            format!("SELECT pg_catalog.set_config('{name}', '{millis}', {local}){condition}; ")
        };
        let mut text = String::new();
        match (self.lock, self.usual_lock) {
            (Some(lock), _) => text.push_str(&set("lock_timeout", lock, "")),
            (None, Some(usual)) => {
                let condition = " WHERE pg_catalog.current_setting('lock_timeout') = '0'";
                text.push_str(&set("lock_timeout", usual, condition));
            }
            (None, None) => {}
        }
        if let Some(statement) = self.statement {
            text.push_str(&set("statement_timeout", statement, ""));
        }
        text
    }
}

impl Session {
    /// Who keeps the backend waiting right now. Only PostgreSQL tells; elsewhere there is nobody.
    pub async fn blockers_of(&mut self, backend: i32) -> Result<Vec<Blocker>, DatabaseError> {
        if self.dialect() != Dialect::PostgreSql {
            return Ok(Vec::new());
        }
        let query = format!(
            "SELECT b.pid, a.application_name, a.usename, a.state, pg_catalog.date_trunc('second', a.xact_start), \
             pg_catalog.left(a.query, 500) \
             FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids({backend})) AS pid) b \
             LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY a.xact_start"
        );
        let rows = self.query(&query).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut values = row.into_iter();
                let mut next = || values.next().flatten();
                Blocker {
                    backend: next().and_then(|pid| pid.parse().ok()).unwrap_or_default(),
                    application_name: next(),
                    user: next(),
                    state: next(),
                    since: next(),
                    statement: next(),
                }
            })
            .collect())
    }

    /// Opens a transaction whose statements have limits, and returns its number. The limits are for
    /// PostgreSQL, and passed over elsewhere.
    pub async fn begin_within(&mut self, limits: &StatementLimits) -> Result<TransactionId, DatabaseError> {
        match self.engine() {
            Engine::Postgres(engine) => engine.begin_within(&limits.settings(true)).await,
            Engine::MySql(_) | Engine::Sqlite(_) => self.begin().await,
        }
    }

    /// Sets limits for the session, on PostgreSQL; [`Session::reset`] takes them away again.
    pub async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        let text = limits.settings(false);
        let known = self.dialect() == Dialect::PostgreSql;
        if text.is_empty() || !known { Ok(()) } else { self.query(&text).await.map(drop) }
    }
}
