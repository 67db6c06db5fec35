//! The lexical rules, as far as they decide where a statement ends.
//!
//! What the engines have in common (blanks, words, quotes, comments, parentheses) is here; what a symbol or
//! a word means for one of them is in the module of its name. Tokens that may be long (quotes, comments, words, COPY
//! data) are states that go on with the next piece, so that every byte is looked at once, wherever the pieces are cut.

mod bytes;
mod copy;
mod mysql;
mod plain;
mod postgres;
mod quote;
mod sqlite;
mod statement;
mod token;

use memchr::memchr;

use self::{bytes::Counted, mysql::MySql, sqlite::Trigger};
use super::{Effect, Piece, Place, ScanError, ScanErrorKind, Statement, classify::Head};
use crate::dialect::Dialect;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const BEGINNING: Place = Place { offset: 0, line: 1, column: 1 };

/// What the byte at hand belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The very beginning, where a byte order mark may stand.
    Beginning,
    /// Between tokens.
    Between,
    /// A word that began at this index.
    Word(usize),
    Number,
    LineComment,
    /// A comment and how deep it is nested.
    BlockComment(u32),
    /// A string or quoted identifier.
    Quoted(Quote),
    /// A dollar quote; the lexer holds its delimiter.
    DollarQuote,
    /// A psql command that is passed over.
    PassedCommand,
    /// The command DELIMITER: its line is awaited.
    DelimiterLine,
    /// Between `COPY … FROM STDIN;` and the end of its line; whether a comment began.
    CopyLine {
        comment: bool,
    },
    /// COPY data; whether a line begins here.
    CopyData {
        line_begins: bool,
    },
}

/// What ends a quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    /// The closing character; doubled, it stands for itself (but for `]`).
    close: u8,
    /// Whether a backslash takes the meaning of the next character away.
    escapes: bool,
    /// What people call it.
    what: &'static str,
}

/// A complete piece, as indices into the buffer.
enum Ready {
    Statement { text: std::ops::Range<usize>, text_place: Place, place: Place, effect: Effect },
    Data(std::ops::Range<usize>),
    CopyEnd,
}

/// What a step came to. It is told for every token: what is rare and large is in a box.
enum Step {
    /// Something was consumed; go on.
    Go,
    /// More bytes are needed.
    Need,
    Ready(Box<Ready>),
}

type Stepped = Result<Step, Box<ScanError>>;

#[derive(Debug, Clone)]
pub(super) struct Lexer {
    dialect: Dialect,
    buffer: Vec<u8>,
    /// Bytes of the script before the buffer.
    base: u64,
    at: usize,
    mode: Mode,
    /// Where the token of the mode begins.
    opened: usize,
    finished: bool,
    /// What is wrong with the bytes after the buffer.
    poison: Option<ScanErrorKind>,
    /// The beginning of a character whose end is in the next piece.
    held: Vec<u8>,
    counted: Counted,
    /// Of the dollar quote under way, both dollars included.
    delimiter: Vec<u8>,
    conforming_strings: bool,

    text_start: Option<usize>,
    text_place: Place,
    first_token: Option<Place>,
    head: Head,
    routine: bool,
    after_begin: bool,
    depth: u32,
    parenthesis: usize,
    block: u32,
    block_start: usize,
    copy_place: Place,
    mysql: MySql,
    trigger: Trigger,
}

impl Lexer {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            buffer: Vec::new(),
            base: 0,
            at: 0,
            mode: Mode::Beginning,
            opened: 0,
            finished: false,
            poison: None,
            held: Vec::new(),
            counted: Counted { index: 0, line: 1, characters: 0 },
            delimiter: Vec::new(),
            conforming_strings: true,
            text_start: None,
            text_place: BEGINNING,
            first_token: None,
            head: Head::new(),
            routine: false,
            after_begin: false,
            depth: 0,
            parenthesis: 0,
            block: 0,
            block_start: 0,
            copy_place: BEGINNING,
            mysql: MySql::new(),
            trigger: Trigger::None,
        }
    }

    pub(super) fn set_standard_conforming_strings(&mut self, on: bool) {
        self.conforming_strings = on;
    }

    pub(super) fn set_sql_mode(&mut self, mode: &str) {
        self.mysql.set_session_mode(mode);
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.poison.is_some() || self.finished {
            return;
        }
        self.forget_consumed();
        if self.held.is_empty() {
            self.take(bytes);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(bytes);
            self.take(&joined);
        }
    }

    /// Takes bytes up to the first NUL or wrong character; half a character at the end waits for the rest.
    fn take(&mut self, bytes: &[u8]) {
        let nul = memchr(0, bytes);
        let good = &bytes[..nul.unwrap_or(bytes.len())];
        let (good, rest) = match std::str::from_utf8(good) {
            Ok(_) => (good, None),
            Err(error) => {
                let (good, rest) = good.split_at(error.valid_up_to());
                (good, Some((rest, error.error_len().is_some())))
            }
        };
        self.buffer.extend_from_slice(good);
        match (rest, nul) {
            (None, None) => {}
            (None, Some(_)) => self.poison = Some(ScanErrorKind::Nul),
            (Some((rest, false)), None) => self.held.extend_from_slice(rest),
            (Some(_), _) => self.poison = Some(ScanErrorKind::Encoding),
        }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
        if self.poison.is_none() && !self.held.is_empty() {
            self.poison = Some(ScanErrorKind::Encoding);
        }
    }

    pub(super) fn next_piece(&mut self) -> Result<Option<Piece<'_>>, ScanError> {
        let ready = loop {
            match self.step().map_err(|error| *error)? {
                Step::Go => {}
                Step::Ready(ready) => break *ready,
                Step::Need => match self.at_end().map_err(|error| *error)? {
                    Some(ready) => break ready,
                    None => return Ok(None),
                },
            }
        };
        Ok(Some(match ready {
            Ready::Data(range) => Piece::CopyData(&self.buffer[range]),
            Ready::CopyEnd => Piece::CopyEnd,
            Ready::Statement { text, text_place, place, effect } => {
                let (start, end) = (self.base + text.start as u64, self.base + text.end as u64);
                let text = std::str::from_utf8(&self.buffer[text])
                    .map_err(|_| ScanError { kind: ScanErrorKind::Encoding, place })?;
                Piece::Statement(Statement { text, start, end, text_place, place, effect })
            }
        }))
    }

    /// Drops what was given out, once it is worth the move.
    fn forget_consumed(&mut self) {
        let word = if let Mode::Word(start) = self.mode { start } else { self.at };
        let keep = self.text_start.unwrap_or(self.at).min(word);
        if keep == 0 || keep * 2 < self.buffer.len() {
            return;
        }
        if self.counted.index < keep {
            self.counted.advance(&self.buffer, keep);
        }
        self.buffer.drain(..keep);
        self.base += keep as u64;
        self.at -= keep;
        self.counted.index -= keep;
        // Places in the text under way; those of earlier statements do not matter any more.
        let version_comment = &mut self.mysql.version_comment_start;
        for index in [&mut self.opened, &mut self.parenthesis, &mut self.block_start, version_comment] {
            *index = index.saturating_sub(keep);
        }
        if let Some(start) = &mut self.text_start {
            *start -= keep;
        }
        if let Mode::Word(start) = &mut self.mode {
            *start -= keep;
        }
    }

    fn place(&self, index: usize) -> Place {
        let mut counted = self.counted;
        if index >= counted.index {
            counted.advance(&self.buffer, index);
        }
        Place { offset: self.base + index as u64, line: counted.line, column: counted.characters + 1 }
    }

    fn error(&self, kind: ScanErrorKind, index: usize) -> Box<ScanError> {
        Box::new(ScanError { kind, place: self.place(index) })
    }

    /// There are no more bytes in the buffer: is that the end?
    fn at_end(&mut self) -> Result<Option<Ready>, Box<ScanError>> {
        if let Some(kind) = self.poison.clone() {
            return Err(self.error(kind, self.buffer.len()));
        }
        if !self.finished {
            return Ok(None);
        }
        let unterminated = |what| Err(self.error(ScanErrorKind::Unterminated { what }, self.opened));
        match self.mode {
            Mode::Quoted(quote) => return unterminated(quote.what),
            Mode::DollarQuote => return unterminated("dollar quote"),
            // For SQLite the end of the script ends a comment too.
            Mode::BlockComment(_) if self.dialect != Dialect::Sqlite => return unterminated("comment"),
            Mode::CopyLine { .. } | Mode::CopyData { .. } => {
                return Err(self.copy_without_end());
            }
            Mode::Beginning
            | Mode::Between
            | Mode::Word(_)
            | Mode::Number
            | Mode::LineComment
            | Mode::BlockComment(_)
            | Mode::PassedCommand
            | Mode::DelimiterLine => {}
        }
        self.check_open()?;
        let ready = self.end_statement(self.buffer.len());
        if matches!(self.mode, Mode::CopyLine { .. }) && ready.is_none() {
            return Err(self.copy_without_end());
        }
        Ok(ready)
    }

    fn copy_without_end(&self) -> Box<ScanError> {
        Box::new(ScanError { kind: ScanErrorKind::CopyWithoutEnd, place: self.copy_place })
    }

    /// At the end nothing may be open.
    fn check_open(&mut self) -> Result<(), Box<ScanError>> {
        self.mysql.blocks.finish();
        let open_comment = self.mysql.version_comment.then_some(self.mysql.version_comment_start);
        if let Some(start) = open_comment {
            return Err(self.error(ScanErrorKind::Unterminated { what: "comment" }, start));
        }
        if self.depth > 0 {
            return Err(self.error(ScanErrorKind::OpenParenthesis, self.parenthesis));
        }
        let open_block = match self.dialect {
            Dialect::PostgreSql => self.block > 0,
            Dialect::MySql | Dialect::MariaDb => self.mysql.is_body_open(),
            Dialect::Sqlite => self.trigger.is_open(),
        };
        if open_block {
            return Err(self.error(ScanErrorKind::OpenBlock, self.block_start));
        }
        Ok(())
    }

    fn step(&mut self) -> Stepped {
        match self.mode {
            Mode::Beginning => Ok(self.skip_byte_order_mark()),
            Mode::Between => self.token(),
            Mode::Word(start) => self.word(start),
            Mode::Number => Ok(self.number()),
            Mode::LineComment | Mode::PassedCommand => Ok(self.pass_line()),
            Mode::BlockComment(depth) => Ok(self.block_comment(depth)),
            Mode::Quoted(quote) => Ok(self.quoted(quote)),
            Mode::DelimiterLine => self.delimiter_line(),
            Mode::DollarQuote => Ok(self.dollar_quote()),
            Mode::CopyLine { comment } => self.copy_line(comment),
            Mode::CopyData { line_begins } => Ok(self.copy_data(line_begins)),
        }
    }

    fn skip_byte_order_mark(&mut self) -> Step {
        let length = self.buffer.len().min(BYTE_ORDER_MARK.len());
        let is_mark = self.buffer[..length] == BYTE_ORDER_MARK[..length];
        if is_mark && length < BYTE_ORDER_MARK.len() && !self.finished && self.poison.is_none() {
            return Step::Need;
        }
        self.mode = Mode::Between;
        if is_mark && length == BYTE_ORDER_MARK.len() {
            self.at = length;
            // It is no character of the first line.
            self.counted.index = length;
        }
        Step::Go
    }

    /// Whether the bytes after the buffer can change what stands at its end.
    fn more_may_come(&self) -> bool {
        !self.finished && self.poison.is_none()
    }
}
