//! Single bytes: what they begin, and which line they are in.

/// What a byte begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Blank,
    Word,
    Digit,
    /// The first byte of a blank beyond ASCII, or part of a word.
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
            0xC2 | 0xE1 | 0xE2 | 0xE3 => Class::MaybeBlank,
            0x80..=0xFF => Class::Word,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
}

pub(super) fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

const WORD_BYTES: [bool; 256] = word_bytes();

const fn word_bytes() -> [bool; 256] {
    let mut bytes = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = matches!(CLASSES[byte], Class::Word | Class::Digit)
            || matches!(byte as u8, b'$' | 0xE1 | 0xE2 | 0xE3);
        byte += 1;
    }
    bytes
}

/// Whether a byte belongs to the word before it; 0xC2 needs a look at the next one.
pub(super) fn continues_word(byte: u8) -> bool {
    WORD_BYTES[byte as usize]
}

/// How long the blank is that the bytes begin with, of those beyond ASCII that Flyway passes over: no-break space, the
/// spaces of Unicode, its line ends. A byte order mark is none: the server sees a second one. 0 where there is none; none
/// where that needs more bytes.
pub(super) fn wide_blank(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [0xC2, 0xA0, ..] => Some(2),
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..] => Some(3),
        [0xC2] | [0xE1] | [0xE2] | [0xE3] => None,
        [0xE1, 0x9A] | [0xE2, 0x80 | 0x81] | [0xE3, 0x80] => None,
        _ => Some(0),
    }
}

/// Where lines were counted up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// Index into the buffer.
    pub(super) index: usize,
    pub(super) line: u64,
    /// Characters between the beginning of the line and the index.
    pub(super) characters: u64,
}

impl Counted {
    pub(super) fn advance(&mut self, buffer: &[u8], index: usize) {
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
