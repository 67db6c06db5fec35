//! Words, numbers and symbols.

use super::{
    Lexer, Mode, Step,
    bytes::{Class, class, continues_word},
};
use crate::scan::{
    ScanError, ScanErrorKind,
    classify::{Keyword, Token},
};

impl Lexer {
    /// Goes from token to token, until one needs more bytes or a mode of its own.
    pub(super) fn token(&mut self) -> Result<Step, ScanError> {
        loop {
            let Some(&byte) = self.buffer.get(self.at) else { return Ok(Step::Need) };
            let step = match class(byte) {
                Class::Blank => {
                    self.at += 1;
                    continue;
                }
                Class::Word => self.begin_word(),
                Class::Digit => {
                    self.begin_token();
                    self.record(Token::Other);
                    self.mode = Mode::Number;
                    self.number()
                }
                Class::MaybeBlank => match self.buffer.get(self.at + 1) {
                    None if self.more_may_come() => return Ok(Step::Need),
                    Some(0xA0) => {
                        self.at += 2;
                        continue;
                    }
                    _ => self.begin_word(),
                },
                Class::Other => self.symbol(byte)?,
            };
            if self.mode != Mode::Between || !matches!(step, Step::Go) {
                return Ok(step);
            }
        }
    }

    fn begin_word(&mut self) -> Step {
        self.opened = self.at;
        self.begin_token();
        self.mode = Mode::Word(self.at);
        self.word(self.at)
    }

    pub(super) fn symbol(&mut self, byte: u8) -> Result<Step, ScanError> {
        let next = self.buffer.get(self.at + 1).copied();
        match byte {
            b'-' | b'/' if next.is_none() && self.more_may_come() => return Ok(Step::Need),
            b'-' if next == Some(b'-') => self.begin_comment(Mode::LineComment),
            b'/' if next == Some(b'*') => self.begin_comment(Mode::BlockComment(1)),
            b'\'' => self.open(Mode::String { escapes: !self.conforming_strings }),
            b'"' => self.open(Mode::QuotedIdentifier),
            b'$' => return Ok(self.dollar()),
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
            b';' if self.depth == 0 && self.block == 0 => {
                let end = self.at;
                self.at += 1;
                return Ok(self.end_statement(end).map_or(Step::Go, Step::Ready));
            }
            b'\\' => return self.psql_command(),
            _ => {
                self.begin_token();
                self.record(Token::Other);
                self.after_begin = false;
                self.at += 1;
            }
        }
        Ok(Step::Go)
    }

    pub(super) fn word(&mut self, start: usize) -> Step {
        loop {
            let rest = &self.buffer[self.at..];
            self.at += rest.iter().position(|byte| !continues_word(*byte)).unwrap_or(rest.len());
            // What ends the word may be the first half of a no-break space, or of a letter.
            match (self.buffer.get(self.at), self.buffer.get(self.at + 1)) {
                (Some(0xC2), Some(0xA0)) => return self.end_word(start),
                (None, _) | (Some(0xC2), None) if self.more_may_come() => return Step::Need,
                (Some(0xC2), _) => self.at += 1,
                _ => return self.end_word(start),
            }
        }
    }

    pub(super) fn end_word(&mut self, start: usize) -> Step {
        self.mode = Mode::Between;
        let word = &self.buffer[start..self.at];
        if self.buffer.get(self.at) == Some(&b'\'') && matches!(word, b"E" | b"e") {
            self.record(Token::Other);
            self.opened = start;
            self.mode = Mode::String { escapes: true };
            self.at += 1;
            return Step::Go;
        }
        if self.depth > 0 {
            if !self.head.is_full()
                && self.head.is_reindex()
                && Keyword::of(word) == Some(Keyword::Concurrently)
            {
                self.head.push(Token::InnerConcurrently);
            }
            return Step::Go;
        }
        if self.head.is_full() && !self.routine {
            return Step::Go;
        }
        let keyword = Keyword::of(word);
        if self.routine {
            self.block_word(keyword, start);
        }
        self.head.push(keyword.map_or(Token::Other, Token::Word));
        if !self.routine && matches!(keyword, Some(Keyword::Function | Keyword::Procedure)) {
            self.routine = self.head.is_routine();
        }
        Step::Go
    }

    /// Words that open and close the body of a routine.
    pub(super) fn block_word(&mut self, keyword: Option<Keyword>, start: usize) {
        match keyword {
            Some(Keyword::Atomic) if self.after_begin && self.block == 0 => {
                self.block = 1;
                self.block_start = start;
            }
            Some(Keyword::Case) if self.block > 0 => self.block += 1,
            Some(Keyword::End) if self.block > 0 => self.block -= 1,
            _ => {}
        }
        self.after_begin = keyword == Some(Keyword::Begin);
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

    pub(super) fn psql_command(&mut self) -> Result<Step, ScanError> {
        let rest = &self.buffer[self.at + 1..];
        let length = rest.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'\\');
        let length = match length {
            None if self.more_may_come() => return Ok(Step::Need),
            None => rest.len(),
            Some(0) => rest.len().min(1),
            Some(length) => length,
        };
        let command = &rest[..length];
        if self.first_token.is_none() && matches!(command, b"restrict" | b"unrestrict") {
            self.at += 1 + length;
            self.text_start = None;
            self.mode = Mode::PassedCommand;
            return Ok(Step::Go);
        }
        let command = String::from_utf8_lossy(command).trim().to_owned();
        Err(self.error(ScanErrorKind::PsqlCommand { command }, self.at))
    }
}
