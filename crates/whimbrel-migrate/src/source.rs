//! The SQL of a script on its way from the file to the server, in pieces: a script of any size costs the same memory.
//!
//! file → pieces of UTF-8 → checksum → placeholders. What was checksummed when the scripts were listed is compared at the
//! end, before anything is committed. Files that are small, or need a look at all of their bytes first (another
//! encoding), are one piece.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use whimbrel_migration::checksum::{Checksum, EncodingError};
use whimbrel_migration::placeholder::{PlaceholderError, Placeholders, Replacing};

use crate::files::FilesError;

/// Files above this many bytes come in pieces.
const WHOLE: u64 = 1024 * 1024;

/// What is read at once.
const PIECE: usize = 128 * 1024;

/// Why a source ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    #[error(transparent)]
    Placeholder(#[from] PlaceholderError),
}

/// The text of a script.
#[derive(Debug)]
pub(crate) enum Source {
    /// All of it, checked.
    Whole(Option<String>),
    /// Piece by piece.
    Pieces(Box<Pieces>),
    /// One that was looked at, and those behind it.
    Begun(String, Box<Source>),
}

impl Source {
    /// The next piece; none at the end, when all of it has been found to be what was checksummed.
    pub(crate) fn next(&mut self) -> Result<Option<String>, SourceError> {
        match self {
            Self::Whole(text) => Ok(text.take()),
            Self::Pieces(pieces) => pieces.next(),
            Self::Begun(first, rest) => {
                let first = std::mem::take(first);
                let rest = std::mem::replace(rest.as_mut(), Self::Whole(None));
                *self = rest;
                Ok(Some(first))
            }
        }
    }

    /// The first piece as well, for those who look at the head of a script.
    pub(crate) fn begin(mut self) -> Result<(String, Self), SourceError> {
        let first = self.next()?.unwrap_or_default();
        Ok((first.clone(), Self::Begun(first, Box::new(self))))
    }
}

/// A file that is read in pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    bytes: Bytes,
    checksum: Option<Checksum>,
    expected: i32,
    replacing: Option<Replacing>,
}

impl Pieces {
    /// Opens a file whose checksum is known.
    pub(crate) fn open(
        path: &Path,
        expected: i32,
        placeholders: Option<Placeholders>,
    ) -> Result<Self, FilesError> {
        let replacing = placeholders.map(Replacing::new);
        Ok(Self { bytes: Bytes::open(path)?, checksum: Some(Checksum::new()), expected, replacing })
    }

    fn next(&mut self) -> Result<Option<String>, SourceError> {
        loop {
            let Some(piece) = self.bytes.next()? else { return self.end() };
            if let Some(checksum) = &mut self.checksum {
                checksum.feed(&piece)?;
            }
            let text = self.bytes.text(piece)?;
            let text = match &mut self.replacing {
                Some(replacing) => replacing.feed(&text)?,
                None => text,
            };
            // All of a piece may be waiting for the end of a placeholder.
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
    }

    fn end(&mut self) -> Result<Option<String>, SourceError> {
        let Some(checksum) = self.checksum.take() else { return Ok(None) };
        if checksum.finish()? != self.expected {
            return Err(FilesError::Changed(self.bytes.path.clone()).into());
        }
        let rest = self.replacing.take().map(Replacing::finish).transpose()?.unwrap_or_default();
        Ok((!rest.is_empty()).then_some(rest))
    }
}

/// Whether a file comes in pieces.
pub(crate) fn is_large(path: &Path) -> Result<bool, FilesError> {
    Ok(fs::metadata(path)?.len() > WHOLE)
}

/// The checksum of a file of UTF-8, of any size.
pub(crate) fn checksum(path: &Path) -> Result<i32, SourceError> {
    let mut bytes = Bytes::open(path)?;
    let mut checksum = Checksum::new();
    while let Some(piece) = bytes.next()? {
        checksum.feed(&piece)?;
        bytes.keep(piece);
    }
    Ok(checksum.finish()?)
}

/// A file's bytes, and what of a character was cut off at the end of a piece.
#[derive(Debug)]
struct Bytes {
    path: PathBuf,
    file: fs::File,
    cut: Vec<u8>,
    buffer: Vec<u8>,
}

impl Bytes {
    fn open(path: &Path) -> Result<Self, FilesError> {
        let file = fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(FilesError::NotAFile(path.to_owned()));
        }
        Ok(Self { path: path.to_owned(), file, cut: Vec::new(), buffer: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, FilesError> {
        let mut piece = std::mem::take(&mut self.buffer);
        piece.resize(PIECE, 0);
        let read = self.file.read(&mut piece)?;
        piece.truncate(read);
        Ok((read > 0).then_some(piece))
    }

    /// Gives a piece's memory back.
    fn keep(&mut self, piece: Vec<u8>) {
        self.buffer = piece;
    }

    /// The piece as text; half a character at its end waits for the rest. The checksum has found all of it to be UTF-8.
    fn text(&mut self, piece: Vec<u8>) -> Result<String, EncodingError> {
        let bytes = if self.cut.is_empty() {
            piece
        } else {
            let mut joined = std::mem::take(&mut self.cut);
            joined.extend_from_slice(&piece);
            self.buffer = piece;
            joined
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                let mut bytes = error.into_bytes();
                self.cut = bytes.split_off(valid);
                String::from_utf8(bytes).map_err(|_| EncodingError { offset: 0, line: 1 })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut source: Pieces) -> Result<String, SourceError> {
        let mut text = String::new();
        while let Some(piece) = source.next()? {
            text.push_str(&piece);
        }
        Ok(text)
    }

    #[test]
    fn pieces_give_the_text_and_its_placeholders_wherever_they_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V1__a.sql");
        let unit = "SELECT 'é€', '${who}', '$${x}';\r\n";
        for shift in 0..12 {
            let text = format!("{}{}", "-".repeat(shift), unit.repeat(3 * PIECE / unit.len()));
            fs::write(&path, &text).unwrap();
            let sum = checksum(&path).unwrap();
            assert_eq!(sum, whimbrel_migration::checksum::of_bytes(text.as_bytes()).unwrap());
            let mut placeholders = Placeholders::default();
            placeholders.set("who", "birds");
            let whole = placeholders.replace(&text).unwrap().into_owned();
            assert_eq!(all(Pieces::open(&path, sum, Some(placeholders)).unwrap()).unwrap(), whole);
            assert_eq!(all(Pieces::open(&path, sum, None).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_changed_is_found_out_at_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V1__a.sql");
        fs::write(&path, "SELECT 1").unwrap();
        let sum = checksum(&path).unwrap();
        fs::write(&path, "SELECT 2").unwrap();
        let error = all(Pieces::open(&path, sum, None).unwrap()).unwrap_err();
        assert!(matches!(error, SourceError::Files(FilesError::Changed(_))), "{error}");
    }
}
