//! Limits for the statements of a script, as settings of its transaction or of the session.

use std::time::Duration;

use super::Postgres;
use crate::answers::StatementLimits;
use crate::error::DatabaseError;
use crate::transaction::TransactionId;

impl Postgres {
    /// BEGIN with limits, which end with the transaction.
    pub(crate) async fn begin_within(
        &mut self,
        limits: &StatementLimits,
    ) -> Result<TransactionId, DatabaseError> {
        self.begin_marked(&settings(limits, true)).await
    }

    /// Sets limits for the session.
    pub(crate) async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        let text = settings(limits, false);
        if text.is_empty() { Ok(()) } else { self.query(&text).await.map(drop) }
    }
}

/// The questions that set them, for this transaction or for the session.
fn settings(limits: &StatementLimits, local: bool) -> String {
    let set = |name: &str, limit: Duration, condition: &str| {
        let millis = limit.as_millis();
        format!("SELECT pg_catalog.set_config('{name}', '{millis}', {local}){condition}; ")
    };
    let mut text = String::new();
    match (limits.lock, limits.usual_lock) {
        (Some(lock), _) => text.push_str(&set("lock_timeout", lock, "")),
        (None, Some(usual)) => {
            let condition = " WHERE pg_catalog.current_setting('lock_timeout') OPERATOR(pg_catalog.=) '0'";
            text.push_str(&set("lock_timeout", usual, condition));
        }
        (None, None) => {}
    }
    if let Some(statement) = limits.statement {
        text.push_str(&set("statement_timeout", statement, ""));
    }
    text
}
