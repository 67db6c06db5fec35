//! A script's transaction: how it begins, is known again, and ends with the row of the script.
//!
//! Its end may be sent before its statements are answered, and even before its number is known: so the server itself has
//! to know whether the transaction that ends is the one that began. Advisory locks of the session tell it, which a
//! ROLLBACK does not take back: one whose key is the transaction's number, and one that says that there is such a lock.

use whimbrel_migration::sql::{TableName, postgres as sql};

use super::Postgres;
use super::driver::Wanted;
use super::lock::RESET_ROLE;
use crate::answers::{FinishError, Finished, Row, Unlocked, single};
use crate::error::DatabaseError;
use crate::transaction::TransactionId;

/// The key that says that a transaction is marked; above it are those of transactions, below it those of backends whose
/// script must not be committed. ("Whimbrel" in ASCII: far away from the keys that others choose.)
const MARKED: i64 = 0x5768_696d_6272_656c;

/// Words of the guard.
const VETOED: &str = "whimbrel: vetoed";
const NOT_OURS: &str = "whimbrel: another transaction";

impl Postgres {
    pub(crate) async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        self.open("").await
    }

    /// BEGIN for a script: with settings, and marks by which it is known again.
    pub(super) async fn begin_marked(&mut self, settings: &[String]) -> Result<TransactionId, DatabaseError> {
        let marks = format!(
            ", pg_catalog.pg_try_advisory_lock_shared({MARKED}), pg_catalog.pg_try_advisory_lock_shared({MARKED} \
             OPERATOR(pg_catalog.+) pg_catalog.txid_current())"
        );
        let settings: String = settings.iter().map(|setting| format!(", {setting}")).collect();
        self.open(&(marks + &settings)).await
    }

    /// BEGIN and these expressions go with the first statement; their answer is taken before that statement's.
    async fn open(&mut self, expressions: &str) -> Result<TransactionId, DatabaseError> {
        self.driver.catch_up().await?;
        self.driver.send(&format!("BEGIN; SELECT pg_catalog.txid_current(){expressions}")).await?;
        let begun = TransactionId::default();
        self.begun = Some(begun.clone());
        Ok(begun)
    }

    /// Ends a script's transaction with its row.
    pub(crate) async fn finish(&mut self, _begun: &TransactionId, insert: &str) -> Result<(), FinishError> {
        // A script without statements has not waited for anything yet.
        self.settle_begin().await.map_err(FinishError::Rejected)?;
        self.driver.catch_up().await.map_err(FinishError::CommitLost)?;
        self.send_end(insert, None).await.map_err(FinishError::CommitLost)?;
        self.end().await.map(drop)
    }

    /// First the deferred constraints are checked under the script's own role; then the session is made as good as new, and
    /// the row is written, but only if the transaction is the one that was begun; then COMMIT. All of it is one query:
    /// behind an error nothing more is done, and what was done outside of a transaction is taken back. It is on its way
    /// afterwards.
    pub(crate) async fn send_end(
        &mut self,
        insert: &str,
        keeps_lock: Option<&TableName>,
    ) -> Result<(), DatabaseError> {
        let mut expressions = vec![self.guard()];
        expressions.extend(keeps_lock.map(keeping));
        expressions.extend(self.settings());
        let text = format!(
            "SET CONSTRAINTS ALL IMMEDIATE; {RESET_ROLE}; {}; SELECT {}; {insert}; COMMIT",
            self.forgetting(),
            expressions.join(", ")
        );
        self.driver.send(&text).await?;
        self.driver.flush().await
    }

    /// What came of [`Self::send_end`]. COMMIT's outcome may stay unknown.
    pub(crate) async fn end(&mut self) -> Result<Finished, FinishError> {
        // A script without statements has not waited for anything yet.
        self.settle_begin().await.map_err(FinishError::Rejected)?;
        let answer = self.driver.answer(Wanted::Rows).await.map_err(FinishError::CommitLost)?;
        if let Some(error) = answer.error {
            if self.driver.in_transaction() {
                // An error of its own says more than that nothing of the script is there to be taken back.
                let _ = self.plain("ROLLBACK").await;
            }
            return Err(refused(error, answer.completed, &answer.last_command));
        }
        let mut rows = answer.rows;
        let millis = rows.pop().and_then(|row| single(&[row])?.parse().ok());
        let kept = rows.pop().and_then(|row| self.kept(&row));
        Ok(Finished { millis, kept })
    }

    /// What became of the lock, by the answer to [`keeping`] behind the guard's, if that was asked.
    fn kept(&self, answer: &Row) -> Option<Unlocked> {
        let [_, _, backend, held, _, ours, ..] = answer.as_slice() else { return None };
        let is_ours = ours.as_deref() == Some("t");
        Some(if is_ours { self.unlocked(backend.as_deref(), held.as_deref()) } else { Unlocked::Lost })
    }

    /// A word that is no number stops the query where it must not go on: where the transaction is not the one that was
    /// marked, or where somebody said that this script must not be committed. A script that gave all locks of the session
    /// away is known by the transaction's age: it is older than this question.
    fn guard(&self) -> String {
        format!(
            "CAST(CASE WHEN NOT pg_catalog.pg_try_advisory_xact_lock({}) THEN '{VETOED}' \
             WHEN pg_catalog.pg_advisory_unlock_shared({MARKED} OPERATOR(pg_catalog.+) pg_catalog.txid_current_if_assigned()) \
             THEN '1' WHEN pg_catalog.pg_advisory_unlock_shared({MARKED}) THEN '{NOT_OURS}' \
             WHEN pg_catalog.transaction_timestamp() OPERATOR(pg_catalog.<) pg_catalog.statement_timestamp() THEN '1' \
             ELSE '{NOT_OURS}' END AS pg_catalog.int4)",
            self.veto_key()
        )
    }

    fn veto_key(&self) -> i64 {
        MARKED - i64::from(self.backend)
    }

    /// The statement by which another session forbids that the script that runs is committed, as long as it lives.
    pub(crate) fn veto_statement(&self) -> String {
        format!("SELECT pg_catalog.pg_advisory_lock({})", self.veto_key())
    }
}

/// What an error of the last query means, by what of it went through before.
fn refused(error: DatabaseError, completed: usize, last_command: &str) -> FinishError {
    let says = |word: &str| error.server().is_some_and(|server| server.message.contains(word));
    match (completed, last_command) {
        _ if error.is_connection_lost() => FinishError::CommitLost(error),
        _ if says(VETOED) => FinishError::Vetoed,
        _ if says(NOT_OURS) => FinishError::NotOurs,
        // The constraints, or COMMIT.
        (0, _) | (_, "INSERT") => FinishError::Rejected(error),
        _ => FinishError::RowRefused(error),
    }
}

/// Everything that the session holds is given back but the history's lock, which the transaction holds meanwhile: at no
/// moment is it free. Expressions for a query, which works them off in their order.
fn keeping(table: &TableName) -> String {
    let key = sql::lock_key(table);
    format!(
        "pg_catalog.pg_try_advisory_xact_lock({key}), pg_catalog.pg_backend_pid(), \
         pg_catalog.pg_advisory_unlock({key}), pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_try_advisory_lock({key})"
    )
}
