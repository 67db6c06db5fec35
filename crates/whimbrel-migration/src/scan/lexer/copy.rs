//! The data of `COPY … FROM STDIN`.

use memchr::memchr;

use super::{Lexer, Mode, Ready, Step, Stepped};
use crate::scan::ScanErrorKind;

impl Lexer {
    pub(super) fn copy_line(&mut self, comment: bool) -> Stepped {
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

    pub(super) fn copy_data(&mut self, line_begins: bool) -> Step {
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
                        return Step::Ready(Box::new(Ready::CopyEnd));
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
        if index > start { Step::Ready(Box::new(Ready::Data(start..index))) } else { Step::Need }
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
