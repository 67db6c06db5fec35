//! How long the statements of a script may wait for locks, and run.

use std::time::Duration;

use crate::engine::{Engine, on_engine};
use crate::error::DatabaseError;
use crate::session::Session;
use crate::transaction::TransactionId;

/// How long statements may wait and run. Zero is for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatementLimits {
    /// For a lock, whatever the server's own setting is.
    pub lock: Option<Duration>,
    /// For a lock, where the server's own setting is for ever. PostgreSQL's usually is; the others have one.
    pub usual_lock: Option<Duration>,
    /// To run, whatever the server's own setting is. Only where [`crate::Capabilities::limits_statements`] says so.
    pub statement: Option<Duration>,
}

impl Session {
    /// Opens a transaction whose statements have limits, and returns its number.
    pub async fn begin_within(&mut self, limits: &StatementLimits) -> Result<TransactionId, DatabaseError> {
        if let Engine::Postgres(engine) = &mut self.engine {
            return engine.begin_within(limits).await;
        }
        self.limit_statements(limits).await?;
        self.begin().await
    }

    /// Sets limits for the session; [`Session::reset`] takes them away again.
    pub async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.limit_statements(limits).await)
    }
}
