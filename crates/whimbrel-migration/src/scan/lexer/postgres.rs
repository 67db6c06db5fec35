//! What symbols and words mean for PostgreSQL.

use super::{Lexer, Mode, Quote, Step, Stepped};
use crate::scan::{
    ScanErrorKind,
    classify::{Keyword, Token},
};

impl Lexer {
    pub(super) fn postgres_symbol(&mut self, byte: u8) -> Stepped {
        let next = self.buffer.get(self.at + 1).copied();
        match byte {
            b'-' | b'/' if next.is_none() && self.more_may_come() => return Ok(Step::Need),
            b'-' if next == Some(b'-') => self.begin_comment(Mode::LineComment),
            b'/' if next == Some(b'*') => self.begin_comment(Mode::BlockComment(1)),
            b'\'' => self.open(b'\'', !self.conforming_strings, "string"),
            b'"' => self.open(b'"', false, "quoted identifier"),
            b'$' => return Ok(self.dollar()),
            b';' if self.depth == 0 && self.block == 0 => return Ok(self.delimited(1)),
            b'\\' => return self.psql_command(),
            b'(' | b')' => return Ok(self.common_symbol(byte)),
            _ => {
                self.after_begin = false;
                return Ok(self.common_symbol(byte));
            }
        }
        Ok(Step::Go)
    }

    /// A word that ends here.
    pub(super) fn postgres_word(&mut self, start: usize) -> Step {
        self.mode = Mode::Between;
        let word = &self.buffer[start..self.at];
        if self.buffer.get(self.at) == Some(&b'\'') && matches!(word, b"E" | b"e") {
            self.record(Token::Other);
            self.opened = start;
            self.mode = Mode::Quoted(Quote { close: b'\'', escapes: true, what: "string" });
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
            self.atomic_body(keyword, start);
        }
        self.head.push(keyword.map_or(Token::Other, Token::Word));
        if !self.routine && matches!(keyword, Some(Keyword::Function | Keyword::Procedure)) {
            self.routine = self.head.is_routine();
        }
        Step::Go
    }

    /// Words that open and close the body of a routine.
    fn atomic_body(&mut self, keyword: Option<Keyword>, start: usize) {
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

    fn psql_command(&mut self) -> Stepped {
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
