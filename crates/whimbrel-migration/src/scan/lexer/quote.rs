//! Strings, quoted identifiers, dollar quotes and comments: whatever hides a delimiter.

use memchr::{memchr, memchr2};

use super::{
    Lexer, Mode, Quote, Step,
    bytes::{Class, class},
};
use crate::{dialect::Dialect, scan::classify::Token};

impl Lexer {
    pub(super) fn begin_comment(&mut self, mode: Mode) {
        self.begin_text();
        self.opened = self.at;
        self.mode = mode;
        self.at += 2;
    }

    /// Goes into the quote that begins here.
    pub(super) fn open(&mut self, close: u8, escapes: bool, what: &'static str) {
        self.begin_token();
        self.record(Token::Other);
        self.opened = self.at;
        self.mode = Mode::Quoted(Quote { close, escapes, what });
        self.at += 1;
    }

    pub(super) fn pass_line(&mut self) -> Step {
        // A lone CR ends a comment for PostgreSQL, for the others it does not.
        let rest = &self.buffer[self.at..];
        let end = match self.dialect {
            Dialect::PostgreSql => memchr2(b'\n', b'\r', rest),
            _ => memchr(b'\n', rest),
        };
        match end {
            Some(length) => {
                self.at += length;
                if self.mode == Mode::PassedCommand {
                    self.text_start = None;
                }
                self.mode = Mode::Between;
                Step::Go
            }
            None => {
                self.at = self.buffer.len();
                if self.mode == Mode::PassedCommand {
                    self.text_start = None;
                }
                Step::Need
            }
        }
    }

    pub(super) fn block_comment(&mut self, depth: u32) -> Step {
        while let Some(found) = memchr2(b'*', b'/', &self.buffer[self.at..]) {
            let index = self.at + found;
            let Some(&next) = self.buffer.get(index + 1) else {
                self.at = index;
                return Step::Need;
            };
            let depth_now = match (self.buffer[index], next) {
                (b'*', b'/') => depth - 1,
                (b'/', b'*') if self.dialect == Dialect::PostgreSql => depth + 1,
                _ => {
                    self.at = index + 1;
                    continue;
                }
            };
            self.at = index + 2;
            self.mode = if depth_now == 0 { Mode::Between } else { Mode::BlockComment(depth_now) };
            return Step::Go;
        }
        self.at = self.buffer.len();
        Step::Need
    }

    pub(super) fn quoted(&mut self, quote: Quote) -> Step {
        let Quote { close: quote, escapes, .. } = quote;
        loop {
            let rest = &self.buffer[self.at..];
            let found = if escapes { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
            let Some(found) = found else {
                self.at = self.buffer.len();
                return Step::Need;
            };
            let index = self.at + found;
            let next = self.buffer.get(index + 1);
            let is_pair = self.buffer[index] == b'\\' || (next == Some(&quote) && quote != b']');
            match next {
                // The end of the buffer: is it half of a pair?
                None if self.more_may_come() || self.buffer[index] == b'\\' => {
                    self.at = index;
                    return Step::Need;
                }
                _ if is_pair => self.at = index + 2,
                _ => {
                    self.at = index + 1;
                    self.mode = Mode::Between;
                    return Step::Go;
                }
            }
        }
    }

    /// A dollar at the beginning of a token: a dollar quote, a parameter, or a stray one.
    pub(super) fn dollar(&mut self) -> Step {
        let rest = &self.buffer[self.at + 1..];
        let is_tag = |byte: &u8| matches!(class(*byte), Class::Word | Class::Digit | Class::MaybeBlank);
        let length = rest.iter().position(|byte| !is_tag(byte));
        let length = match length {
            None if self.more_may_come() => return Step::Need,
            None => rest.len(),
            Some(length) => length,
        };
        let starts_with_digit = rest.first().is_some_and(u8::is_ascii_digit);
        self.begin_token();
        self.record(Token::Other);
        let rest = &self.buffer[self.at + 1..];
        if rest.get(length) == Some(&b'$') && !starts_with_digit {
            self.delimiter.clear();
            self.delimiter.extend_from_slice(&self.buffer[self.at..self.at + length + 2]);
            self.opened = self.at;
            self.at += self.delimiter.len();
            self.mode = Mode::DollarQuote;
        } else {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.at += 1 + digits;
        }
        Step::Go
    }

    pub(super) fn dollar_quote(&mut self) -> Step {
        while let Some(found) = memchr(b'$', &self.buffer[self.at..]) {
            let index = self.at + found;
            let rest = &self.buffer[index..];
            if rest.starts_with(&self.delimiter) {
                self.at = index + self.delimiter.len();
                self.mode = Mode::Between;
                return Step::Go;
            }
            if self.delimiter.starts_with(rest) {
                // The delimiter may be cut.
                self.at = index;
                return Step::Need;
            }
            self.at = index + 1;
        }
        self.at = self.buffer.len();
        Step::Need
    }
}
