//! Scripts in other encodings, turned into UTF-8 before anything else looks at them.
//!
//! Checksums, placeholders and statements are those of the text, whatever bytes it came in. Decoding is
//! strict: a byte that means nothing is an error, never a replacement character.

mod pieces;

use std::{borrow::Cow, str::FromStr};

pub use pieces::{Decoder, Detector};

use crate::{
    checksum::EncodingError,
    conf::ScriptConf,
    finding::{Finding, FlywayCode},
};

/// An encoding under the names that Java knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// `UTF-8`
    #[default]
    Utf8,
    /// `US-ASCII`
    Ascii,
    /// `ISO-8859-1`
    Latin1,
    /// `windows-1252`
    Windows1252,
    /// `UTF-16`: the byte order mark decides, without one the high byte comes first.
    Utf16,
    /// `UTF-16BE`
    Utf16Be,
    /// `UTF-16LE`
    Utf16Le,
}

/// Nobody here knows an encoding of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown encoding {0} (known: UTF-8, US-ASCII, ISO-8859-1, windows-1252, UTF-16, UTF-16BE, UTF-16LE)"
)]
pub struct UnknownEncoding(pub String);

impl UnknownEncoding {
    /// As a finding about the side file that names it.
    pub fn to_finding(&self, side_file: &str) -> Finding {
        Finding::error("bad-script-conf", self.to_string())
            .coded(FlywayCode::Fault)
            .in_script(side_file)
            .next_step("name one of these encodings")
    }
}

/// How the files of a set are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// The encoding of a file whose side file names none.
    pub encoding: Encoding,
    /// That encoding is guessed from the bytes instead (`detectEncoding`).
    pub detect: bool,
}

impl Reading {
    /// The encoding of a file by what is said about it: that of its side file, or the usual one. None where its bytes
    /// have to tell.
    ///
    /// # Errors
    /// When the side file names an encoding that nobody here knows.
    pub fn told(self, conf: &ScriptConf) -> Result<Option<Encoding>, UnknownEncoding> {
        match &conf.encoding {
            Some(name) => name.parse().map(Some),
            None => Ok((!self.detect).then_some(self.encoding)),
        }
    }

    /// The encoding of a file: that of its side file, the guessed one, or the usual one.
    ///
    /// # Errors
    /// When the side file names an encoding that nobody here knows.
    pub fn encoding_of(self, conf: &ScriptConf, bytes: &[u8]) -> Result<Encoding, UnknownEncoding> {
        Ok(self.told(conf)?.unwrap_or_else(|| Encoding::detect(bytes)))
    }
}

/// The other names by which Java knows an encoding, in any letter case.
const ALIASES: [(Encoding, &str); 7] = [
    (Encoding::Utf8, "UTF8 unicode-1-1-utf-8"),
    (
        Encoding::Ascii,
        "ASCII ascii7 us 646 cp367 IBM367 csASCII default iso-ir-6 ISO646-US ISO_646.irv:1983 ISO_646.irv:1991 \
         ANSI_X3.4-1968 ANSI_X3.4-1986",
    ),
    (
        Encoding::Latin1,
        "ISO8859_1 ISO8859-1 ISO_8859_1 ISO_8859-1 ISO_8859-1:1987 8859_1 latin1 l1 819 cp819 IBM819 IBM-819 \
         iso-ir-100 csISOLatin1",
    ),
    (Encoding::Windows1252, "cp1252 ibm1252 ibm-1252 cp5348"),
    (Encoding::Utf16, "UTF_16 utf16 unicode UnicodeBig"),
    (Encoding::Utf16Be, "UTF_16BE X-UTF-16BE ISO-10646-UCS-2 UnicodeBigUnmarked"),
    (Encoding::Utf16Le, "UTF_16LE X-UTF-16LE UnicodeLittleUnmarked"),
];

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let is_one_of = |aliases: &str| aliases.split(' ').any(|alias| alias.eq_ignore_ascii_case(name));
        let known = ALIASES.iter().find(|(encoding, aliases)| {
            encoding.name().eq_ignore_ascii_case(name) || (!name.is_empty() && is_one_of(aliases))
        });
        known.map(|(encoding, _)| *encoding).ok_or_else(|| UnknownEncoding(name.to_owned()))
    }
}

impl Encoding {
    /// The name that Java and everybody knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Ascii => "US-ASCII",
            Self::Latin1 => "ISO-8859-1",
            Self::Windows1252 => "windows-1252",
            Self::Utf16 => "UTF-16",
            Self::Utf16Be => "UTF-16BE",
            Self::Utf16Le => "UTF-16LE",
        }
    }

    /// The byte of a character in an encoding of one byte each; nothing where it has none.
    pub(crate) fn byte_of(self, character: char) -> Option<u8> {
        if self == Self::Windows1252
            && let Some(index) = HIGH.iter().position(|high| *high == character && character != '\0')
        {
            return u8::try_from(0x80 + index).ok();
        }
        u8::try_from(u32::from(character)).ok()
    }

    /// Guesses from the bytes (`detectEncoding`), as [`Detector`] does it.
    pub fn detect(bytes: &[u8]) -> Self {
        let mut detector = Detector::default();
        detector.feed(bytes);
        detector.finish()
    }

    /// The text of these bytes; its byte order mark stays, but for that of [`Encoding::Utf16`].
    ///
    /// # Errors
    /// [`EncodingError`]: a byte that means nothing in this encoding, with its line.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, EncodingError> {
        let is_utf8 = self == Self::Utf8 || (self == Self::Ascii && bytes.is_ascii());
        if is_utf8 && let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Cow::Borrowed(text));
        }
        let mut decoder = Decoder::new(self);
        let text = decoder.feed(bytes)?;
        decoder.finish()?;
        Ok(Cow::Owned(text))
    }
}

/// Windows-1252 from 0x80 on; NUL where the byte means nothing.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“',
    '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(Encoding::Utf8, "é€".as_bytes() => Ok("é€".into()))]
    #[test_case(Encoding::Ascii, b"a\n\xE9" => Err(EncodingError { offset: 2, line: 2 }))]
    #[test_case(Encoding::Latin1, b"h\xE9\x80" => Ok("hé\u{80}".into()))]
    #[test_case(Encoding::Windows1252, b"h\xE9\x80" => Ok("hé€".into()))]
    #[test_case(Encoding::Windows1252, b"\x81" => Err(EncodingError { offset: 0, line: 1 }))]
    #[test_case(Encoding::Utf16, b"\xFF\xFEa\0\xE9\0" => Ok("aé".into()))]
    #[test_case(Encoding::Utf16, b"\0a\0\xE9" => Ok("aé".into()))]
    #[test_case(Encoding::Utf16Le, b"=\xD8\x80\xDE" => Ok("🚀".into()))]
    #[test_case(Encoding::Utf16Le, b"a\0=\xD8" => Err(EncodingError { offset: 2, line: 1 }))]
    #[test_case(Encoding::Utf16Be, b"\0aX" => Err(EncodingError { offset: 2, line: 1 }))]
    fn bytes_become_text_or_an_error(encoding: Encoding, bytes: &[u8]) -> Result<String, EncodingError> {
        encoding.decode(bytes).map(Cow::into_owned)
    }

    #[test]
    fn the_encoding_can_be_guessed() {
        assert_eq!(Encoding::detect(b"SELECT 1"), Encoding::Utf8);
        assert_eq!(Encoding::detect(b"SELECT '\xE9'"), Encoding::Latin1);
        assert_eq!(Encoding::detect(b"S\0E\0"), Encoding::Utf16Le);
        assert_eq!(Encoding::detect(b"\0S\0E"), Encoding::Utf16Be);
        assert_eq!(Encoding::detect(b"\xFF\xFES\0"), Encoding::Utf16Le);
    }

    #[test]
    fn names_are_those_of_java() {
        assert_eq!("iso8859_1".parse(), Ok(Encoding::Latin1));
        assert_eq!("UTF-16LE".parse(), Ok(Encoding::Utf16Le));
        assert_eq!("ibm-819".parse(), Ok(Encoding::Latin1));
        assert_eq!("ansi_x3.4-1968".parse(), Ok(Encoding::Ascii));
        for unknown in ["KLINGON", "UTF_8", "latin-1", "windows_1252", " UTF-8", ""] {
            assert!(unknown.parse::<Encoding>().is_err(), "{unknown:?}");
        }
    }
}
