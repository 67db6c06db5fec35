//! What a statement is, from its first tokens.

mod keyword;
mod mysql;
mod sqlite;

pub(super) use keyword::Keyword;

use super::Effect;
use crate::dialect::Dialect;

/// A token, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Word(Keyword),
    /// A word without meaning here, a quoted identifier, a literal, an operator.
    Other,
    /// A parenthesis opens.
    Open,
    /// A word inside parentheses that matters (only CONCURRENTLY does).
    InnerConcurrently,
}

/// How many tokens are kept.
pub(super) const KEPT: usize = 24;

/// The first tokens of a statement outside parentheses.
#[derive(Debug, Clone)]
pub(super) struct Head {
    tokens: [Token; KEPT],
    length: usize,
}

impl Head {
    pub(super) fn new() -> Self {
        Self { tokens: [Token::Other; KEPT], length: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.length == KEPT
    }

    pub(super) fn push(&mut self, token: Token) {
        if let Some(place) = self.tokens.get_mut(self.length) {
            *place = token;
            self.length += 1;
        }
    }

    fn tokens(&self) -> &[Token] {
        &self.tokens[..self.length]
    }

    fn word(&self, index: usize) -> Option<Keyword> {
        match self.tokens().get(index) {
            Some(Token::Word(keyword)) => Some(*keyword),
            _ => None,
        }
    }

    fn has_pair(&self, first: Keyword, second: Keyword) -> bool {
        self.tokens().windows(2).any(|pair| pair == [Token::Word(first), Token::Word(second)])
    }

    fn has(&self, word: Keyword) -> bool {
        self.tokens().contains(&Token::Word(word))
    }

    pub(super) fn last_is(&self, word: Keyword) -> bool {
        self.tokens().last() == Some(&Token::Word(word))
    }

    /// CREATE [OR REPLACE] FUNCTION or PROCEDURE: the only statements with a BEGIN ATOMIC body.
    pub(super) fn is_routine(&self) -> bool {
        let kind = match (self.word(0), self.word(1), self.word(2)) {
            (Some(Keyword::Create), Some(Keyword::Or), Some(Keyword::Replace)) => self.word(3),
            (Some(Keyword::Create), kind, _) => kind,
            _ => None,
        };
        matches!(kind, Some(Keyword::Function | Keyword::Procedure))
    }

    /// REINDEX: the one statement whose parentheses are looked into.
    pub(super) fn is_reindex(&self) -> bool {
        self.word(0) == Some(Keyword::Reindex)
    }

    /// SET [SESSION | LOCAL] standard_conforming_strings
    pub(super) fn sets_conforming_strings(&self) -> bool {
        self.word(0) == Some(Keyword::Set)
            && (1..3).any(|index| self.word(index) == Some(Keyword::StandardConformingStrings))
    }

    /// SET: it may change how strings are read.
    pub(super) fn is_set(&self) -> bool {
        self.word(0) == Some(Keyword::Set)
    }

    pub(super) fn effect(&self, dialect: Dialect) -> Effect {
        let Some(first) = self.word(0) else { return Effect::Transactional };
        match dialect {
            Dialect::PostgreSql => self.postgres_effect(first),
            Dialect::MySql | Dialect::MariaDb => self.mysql_effect(first),
            Dialect::Sqlite => self.sqlite_effect(first),
        }
    }

    fn postgres_effect(&self, first: Keyword) -> Effect {
        if let Some(what) = self.transaction_control(first) {
            return Effect::TransactionControl(what);
        }
        if let Some(what) = self.non_transactional(first) {
            return Effect::NonTransactional(what);
        }
        if first == Keyword::Copy && self.has_pair(Keyword::From, Keyword::Stdin) {
            return Effect::CopyFromStdin;
        }
        Effect::Transactional
    }

    fn transaction_control(&self, first: Keyword) -> Option<&'static str> {
        let second = self.word(1);
        match first {
            Keyword::Begin => Some("BEGIN"),
            Keyword::End => Some("END"),
            Keyword::Abort => Some("ABORT"),
            Keyword::Start if second == Some(Keyword::Transaction) => Some("START TRANSACTION"),
            Keyword::Prepare if second == Some(Keyword::Transaction) => Some("PREPARE TRANSACTION"),
            Keyword::Commit if second != Some(Keyword::Prepared) => Some("COMMIT"),
            Keyword::Rollback if second != Some(Keyword::Prepared) => {
                (!self.is_rollback_to_savepoint()).then_some("ROLLBACK")
            }
            _ => None,
        }
    }

    /// Back to a savepoint stays inside the transaction.
    fn is_rollback_to_savepoint(&self) -> bool {
        let after_noise = match self.word(1) {
            Some(Keyword::Work | Keyword::Transaction) => self.word(2),
            other => other,
        };
        after_noise == Some(Keyword::To)
    }

    fn non_transactional(&self, first: Keyword) -> Option<&'static str> {
        let second = self.word(1);
        match (first, second) {
            (Keyword::Create, Some(Keyword::Database)) => Some("CREATE DATABASE"),
            (Keyword::Create, Some(Keyword::Tablespace)) => Some("CREATE TABLESPACE"),
            (Keyword::Create, Some(Keyword::Subscription)) => Some("CREATE SUBSCRIPTION"),
            (Keyword::Drop, Some(Keyword::Database)) => Some("DROP DATABASE"),
            (Keyword::Drop, Some(Keyword::Tablespace)) => Some("DROP TABLESPACE"),
            (Keyword::Drop, Some(Keyword::Subscription)) => Some("DROP SUBSCRIPTION"),
            (Keyword::Alter, Some(Keyword::System)) => Some("ALTER SYSTEM"),
            (Keyword::Create, Some(Keyword::Index | Keyword::Unique))
                if self.has_pair(Keyword::Index, Keyword::Concurrently) =>
            {
                Some("CREATE INDEX CONCURRENTLY")
            }
            (Keyword::Drop, Some(Keyword::Index)) if self.word(2) == Some(Keyword::Concurrently) => {
                Some("DROP INDEX CONCURRENTLY")
            }
            (Keyword::Alter, Some(Keyword::Database)) if self.has_pair(Keyword::Set, Keyword::Tablespace) => {
                Some("ALTER DATABASE SET TABLESPACE")
            }
            (Keyword::Alter, Some(Keyword::Subscription))
                if self.has_pair(Keyword::Refresh, Keyword::Publication) =>
            {
                Some("ALTER SUBSCRIPTION REFRESH PUBLICATION")
            }
            (Keyword::Alter, Some(Keyword::Table))
                if self.has_pair(Keyword::Detach, Keyword::Partition)
                    && self.last_is(Keyword::Concurrently) =>
            {
                Some("DETACH PARTITION CONCURRENTLY")
            }
            (Keyword::Vacuum, _) => Some("VACUUM"),
            (Keyword::Discard, Some(Keyword::All)) => Some("DISCARD ALL"),
            (Keyword::Commit, Some(Keyword::Prepared)) => Some("COMMIT PREPARED"),
            (Keyword::Rollback, Some(Keyword::Prepared)) => Some("ROLLBACK PREPARED"),
            (Keyword::Reindex, _) => self.reindex(),
            (Keyword::Cluster, _) if self.is_whole_cluster() => Some("CLUSTER"),
            _ => None,
        }
    }

    fn reindex(&self) -> Option<&'static str> {
        if self.has(Keyword::Concurrently) || self.tokens().contains(&Token::InnerConcurrently) {
            return Some("REINDEX CONCURRENTLY");
        }
        let object = self.tokens()[1..].iter().find_map(|token| match token {
            Token::Word(Keyword::Verbose) | Token::Open => None,
            other => Some(*other),
        });
        match object {
            Some(Token::Word(Keyword::Schema)) => Some("REINDEX SCHEMA"),
            Some(Token::Word(Keyword::Database)) => Some("REINDEX DATABASE"),
            Some(Token::Word(Keyword::System)) => Some("REINDEX SYSTEM"),
            _ => None,
        }
    }

    /// CLUSTER without a table: all tables, each in its own transaction.
    fn is_whole_cluster(&self) -> bool {
        self.tokens()[1..].iter().all(|token| matches!(token, Token::Word(Keyword::Verbose) | Token::Open))
    }
}
