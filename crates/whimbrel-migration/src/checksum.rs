//! Flyway's checksum of a script: CRC-32 over its lines without their ends.
//!
//! A line ends with LF, CRLF or a lone CR, so every CR and LF is left out; one byte order mark at the very
//! beginning is left out too. What remains must be UTF-8: other encodings are turned into UTF-8 first.
//!
//! ```
//! use whimbrel_migration::checksum::{self, Checksum};
//!
//! let whole = checksum::of_bytes(b"CREATE TABLE bird (\n  id int\n);\n")?;
//! assert_eq!(whole, checksum::of_bytes(b"CREATE TABLE bird (\r\n  id int\r\n);")?, "line ends do not count");
//!
//! // A large file comes in pieces, cut anywhere.
//! let mut pieces = Checksum::new();
//! for piece in b"CREATE TABLE bird (\n  id int\n);\n".chunks(7) {
//!     pieces.feed(piece)?;
//! }
//! assert_eq!(pieces.finish()?, whole);
//! # Ok::<(), checksum::EncodingError>(())
//! ```

use memchr::memchr2;

use crate::finding::{Finding, FlywayCode};

const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// The bytes are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not UTF-8 at byte {offset} (line {line})")]
pub struct EncodingError {
    /// Offset of the first wrong byte, from 0.
    pub offset: u64,
    /// Its line, from 1.
    pub line: u64,
}

impl EncodingError {
    /// As a finding about a script.
    pub fn to_finding(&self, script: &str) -> Finding {
        Finding::error("not-utf8", format!("Unable to calculate checksum of {script}: {self}"))
            .coded(FlywayCode::Error)
            .in_script(script)
            .at(self.line, 1)
            .next_step("save the script as UTF-8, or name its encoding in its .conf file")
    }
}

/// The checksum of a whole script in memory.
///
/// # Errors
/// [`EncodingError`]: the bytes are not UTF-8.
pub fn of_bytes(bytes: &[u8]) -> Result<i32, EncodingError> {
    let mut checksum = Checksum::new();
    checksum.feed(bytes)?;
    checksum.finish()
}

/// The checksum of a script that arrives in pieces, cut anywhere.
#[derive(Debug, Clone)]
pub struct Checksum {
    crc: crc32fast::Hasher,
    utf8: Utf8Check,
    /// The first bytes, until it is known whether they are a byte order mark.
    head: Vec<u8>,
    head_done: bool,
}

impl Checksum {
    /// The checksum of nothing yet.
    pub fn new() -> Self {
        Self { crc: crc32fast::Hasher::new(), utf8: Utf8Check::new(), head: Vec::new(), head_done: false }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`EncodingError`]: the bytes are not UTF-8; it stays wrong from there on.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), EncodingError> {
        self.utf8.feed(piece)?;
        let mut rest = piece;
        if !self.head_done {
            let taken = rest.len().min(BYTE_ORDER_MARK.len() - self.head.len());
            self.head.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if self.head.len() < BYTE_ORDER_MARK.len() {
                return Ok(());
            }
            self.end_head();
        }
        add_without_line_ends(&mut self.crc, rest);
        Ok(())
    }

    /// The checksum, once all pieces were fed.
    ///
    /// # Errors
    /// [`EncodingError`]: the text ends inside of a character.
    pub fn finish(mut self) -> Result<i32, EncodingError> {
        self.utf8.finish()?;
        if !self.head_done {
            self.end_head();
        }
        Ok(self.crc.finalize().cast_signed())
    }

    fn end_head(&mut self) {
        self.head_done = true;
        if self.head != BYTE_ORDER_MARK {
            add_without_line_ends(&mut self.crc, &self.head);
        }
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

fn add_without_line_ends(crc: &mut crc32fast::Hasher, mut bytes: &[u8]) {
    while let Some(end) = memchr2(b'\r', b'\n', bytes) {
        crc.update(&bytes[..end]);
        bytes = &bytes[end + 1..];
    }
    crc.update(bytes);
}

/// Strict UTF-8 over pieces cut anywhere.
#[derive(Debug, Clone)]
pub(crate) struct Utf8Check {
    /// The beginning of a character whose end is in the next piece.
    partial: Vec<u8>,
    offset: u64,
    line: u64,
}

impl Utf8Check {
    pub(crate) fn new() -> Self {
        Self { partial: Vec::new(), offset: 0, line: 1 }
    }

    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), EncodingError> {
        let mut rest = piece;
        while !self.partial.is_empty() && !rest.is_empty() {
            self.partial.push(rest[0]);
            rest = &rest[1..];
            match std::str::from_utf8(&self.partial) {
                Ok(_) => {
                    self.offset += self.partial.len() as u64;
                    self.partial.clear();
                }
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(self.error()),
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => self.pass(rest),
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                self.pass(good);
                if error.error_len().is_some() {
                    return Err(self.error());
                }
                self.partial.extend_from_slice(bad);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), EncodingError> {
        if self.partial.is_empty() { Ok(()) } else { Err(self.error()) }
    }

    fn pass(&mut self, good: &[u8]) {
        self.offset += good.len() as u64;
        self.line += memchr::memchr_iter(b'\n', good).count() as u64;
    }

    fn error(&self) -> EncodingError {
        EncodingError { offset: self.offset, line: self.line }
    }
}
