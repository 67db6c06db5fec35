//! The lock of those who migrate a file: on the folder that it is in.
//!
//! The file itself cannot bear it: SQLite's own locks on it are lost as soon as anybody in the process closes it. A file
//! beside it would stay behind. The lock ends with the process, however that ends.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::{DatabaseError, ServerError};

/// Held as long as it lives.
pub(super) struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Takes the lock for a file, or says that somebody else has it.
    pub(super) fn try_take(file: &Path) -> Result<Option<Self>, DatabaseError> {
        let path = of(file);
        let cannot = |error: std::io::Error| {
            DatabaseError::Server(ServerError {
                severity: "ERROR",
                sqlstate: String::new(),
                code: CANTOPEN,
                message: format!("the folder {} cannot be locked: {error}", path.display()),
                detail: None,
                hint: None,
                position: None,
                context: None,
                constraint: None,
            })
        };
        let folder = File::open(path).map_err(cannot)?;
        match folder.try_lock() {
            Ok(()) => Ok(Some(Self { _folder: folder })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }
}

/// SQLite's number for what cannot be opened.
const CANTOPEN: i32 = 14;

/// The folder of a file.
pub(super) fn of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
