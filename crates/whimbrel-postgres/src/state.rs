//! `.whimbrel/up.json`: what runs, for people and scripts. It holds no secret and nothing depends on it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The server as `up` left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpState {
    /// The version of this document.
    pub schema: u32,
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The postmaster's process.
    pub pid: i32,
    /// The data folder.
    pub data: PathBuf,
    /// The server's version.
    pub version: String,
}

impl UpState {
    /// Where the document is, in a project's state folder.
    pub fn path(state: &Path) -> PathBuf {
        state.join("up.json")
    }

    /// Reads the document; one that is missing or unreadable is no document.
    pub fn load(state: &Path) -> Option<Self> {
        serde_json::from_str(&fs_err::read_to_string(Self::path(state)).ok()?).ok()
    }

    /// Writes the document, whole or not at all.
    pub fn store(&self, state: &Path) -> io::Result<()> {
        let unfinished = state.join("up.json.unfinished");
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs_err::write(&unfinished, text)?;
        fs_err::rename(unfinished, Self::path(state))
    }

    /// Removes the document.
    pub fn remove(state: &Path) -> io::Result<()> {
        match fs_err::remove_file(Self::path(state)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
