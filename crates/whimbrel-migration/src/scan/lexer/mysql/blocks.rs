//! The bodies of routines, triggers and events: where a `;` ends a statement in them and where all of it.
//!
//! In BEGIN … END only BEGIN and CASE are counted; END IF, END LOOP and the like close nothing that was
//! opened there. Where the whole body is an IF, CASE or loop, those are counted.

use crate::scan::classify::Keyword;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Begin,
    Case,
    If,
    /// LOOP, WHILE, REPEAT, FOR.
    Loop,
    /// Between AS or IS and BEGIN of a routine in Oracle's manner.
    Declarations,
}

/// The token before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) enum Previous {
    #[default]
    Other,
    Word(Keyword),
    Symbol(u8),
}

/// What is open in the statement at hand.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Blocks {
    open: Vec<Block>,
    pub(super) previous: Previous,
}

impl Blocks {
    pub(in super::super) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub(in super::super) fn clear(&mut self) {
        self.open.clear();
        self.previous = Previous::Other;
    }

    /// A token without meaning here.
    #[inline]
    pub(in super::super) fn other(&mut self) {
        self.settle_end();
        self.previous = Previous::Other;
    }

    /// The word that made the statement one with a body.
    pub(super) fn begin(&mut self, keyword: Option<Keyword>) {
        match keyword {
            Some(Keyword::Atomic) => self.open.push(Block::Begin),
            Some(Keyword::If) => self.open.push(Block::If),
            Some(Keyword::Case) => self.open.push(Block::Case),
            Some(Keyword::Loop | Keyword::While | Keyword::Repeat | Keyword::For) => {
                self.open.push(Block::Loop);
            }
            _ => {}
        }
        self.previous = keyword.map_or(Previous::Other, Previous::Word);
    }

    pub(super) fn delimiter(&mut self) {
        self.settle_end();
        self.previous = Previous::Symbol(b';');
    }

    pub(super) fn word(&mut self, keyword: Option<Keyword>, oracle: bool) {
        // Most words are none of those that matter.
        if keyword.is_none() {
            return self.other();
        }
        let after_end = self.previous == Previous::Word(Keyword::End);
        match keyword {
            Some(Keyword::Case) if after_end => self.close(Block::Case),
            Some(Keyword::If) if after_end => self.close(Block::If),
            Some(Keyword::Loop | Keyword::While | Keyword::Repeat | Keyword::For) if after_end => {
                self.close(Block::Loop);
            }
            _ => {
                self.settle_end();
                self.open(keyword, oracle);
            }
        }
        // A second END is one of its own; the word after `END IF` does not see the END any more.
        self.previous = keyword.map_or(Previous::Other, Previous::Word);
    }

    fn open(&mut self, keyword: Option<Keyword>, oracle: bool) {
        match keyword {
            Some(Keyword::Begin) => {
                if self.open.last() == Some(&Block::Declarations) {
                    self.open.pop();
                }
                self.open.push(Block::Begin);
            }
            Some(Keyword::Case) => self.open.push(Block::Case),
            Some(Keyword::If) if self.a_statement_begins() => self.open.push(Block::If),
            Some(Keyword::Loop | Keyword::While | Keyword::Repeat) if self.a_statement_begins() => {
                self.open.push(Block::Loop);
            }
            Some(Keyword::For) if self.is_open() && self.a_statement_begins() => self.open.push(Block::Loop),
            Some(Keyword::As | Keyword::Is) if oracle && !self.is_open() => {
                self.open.push(Block::Declarations);
            }
            _ => {}
        }
    }

    /// Whether IF or a loop is a statement here, and one that counts.
    fn a_statement_begins(&self) -> bool {
        match (self.open.last(), self.previous) {
            (None, Previous::Symbol(byte)) => matches!(byte, b')' | b':'),
            (None, Previous::Word(word)) => matches!(
                word,
                Keyword::Row
                    | Keyword::Do
                    | Keyword::Deterministic
                    | Keyword::Sql
                    | Keyword::Data
                    | Keyword::Definer
                    | Keyword::Invoker
            ),
            (Some(Block::If | Block::Loop), Previous::Symbol(byte)) => matches!(byte, b';' | b':'),
            (Some(Block::If | Block::Loop), Previous::Word(word)) => {
                matches!(word, Keyword::Then | Keyword::Else | Keyword::Do | Keyword::Loop | Keyword::Repeat)
            }
            _ => false,
        }
    }

    fn close(&mut self, block: Block) {
        if self.open.last() == Some(&block) {
            self.open.pop();
        }
    }

    /// The END before was one alone: of a CASE expression or a BEGIN.
    fn settle_end(&mut self) {
        if self.previous != Previous::Word(Keyword::End) {
            return;
        }
        if self.open.last() == Some(&Block::Case) {
            self.open.pop();
        } else if let Some(begin) = self.open.iter().rposition(|block| *block == Block::Begin) {
            self.open.truncate(begin);
        }
    }

    /// At the end of the script an END may be the last word.
    pub(in super::super) fn finish(&mut self) {
        self.delimiter();
    }
}
