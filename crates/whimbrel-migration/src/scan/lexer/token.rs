//! From token to token: words, numbers, and what the engines' symbols have in common.

use super::{
    BYTE_ORDER_MARK, Lexer, Mode, Step, Stepped,
    bytes::{Class, class, continues_word, wide_blank},
};
use crate::{dialect::Dialect, scan::classify::Token};

impl Lexer {
    /// Goes from token to token, until one needs more bytes or a mode of its own.
    pub(super) fn token(&mut self) -> Stepped {
        loop {
            if self.only_delimiters_matter() {
                self.skip_plain();
            }
            if self.mysql.has_own_delimiter {
                match self.own_delimiter() {
                    None => {}
                    Some(Step::Go) => continue,
                    Some(step) => return Ok(step),
                }
            }
            let Some(&byte) = self.buffer.get(self.at) else { return Ok(Step::Need) };
            let step = match class(byte) {
                Class::Blank => {
                    self.at += 1;
                    continue;
                }
                Class::Word => self.begin_word()?,
                Class::Digit => {
                    self.begin_token();
                    self.record(Token::Other);
                    self.mode = Mode::Number;
                    self.number()
                }
                Class::MaybeBlank => match wide_blank(&self.buffer[self.at..]) {
                    None if self.more_may_come() => return Ok(Step::Need),
                    None | Some(0) => self.begin_word()?,
                    Some(length) => {
                        self.at += length;
                        continue;
                    }
                },
                Class::Other => match self.dialect {
                    Dialect::PostgreSql => self.postgres_symbol(byte)?,
                    Dialect::MySql | Dialect::MariaDb => self.mysql_symbol(byte)?,
                    Dialect::Sqlite => self.sqlite_symbol(byte),
                },
            };
            if self.mode != Mode::Between || !matches!(step, Step::Go) {
                return Ok(step);
            }
        }
    }

    fn begin_word(&mut self) -> Stepped {
        // Files that were joined have theirs in the middle; what comes later in a statement may be data.
        if self.text_start.is_none() && self.buffer[self.at..].starts_with(BYTE_ORDER_MARK) {
            self.at += BYTE_ORDER_MARK.len();
            return Ok(Step::Go);
        }
        self.opened = self.at;
        self.begin_token();
        self.mode = Mode::Word(self.at);
        self.word(self.at)
    }

    /// Symbols that mean the same everywhere.
    pub(super) fn common_symbol(&mut self, byte: u8) -> Step {
        match byte {
            b'(' => {
                self.begin_token();
                self.record(Token::Open);
                if self.depth == 0 {
                    self.parenthesis = self.at;
                }
                self.depth += 1;
                self.at += 1;
            }
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                self.begin_token();
                self.at += 1;
            }
            _ => {
                self.begin_token();
                self.record(Token::Other);
                self.at += 1;
            }
        }
        Step::Go
    }

    /// Ends the statement at the delimiter of this length that stands here.
    pub(super) fn delimited(&mut self, length: usize) -> Step {
        let end = self.at;
        self.at += length;
        self.end_statement(end).map_or(Step::Go, |ready| Step::Ready(Box::new(ready)))
    }

    pub(super) fn word(&mut self, start: usize) -> Stepped {
        loop {
            let rest = &self.buffer[self.at..];
            self.at += rest.iter().position(|byte| !continues_word(*byte)).unwrap_or(rest.len());
            // What ends the word may be the first half of a no-break space, or of a letter.
            match (self.buffer.get(self.at), self.buffer.get(self.at + 1)) {
                (Some(0xC2), Some(0xA0)) => break,
                (None, _) | (Some(0xC2), None) if self.more_may_come() => return Ok(Step::Need),
                (Some(0xC2), _) => self.at += 1,
                _ => break,
            }
        }
        match self.dialect {
            Dialect::PostgreSql => Ok(self.postgres_word(start)),
            Dialect::MySql | Dialect::MariaDb => self.mysql_word(start),
            Dialect::Sqlite => Ok(self.sqlite_word(start)),
        }
    }

    pub(super) fn number(&mut self) -> Step {
        while let Some(&byte) = self.buffer.get(self.at) {
            if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' {
                self.at += 1;
            } else {
                self.mode = Mode::Between;
                return Step::Go;
            }
        }
        Step::Need
    }
}
