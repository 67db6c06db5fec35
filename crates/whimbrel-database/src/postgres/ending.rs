//! A script's transaction: how it begins, is known again, and ends with the row of the script.
//!
//! Its end may be sent before its statements are answered, and even before its number is known: so the server itself has
//! to know whether the transaction that ends is the one that began. Advisory locks of the session tell it, which a
//! ROLLBACK does not take back: one whose key is the transaction's number, and one that says that there is such a lock.

use whimbrel_migration::sql::{TableName, postgres as sql};

use super::driver::Wanted;
use super::lock::RESET_ROLE;
use super::{Answer, Postgres};
use crate::answers::{FinishError, Finished, Unlocked, single};
use crate::error::DatabaseError;
use crate::transaction::TransactionId;

/// The key that says that a transaction is marked; above it are those of transactions, below it those of backends whose
/// script must not be committed. ("Whimbrel" in ASCII: far away from the keys that others choose.)
const MARKED: i64 = 0x5768_696d_6272_656c;

impl Postgres {
    pub(crate) async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        self.open("", "").await
    }

    /// BEGIN for a script: with settings, and marks by which it is known again.
    pub(super) async fn begin_marked(&mut self, settings: &str) -> Result<TransactionId, DatabaseError> {
        let marks = format!(
            ", pg_catalog.pg_try_advisory_lock_shared({MARKED}), pg_catalog.pg_try_advisory_lock_shared({MARKED} \
             OPERATOR(pg_catalog.+) pg_catalog.txid_current())"
        );
        self.open(settings, &marks).await
    }

    /// BEGIN and all this go with the first statement; their answer is taken before that statement's.
    async fn open(&mut self, settings: &str, marks: &str) -> Result<TransactionId, DatabaseError> {
        self.driver.catch_up().await?;
        self.driver.send(&format!("BEGIN; {settings}SELECT pg_catalog.txid_current(){marks}")).await?;
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
    /// the row is written; but only if the transaction is the one that was begun. COMMIT goes along: behind an error it is
    /// a ROLLBACK. Where the lock is kept for another script, that goes along too.
    pub(crate) async fn send_end(
        &mut self,
        insert: &str,
        keeps_lock: Option<&TableName>,
    ) -> Result<(), DatabaseError> {
        let text = format!(
            "{}; SET CONSTRAINTS ALL IMMEDIATE; {RESET_ROLE}; {}; {insert}",
            self.guard(),
            self.reset_statements()
        );
        self.driver.send(&text).await?;
        self.driver.send("COMMIT").await?;
        self.keeps_lock = keeps_lock.is_some();
        match keeps_lock {
            Some(table) => self.driver.send(&keeping(table)).await,
            None => Ok(()),
        }
    }

    /// What came of [`Self::send_end`]. COMMIT's outcome may stay unknown.
    pub(crate) async fn end(&mut self) -> Result<Finished, FinishError> {
        // A script without statements has not waited for anything yet.
        self.settle_begin().await.map_err(FinishError::Rejected)?;
        let [written, committed] = self.driver.answers().await.map_err(FinishError::CommitLost)?;
        let millis = match (written.error, written.completed) {
            (None, _) => written.rows.last().map(std::slice::from_ref).and_then(single),
            (Some(error), _) if error.is_connection_lost() => return Err(FinishError::CommitLost(error)),
            (Some(error), 0) if error.sqlstate() == Some("22012") => return Err(FinishError::NotOurs),
            (Some(error), 0) if error.sqlstate() == Some("2201F") => return Err(FinishError::Vetoed),
            // The guard went through, and the constraints did not.
            (Some(error), 0 | 1) => return Err(FinishError::Rejected(error)),
            (Some(error), _) => return Err(FinishError::RowRefused(error)),
        };
        FinishError::of_commit(committed.rows())?;
        let kept = if std::mem::take(&mut self.keeps_lock) { self.kept().await } else { None };
        Ok(Finished { millis: millis.and_then(|millis| millis.parse().ok()), kept })
    }

    /// What became of the lock. An error shows again with the next question.
    async fn kept(&mut self) -> Option<Unlocked> {
        let answer = self.driver.answer(Wanted::Rows).await.and_then(Answer::rows).ok()?;
        match answer.first().map(Vec::as_slice) {
            Some([_, rest @ .., ours]) if ours.as_deref() == Some("t") => Some(self.unlocked(rest)),
            _ => Some(Unlocked::Lost),
        }
    }

    /// A division by zero stops the whole query before anything of it is done outside of the transaction; so does the
    /// root of a negative number where somebody said that this script must not be committed. A script that gave all locks
    /// of the session away is known by the transaction's age: it is older than this question. Triggers of deferred
    /// constraints need the script's own search path: what is asked before them names its operators.
    fn guard(&self) -> String {
        format!(
            "SELECT 1 OPERATOR(pg_catalog./) CASE \
             WHEN pg_catalog.pg_advisory_unlock_shared({MARKED} OPERATOR(pg_catalog.+) pg_catalog.txid_current_if_assigned()) \
             THEN 1 WHEN pg_catalog.pg_advisory_unlock_shared({MARKED}) THEN 0 \
             WHEN pg_catalog.transaction_timestamp() OPERATOR(pg_catalog.<) pg_catalog.statement_timestamp() THEN 1 ELSE 0 END, \
             pg_catalog.sqrt(CASE WHEN pg_catalog.pg_try_advisory_xact_lock({}) THEN 1 ELSE -1 END)",
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

/// Everything that the session holds is given back but the history's lock, which the transaction holds meanwhile: at no
/// moment is it free.
fn keeping(table: &TableName) -> String {
    let key = sql::lock_key(table);
    format!(
        "SELECT pg_catalog.pg_try_advisory_xact_lock({key}), pg_catalog.pg_backend_pid(), \
         pg_catalog.pg_advisory_unlock({key}), pg_catalog.pg_advisory_unlock_all(), pg_catalog.pg_try_advisory_lock({key})"
    )
}
