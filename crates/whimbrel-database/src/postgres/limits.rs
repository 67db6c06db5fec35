//! Limits for the statements of a script, as settings of its transaction or of the session.

use super::Postgres;
use super::hygiene::setting;
use crate::answers::StatementLimits;
use crate::error::DatabaseError;
use crate::transaction::TransactionId;

impl Postgres {
    /// BEGIN with limits, which end with the transaction.
    pub(crate) async fn begin_within(
        &mut self,
        limits: &StatementLimits,
    ) -> Result<TransactionId, DatabaseError> {
        let settings = self.limiting(limits, true);
        self.begin_marked(&settings).await
    }

    /// Sets limits for the session.
    pub(crate) async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        let settings = self.limiting(limits, false);
        if settings.is_empty() {
            return Ok(());
        }
        self.query(&format!("SELECT {}", settings.join(", "))).await.map(drop)
    }

    /// What sets them, for this transaction or for the session: expressions for a query.
    fn limiting(&self, limits: &StatementLimits, local: bool) -> Vec<String> {
        let usual = limits.usual_lock.filter(|_| self.waits_for_ever);
        [("lock_timeout", limits.lock.or(usual)), ("statement_timeout", limits.statement)]
            .into_iter()
            .filter_map(|(name, limit)| Some(setting(name, &limit?.as_millis().to_string(), local)))
            .collect()
    }
}
