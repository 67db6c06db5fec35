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
    /// the row is written; but only if the transaction is the one that was begun. Then COMMIT, and where the lock is kept
    /// for another script, a word about it. All of it is one query: behind an error nothing more is done.
    pub(crate) async fn send_end(
        &mut self,
        insert: &str,
        keeps_lock: Option<&TableName>,
    ) -> Result<(), DatabaseError> {
        let mut text = format!(
            "{}; SET CONSTRAINTS ALL IMMEDIATE; {RESET_ROLE}; {}; {insert}; COMMIT",
            self.guard(),
            self.reset_statements()
        );
        if let Some(table) = keeps_lock {
            text.push_str("; ");
            text.push_str(&keeping(table));
        }
        self.keeps_lock = keeps_lock.is_some();
        self.driver.send(&text).await
    }

    /// What came of [`Self::send_end`]. COMMIT's outcome may stay unknown.
    pub(crate) async fn end(&mut self) -> Result<Finished, FinishError> {
        // A script without statements has not waited for anything yet.
        self.settle_begin().await.map_err(FinishError::Rejected)?;
        let answer = self.driver.answer(Wanted::Rows).await.map_err(FinishError::CommitLost)?;
        let mut rows = answer.rows;
        if let Some(error) = answer.error {
            let ended = refused(error, answer.completed, &answer.last_command);
            if self.driver.in_transaction() {
                // An error of its own says more than that nothing of the script is there to be taken back.
                let _ = self.plain("ROLLBACK").await;
            }
            ended?;
        }
        let is_kept = std::mem::take(&mut self.keeps_lock) && answer.last_command == "SELECT";
        let kept = rows.pop_if(|_| is_kept).map(|row| self.kept(&row));
        let millis = rows.pop().and_then(|row| single(&[row])?.parse().ok());
        Ok(Finished { millis, kept })
    }

    /// What became of the lock.
    fn kept(&self, answer: &Row) -> Unlocked {
        match answer.as_slice() {
            [_, rest @ .., ours] if ours.as_deref() == Some("t") => self.unlocked(rest),
            _ => Unlocked::Lost,
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

/// What an error of the last query means, by what of it went through before.
fn refused(error: DatabaseError, completed: usize, last_command: &str) -> Result<(), FinishError> {
    match (completed, last_command) {
        _ if error.is_connection_lost() && last_command != "COMMIT" => Err(FinishError::CommitLost(error)),
        (0, _) if error.sqlstate() == Some("22012") => Err(FinishError::NotOurs),
        (0, _) if error.sqlstate() == Some("2201F") => Err(FinishError::Vetoed),
        // The guard went through, and the constraints did not; or all went through but COMMIT.
        (0 | 1, _) | (_, "INSERT") => Err(FinishError::Rejected(error)),
        // What is wrong behind COMMIT shows again with the next question.
        (_, "COMMIT") => Ok(()),
        _ => Err(FinishError::RowRefused(error)),
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
