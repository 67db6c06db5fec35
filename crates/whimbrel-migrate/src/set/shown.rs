//! The SQL of a script as people may see it: after its placeholders, without what is secret.
//!
//! That of a small script is kept. That of a large one is read when it is shown, unit by unit, so that whoever shows it
//! needs no room for all of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use whimbrel_migration::encoding::Encoding;
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::redact::{Redacting, redact_values};

use crate::files;
use crate::source::{Pieces, Source, SourceError};

/// SQL to show.
#[derive(Clone)]
pub struct ShownSql(Text);

#[derive(Clone)]
enum Text {
    Whole(String),
    Large(Arc<Large>),
}

/// A file that is read when it is shown.
pub(super) struct Large {
    pub(super) path: PathBuf,
    pub(super) encoding: Encoding,
    pub(super) raw_checksum: i32,
    pub(super) placeholders: Option<Placeholders>,
    pub(super) secrets: Vec<String>,
}

impl ShownSql {
    pub(super) fn whole(text: &str, secrets: &[String]) -> Self {
        Self(Text::Whole(redact_values(text, secrets.iter().map(String::as_str)).into_owned()))
    }

    /// A text that needs no file.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self::whole(text, &[])
    }

    pub(super) fn large(file: Large) -> Self {
        Self(Text::Large(Arc::new(file)))
    }

    /// All of it where it is at hand, as that of every small script is.
    pub fn at_hand(&self) -> Option<&str> {
        match &self.0 {
            Text::Whole(text) => Some(text),
            Text::Large(_) => None,
        }
    }

    /// Gives it away, unit by unit. A file that cannot be read any more, or is another one by now, is told as a comment
    /// at the end.
    ///
    /// # Errors
    /// Those of the one who takes it.
    pub fn each<E>(&self, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        match &self.0 {
            Text::Whole(text) => take(text),
            Text::Large(file) => {
                let mut redacting = Redacting::new(file.secrets.iter().cloned());
                let ended = file.each_piece(|piece| take(&redacting.feed(piece)))?;
                take(&redacting.finish())?;
                match ended {
                    Ok(()) => Ok(()),
                    Err(error) => take(&format!("\n-- not all of it could be shown: {error}\n")),
                }
            }
        }
    }
}

impl Large {
    /// The pieces of the text, and how its reading ended.
    fn each_piece<E>(
        &self,
        mut take: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Result<(), SourceError>, E> {
        let mut source = match files::open(&self.path) {
            Ok((file, _)) => {
                let placeholders = self.placeholders.clone();
                let pieces = Pieces::new(&self.path, file, self.encoding, self.raw_checksum, placeholders);
                Source::Pieces(Box::new(pieces))
            }
            Err(error) => return Ok(Err(error.into())),
        };
        loop {
            match source.next() {
                Ok(Some(piece)) => take(&piece)?,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}

impl fmt::Display for ShownSql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each(|text| f.write_str(text))
    }
}

impl Serialize for ShownSql {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for ShownSql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Text::Whole(text) => f.debug_tuple("ShownSql").field(text).finish(),
            Text::Large(file) => f.debug_tuple("ShownSql").field(&file.path).finish(),
        }
    }
}

impl PartialEq for ShownSql {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Text::Whole(mine), Text::Whole(theirs)) => mine == theirs,
            (Text::Large(mine), Text::Large(theirs)) => {
                (&mine.path, mine.raw_checksum) == (&theirs.path, theirs.raw_checksum)
            }
            _ => false,
        }
    }
}

impl Eq for ShownSql {}
