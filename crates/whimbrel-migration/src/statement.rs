//! The words of one statement, for those who read more of it than where it ends.
//!
//! No grammar: a cursor over words, names and parentheses, good enough to see which table a statement is about
//! and what it does to it. What it does not understand it passes over.

mod back;
mod index;
mod leaving;
mod name;
mod tokens;

pub use self::back::{changes_rows, looks_back};
pub use self::index::{ConcurrentIndex, concurrent_index};
pub use self::leaving::{Left, changes_session, left_behind, may_commit_unseen, runs_program};
pub use self::name::ObjectName;
pub(crate) use self::tokens::{Token, tokens};
use crate::dialect::Dialect;

/// A place in the tokens of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'t, 'a> {
    dialect: Dialect,
    tokens: &'t [Token<'a>],
    at: usize,
}

impl<'t, 'a> Cursor<'t, 'a> {
    pub(crate) fn new(dialect: Dialect, tokens: &'t [Token<'a>]) -> Self {
        Self { dialect, tokens, at: 0 }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The tokens from here on.
    pub(crate) fn rest(&self) -> &'t [Token<'a>] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn peek(&self) -> Option<&'t Token<'a>> {
        self.tokens.get(self.at)
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether these words come next, in any letter case.
    pub(crate) fn is(&self, words: &str) -> bool {
        words
            .split(' ')
            .enumerate()
            .all(|(index, word)| self.tokens.get(self.at + index).is_some_and(|token| token.is_word(word)))
    }

    /// Goes past these words if they come next.
    pub(crate) fn eat(&mut self, words: &str) -> bool {
        let found = self.is(words);
        if found {
            self.at += words.split(' ').count();
        }
        found
    }

    /// Goes past any of these words, as long as there are any.
    pub(crate) fn eat_any(&mut self, words: &[&str]) {
        while words.iter().any(|word| self.eat(word)) {}
    }

    pub(crate) fn eat_symbol(&mut self, symbol: u8) -> bool {
        let found = self.peek().is_some_and(|token| token.is_symbol(symbol));
        if found {
            self.at += 1;
        }
        found
    }

    /// A name with its schema.
    pub(crate) fn name(&mut self) -> Option<ObjectName> {
        let first = self.peek().filter(|token| token.is_name())?;
        let mut parts = vec![first.identifier(self.dialect)];
        let mut last = first;
        self.at += 1;
        while self.peek().is_some_and(|token| token.is_symbol(b'.')) {
            let Some(part) = self.tokens.get(self.at + 1).filter(|token| token.is_name()) else { break };
            parts.push(part.identifier(self.dialect));
            last = part;
            self.at += 2;
        }
        ObjectName::of_parts(parts, tokens::between(first, last))
    }

    /// Names with commas between them.
    pub(crate) fn names(&mut self) -> Vec<ObjectName> {
        let mut names = Vec::new();
        loop {
            self.eat("ONLY");
            let Some(name) = self.name() else { return names };
            names.push(name);
            self.eat_symbol(b'*');
            if !self.eat_symbol(b',') {
                return names;
            }
        }
    }

    /// Goes past what is in the parentheses that open here.
    pub(crate) fn skip_parentheses(&mut self) -> bool {
        if !self.eat_symbol(b'(') {
            return false;
        }
        let mut depth = 1;
        while let Some(token) = self.peek() {
            self.at += 1;
            if token.is_symbol(b'(') {
                depth += 1;
            } else if token.is_symbol(b')') {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        true
    }

    /// Whether these words stand anywhere from here on, outside of parentheses.
    pub(crate) fn has(&self, words: &str) -> bool {
        self.find(words).is_some()
    }

    /// The cursor behind these words, wherever they stand from here on outside of parentheses.
    pub(crate) fn find(&self, words: &str) -> Option<Self> {
        let mut cursor = *self;
        while cursor.peek().is_some() {
            if cursor.eat(words) {
                return Some(cursor);
            }
            if !cursor.skip_parentheses() {
                cursor.at += 1;
            }
        }
        None
    }

    /// The parts between the commas outside of parentheses.
    pub(crate) fn split_at_commas(&self) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut cursor = *self;
        let mut from = self.at;
        while let Some(token) = cursor.peek() {
            if token.is_symbol(b',') {
                parts.push(Self { tokens: &self.tokens[..cursor.at], at: from, ..*self });
                cursor.at += 1;
                from = cursor.at;
            } else if !cursor.skip_parentheses() {
                cursor.at += 1;
            }
        }
        parts.push(Self { at: from, ..*self });
        parts
    }
}
