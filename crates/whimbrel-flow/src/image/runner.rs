//! The program that goes into the image.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use whimbrel_image::{
    PROGRAM_HEADERS, Platform, Reference, RunnerLayer, RunnerLayerError, check_program, runner_layer,
};

/// Where the image's program comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// A static program on this machine.
    Program(PathBuf),
    /// An image that has it already.
    Base(Reference),
    /// Nowhere: an image of scripts only.
    None,
}

/// The program cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// It cannot be read.
    #[error("cannot read the runner {}", path.display())]
    Read {
        /// The program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It would not run in the image.
    #[error("{} cannot be the runner of an image", path.display())]
    Unfit {
        /// The program.
        path: PathBuf,
        /// Why.
        #[source]
        source: RunnerLayerError,
    },
}

/// The program beside our own, else our own where it can act as the runner (`serves_itself`); only a static program
/// of the platform counts.
pub fn find_runner(own: &Path, serves_itself: bool, platform: Platform) -> Option<PathBuf> {
    let beside = own.with_file_name("whimbrel-migrate");
    let candidates = [Some(beside), serves_itself.then(|| own.to_owned())];
    candidates.into_iter().flatten().find(|path| {
        // The headers say it all; programs have them at the beginning.
        beginning(path).is_ok_and(|bytes| check_program(&bytes, platform).is_ok())
    })
}

fn beginning(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(PROGRAM_HEADERS).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The layer of a program, made again only when the file has changed.
#[derive(Debug, Default)]
pub(super) struct RunnerCache {
    known: Option<(Stamp, RunnerLayer)>,
}

#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    platform: Platform,
    size: u64,
    modified: Option<SystemTime>,
}

impl RunnerCache {
    pub(super) fn layer(&mut self, path: &Path, platform: Platform) -> Result<RunnerLayer, RunnerError> {
        let read = |source| RunnerError::Read { path: path.to_owned(), source };
        let metadata = fs_err::metadata(path).map_err(read)?;
        let stamp = Stamp {
            path: path.to_owned(),
            platform,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        };
        if let Some((known, layer)) = &self.known
            && *known == stamp
        {
            return Ok(layer.clone());
        }
        let program = fs_err::File::open(path).map_err(read)?;
        let layer = runner_layer(program, stamp.size, platform)
            .map_err(|source| RunnerError::Unfit { path: path.to_owned(), source })?;
        self.known = Some((stamp, layer.clone()));
        Ok(layer)
    }
}
