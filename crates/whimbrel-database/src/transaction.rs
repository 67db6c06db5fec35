//! Transactions: what became of one, and what a ROLLBACK undid.

use std::sync::{Arc, OnceLock};

/// What became of a transaction whose COMMIT was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionFate {
    /// It is committed.
    Committed,
    /// It is rolled back.
    RolledBack,
    /// The server still works on it.
    InProgress,
    /// The server has forgotten.
    Unknown,
}

/// What a ROLLBACK undid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// All of the transaction, or there was none.
    Everything,
    /// Nothing: the transaction was over before, and what it did is committed (DDL of MySQL, a procedure that commits).
    AlreadyOver,
    /// Some tables know no transactions and keep what was written (MyISAM).
    NotEverything,
}

/// The number of a transaction, by which its fate can be asked for later.
///
/// It is told by the server together with the answer to the first statement, so that BEGIN costs no time of its own.
#[derive(Clone, Debug, Default)]
pub struct TransactionId(Arc<OnceLock<String>>);

impl TransactionId {
    /// One that is known.
    pub(crate) fn known(number: impl Into<String>) -> Self {
        let id = Self::default();
        id.tell(number.into());
        id
    }

    /// Now it is known.
    pub(crate) fn tell(&self, number: String) {
        // It is told once; a second time would be the same.
        let _ = self.0.set(number);
    }

    /// The number as digits; 0, which no transaction has, where the server gave none.
    pub(crate) fn number(&self) -> u64 {
        self.0.get().and_then(|number| number.parse().ok()).unwrap_or_default()
    }
}
