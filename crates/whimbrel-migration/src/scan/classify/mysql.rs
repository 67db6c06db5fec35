//! What a statement is for MySQL and MariaDB.
//!
//! The list of those that commit is the one of MySQL's manual, "Statements That Cause an Implicit Commit".

use super::{Effect, Head, Keyword, Token};
use crate::dialect::Dialect;

impl Head {
    pub(super) fn mysql_effect(&self, first: Keyword) -> Effect {
        if let Some(what) = self.mysql_transaction_control(first) {
            return Effect::TransactionControl(what);
        }
        match self.implicit_commit(first) {
            Some(what) => Effect::ImplicitCommit(what),
            None => Effect::Transactional,
        }
    }

    fn mysql_transaction_control(&self, first: Keyword) -> Option<&'static str> {
        let second = self.word(1);
        match first {
            // BEGIN NOT ATOMIC is a compound statement of MariaDB.
            Keyword::Begin => (second != Some(Keyword::Not)).then_some("BEGIN"),
            Keyword::Start if second == Some(Keyword::Transaction) => Some("START TRANSACTION"),
            Keyword::Commit => Some("COMMIT"),
            Keyword::Rollback => (!self.is_rollback_to_savepoint()).then_some("ROLLBACK"),
            Keyword::Xa => Some(match second {
                Some(Keyword::Start | Keyword::Begin) => "XA START",
                Some(Keyword::Commit) => "XA COMMIT",
                Some(Keyword::Rollback) => "XA ROLLBACK",
                _ => "XA",
            }),
            // SET autocommit, SET SESSION autocommit, SET @@session.autocommit
            Keyword::Set if second != Some(Keyword::Global) => {
                (1..6).any(|index| self.word(index) == Some(Keyword::Autocommit)).then_some("SET autocommit")
            }
            _ => None,
        }
    }

    fn implicit_commit(&self, first: Keyword) -> Option<&'static str> {
        let second = self.word(1);
        let is_temporary = (1..4).any(|index| self.word(index) == Some(Keyword::Temporary));
        match first {
            Keyword::Create if !is_temporary => Some(match second {
                Some(Keyword::Table) => "CREATE TABLE",
                Some(Keyword::Index | Keyword::Unique) => "CREATE INDEX",
                Some(Keyword::View) => "CREATE VIEW",
                Some(Keyword::Database | Keyword::Schema) => "CREATE DATABASE",
                _ => "CREATE",
            }),
            Keyword::Alter => Some(if second == Some(Keyword::Table) { "ALTER TABLE" } else { "ALTER" }),
            // DROP PREPARE only forgets a prepared statement.
            Keyword::Drop if !is_temporary && second != Some(Keyword::Prepare) => {
                Some(if second == Some(Keyword::Table) { "DROP TABLE" } else { "DROP" })
            }
            Keyword::Rename => Some("RENAME"),
            Keyword::Truncate => Some("TRUNCATE"),
            Keyword::Grant => Some("GRANT"),
            Keyword::Revoke => Some("REVOKE"),
            Keyword::Set if second == Some(Keyword::Password) => Some("SET PASSWORD"),
            Keyword::Lock => Some("LOCK TABLES"),
            Keyword::Unlock => Some("UNLOCK TABLES"),
            Keyword::Analyze if self.has(Keyword::Table) => Some("ANALYZE TABLE"),
            Keyword::Check => Some("CHECK TABLE"),
            Keyword::Optimize => Some("OPTIMIZE TABLE"),
            Keyword::Repair => Some("REPAIR TABLE"),
            Keyword::Cache => Some("CACHE INDEX"),
            Keyword::Load if second == Some(Keyword::Index) => Some("LOAD INDEX INTO CACHE"),
            Keyword::Flush => Some("FLUSH"),
            Keyword::Reset => Some("RESET"),
            Keyword::Install => Some("INSTALL"),
            Keyword::Uninstall => Some("UNINSTALL"),
            Keyword::Change => Some("CHANGE"),
            Keyword::Start => Some("START"),
            Keyword::Stop => Some("STOP"),
            _ => None,
        }
    }

    /// Whether the word that was just pushed makes this a statement with a body.
    pub(in super::super) fn opens_mysql_body(&self, keyword: Keyword, dialect: Dialect) -> bool {
        match keyword {
            Keyword::Procedure | Keyword::Function | Keyword::Trigger | Keyword::Event => {
                self.defines(keyword)
            }
            Keyword::Atomic if dialect == Dialect::MariaDb => {
                self.tokens() == [Keyword::Begin, Keyword::Not, Keyword::Atomic].map(Token::Word)
            }
            // MariaDB runs these outside of routines too.
            Keyword::If | Keyword::Case | Keyword::Loop | Keyword::While | Keyword::Repeat | Keyword::For => {
                dialect == Dialect::MariaDb && self.length == 1
            }
            _ => false,
        }
    }

    /// CREATE [OR REPLACE] [DEFINER = …] [AGGREGATE] with this word next, or ALTER EVENT.
    fn defines(&self, keyword: Keyword) -> bool {
        let mut index = 1;
        match self.word(0) {
            Some(Keyword::Create) => {}
            Some(Keyword::Alter) => return keyword == Keyword::Event && self.length == 2,
            _ => return false,
        }
        if self.word(index) == Some(Keyword::Or) && self.word(index + 1) == Some(Keyword::Replace) {
            index += 2;
        }
        if self.word(index) == Some(Keyword::Definer) {
            const KINDS: [Keyword; 5] =
                [Keyword::Procedure, Keyword::Function, Keyword::Trigger, Keyword::Event, Keyword::View];
            let kind = self.tokens()[index + 1..]
                .iter()
                .find(|token| KINDS.iter().any(|kind| **token == Token::Word(*kind)));
            return kind == Some(&Token::Word(keyword));
        }
        if self.word(index) == Some(Keyword::Aggregate) {
            index += 1;
        }
        self.word(index) == Some(keyword) && self.length == index + 1
    }
}
