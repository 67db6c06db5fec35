//! What symbols and words mean for MySQL and MariaDB.
//!
//! The delimiter is the one that the last DELIMITER command set. While it is `;`, the bodies of routines,
//! triggers and events are followed to their END (see [`blocks`]); any other delimiter ends a statement
//! wherever it stands, as it does for the `mysql` client. What is in a version comment (`/*!50003 … */`) is
//! read as the server reads it, but no statement ends in it.

mod blocks;
mod sql_mode;

pub(super) use self::blocks::{Blocks, Previous};
use self::sql_mode::SqlMode;
use super::{Lexer, Mode, Step, Stepped};
use crate::{
    dialect::Dialect,
    scan::{
        ScanErrorKind,
        classify::{Keyword, Token},
    },
};

/// What these engines need to know beyond the others.
#[derive(Debug, Clone)]
pub(super) struct MySql {
    delimiter: Vec<u8>,
    /// The delimiter is not `;`.
    pub(super) has_own_delimiter: bool,
    /// A version comment is open.
    pub(super) version_comment: bool,
    pub(super) version_comment_start: usize,
    pub(super) blocks: Blocks,
    /// Of the session, before the script.
    session_mode: SqlMode,
    mode: SqlMode,
}

impl MySql {
    pub(super) fn new() -> Self {
        Self {
            delimiter: b";".to_vec(),
            has_own_delimiter: false,
            version_comment: false,
            version_comment_start: 0,
            blocks: Blocks::default(),
            session_mode: SqlMode::default(),
            mode: SqlMode::default(),
        }
    }

    pub(super) fn set_session_mode(&mut self, mode: &str) {
        self.session_mode = SqlMode::of_names(mode);
        self.mode = self.session_mode;
    }

    /// Whether a delimiter is one of the body's.
    pub(super) fn is_body_open(&self) -> bool {
        !self.has_own_delimiter && self.blocks.is_open()
    }

    /// A SET statement may change how strings are read from here on.
    pub(super) fn read_set(&mut self, statement: &[u8]) {
        if let Some(mode) = sql_mode::after_set(statement, self.mode, self.session_mode) {
            self.mode = mode;
        }
    }
}

/// Whether a delimiter stands here.
enum At {
    No,
    Yes,
    /// Its rest has not arrived.
    Unknown,
}

impl Lexer {
    pub(super) fn mysql_symbol(&mut self, byte: u8) -> Stepped {
        let next = self.buffer.get(self.at + 1).copied();
        if next.is_none() && self.more_may_come() && matches!(byte, b'-' | b'/' | b'*') {
            return Ok(Step::Need);
        }
        match (byte, next) {
            (b'-', Some(b'-')) => return Ok(self.dashes()),
            (b'/', Some(b'*')) => return Ok(self.mysql_comment()),
            (b'*', Some(b'/')) if self.mysql.version_comment => {
                self.mysql.version_comment = false;
                self.at += 2;
            }
            (b'#', _) => {
                self.begin_comment(Mode::LineComment);
                self.at -= 1;
            }
            (b'\'', _) => self.open(b'\'', self.mysql.mode.backslash_escapes, "string"),
            (b'"', _) if self.mysql.mode.ansi_quotes => self.open(b'"', false, "quoted identifier"),
            (b'"', _) => self.open(b'"', self.mysql.mode.backslash_escapes, "string"),
            (b'`', _) => self.open(b'`', false, "quoted identifier"),
            (b';', _) if self.depth == 0 && !self.mysql.has_own_delimiter && !self.mysql.version_comment => {
                self.mysql.blocks.delimiter();
                if !self.mysql.is_body_open() {
                    return Ok(self.delimited(1));
                }
                self.at += 1;
            }
            // The body of a routine in another language.
            (b'$', _) if self.routine && self.mysql.blocks.previous == Previous::Word(Keyword::As) => {
                return Ok(self.dollar());
            }
            _ => {
                let step = self.common_symbol(byte);
                if self.depth == 0 && matches!(byte, b')' | b':') {
                    self.mysql.blocks.previous = Previous::Symbol(byte);
                }
                return Ok(step);
            }
        }
        Ok(Step::Go)
    }

    /// `--` begins a comment only before a blank or control character.
    fn dashes(&mut self) -> Step {
        match self.buffer.get(self.at + 2) {
            None if self.more_may_come() => Step::Need,
            Some(after) if *after > b' ' && *after != 0x7F => self.common_symbol(b'-'),
            _ => {
                self.begin_comment(Mode::LineComment);
                Step::Go
            }
        }
    }

    /// `/*`: a comment, or text for servers of some version.
    fn mysql_comment(&mut self) -> Step {
        let rest = &self.buffer[self.at + 2..];
        let mark = match (self.dialect, rest) {
            (_, [b'!', ..]) => 1,
            (Dialect::MariaDb, [b'M', b'!', ..]) => 2,
            (Dialect::MariaDb, [b'M']) | (_, []) if self.more_may_come() => return Step::Need,
            _ => 0,
        };
        if mark == 0 || self.mysql.version_comment {
            self.begin_comment(Mode::BlockComment(1));
            return Step::Go;
        }
        let digits = rest[mark..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if mark + digits == rest.len() && self.more_may_come() {
            return Step::Need;
        }
        self.begin_token();
        self.mysql.version_comment = true;
        self.mysql.version_comment_start = self.at;
        self.at += 2 + mark + digits;
        Step::Go
    }

    /// Looks for a delimiter other than `;` at the beginning of a token.
    pub(super) fn own_delimiter(&mut self) -> Option<Step> {
        if self.depth > 0 || self.mysql.version_comment {
            return None;
        }
        match self.delimiter_at(self.at) {
            At::No => None,
            At::Unknown => Some(Step::Need),
            At::Yes => Some(self.delimited(self.mysql.delimiter.len())),
        }
    }

    fn delimiter_at(&self, index: usize) -> At {
        let delimiter = self.mysql.delimiter.as_slice();
        let rest = &self.buffer[index..];
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if !rest.starts_with(delimiter) {
            let cut = !rest.is_empty() && delimiter.starts_with(rest) && self.more_may_come();
            return if cut { At::Unknown } else { At::No };
        }
        // `go` is not in `gone`.
        match rest.get(delimiter.len()) {
            _ if !delimiter.last().is_some_and(is_letter) => At::Yes,
            None if self.more_may_come() => At::Unknown,
            Some(after) if is_letter(after) => At::No,
            _ => At::Yes,
        }
    }

    /// A word that ends here, or at a delimiter in it (`END$$`).
    pub(super) fn mysql_word(&mut self, start: usize) -> Stepped {
        if self.mysql.has_own_delimiter && self.depth == 0 && !self.mysql.version_comment {
            let first = self.mysql.delimiter[0];
            if !first.is_ascii_alphanumeric() {
                for index in start + 1..self.at {
                    match self.delimiter_at(index) {
                        At::No => {}
                        At::Unknown => return Ok(Step::Need),
                        At::Yes => {
                            self.at = index;
                            break;
                        }
                    }
                }
            }
        }
        let word = &self.buffer[start..self.at];
        let next = self.buffer.get(self.at);
        let before_blank = next.is_none_or(u8::is_ascii_whitespace);
        // No statement begins with this word: `DELIMITER;` lacks its blank.
        let may_begin = before_blank || (self.head.is_empty() && next.is_some_and(is_symbol));
        if self.depth == 0 && may_begin && word.eq_ignore_ascii_case(b"delimiter") {
            if self.head.is_empty() && !self.mysql.version_comment {
                self.mode = Mode::DelimiterLine;
                return Ok(Step::Go);
            }
            match self.is_delimiter_command(start) {
                At::Yes => return Err(self.error(ScanErrorKind::DelimiterInStatement, start)),
                At::Unknown => return Ok(Step::Need),
                At::No => {}
            }
        }
        self.mode = Mode::Between;
        if self.depth > 0 || (self.head.is_full() && !self.routine) {
            return Ok(Step::Go);
        }
        let keyword = Keyword::of(&self.buffer[start..self.at]);
        let was_routine = self.routine;
        if was_routine {
            let was_open = self.mysql.blocks.is_open();
            self.mysql.blocks.word(keyword, self.mysql.mode.oracle);
            if !was_open {
                self.block_start = start;
            }
        }
        self.head.push(keyword.map_or(Token::Other, Token::Word));
        if !was_routine && keyword.is_some_and(|keyword| self.head.opens_mysql_body(keyword, self.dialect)) {
            self.routine = true;
            self.mysql.blocks.begin(keyword);
            self.block_start = start;
        }
        Ok(Step::Go)
    }

    /// Whether the word DELIMITER in the middle of a statement can only be the command: at the beginning of
    /// a line, with nothing but symbols behind it.
    fn is_delimiter_command(&self, start: usize) -> At {
        let before = self.buffer[..start].iter().rev().find(|byte| !matches!(byte, b' ' | b'\t'));
        if before != Some(&b'\n') {
            return At::No;
        }
        let rest = &self.buffer[self.at..];
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => &rest[..end],
            None if self.more_may_come() => return At::Unknown,
            None => rest,
        };
        let line = line.trim_ascii();
        if !line.is_empty() && line.iter().all(is_symbol) { At::Yes } else { At::No }
    }

    /// The rest of `DELIMITER x`: up to the first blank, as the `mysql` client reads it.
    pub(super) fn delimiter_line(&mut self) -> Stepped {
        let rest = &self.buffer[self.at..];
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => &rest[..end],
            None if self.more_may_come() => return Ok(Step::Need),
            None => rest,
        };
        let word = line.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        if word.is_empty() {
            return Err(self.error(ScanErrorKind::DelimiterMissing, self.opened));
        }
        let length = line.len();
        self.mysql.delimiter = word.to_vec();
        self.mysql.has_own_delimiter = word != b";";
        self.at += length;
        self.text_start = None;
        self.first_token = None;
        self.mode = Mode::Between;
        Ok(Step::Go)
    }
}

/// What people use for delimiters.
fn is_symbol(byte: &u8) -> bool {
    b";$/|#@!%^&~".contains(byte)
}
