//! Files that arrive in pieces, cut anywhere: what encoding they have, and their text.

use std::borrow::Cow;

use super::{Encoding, HIGH};
use crate::checksum::{EncodingError, Utf8Check};

/// Turns a file into text piece by piece.
///
/// ```
/// use whimbrel_migration::encoding::{Decoder, Encoding};
///
/// let mut decoder = Decoder::new(Encoding::Utf16Le);
/// let mut text = decoder.feed(b"a\0\xE9")?;
/// text += &decoder.feed(b"\0")?;
/// decoder.finish()?;
/// assert_eq!(text, "aé");
/// # Ok::<(), whimbrel_migration::checksum::EncodingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    encoding: Encoding,
    /// The beginning of a character whose end is in the next piece.
    cut: Vec<u8>,
    /// Where in the file the next character is.
    offset: u64,
    line: u64,
}

/// What the bytes at hand mean.
#[derive(Default)]
struct Decoded {
    text: String,
    /// How many of them that is.
    used: usize,
    /// What comes then means nothing; otherwise it waits for the next piece.
    is_wrong: bool,
}

impl Decoder {
    /// Nothing has come yet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, cut: Vec::new(), offset: 0, line: 1 }
    }

    /// The text of the next piece, as far as its characters are complete.
    ///
    /// # Errors
    /// When a byte means nothing.
    pub fn feed(&mut self, piece: &[u8]) -> Result<String, EncodingError> {
        if self.cut.is_empty() {
            return self.take(piece);
        }
        let mut bytes = std::mem::take(&mut self.cut);
        bytes.extend_from_slice(piece);
        self.take(&bytes)
    }

    /// Whether all of it was text.
    ///
    /// # Errors
    /// When it ends in the middle of a character.
    pub fn finish(self) -> Result<(), EncodingError> {
        if self.cut.is_empty() { Ok(()) } else { Err(self.error()) }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<String, EncodingError> {
        let bytes = self.after_byte_order(bytes);
        let decoded = match self.encoding {
            Encoding::Utf8 => utf8(bytes),
            Encoding::Ascii => single_bytes(bytes, |byte| byte.is_ascii().then(|| char::from(byte))),
            Encoding::Latin1 => single_bytes(bytes, |byte| Some(char::from(byte))),
            Encoding::Windows1252 => single_bytes(bytes, windows_1252),
            Encoding::Utf16Be => utf16(bytes, u16::from_be_bytes),
            Encoding::Utf16Le => utf16(bytes, u16::from_le_bytes),
            // Too few bytes yet to know which of both it is.
            Encoding::Utf16 => Decoded::default(),
        };
        self.offset += decoded.used as u64;
        self.line += memchr::memchr_iter(b'\n', decoded.text.as_bytes()).count() as u64;
        if decoded.is_wrong {
            return Err(self.error());
        }
        self.cut.extend_from_slice(&bytes[decoded.used..]);
        Ok(decoded.text)
    }

    /// What follows the byte order mark of [`Encoding::Utf16`], which from then on is one of the two.
    fn after_byte_order<'bytes>(&mut self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        if self.encoding != Encoding::Utf16 || bytes.len() < 2 {
            return bytes;
        }
        let (encoding, mark) = match bytes {
            [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
            [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
            _ => (Encoding::Utf16Be, 0),
        };
        self.encoding = encoding;
        self.offset += mark as u64;
        &bytes[mark..]
    }

    fn error(&self) -> EncodingError {
        EncodingError { offset: self.offset, line: self.line }
    }
}

fn utf8(bytes: &[u8]) -> Decoded {
    let (text, is_wrong) = match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), false),
        Err(error) => (String::from_utf8_lossy(&bytes[..error.valid_up_to()]), error.error_len().is_some()),
    };
    Decoded { used: text.len(), text: text.into_owned(), is_wrong }
}

fn single_bytes(bytes: &[u8], character: impl Fn(u8) -> Option<char>) -> Decoded {
    let mut text = String::with_capacity(bytes.len());
    for (used, byte) in bytes.iter().enumerate() {
        match character(*byte) {
            Some(character) => text.push(character),
            None => return Decoded { text, used, is_wrong: true },
        }
    }
    Decoded { text, used: bytes.len(), is_wrong: false }
}

fn windows_1252(byte: u8) -> Option<char> {
    let character = match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    };
    (character != '\0' || byte == 0).then_some(character)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Decoded {
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut decoded = Decoded { text: String::with_capacity(bytes.len()), ..Decoded::default() };
    for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match character {
            Ok(character) => {
                decoded.text.push(character);
                decoded.used += character.len_utf16() * 2;
            }
            Err(error) => {
                // The first half of a pair may wait for the second one.
                let is_last = decoded.used + 2 == pairs.len() * 2;
                let is_first_half = (0xD800..0xDC00).contains(&error.unpaired_surrogate());
                decoded.is_wrong = !(is_last && is_first_half);
                break;
            }
        }
    }
    decoded
}

/// Guesses the encoding of a file (`detectEncoding`): a byte order mark, zeros in every second byte, UTF-8, else
/// ISO-8859-1, in which every byte means something.
#[derive(Debug, Clone)]
pub struct Detector {
    /// The first two bytes.
    head: Vec<u8>,
    length: u64,
    /// Zeros at even and at odd places.
    zeros: [u64; 2],
    /// As long as it may be UTF-8.
    utf8: Option<Utf8Check>,
}

impl Default for Detector {
    fn default() -> Self {
        Self { head: Vec::new(), length: 0, zeros: [0; 2], utf8: Some(Utf8Check::new()) }
    }
}

impl Detector {
    /// Looks at the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        self.head.extend(piece.iter().take(2 - self.head.len()));
        for place in memchr::memchr_iter(0, piece) {
            let is_odd = (self.length + place as u64) % 2 == 1;
            self.zeros[usize::from(is_odd)] += 1;
        }
        self.length += piece.len() as u64;
        self.utf8 = self.utf8.take().and_then(|mut utf8| utf8.feed(piece).is_ok().then_some(utf8));
    }

    /// What it is, once all pieces were fed.
    pub fn finish(self) -> Encoding {
        let is_utf8 = || self.utf8.as_ref().is_some_and(|utf8| utf8.finish().is_ok());
        let most = self.length / 4;
        match (self.length % 2, self.head.as_slice(), self.zeros) {
            (0, [0xFE, 0xFF], _) => Encoding::Utf16Be,
            (0, [0xFF, 0xFE], _) => Encoding::Utf16Le,
            (0, _, [_, odd]) if odd > most => Encoding::Utf16Le,
            (0, _, [even, _]) if even > most => Encoding::Utf16Be,
            _ if is_utf8() => Encoding::Utf8,
            _ => Encoding::Latin1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, pieces: &[&[u8]]) -> Result<String, EncodingError> {
        let mut decoder = Decoder::new(encoding);
        let mut text = String::new();
        for piece in pieces {
            text += &decoder.feed(piece)?;
        }
        decoder.finish().map(|()| text)
    }

    #[test]
    fn pieces_cut_anywhere_give_the_text_or_the_error_of_the_whole() {
        let utf16: Vec<u8> = "\u{feff}a\né🚀".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let files: [(Encoding, &[u8]); 8] = [
            (Encoding::Utf8, "a\né€🚀".as_bytes()),
            (Encoding::Utf8, b"a\n\xC3"),
            (Encoding::Ascii, b"a\n\xE9b"),
            (Encoding::Latin1, b"a\n\xE9b"),
            (Encoding::Windows1252, b"a\x80\n\x81"),
            (Encoding::Utf16, &utf16),
            (Encoding::Utf16Le, &utf16[..utf16.len() - 2]),
            (Encoding::Utf16Be, b"\0a\0\n\xD8\x3D\0a"),
        ];
        for (encoding, bytes) in files {
            let whole = decoded(encoding, &[bytes]);
            for one in 0..bytes.len() {
                for two in one..bytes.len() {
                    let pieces = [&bytes[..one], &bytes[one..two], &bytes[two..]];
                    assert_eq!(decoded(encoding, &pieces), whole, "{encoding:?} cut at {one} and {two}");
                }
            }
        }
    }

    #[test]
    fn the_encoding_is_the_same_wherever_a_file_is_cut() {
        for bytes in
            [b"S\0E\0L\0".as_slice(), b"\0S\0E", "é".as_bytes(), b"\xC3", b"\xFE\xFFab", b"\xFE\xFFa"]
        {
            let whole = Encoding::detect(bytes);
            for cut in 0..bytes.len() {
                let mut detector = Detector::default();
                detector.feed(&bytes[..cut]);
                detector.feed(&bytes[cut..]);
                assert_eq!(detector.finish(), whole, "{bytes:?} cut at {cut}");
            }
        }
    }
}
