//! How long the statements of a script may wait for locks, and run.

use crate::answers::StatementLimits;
use crate::engine::{Engine, on_engine};
use crate::error::DatabaseError;
use crate::session::Session;
use crate::transaction::TransactionId;

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
