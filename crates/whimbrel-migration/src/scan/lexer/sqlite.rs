//! What symbols and words mean for SQLite.
//!
//! A trigger ends as SQLite's own shell finds it: with `;`, END and `;` in a row. END and CASE in its
//! statements need no counting then.

use super::{Lexer, Mode, Step};
use crate::scan::classify::{Keyword, Token};

/// How far the statement at hand is as a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    /// It is none.
    None,
    /// Before or in one of its statements.
    Inside,
    /// Behind a delimiter in it.
    BetweenStatements,
    /// Behind its END.
    Ended,
}

impl Trigger {
    pub(super) fn is_open(self) -> bool {
        matches!(self, Self::Inside | Self::BetweenStatements)
    }

    /// A token other than a delimiter.
    pub(super) fn token(&mut self, token: Token) {
        *self = match (*self, token) {
            (Self::None, _) => Self::None,
            (Self::BetweenStatements, Token::Word(Keyword::End)) => Self::Ended,
            _ => Self::Inside,
        };
    }
}

impl Lexer {
    pub(super) fn sqlite_symbol(&mut self, byte: u8) -> Step {
        let next = self.buffer.get(self.at + 1).copied();
        match byte {
            b'-' | b'/' if next.is_none() && self.more_may_come() => return Step::Need,
            b'-' if next == Some(b'-') => self.begin_comment(Mode::LineComment),
            b'/' if next == Some(b'*') => self.begin_comment(Mode::BlockComment(1)),
            b'\'' => self.open(b'\'', false, "string"),
            b'"' | b'`' => self.open(byte, false, "quoted identifier"),
            b'[' => self.open(b']', false, "quoted identifier"),
            b';' if self.depth == 0 => {
                if self.trigger.is_open() {
                    self.trigger = Trigger::BetweenStatements;
                    self.at += 1;
                } else {
                    return self.delimited(1);
                }
            }
            _ => return self.common_symbol(byte),
        }
        Step::Go
    }

    /// A word that ends here.
    pub(super) fn sqlite_word(&mut self, start: usize) -> Step {
        self.mode = Mode::Between;
        if self.depth > 0 || (self.head.is_full() && !self.routine) {
            return Step::Go;
        }
        let keyword = Keyword::of(&self.buffer[start..self.at]);
        self.record(keyword.map_or(Token::Other, Token::Word));
        if keyword == Some(Keyword::Trigger) && self.head.is_sqlite_trigger() {
            self.routine = true;
            self.trigger = Trigger::Inside;
            self.block_start = start;
        }
        Step::Go
    }
}
