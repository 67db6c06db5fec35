//! The SQL of a script on its way from the file to the server, in pieces: a script of any size costs the same memory.
//!
//! file → pieces → text → checksum → placeholders. What is run is what was checksummed when the scripts were listed:
//!
//! | the script | is compared |
//! |---|---|
//! | runs in a transaction | while it goes by; a difference is found at the end, before anything is committed |
//! | does not | before its first statement; then each piece with what it was then, as it goes by |
//! | is small | as a whole |

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use whimbrel_migration::checksum::{Checksum, EncodingError};
use whimbrel_migration::encoding::{Decoder, Detector, Encoding};
use whimbrel_migration::explain::{Difference, Explaining};
use whimbrel_migration::placeholder::{PlaceholderError, Placeholders, Replacing};

use crate::files::FilesError;

/// What is read at once.
const PIECE: u64 = 128 * 1024;

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
    /// All of it, compared.
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

    /// The same, compared before anything of it is given out.
    pub(crate) fn compared(self) -> Result<Self, SourceError> {
        match self {
            Self::Pieces(pieces) => Ok(Self::Pieces(Box::new(pieces.compared()?))),
            whole => Ok(whole),
        }
    }

    /// All of it.
    pub(crate) fn text(mut self) -> Result<String, SourceError> {
        let mut text = self.next()?.unwrap_or_default();
        while let Some(piece) = self.next()? {
            text.push_str(&piece);
        }
        Ok(text)
    }
}

/// A file that is read in pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    path: PathBuf,
    file: fs::File,
    buffer: Vec<u8>,
    decoder: Decoder,
    encoding: Encoding,
    comparing: Comparing,
    replacing: Option<Replacing>,
}

/// How what is read is compared with what was checksummed.
#[derive(Debug)]
enum Comparing {
    /// By the checksum of all of it, at its end.
    AtTheEnd(Checksum, i32),
    /// Piece by piece, with what each of them was when the checksum was right.
    Pieces { marks: VecDeque<u64>, hasher: RandomState, is_begun: bool },
    /// It is over.
    Done,
}

impl Pieces {
    /// The text of an open file whose checksum is known.
    pub(crate) fn new(
        path: &Path,
        file: fs::File,
        encoding: Encoding,
        expected: i32,
        placeholders: Option<Placeholders>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            file,
            buffer: Vec::new(),
            decoder: Decoder::new(encoding),
            encoding,
            comparing: Comparing::AtTheEnd(Checksum::new(), expected),
            replacing: placeholders.map(Replacing::new),
        }
    }

    /// Reads it once, and begins again.
    fn compared(self) -> Result<Self, SourceError> {
        let Comparing::AtTheEnd(mut checksum, expected) = self.comparing else { return Ok(self) };
        let Self { path, mut file, mut buffer, mut decoder, encoding, replacing, .. } = self;
        let (hasher, mut marks) = (RandomState::new(), VecDeque::new());
        while read_piece(&mut file, &mut buffer)? {
            marks.push_back(hasher.hash_one(&buffer));
            checksum.feed(decoder.feed(&buffer)?.as_bytes())?;
        }
        decoder.finish()?;
        if checksum.finish()? != expected {
            return Err(FilesError::Changed(path).into());
        }
        file.rewind().map_err(FilesError::from)?;
        let decoder = Decoder::new(encoding);
        let comparing = Comparing::Pieces { marks, hasher, is_begun: false };
        Ok(Self { path, file, buffer, decoder, encoding, comparing, replacing })
    }

    fn next(&mut self) -> Result<Option<String>, SourceError> {
        while read_piece(&mut self.file, &mut self.buffer)? {
            let text = self.decoder.feed(&self.buffer)?;
            self.compare(&text)?;
            let text = match &mut self.replacing {
                Some(replacing) => replacing.feed(&text)?,
                None => text,
            };
            // All of a piece may be waiting for the end of a placeholder.
            if !text.is_empty() {
                return Ok(Some(text));
            }
        }
        self.end()
    }

    fn compare(&mut self, text: &str) -> Result<(), SourceError> {
        match &mut self.comparing {
            Comparing::AtTheEnd(checksum, _) => checksum.feed(text.as_bytes())?,
            Comparing::Pieces { marks, hasher, is_begun } => {
                if marks.pop_front() != Some(hasher.hash_one(&self.buffer)) {
                    return Err(changed(&self.path, *is_begun).into());
                }
                *is_begun = true;
            }
            Comparing::Done => {}
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Option<String>, SourceError> {
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(self.encoding));
        match std::mem::replace(&mut self.comparing, Comparing::Done) {
            Comparing::AtTheEnd(checksum, expected) => {
                decoder.finish()?;
                if checksum.finish()? != expected {
                    return Err(changed(&self.path, false).into());
                }
            }
            Comparing::Pieces { marks, is_begun, .. } if !marks.is_empty() => {
                return Err(changed(&self.path, is_begun).into());
            }
            Comparing::Pieces { .. } | Comparing::Done => {}
        }
        let rest = self.replacing.take().map(Replacing::finish).transpose()?.unwrap_or_default();
        Ok((!rest.is_empty()).then_some(rest))
    }
}

fn changed(path: &Path, midway: bool) -> FilesError {
    if midway { FilesError::ChangedMidway(path.to_owned()) } else { FilesError::Changed(path.to_owned()) }
}

/// The next bytes of a file: as many as a piece has, but at its end. Whether there were any.
fn read_piece(file: &mut fs::File, buffer: &mut Vec<u8>) -> Result<bool, FilesError> {
    buffer.clear();
    file.take(PIECE).read_to_end(buffer)?;
    Ok(!buffer.is_empty())
}

/// The encoding of a file by its bytes.
pub(crate) fn detect(path: &Path) -> Result<Encoding, FilesError> {
    let (mut file, mut buffer) = (fs::File::open(path)?, Vec::new());
    let mut detector = Detector::default();
    while read_piece(&mut file, &mut buffer)? {
        detector.feed(&buffer);
    }
    Ok(detector.finish())
}

/// What explains that an open file of any size does not have this checksum.
pub(crate) fn explain(mut file: fs::File, recorded: i32) -> Result<Option<Difference>, FilesError> {
    let (mut explaining, mut buffer) = (Explaining::new(recorded), Vec::new());
    while read_piece(&mut file, &mut buffer)? {
        explaining.feed(&buffer);
    }
    Ok(explaining.finish())
}

/// The checksum of an open file of any size.
pub(crate) fn checksum(mut file: fs::File, encoding: Encoding) -> Result<i32, SourceError> {
    let (mut decoder, mut buffer) = (Decoder::new(encoding), Vec::new());
    let mut checksum = Checksum::new();
    while read_piece(&mut file, &mut buffer)? {
        checksum.feed(decoder.feed(&buffer)?.as_bytes())?;
    }
    decoder.finish()?;
    Ok(checksum.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn pieces(path: &Path, encoding: Encoding, sum: i32, placeholders: Option<Placeholders>) -> Source {
        let file = fs::File::open(path).unwrap();
        Source::Pieces(Box::new(Pieces::new(path, file, encoding, sum, placeholders)))
    }

    fn sum_of(path: &Path, encoding: Encoding) -> i32 {
        checksum(fs::File::open(path).unwrap(), encoding).unwrap()
    }

    #[test]
    fn pieces_give_the_text_and_its_placeholders_wherever_they_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V1__a.sql");
        let unit = "SELECT 'é€', '${who}', '$${x}';\r\n";
        let piece = usize::try_from(PIECE).unwrap();
        for shift in 0..12 {
            let text = format!("{}{}", "-".repeat(shift), unit.repeat(3 * piece / unit.len()));
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let mut placeholders = Placeholders::default();
            placeholders.set("who", "birds");
            let replaced = placeholders.replace(&text).unwrap().into_owned();
            for (encoding, bytes) in [(Encoding::Utf8, text.as_bytes()), (Encoding::Utf16, &wide)] {
                fs::write(&path, bytes).unwrap();
                let sum = sum_of(&path, encoding);
                assert_eq!(sum, whimbrel_migration::checksum::of_bytes(text.as_bytes()).unwrap());
                let with = || pieces(&path, encoding, sum, Some(placeholders.clone()));
                assert_eq!(with().text().unwrap(), replaced);
                assert_eq!(with().compared().unwrap().text().unwrap(), replaced);
                assert_eq!(pieces(&path, encoding, sum, None).text().unwrap(), text);
            }
        }
    }

    #[test]
    fn a_file_that_changed_is_found_out_at_its_end_or_before_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V1__a.sql");
        fs::write(&path, "SELECT 1").unwrap();
        let sum = sum_of(&path, Encoding::Utf8);
        fs::write(&path, "SELECT 2").unwrap();
        let source = || pieces(&path, Encoding::Utf8, sum, None);
        for error in [source().text().unwrap_err(), source().compared().unwrap_err()] {
            assert!(matches!(error, SourceError::Files(FilesError::Changed(_))), "{error}");
        }
    }

    #[test]
    fn a_file_that_changes_behind_the_comparison_gives_nothing_that_was_not_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("V1__a.sql");
        let text = "SELECT 1;\n".repeat(50_000);
        let changes: [fn(&mut fs::File); 3] = [
            |file| file.write_all(b"X").unwrap(),
            |file| file.set_len(300_000).unwrap(),
            |file| {
                file.seek(std::io::SeekFrom::End(0)).unwrap();
                file.write_all(b"DROP TABLE a;").unwrap();
            },
        ];
        for change in changes {
            fs::write(&path, &text).unwrap();
            let sum = sum_of(&path, Encoding::Utf8);
            let mut source = pieces(&path, Encoding::Utf8, sum, None).compared().unwrap();
            let first = source.next().unwrap().unwrap();
            assert!(text.starts_with(&first));
            let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            file.seek(std::io::SeekFrom::Start(2 * PIECE)).unwrap();
            change(&mut file);
            let mut given = first;
            let error = loop {
                match source.next() {
                    Ok(Some(piece)) => given.push_str(&piece),
                    Ok(None) => panic!("it is found out"),
                    Err(error) => break error,
                }
            };
            assert!(text.starts_with(&given));
            assert!(matches!(error, SourceError::Files(FilesError::ChangedMidway(_))), "{error}");
        }
    }
}
