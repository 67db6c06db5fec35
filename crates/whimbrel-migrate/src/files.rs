//! The scripts of a database as they lie on disk.
//!
//! A location is a folder, or a pattern: `*` stands for characters within one name, `?` for one of them, `**` for any
//! number of folders. Locations are walked to the bottom; hidden folders are passed over (a ConfigMap's `..data` is
//! one). Links are followed as long as they stay inside their location. What is listed are names; bytes are read
//! later, and what is run is what was checksummed, or nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::FileType;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

mod pattern;

use pattern::Pattern;

/// A regular file below a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path below the location, with `/`: what the history calls the script.
    pub script: String,
    /// Its name without folders.
    pub name: String,
    /// Where to read it.
    pub path: PathBuf,
    /// Whether something with its name and `.conf` lies beside it.
    pub has_conf: bool,
}

/// What was found in the locations.
#[derive(Clone, Debug, Default)]
pub struct FoundFiles {
    /// Files in the order of their scripts.
    pub files: Vec<FoundFile>,
    /// Locations that do not exist.
    pub missing: Vec<PathBuf>,
}

/// The files could not be listed or read.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The file system said no; the cause names the path.
    #[error("cannot read the scripts")]
    Io(#[from] std::io::Error),
    /// A link leads out of its location.
    #[error("{} is a link that leads out of {}: it is not followed", link.display(), location.display())]
    LinkOutside {
        /// The link.
        link: PathBuf,
        /// The location.
        location: PathBuf,
    },
    /// Something else than a file has a script's name; opening it could block for ever.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The name is not UTF-8: the history could not name it.
    #[error("{} has a name that is not UTF-8", .0.display())]
    Name(PathBuf),
    /// The file changed between planning and running.
    #[error("{} changed while we were at work: nothing of it was kept", .0.display())]
    Changed(PathBuf),
    /// The file of a script that nothing of can be taken back changed while it was run.
    #[error("{} changed while it was run: nothing behind the change was run, and what came before it stays", .0.display())]
    ChangedMidway(PathBuf),
}

/// Lists all regular files of the locations whose name `wanted` accepts.
pub fn list(locations: &[PathBuf], wanted: impl Fn(&str) -> bool) -> Result<FoundFiles, FilesError> {
    let mut found = FoundFiles::default();
    for location in locations {
        let at = Location::of(location);
        let folder = at.folder().to_owned();
        if !folder.is_dir() {
            found.missing.push(location.clone());
            continue;
        }
        let root = fs::canonicalize(&folder)?;
        let (seen, files) = (BTreeSet::new(), &mut found.files);
        let mut walk = Walk { location: &at, root: &root, seen, wanted: &wanted, files };
        walk.folder(&folder, "")?;
    }
    found.files.sort_by(|a, b| a.script.cmp(&b.script));
    Ok(found)
}

/// A location taken apart: its folder, and what has to match below it.
#[derive(Debug)]
pub(crate) struct Location<'a> {
    folder: Cow<'a, Path>,
    pattern: Option<Pattern>,
}

impl<'a> Location<'a> {
    /// Takes it apart.
    pub(crate) fn of(location: &'a Path) -> Self {
        match Pattern::of(location) {
            Some((folder, pattern)) => Self { folder: folder.into(), pattern: Some(pattern) },
            None => Self { folder: location.into(), pattern: None },
        }
    }

    /// The folder that is walked.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the history calls a file of this path below the folder; none where it is none of the location's.
    pub(crate) fn script<'path>(&self, below: &'path str) -> Option<&'path str> {
        match &self.pattern {
            Some(pattern) => pattern.script(below),
            None => Some(below),
        }
    }
}

struct Walk<'a, W> {
    location: &'a Location<'a>,
    root: &'a Path,
    /// Folders by their real path: a link back up ends here.
    seen: BTreeSet<PathBuf>,
    wanted: &'a W,
    files: &'a mut Vec<FoundFile>,
}

impl<W: Fn(&str) -> bool> Walk<'_, W> {
    fn folder(&mut self, folder: &Path, below: &str) -> Result<(), FilesError> {
        if !self.seen.insert(fs::canonicalize(folder)?) {
            return Ok(());
        }
        let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        let names: Vec<OsString> = entries.iter().map(fs::DirEntry::file_name).collect();
        for entry in entries {
            let path = entry.path();
            let name = match entry.file_name().into_string() {
                Ok(name) => name,
                Err(name) if name.as_encoded_bytes().ends_with(b".sql") => {
                    return Err(FilesError::Name(path));
                }
                Err(_) => continue,
            };
            let script = format!("{below}{name}");
            let conf = OsString::from(format!("{name}.conf"));
            let has_conf = names.binary_search(&conf).is_ok();
            self.entry(FoundFile { script, name, path, has_conf }, entry.file_type()?)?;
        }
        Ok(())
    }

    fn entry(&mut self, found: FoundFile, kind: FileType) -> Result<(), FilesError> {
        let FoundFile { script, name, path, has_conf } = found;
        // Below a pattern's folder there are files that are none of the location's.
        let below = self.location.script(&script).map(str::to_owned);
        let wanted = below.is_some() && (self.wanted)(&name);
        let kind = if kind.is_symlink() {
            let Ok(target) = fs::canonicalize(&path) else {
                // A link to nowhere or to itself: only a script's name makes it our business.
                return if wanted { Err(FilesError::NotAFile(path)) } else { Ok(()) };
            };
            let folder = target.is_dir();
            if !target.starts_with(self.root) {
                let relevant = wanted || (folder && !name.starts_with('.'));
                return if relevant {
                    Err(FilesError::LinkOutside { link: path, location: self.location.folder().to_owned() })
                } else {
                    Ok(())
                };
            }
            fs::metadata(&path)?.file_type()
        } else {
            kind
        };
        if kind.is_dir() {
            if !name.starts_with('.') {
                self.folder(&path, &format!("{script}/"))?;
            }
        } else if wanted {
            if !kind.is_file() {
                return Err(FilesError::NotAFile(path));
            }
            let script = below.unwrap_or(script).replace('\\', "/");
            self.files.push(FoundFile { script, name, path, has_conf });
        }
        Ok(())
    }
}

/// Opens a file, and says how many bytes it has; what is not a regular file any more is refused.
pub(crate) fn open(path: &Path) -> Result<(fs::File, u64), FilesError> {
    let file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata.len())) } else { Err(FilesError::NotAFile(path.to_owned())) }
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    let (file, length) = open(path)?;
    read_all(file, length)
}

/// Reads all of an open file that has about so many bytes.
pub(crate) fn read_all(mut file: fs::File, length: u64) -> Result<Vec<u8>, FilesError> {
    // One byte more, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default().saturating_add(1));
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn sql(name: &str) -> bool {
        name.ends_with(".sql")
    }

    fn scripts(folder: &Path) -> Vec<String> {
        list(&[folder.to_owned()], sql).unwrap().files.into_iter().map(|file| file.script).collect()
    }

    #[test]
    fn folders_are_walked_and_hidden_ones_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["V1__a.sql", "sub/V2__b.sql", ".git/V3__c.sql", ".hidden.sql", "notes.txt"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(scripts(folder.path()), [".hidden.sql", "V1__a.sql", "sub/V2__b.sql"]);
    }

    #[test]
    fn links_inside_are_followed_as_a_mounted_configmap_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("..2026");
        fs::create_dir_all(&data).unwrap();
        fs::write(data.join("V1__a.sql"), "").unwrap();
        symlink("..2026", folder.path().join("..data")).unwrap();
        symlink("..data/V1__a.sql", folder.path().join("V1__a.sql")).unwrap();
        symlink(".", folder.path().join("loop")).unwrap();
        assert_eq!(scripts(folder.path()), ["V1__a.sql"]);
    }

    #[test]
    fn links_to_the_outside_are_refused() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("V1__a.sql"), "").unwrap();
        symlink(outside.path().join("V1__a.sql"), folder.path().join("V1__a.sql")).unwrap();
        let error = list(&[folder.path().to_owned()], sql).unwrap_err();
        assert!(matches!(error, FilesError::LinkOutside { .. }), "{error}");
    }

    #[test]
    fn what_is_no_file_is_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("V1__a.sql");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let error = list(&[folder.path().to_owned()], sql).unwrap_err();
        assert!(matches!(error, FilesError::NotAFile(_)), "{error}");
    }

    #[test]
    fn a_pattern_finds_folders_and_names_scripts_below_them() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a1/V1__a.sql", "a2/deep/V2__b.sql", "b/V3__c.sql", "V4__d.sql"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(scripts(&folder.path().join("a*")), ["V1__a.sql", "deep/V2__b.sql"]);
        assert_eq!(scripts(&folder.path().join("?")), ["V3__c.sql"]);
        assert_eq!(scripts(&folder.path().join("**/V*__?.sql")).len(), 4);
        let found = list(&[folder.path().join("none/*")], sql).unwrap();
        assert_eq!(found.missing, [folder.path().join("none/*")]);
    }

    #[test]
    fn a_missing_location_is_named() {
        let found = list(&[PathBuf::from("/does/not/exist")], sql).unwrap();
        assert_eq!(found.missing, [PathBuf::from("/does/not/exist")]);
    }
}
