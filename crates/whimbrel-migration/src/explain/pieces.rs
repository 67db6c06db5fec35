//! A file of any size, explained while its pieces go by: another encoding, or line ends that were counted. What else
//! explains a checksum would need other texts than the file's.

use super::{Difference, ENCODINGS, LineEnd};
use crate::{
    checksum::Checksum,
    encoding::{Decoder, Encoding},
};

/// Looks for what explains a checksum in a file that comes in pieces, cut anywhere.
pub struct Explaining {
    recorded: i32,
    utf8: Attempt,
    others: [Attempt; ENCODINGS.len()],
    line_ends: LineEnds,
}

impl Explaining {
    /// For this recorded checksum.
    pub fn new(recorded: i32) -> Self {
        Self {
            recorded,
            utf8: Attempt::new(Encoding::Utf8),
            others: ENCODINGS.map(Attempt::new),
            line_ends: LineEnds::default(),
        }
    }

    /// The next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.utf8.feed(piece);
        self.others.iter_mut().for_each(|attempt| attempt.feed(piece));
        self.line_ends.feed(piece);
    }

    /// What explains it, if anything of this does.
    pub fn finish(self) -> Option<Difference> {
        let (recorded, utf8) = (Some(self.recorded), self.utf8.finish());
        if utf8 == recorded {
            return Some(Difference::None);
        }
        let attempts = ENCODINGS.into_iter().zip(self.others);
        let mut found =
            attempts.filter_map(|(encoding, attempt)| (attempt.finish() == recorded).then_some(encoding));
        if let Some(encoding) = found.next() {
            return Some(match utf8 {
                Some(_) => Difference::ReadAs(encoding),
                None => Difference::Encoding(encoding),
            });
        }
        utf8.and_then(|_| self.line_ends.finish(self.recorded))
    }
}

/// The checksum that the file has in one encoding; nothing once a piece is none of that.
struct Attempt(Option<(Decoder, Checksum)>);

impl Attempt {
    fn new(encoding: Encoding) -> Self {
        Self(Some((Decoder::new(encoding), Checksum::new())))
    }

    fn feed(&mut self, piece: &[u8]) {
        self.0 = self.0.take().and_then(|(mut decoder, mut checksum)| {
            checksum.feed(decoder.feed(piece).ok()?.as_bytes()).ok()?;
            Some((decoder, checksum))
        });
    }

    fn finish(self) -> Option<i32> {
        let (decoder, checksum) = self.0?;
        decoder.finish().ok()?;
        checksum.finish().ok()
    }
}

/// Checksums that count line ends, as if all of them were one kind.
#[derive(Default)]
struct LineEnds {
    lf: crc32fast::Hasher,
    crlf: crc32fast::Hasher,
    /// The last byte was CR.
    pending: bool,
}

impl LineEnds {
    fn feed(&mut self, piece: &[u8]) {
        let mut lines = piece.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            if self.pending && !line.is_empty() {
                self.text(b"\r");
                self.pending = false;
            }
            let bare = line.strip_suffix(b"\r").unwrap_or(line);
            self.text(bare);
            self.pending |= bare.len() < line.len();
            if lines.peek().is_some() {
                self.lf.update(b"\n");
                self.crlf.update(b"\r\n");
                self.pending = false;
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.lf.update(text);
        self.crlf.update(text);
    }

    fn finish(mut self, recorded: i32) -> Option<Difference> {
        if self.pending {
            self.text(b"\r");
        }
        let sums = [(self.lf, LineEnd::Lf), (self.crlf, LineEnd::CrLf)];
        let found = sums.into_iter().find(|(sum, _)| sum.clone().finalize().cast_signed() == recorded);
        found.map(|(_, kind)| Difference::CountedLineEnds(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{checksum, explain::explain};

    #[test]
    fn pieces_cut_anywhere_are_explained_as_the_whole_is() {
        let text = "SELECT 'é€', 'a';\r\nSELECT '\r';\n\r\r\nSELECT 2;\r";
        let latin: Vec<u8> = "SELECT 'é';\r\nSELECT 2;\n".chars().map(|character| character as u8).collect();
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let sum = |text: &str| checksum::of_bytes(text.as_bytes()).expect("UTF-8");
        let counted = |text: &str| crc32fast::hash(text.as_bytes()).cast_signed();
        let lf = text.replace("\r\n", "\n");
        for (recorded, file) in [
            (sum(text), text.as_bytes()),
            (sum(text), utf16.as_slice()),
            (sum("SELECT 'é';\r\nSELECT 2;\n"), latin.as_slice()),
            (counted(&lf), text.as_bytes()),
            (counted(&lf.replace('\n', "\r\n")), text.as_bytes()),
            (sum("SELECT 3;"), text.as_bytes()),
        ] {
            let whole = explain(recorded, file);
            for size in [1, 2, 3, 5, file.len()] {
                let mut explaining = Explaining::new(recorded);
                file.chunks(size).for_each(|piece| explaining.feed(piece));
                assert_eq!(explaining.finish(), whole, "{size}");
            }
        }
    }
}
