//! What a statement is for SQLite.

use super::{Effect, Head, Keyword, Token};

impl Head {
    pub(super) fn sqlite_effect(&self, first: Keyword) -> Effect {
        match first {
            Keyword::Begin => Effect::TransactionControl("BEGIN"),
            Keyword::Commit => Effect::TransactionControl("COMMIT"),
            Keyword::End => Effect::TransactionControl("END"),
            Keyword::Rollback if !self.is_rollback_to_savepoint() => Effect::TransactionControl("ROLLBACK"),
            Keyword::Vacuum => Effect::NonTransactional("VACUUM"),
            Keyword::Pragma => self.pragma(),
            _ => Effect::Transactional,
        }
    }

    /// What SQLite refuses, or passes over, in a transaction. The name may have a schema before it.
    fn pragma(&self) -> Effect {
        let matters = |name: &Keyword| {
            matches!(name, Keyword::ForeignKeys | Keyword::Synchronous | Keyword::WalCheckpoint)
        };
        let plain = self.word(1).filter(matters);
        let qualified =
            if self.tokens().get(2) == Some(&Token::Other) { self.word(3).filter(matters) } else { None };
        match plain.or(qualified) {
            Some(Keyword::ForeignKeys) => Effect::NonTransactional("PRAGMA foreign_keys"),
            Some(Keyword::Synchronous) => Effect::NonTransactional("PRAGMA synchronous"),
            Some(Keyword::WalCheckpoint) => Effect::NonTransactional("PRAGMA wal_checkpoint"),
            _ => Effect::Transactional,
        }
    }

    /// CREATE [TEMP | TEMPORARY] TRIGGER
    pub(in super::super) fn is_sqlite_trigger(&self) -> bool {
        self.word(0) == Some(Keyword::Create)
            && match self.word(1) {
                Some(Keyword::Trigger) => self.length == 2,
                Some(Keyword::Temp | Keyword::Temporary) => {
                    self.word(2) == Some(Keyword::Trigger) && self.length == 3
                }
                _ => false,
            }
    }
}
