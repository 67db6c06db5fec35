//! Reading a folder of scripts.
//!
//! Only regular files with a suffix of scripts (`.sql`, unless the project says otherwise), and `.conf` files of such
//! names, are read. A `.env`, a key, a `.git` beside them never gets
//! into an image. Links are followed inside the folder and refused when they lead out of it. Pipes and devices are
//! never opened: reading one could wait for ever.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One script or its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedFile {
    /// The path inside the folder, with `/` between its parts.
    pub path: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// Something in the folder that looks as if it should be read, and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is left out.
    pub reason: SkipReason,
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A link that leads out of the folder, or to nothing.
    OutsideLink,
    /// A pipe, a socket or a device.
    NotRegular,
    /// A file that may hold a secret: `.env`, a private key.
    MaybeSecret,
    /// A name that is not UTF-8.
    NotUtf8,
    /// Larger than any script that can be carried.
    TooLarge,
}

impl SkipReason {
    /// The stable name of the reason.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::OutsideLink => "link-leads-outside",
            Self::NotRegular => "not-a-regular-file",
            Self::MaybeSecret => "maybe-a-secret",
            Self::NotUtf8 => "name-not-utf8",
            Self::TooLarge => "file-too-large",
        }
    }

    /// What is wrong, in words that follow the path.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::OutsideLink => "a link that leads out of the folder: not packed",
            Self::NotRegular => "not a regular file: not opened",
            Self::MaybeSecret => "looks like a secret: not packed",
            Self::NotUtf8 => "the name is not UTF-8: not packed",
            Self::TooLarge => "larger than 256 MiB: not packed",
        }
    }
}

/// What a folder holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Scripts and their settings, sorted by path.
    pub files: Vec<ScannedFile>,
    /// What was left out and might surprise.
    pub skipped: Vec<Skipped>,
}

/// A folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is no such folder.
    #[error("{} is not there", .0.display())]
    Missing(PathBuf),
    /// Something else stands under the folder's name.
    #[error("{} is not a folder", .0.display())]
    NotFolder(PathBuf),
    /// The system would not let us read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

const LARGEST: u64 = 256 * 1024 * 1024;
/// How often a file that is being written is read again, and how long between.
const SETTLE_TRIES: u32 = 5;
const SETTLE_PAUSE: Duration = Duration::from_millis(10);

/// Reads a folder: the files with one of these suffixes (in any letter case, as the runner sees them). Files that vanish or
/// change while they are read are looked at again.
pub fn scan(location: &Path, suffixes: &[String]) -> Result<Scan, ScanError> {
    let io_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ScanError::Missing(location.to_owned()),
        _ => ScanError::Io { path: location.to_owned(), source },
    };
    if !fs_err::metadata(location).map_err(io_error)?.is_dir() {
        return Err(ScanError::NotFolder(location.to_owned()));
    }
    let root = fs_err::canonicalize(location).map_err(io_error)?;
    let mut scanner = Scanner { root, suffixes, scan: Scan::default(), visited: BTreeSet::new() };
    scanner.folder(location, "")?;
    let mut scan = scanner.scan;
    scan.files.sort_by(|a, b| a.path.cmp(&b.path));
    scan.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}

/// Whether a file of this name can be a script or the settings of one.
#[must_use]
pub fn is_candidate(name: &str, suffixes: &[String]) -> bool {
    let script = name.strip_suffix(".conf").unwrap_or(name);
    let ends_with = |suffix: &String| {
        let start = script.len().checked_sub(suffix.len());
        start.and_then(|start| script.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    suffixes.iter().any(ends_with) && !is_temporary(name)
}

/// Whether editors make files of this name beside the one that is edited.
#[must_use]
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.')
        || name.ends_with('~')
        || name.starts_with('#') && name.ends_with('#')
        || name.ends_with("___jb_tmp___")
        || name.ends_with("___jb_old___")
        || name.starts_with("flymake_")
        || name.ends_with("-go-tmp-umask")
        || Path::new(name).extension().is_some_and(|e| e == "tmp" || e == "swp" || e == "swx" || e == "bak")
        || name == "4913"
}

fn may_be_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower == ".env"
        || lower.starts_with(".env.")
        || lower.starts_with("id_rsa")
        || lower.starts_with("id_ed25519")
        || lower == ".pgpass"
        || [".key", ".pem", ".p12", ".pfx", ".env"].iter().any(|end| lower.ends_with(end))
}

struct Scanner<'a> {
    root: PathBuf,
    suffixes: &'a [String],
    scan: Scan,
    /// Canonical folders on the way, so that a link to a parent ends.
    visited: BTreeSet<PathBuf>,
}

impl Scanner<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), ScanError> {
        let canonical = match fs_err::canonicalize(folder) {
            Ok(canonical) => canonical,
            // Removed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(ScanError::Io { path: folder.to_owned(), source }),
        };
        if !self.visited.insert(canonical.clone()) {
            return Ok(());
        }
        let failed = |source| ScanError::Io { path: folder.to_owned(), source };
        let entries = match fs_err::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed(source)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            self.entry(&entry.path(), &entry.file_name(), prefix)?;
        }
        // Two links to one folder are two places; only a cycle is cut.
        self.visited.remove(&canonical);
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &OsStr, prefix: &str) -> Result<(), ScanError> {
        let Some(name) = name.to_str() else {
            if name.to_string_lossy().ends_with(".sql") {
                self.skip(path, SkipReason::NotUtf8);
            }
            return Ok(());
        };
        if may_be_secret(name) {
            self.skip(path, SkipReason::MaybeSecret);
            return Ok(());
        }
        if is_temporary(name) {
            return Ok(());
        }
        let Some(metadata) = self.target(path, name)? else { return Ok(()) };
        let relative = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        if metadata.is_dir() {
            self.folder(path, &relative)
        } else if !is_candidate(name, self.suffixes) {
            Ok(())
        } else if !metadata.is_file() {
            self.skip(path, SkipReason::NotRegular);
            Ok(())
        } else if metadata.len() > LARGEST {
            self.skip(path, SkipReason::TooLarge);
            Ok(())
        } else {
            if let Some(bytes) = read_settled(path)? {
                self.scan.files.push(ScannedFile { path: relative, bytes });
            }
            Ok(())
        }
    }

    /// What a name stands for, with links followed inside the folder. `None`: nothing to read.
    fn target(&mut self, path: &Path, name: &str) -> Result<Option<Metadata>, ScanError> {
        let failed = |source| ScanError::Io { path: path.to_owned(), source };
        let metadata = match fs_err::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        if !metadata.is_symlink() {
            return Ok(Some(metadata));
        }
        match fs_err::canonicalize(path) {
            Ok(target) if target.starts_with(&self.root) => {
                fs_err::metadata(&target).map(Some).map_err(failed)
            }
            _ => {
                if is_candidate(name, self.suffixes) || !name.contains('.') {
                    self.skip(path, SkipReason::OutsideLink);
                }
                Ok(None)
            }
        }
    }

    fn skip(&mut self, path: &Path, reason: SkipReason) {
        self.scan.skipped.push(Skipped { path: path.to_owned(), reason });
    }
}

/// Reads a file that may be written to at this moment. `None`: it vanished.
fn read_settled(path: &Path) -> Result<Option<Vec<u8>>, ScanError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match read_once(path) {
            Ok((bytes, settled)) if settled || tries == SETTLE_TRIES => return Ok(Some(bytes)),
            Ok(_) => std::thread::sleep(SETTLE_PAUSE),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ScanError::Io { path: path.to_owned(), source }),
        }
    }
}

fn read_once(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let before = fs_err::metadata(path)?;
    let bytes = fs_err::read(path)?;
    let after = fs_err::metadata(path)?;
    let unchanged = before.len() == after.len() && before.modified().ok() == after.modified().ok();
    let settled = unchanged && after.len() == bytes.len() as u64;
    Ok((bytes, settled))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use test_case::test_case;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        folder
    }

    fn paths(scan: &Scan) -> Vec<&str> {
        scan.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn scripts_are_read_and_nothing_else() {
        let folder = folder(&[
            ("V1__a.sql", "select 1;"),
            ("sub/R__b.sql", "select 2;"),
            ("V1__a.sql.conf", "executeInTransaction=false"),
            ("README.md", "no"),
            (".env", "PASSWORD=x"),
            ("server.key", "x"),
            ("id_rsa", "x"),
            (".git/V9__x.sql", "x"),
            (".V2__x.sql.swp", "x"),
            ("V2__x.sql~", "x"),
        ]);
        let scan = scan(folder.path(), &[".sql".to_owned()]).unwrap();
        assert_eq!(paths(&scan), ["V1__a.sql", "V1__a.sql.conf", "sub/R__b.sql"]);
        assert_eq!(scan.files[0].bytes, b"select 1;");
        assert_eq!(scan.skipped.len(), 3);
        assert!(scan.skipped.iter().all(|skipped| skipped.reason == SkipReason::MaybeSecret));
    }

    #[test]
    fn links_are_followed_inside_and_refused_outside() {
        let outside = folder(&[("V3__secret.sql", "x")]);
        let folder = folder(&[("real/V1__a.sql", "a")]);
        symlink(folder.path().join("real/V1__a.sql"), folder.path().join("V2__b.sql")).unwrap();
        symlink(outside.path().join("V3__secret.sql"), folder.path().join("V3__c.sql")).unwrap();
        symlink(outside.path(), folder.path().join("elsewhere")).unwrap();
        symlink(folder.path(), folder.path().join("real/cycle")).unwrap();
        let scan = scan(folder.path(), &[".sql".to_owned()]).unwrap();
        assert_eq!(paths(&scan), ["V2__b.sql", "real/V1__a.sql"]);
        let reasons: Vec<SkipReason> = scan.skipped.iter().map(|skipped| skipped.reason).collect();
        assert_eq!(reasons, [SkipReason::OutsideLink, SkipReason::OutsideLink]);
    }

    #[test]
    fn sockets_are_not_opened() {
        let folder = folder(&[]);
        let _socket = UnixListener::bind(folder.path().join("V1__a.sql")).unwrap();
        let scan = scan(folder.path(), &[".sql".to_owned()]).unwrap();
        assert!(scan.files.is_empty());
        assert_eq!(scan.skipped[0].reason, SkipReason::NotRegular);
    }

    #[test]
    fn missing_folder_is_told_from_a_file() {
        let folder = folder(&[("file", "")]);
        assert!(matches!(scan(&folder.path().join("gone"), &[]), Err(ScanError::Missing(_))));
        assert!(matches!(scan(&folder.path().join("file"), &[]), Err(ScanError::NotFolder(_))));
    }

    #[test_case("V1__a.sql", false)]
    #[test_case(".V1__a.sql.swp", true)]
    #[test_case("V1__a.sql~", true)]
    #[test_case("#V1__a.sql#", true)]
    #[test_case("V1__a.sql___jb_tmp___", true)]
    #[test_case("4913", true)]
    fn files_of_editors_are_known(name: &str, expected: bool) {
        assert_eq!(is_temporary(name), expected);
    }
}
