//! Writing an OCI image layout into a folder, so that a reader never sees half an image.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use whimbrel_image::{Digest, LayoutFile};

/// What writing a layout did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LayoutReport {
    /// Files that were written.
    pub written: usize,
    /// Files that were there with the same content.
    pub reused: usize,
    /// The bytes that were written.
    pub bytes: u64,
}

/// A layout could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct LayoutError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Writes the files of a layout in their order. A blob that is there is not written again; every other file
/// replaces the old one in one step.
pub fn write_layout(folder: &Path, files: &[LayoutFile]) -> Result<LayoutReport, LayoutError> {
    let mut report = LayoutReport::default();
    for file in files {
        let path = folder.join(&file.path);
        if is_there(&path, file) {
            report.reused += 1;
        } else {
            replace(&path, &file.bytes).map_err(|source| LayoutError { path: path.clone(), source })?;
            report.written += 1;
            report.bytes += file.bytes.len() as u64;
        }
    }
    Ok(report)
}

/// Whether the layout in `folder` already leads to this image.
#[must_use]
pub fn has_image(folder: &Path, files: &[LayoutFile]) -> bool {
    files.iter().all(|file| is_there(&folder.join(&file.path), file))
}

/// Removes blobs that the image does not use and that nobody can still be reading: those older than `age`.
pub fn remove_old_blobs(
    folder: &Path,
    used: &BTreeSet<&Digest>,
    age: Duration,
) -> Result<usize, LayoutError> {
    let blobs = folder.join("blobs/sha256");
    let failed = |source| LayoutError { path: blobs.clone(), source };
    let mut removed = 0;
    for entry in fs_err::read_dir(&blobs).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_used = used.iter().any(|digest| entry.file_name() == digest.hex());
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
        let is_old = SystemTime::now().duration_since(modified).is_ok_and(|since| since > age);
        if !is_used && is_old && fs_err::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// A blob's name says its content; a file that is not whole has another size.
fn is_there(path: &Path, file: &LayoutFile) -> bool {
    if file.immutable {
        fs_err::metadata(path).is_ok_and(|metadata| metadata.len() == file.bytes.len() as u64)
    } else {
        fs_err::read(path).is_ok_and(|bytes| bytes == *file.bytes)
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let mut file = fs_err::File::create(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs_err::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use whimbrel_image::{ImageSpec, Platform, SqlSet, build, oci_layout};

    use super::*;

    fn files(sql: &str) -> (Vec<LayoutFile>, Digest) {
        let mut set = SqlSet::default();
        set.insert("app", "V1__a.sql", sql.as_bytes().to_vec(), "x").unwrap();
        let image = build(&ImageSpec::new(Platform::default(), set)).unwrap();
        (oci_layout(&image, &["dev".to_owned()]).unwrap(), image.digest().clone())
    }

    #[test]
    fn second_writing_of_the_same_image_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = files("select 1;");
        let first = write_layout(folder.path(), &files).unwrap();
        assert_eq!((first.written, first.reused), (files.len(), 0));
        assert!(has_image(folder.path(), &files));
        let second = write_layout(folder.path(), &files).unwrap();
        assert_eq!((second.written, second.reused, second.bytes), (0, files.len(), 0));
    }

    #[test]
    fn old_blobs_go_and_used_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (old, _) = files("select 1;");
        let (new, digest) = files("select 2;");
        write_layout(folder.path(), &old).unwrap();
        write_layout(folder.path(), &new).unwrap();
        assert!(!has_image(folder.path(), &old));
        let used = BTreeSet::from([&digest]);
        assert_eq!(remove_old_blobs(folder.path(), &used, Duration::from_secs(3600)).unwrap(), 0);
        std::thread::sleep(Duration::from_millis(20));
        assert!(remove_old_blobs(folder.path(), &used, Duration::ZERO).unwrap() > 0);
        assert!(folder.path().join(format!("blobs/sha256/{}", digest.hex())).is_file());
    }
}
