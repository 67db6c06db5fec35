//! The lexical rules of PostgreSQL, as far as they decide where a statement ends.
//!
//! Tokens that may be long (quotes, comments, words, COPY data) are states that go on with the next piece,
//! so that every byte is looked at once, wherever the pieces are cut.

use memchr::{memchr, memchr2};

use super::{
    Effect, Piece, Place, ScanError, ScanErrorKind, Statement,
    classify::{Head, Keyword, Token},
};

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const BEGINNING: Place = Place { offset: 0, line: 1, column: 1 };

/// What the byte at hand belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A string; whether a backslash escapes.
    String {
        escapes: bool,
    },
    QuotedIdentifier,
    /// A dollar quote and its delimiter, both dollars included.
    DollarQuote(Vec<u8>),
    /// A psql command that is passed over.
    PassedCommand,
    /// Between `COPY … FROM STDIN;` and the end of its line; whether a comment began.
    CopyLine {
        comment: bool,
    },
    /// COPY data; whether a line begins here.
    CopyData {
        line_begins: bool,
    },
}

/// What a byte begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Word,
    Digit,
    /// 0xC2: a no-break space or part of a word.
    MaybeBlank,
    Other,
}

const CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C => Class::Blank,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::Word,
            b'0'..=b'9' => Class::Digit,
            0xC2 => Class::MaybeBlank,
            0x80..=0xFF => Class::Word,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
}

fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// A complete piece, as indices into the buffer.
enum Ready {
    Statement { text: std::ops::Range<usize>, text_place: Place, place: Place, effect: Effect },
    Data(std::ops::Range<usize>),
    CopyEnd,
}

/// What a step came to.
enum Step {
    /// Something was consumed; go on.
    Go,
    /// More bytes are needed.
    Need,
    Ready(Ready),
}

/// Where lines were counted up to.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// Index into the buffer.
    index: usize,
    line: u64,
    /// Characters between the beginning of the line and the index.
    characters: u64,
}

impl Counted {
    fn advance(&mut self, buffer: &[u8], index: usize) {
        let passed = &buffer[self.index.min(index)..index];
        self.index = index;
        let tail = match memchr::memrchr(b'\n', passed) {
            None => passed,
            Some(last) => {
                self.line += memchr::memchr_iter(b'\n', passed).count() as u64;
                self.characters = 0;
                &passed[last + 1..]
            }
        };
        self.characters += tail.iter().filter(|byte| (**byte & 0xC0) != 0x80).count() as u64;
    }
}

#[derive(Debug, Clone)]
pub(super) struct Lexer {
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
}

impl Lexer {
    pub(super) fn new() -> Self {
        Self {
            buffer: Vec::new(),
            base: 0,
            at: 0,
            mode: Mode::Beginning,
            opened: 0,
            finished: false,
            poison: None,
            held: Vec::new(),
            counted: Counted { index: 0, line: 1, characters: 0 },
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
        }
    }

    pub(super) fn set_standard_conforming_strings(&mut self, on: bool) {
        self.conforming_strings = on;
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
            match self.step()? {
                Step::Go => {}
                Step::Ready(ready) => break ready,
                Step::Need => match self.at_end()? {
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
        for index in [&mut self.opened, &mut self.parenthesis, &mut self.block_start] {
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

    fn error(&self, kind: ScanErrorKind, index: usize) -> ScanError {
        ScanError { kind, place: self.place(index) }
    }

    /// There are no more bytes in the buffer: is that the end?
    fn at_end(&mut self) -> Result<Option<Ready>, ScanError> {
        if let Some(kind) = self.poison.clone() {
            return Err(self.error(kind, self.buffer.len()));
        }
        if !self.finished {
            return Ok(None);
        }
        let unterminated = |what| Err(self.error(ScanErrorKind::Unterminated { what }, self.opened));
        match self.mode {
            Mode::String { .. } => return unterminated("string"),
            Mode::QuotedIdentifier => return unterminated("quoted identifier"),
            Mode::DollarQuote(_) => return unterminated("dollar quote"),
            Mode::BlockComment(_) => return unterminated("comment"),
            Mode::CopyLine { .. } | Mode::CopyData { .. } => {
                return Err(ScanError { kind: ScanErrorKind::CopyWithoutEnd, place: self.copy_place });
            }
            Mode::Beginning
            | Mode::Between
            | Mode::Word(_)
            | Mode::Number
            | Mode::LineComment
            | Mode::PassedCommand => {}
        }
        if self.depth > 0 {
            return Err(self.error(ScanErrorKind::OpenParenthesis, self.parenthesis));
        }
        if self.block > 0 {
            return Err(self.error(ScanErrorKind::OpenBlock, self.block_start));
        }
        let ready = self.end_statement(self.at);
        if matches!(self.mode, Mode::CopyLine { .. }) && ready.is_none() {
            return Err(ScanError { kind: ScanErrorKind::CopyWithoutEnd, place: self.copy_place });
        }
        Ok(ready)
    }

    fn step(&mut self) -> Result<Step, ScanError> {
        match self.mode {
            Mode::Beginning => Ok(self.skip_byte_order_mark()),
            Mode::Between => self.token(),
            Mode::Word(start) => Ok(self.word(start)),
            Mode::Number => Ok(self.number()),
            Mode::LineComment | Mode::PassedCommand => Ok(self.pass_line()),
            Mode::BlockComment(depth) => Ok(self.block_comment(depth)),
            Mode::String { escapes } => Ok(self.quoted(b'\'', escapes)),
            Mode::QuotedIdentifier => Ok(self.quoted(b'"', false)),
            Mode::DollarQuote(_) => Ok(self.dollar_quote()),
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

    fn token(&mut self) -> Result<Step, ScanError> {
        while let Some(&byte) = self.buffer.get(self.at) {
            match class(byte) {
                Class::Blank => self.at += 1,
                Class::Word => {
                    self.opened = self.at;
                    self.begin_token();
                    self.mode = Mode::Word(self.at);
                    return Ok(Step::Go);
                }
                Class::Digit => {
                    self.begin_token();
                    self.record(Token::Other);
                    self.mode = Mode::Number;
                    return Ok(Step::Go);
                }
                Class::MaybeBlank => match self.buffer.get(self.at + 1) {
                    None if self.more_may_come() => return Ok(Step::Need),
                    Some(0xA0) => self.at += 2,
                    _ => {
                        self.opened = self.at;
                        self.begin_token();
                        self.mode = Mode::Word(self.at);
                        return Ok(Step::Go);
                    }
                },
                Class::Other => return self.symbol(byte),
            }
        }
        Ok(Step::Need)
    }

    fn symbol(&mut self, byte: u8) -> Result<Step, ScanError> {
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

    /// The first token of a statement fixes its place.
    fn begin_token(&mut self) {
        if self.first_token.is_none() {
            self.begin_text();
            self.first_token = Some(self.count_to_here());
        }
    }

    fn begin_text(&mut self) {
        if self.text_start.is_none() {
            self.text_start = Some(self.at);
            self.text_place = self.count_to_here();
        }
    }

    fn count_to_here(&mut self) -> Place {
        self.counted.advance(&self.buffer, self.at);
        self.place(self.at)
    }

    fn record(&mut self, token: Token) {
        if self.depth == 0 {
            self.head.push(token);
        }
    }

    fn begin_comment(&mut self, mode: Mode) {
        self.begin_text();
        self.opened = self.at;
        self.mode = mode;
        self.at += 2;
    }

    fn open(&mut self, mode: Mode) {
        self.begin_token();
        self.record(Token::Other);
        self.opened = self.at;
        self.mode = mode;
        self.at += 1;
    }

    fn word(&mut self, start: usize) -> Step {
        while let Some(&byte) = self.buffer.get(self.at) {
            match class(byte) {
                Class::Word | Class::Digit => self.at += 1,
                Class::MaybeBlank => match self.buffer.get(self.at + 1) {
                    None if self.more_may_come() => return Step::Need,
                    Some(0xA0) => return self.end_word(start),
                    _ => self.at += 1,
                },
                Class::Other if byte == b'$' => self.at += 1,
                Class::Blank | Class::Other => return self.end_word(start),
            }
        }
        if self.more_may_come() { Step::Need } else { self.end_word(start) }
    }

    fn end_word(&mut self, start: usize) -> Step {
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
    fn block_word(&mut self, keyword: Option<Keyword>, start: usize) {
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

    fn number(&mut self) -> Step {
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

    fn pass_line(&mut self) -> Step {
        // A lone CR ends a comment for the server too.
        match memchr2(b'\n', b'\r', &self.buffer[self.at..]) {
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

    fn block_comment(&mut self, depth: u32) -> Step {
        while let Some(found) = memchr2(b'*', b'/', &self.buffer[self.at..]) {
            let index = self.at + found;
            let Some(&next) = self.buffer.get(index + 1) else {
                self.at = index;
                return Step::Need;
            };
            let depth_now = match (self.buffer[index], next) {
                (b'*', b'/') => depth - 1,
                (b'/', b'*') => depth + 1,
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

    fn quoted(&mut self, quote: u8, escapes: bool) -> Step {
        loop {
            let rest = &self.buffer[self.at..];
            let found = if escapes { memchr2(quote, b'\\', rest) } else { memchr(quote, rest) };
            let Some(found) = found else {
                self.at = self.buffer.len();
                return Step::Need;
            };
            let index = self.at + found;
            let next = self.buffer.get(index + 1);
            let is_pair = self.buffer[index] == b'\\' || next == Some(&quote);
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
    fn dollar(&mut self) -> Step {
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
            let delimiter = self.buffer[self.at..self.at + length + 2].to_vec();
            self.opened = self.at;
            self.at += delimiter.len();
            self.mode = Mode::DollarQuote(delimiter);
        } else {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.at += 1 + digits;
        }
        Step::Go
    }

    fn dollar_quote(&mut self) -> Step {
        let Mode::DollarQuote(delimiter) = &self.mode else { return Step::Go };
        match memchr::memmem::find(&self.buffer[self.at..], delimiter) {
            Some(found) => {
                self.at += found + delimiter.len();
                self.mode = Mode::Between;
                Step::Go
            }
            None => {
                // The delimiter may be cut: its beginning stays to be looked at again.
                let tail = (delimiter.len() - 1).min(self.buffer.len() - self.at);
                self.at = self.buffer.len() - tail;
                Step::Need
            }
        }
    }

    fn psql_command(&mut self) -> Result<Step, ScanError> {
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

    /// Ends the statement before `end`; nothing when it is empty.
    fn end_statement(&mut self, end: usize) -> Option<Ready> {
        let place = self.first_token.take();
        let start = self.text_start.take();
        let effect = self.head.effect();
        let sets_strings = self.head.sets_conforming_strings();
        self.head.clear();
        self.routine = false;
        self.after_begin = false;
        let (place, start) = (place?, start?);
        let end = start + trimmed_length(&self.buffer[start..end]);
        if sets_strings {
            self.conforming_strings = !ends_with_off(&self.buffer[start..end]);
        }
        if effect == Effect::CopyFromStdin {
            self.copy_place = place;
            self.mode = Mode::CopyLine { comment: false };
        }
        let text_place = self.text_place;
        Some(Ready::Statement { text: start..end, text_place, place, effect })
    }

    fn copy_line(&mut self, comment: bool) -> Result<Step, ScanError> {
        let mut comment = comment;
        while let Some(&byte) = self.buffer.get(self.at) {
            match byte {
                b'\n' => {
                    self.at += 1;
                    self.mode = Mode::CopyData { line_begins: true };
                    return Ok(Step::Go);
                }
                _ if comment => {}
                b' ' | b'\t' | b'\r' => {}
                b'-' => match self.buffer.get(self.at + 1) {
                    None if self.more_may_come() => return Ok(Step::Need),
                    Some(b'-') => {
                        comment = true;
                        self.mode = Mode::CopyLine { comment };
                    }
                    _ => return Err(self.error(ScanErrorKind::TextAfterCopy, self.at)),
                },
                _ => return Err(self.error(ScanErrorKind::TextAfterCopy, self.at)),
            }
            self.at += 1;
        }
        Ok(Step::Need)
    }

    fn copy_data(&mut self, line_begins: bool) -> Step {
        let start = self.at;
        let mut index = start;
        let mut line_begins = line_begins;
        while index < self.buffer.len() {
            let rest = &self.buffer[index..];
            if line_begins && rest[0] == b'\\' {
                match end_of_data(rest, !self.more_may_come()) {
                    EndOfData::No => {}
                    EndOfData::Yes(_) if index > start => break,
                    EndOfData::Yes(length) => {
                        self.at = index + length;
                        self.mode = Mode::Between;
                        return Step::Ready(Ready::CopyEnd);
                    }
                    EndOfData::Unknown => break,
                }
            }
            match memchr(b'\n', rest) {
                Some(end) => {
                    index += end + 1;
                    line_begins = true;
                }
                None => {
                    index = self.buffer.len();
                    line_begins = false;
                }
            }
        }
        self.at = index;
        self.mode = Mode::CopyData { line_begins };
        if index > start { Step::Ready(Ready::Data(start..index)) } else { Step::Need }
    }
}

/// Whether a line is the `\.` that ends COPY data.
enum EndOfData {
    No,
    /// Its length with the line end.
    Yes(usize),
    /// Its rest has not arrived.
    Unknown,
}

fn end_of_data(line: &[u8], complete: bool) -> EndOfData {
    match line.get(1) {
        Some(b'.') => {}
        None if !complete => return EndOfData::Unknown,
        _ => return EndOfData::No,
    }
    let rest = &line[2..];
    match rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
        Some(index) if rest[index] == b'\n' => EndOfData::Yes(2 + index + 1),
        Some(_) => EndOfData::No,
        None if complete => EndOfData::Yes(line.len()),
        None => EndOfData::Unknown,
    }
}

fn trimmed_length(text: &[u8]) -> usize {
    let mut length = text.len();
    loop {
        let before = length;
        while length > 0 && class(text[length - 1]) == Class::Blank {
            length -= 1;
        }
        if text[..length].ends_with(b"\xC2\xA0") {
            length -= 2;
        }
        if length == before {
            return length;
        }
    }
}

/// Whether a SET of a boolean turns it off.
fn ends_with_off(statement: &[u8]) -> bool {
    let statement = statement.trim_ascii_end();
    let statement = statement.strip_suffix(b"'").unwrap_or(statement);
    ["off", "false", "no", "0"].iter().any(|word| {
        statement.len() >= word.len()
            && statement[statement.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
    })
}
