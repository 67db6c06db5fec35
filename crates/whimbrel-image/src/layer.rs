//! Layers: plain tar archives whose bytes depend on names and contents only.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use tar::{Builder, EntryType, Header};

use crate::{Digest, FLYWAY_PATH, MediaType, Platform, ProgramFinding, RUNNER_PATH, SETTINGS_PATH, SQL_ROOT};
use crate::{PROGRAM_HEADERS, SqlSet, check_program};

/// Some bytes that a registry keeps under their digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    digest: Digest,
    media_type: MediaType,
    bytes: Bytes,
}

impl Blob {
    pub(crate) fn new(media_type: MediaType, bytes: Vec<u8>) -> Self {
        Self { digest: Digest::of(&bytes), media_type, bytes: bytes.into() }
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What the bytes are.
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        self.media_type
    }

    /// The bytes; cloning the handle copies nothing.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} {}, {} bytes)", self.media_type, self.digest, self.bytes.len())
    }
}

/// A layer could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot put `{path}` into a layer")]
pub struct LayerError {
    /// The path of the entry inside the image.
    pub path: String,
    /// What is wrong with it.
    #[source]
    pub source: io::Error,
}

/// The layer that holds the program. It is the same for every SQL set, so it is made once and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerLayer {
    pub(crate) blob: Blob,
    pub(crate) platform: Platform,
}

impl RunnerLayer {
    /// The layer's digest.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.blob.digest()
    }
}

/// Why there is no layer for a program.
#[derive(Debug, thiserror::Error)]
pub enum RunnerLayerError {
    /// The program cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The program would not run in an image of this platform.
    #[error(transparent)]
    Program(#[from] ProgramFinding),
    /// The archive could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// Packs a program of `size` bytes, after a check that it is a static program of the image's platform.
///
/// It is read in pieces into its place: programs are large, and a copy of one takes as long as its digest.
pub fn runner_layer(
    mut program: impl Read,
    size: u64,
    platform: Platform,
) -> Result<RunnerLayer, RunnerLayerError> {
    let mut beginning = Vec::new();
    program.by_ref().take(PROGRAM_HEADERS).read_to_end(&mut beginning).map_err(RunnerLayerError::Read)?;
    check_program(&beginning, platform)?;
    let mut layer = LayerWriter::with_capacity(usize::try_from(size).unwrap_or_default());
    layer.file_from(RUNNER_PATH, Exactly { inner: beginning.chain(program), left: size }, EXECUTABLE)?;
    layer.hard_link(FLYWAY_PATH, RUNNER_PATH)?;
    Ok(RunnerLayer { blob: layer.finish()?, platform })
}

/// Reads as many bytes as were promised, and fails where there are fewer: the archive has told the size already.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.by_ref().take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter while it was read"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Packs the scripts of all databases and, when given, the settings.
pub(crate) fn sql_layer(sql: &SqlSet, settings: Option<&str>) -> Result<Blob, LayerError> {
    let size: usize = sql.iter().map(|(_, _, bytes)| bytes.len() + 1024).sum();
    let mut layer = LayerWriter::with_capacity(size);
    layer.directory(SQL_ROOT)?;
    for (database, path, bytes) in sql.iter() {
        layer.file(&format!("{SQL_ROOT}/{database}/{path}"), bytes, PLAIN)?;
    }
    if let Some(settings) = settings {
        layer.file(SETTINGS_PATH, settings.as_bytes(), PLAIN)?;
    }
    layer.finish()
}

const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;

/// Writes entries in the order of the calls, each folder once and before what is in it.
struct LayerWriter {
    archive: Builder<Vec<u8>>,
    directories: BTreeSet<String>,
}

impl LayerWriter {
    fn with_capacity(bytes: usize) -> Self {
        let archive = Builder::new(Vec::with_capacity(bytes + 8 * 1024));
        Self { archive, directories: BTreeSet::new() }
    }

    fn file(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), LayerError> {
        self.file_from(path, Exactly { inner: bytes, left: bytes.len() as u64 }, mode)
    }

    fn file_from(&mut self, path: &str, content: Exactly<impl Read>, mode: u32) -> Result<(), LayerError> {
        self.parents(path)?;
        let mut header = header(EntryType::Regular, mode, content.left);
        named(path, self.archive.append_data(&mut header, relative(path), content))
    }

    fn hard_link(&mut self, path: &str, target: &str) -> Result<(), LayerError> {
        self.parents(path)?;
        let mut header = header(EntryType::Link, EXECUTABLE, 0);
        named(path, self.archive.append_link(&mut header, relative(path), relative(target)))
    }

    fn parents(&mut self, path: &str) -> Result<(), LayerError> {
        match path.rsplit_once('/') {
            Some(("", _)) | None => Ok(()),
            Some((parent, _)) => self.directory(parent),
        }
    }

    fn directory(&mut self, path: &str) -> Result<(), LayerError> {
        if self.directories.contains(path) {
            return Ok(());
        }
        self.parents(path)?;
        self.directories.insert(path.to_owned());
        let mut header = header(EntryType::Directory, EXECUTABLE, 0);
        named(path, self.archive.append_data(&mut header, format!("{}/", relative(path)), io::empty()))
    }

    fn finish(self) -> Result<Blob, LayerError> {
        let bytes =
            self.archive.into_inner().map_err(|source| LayerError { path: "/".to_owned(), source })?;
        Ok(Blob::new(MediaType::Layer, bytes))
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    // A new header has no times, no owner names and no extensions.
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

fn named(path: &str, result: io::Result<()>) -> Result<(), LayerError> {
    result.map_err(|source| LayerError { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::samples;

    fn entries(blob: &Blob) -> Vec<String> {
        let mut archive = tar::Archive::new(&blob.bytes()[..]);
        let describe = |entry: io::Result<tar::Entry<'_, _>>| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
            let link = entry.link_name().unwrap().map(|l| format!(" -> {}", l.display())).unwrap_or_default();
            format!(
                "{:?} {:o} {}{link}",
                header.entry_type(),
                header.mode().unwrap(),
                entry.path().unwrap().display()
            )
        };
        archive.entries().unwrap().map(describe).collect()
    }

    #[test]
    fn program_that_becomes_shorter_is_refused() {
        let program = samples::static_pie();
        let packed = runner_layer(&program[..], program.len() as u64 + 1, Platform::LinuxAmd64);
        assert!(matches!(packed, Err(RunnerLayerError::Layer(_))), "{packed:?}");
    }

    #[test]
    fn sql_layer_has_sorted_entries_and_explicit_folders() {
        let mut sql = SqlSet::default();
        sql.insert("platform", "sub/V2__b.sql", b"b".to_vec(), "x").unwrap();
        sql.insert("agents", "V1__a.sql", b"a".to_vec(), "x").unwrap();
        let blob = sql_layer(&sql, Some("schema = 1\n")).unwrap();
        insta::assert_snapshot!(entries(&blob).join("\n"), @r"
        Directory 755 flyway/
        Directory 755 flyway/sql/
        Directory 755 flyway/sql/agents/
        Regular 644 flyway/sql/agents/V1__a.sql
        Directory 755 flyway/sql/platform/
        Directory 755 flyway/sql/platform/sub/
        Regular 644 flyway/sql/platform/sub/V2__b.sql
        Regular 644 flyway/whimbrel.toml
        ");
    }

    #[test]
    fn runner_has_two_names_and_one_content() {
        let program = samples::static_pie();
        let layer = runner_layer(&program[..], program.len() as u64, Platform::LinuxAmd64).unwrap();
        insta::assert_snapshot!(entries(&layer.blob).join("\n"), @r"
        Regular 755 whimbrel-migrate
        Directory 755 flyway/
        Link 755 flyway/flyway -> whimbrel-migrate
        ");
    }

    #[test]
    fn long_names_survive() {
        let mut sql = SqlSet::default();
        let name = format!("{}/V1__{}.sql", "d".repeat(90), "n".repeat(150));
        sql.insert("app", &name, b"x".to_vec(), "x").unwrap();
        let blob = sql_layer(&sql, None).unwrap();
        let last = entries(&blob).pop().unwrap();
        assert!(last.ends_with(&name), "{last}");
    }
}
