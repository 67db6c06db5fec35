//! Values into files that the current user alone may read. A file is there whole or not at all.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use secrecy::{ExposeSecret, SecretString};

/// A value could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    #[source]
    source: io::Error,
}

/// What to do with a file that holds another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it.
    Keep,
    /// Put the new value in its place.
    Replace,
}

/// What became of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrittenKey {
    /// It is new.
    Created(PathBuf),
    /// It held this value already.
    Unchanged(PathBuf),
    /// It held another value, and holds the new one now.
    Replaced(PathBuf),
    /// It holds another value, which was left.
    Kept(PathBuf),
}

/// Writes the values of one secret, a file per key, and says what became of each.
///
/// # Errors
/// When a file cannot be read or written; the ones before it are written.
pub fn write_folder(
    folder: &Path,
    secret: &str,
    values: &BTreeMap<String, SecretString>,
    existing: Existing,
) -> Result<Vec<WrittenKey>, WriteError> {
    let folder = folder.join(secret);
    values.iter().map(|(key, value)| write_key(folder.join(key), value, existing)).collect()
}

fn write_key(path: PathBuf, value: &SecretString, existing: Existing) -> Result<WrittenKey, WriteError> {
    let wanted = value.expose_secret().as_bytes();
    if write_new_file(&path, wanted)? {
        return Ok(WrittenKey::Created(path));
    }
    let held = fs_err::read(&path).map_err(|source| WriteError { path: path.clone(), source })?;
    if held == wanted {
        return Ok(WrittenKey::Unchanged(path));
    }
    if existing == Existing::Keep {
        return Ok(WrittenKey::Kept(path));
    }
    let replace = || {
        let temporary = write_temporary(&path, wanted)?;
        fs_err::rename(&temporary, &path).inspect_err(|_| drop(fs_err::remove_file(&temporary)))
    };
    replace().map_err(|source| WriteError { path: path.clone(), source })?;
    Ok(WrittenKey::Replaced(path))
}

/// Writes a file that is not there yet, with mode 0600, in a folder that is made with mode 0700.
/// Answers `false`, and touches nothing, when there is one.
///
/// # Errors
/// When it cannot be written.
pub fn write_new_file(path: &Path, content: &[u8]) -> Result<bool, WriteError> {
    let write = || {
        if path.symlink_metadata().is_ok() {
            return Ok(false);
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let temporary = write_temporary(path, content)?;
        // A link, unlike a rename, fails when somebody else was first.
        let linked = fs_err::hard_link(&temporary, path);
        fs_err::remove_file(&temporary)?;
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    };
    write().map_err(|source| WriteError { path: path.to_owned(), source })
}

fn write_temporary(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_file_name(format!(".{name}.{}.{number}", std::process::id()));
    let mut file =
        fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), SecretString::from(*value))).collect()
    }

    #[test]
    fn values_are_written_once_and_never_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        let write = |pairs: &[(&str, &str)], existing| {
            write_folder(folder.path(), "orders-db", &values(pairs), existing).unwrap()
        };
        let (url, user) = (folder.path().join("orders-db/URL"), folder.path().join("orders-db/USER"));
        assert_eq!(write(&[("URL", "one")], Existing::Keep), [WrittenKey::Created(url.clone())]);
        assert_eq!(
            write(&[("URL", "two"), ("USER", "u")], Existing::Keep),
            [WrittenKey::Kept(url.clone()), WrittenKey::Created(user.clone())]
        );
        assert_eq!(fs_err::read_to_string(&url).unwrap(), "one");
        assert_eq!(
            write(&[("URL", "two"), ("USER", "u")], Existing::Replace),
            [WrittenKey::Replaced(url.clone()), WrittenKey::Unchanged(user)]
        );
        assert_eq!(fs_err::read_to_string(&url).unwrap(), "two");
        assert_eq!(fs_err::read_dir(folder.path().join("orders-db")).unwrap().count(), 2, "nothing is left");
    }

    #[test]
    fn files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), "s", &values(&[("K", "v")]), Existing::Keep).unwrap();
        let mode =
            |path: &str| fs_err::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("s"), mode("s/K")), (0o700, 0o600));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("target"), &link).unwrap();
        assert!(!write_new_file(&link, b"x").unwrap());
        assert!(!folder.path().join("target").exists());
    }
}
