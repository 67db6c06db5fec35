//! Events of the system (inotify, FSEvents, …) through `notify`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::UnboundedSender;

use super::{Hint, WatchError, WatchedPaths};

#[derive(Debug)]
pub(super) struct EventSource {
    watcher: RecommendedWatcher,
    /// Folders watched with all below them.
    deep: BTreeSet<PathBuf>,
    /// Folders watched for themselves: parents of the watched folders and files.
    shallow: BTreeSet<PathBuf>,
}

impl EventSource {
    pub(super) fn start(paths: &WatchedPaths, hints: UnboundedSender<Hint>) -> Result<Self, WatchError> {
        let handler = move |result: notify::Result<Event>| {
            for hint in hints_of(result) {
                // The receiver is gone when nobody watches any more.
                let _ = hints.send(hint);
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .map_err(|source| WatchError::Watch { path: PathBuf::from("."), source })?;
        let mut source = Self { watcher, deep: BTreeSet::new(), shallow: BTreeSet::new() };
        source.arm(paths)?;
        Ok(source)
    }

    /// Watches whatever is there and not watched yet.
    pub(super) fn arm(&mut self, paths: &WatchedPaths) -> Result<(), WatchError> {
        for folder in &paths.folders {
            // The parent tells when the folder goes or comes back; the folder itself cannot.
            self.arm_shallow(nearest_folder(folder.parent()))?;
            if folder.is_dir() && !self.deep.contains(folder) {
                self.watch(folder, RecursiveMode::Recursive)?;
                self.deep.insert(folder.clone());
            }
        }
        for file in &paths.files {
            self.arm_shallow(nearest_folder(file.parent()))?;
        }
        Ok(())
    }

    fn arm_shallow(&mut self, folder: Option<&Path>) -> Result<(), WatchError> {
        if let Some(folder) = folder
            && !self.shallow.contains(folder)
            && !self.deep.iter().any(|deep| folder.starts_with(deep))
        {
            self.watch(folder, RecursiveMode::NonRecursive)?;
            self.shallow.insert(folder.to_owned());
        }
        Ok(())
    }

    /// A watched folder that came or went, or one above it, may be another folder of the same name now.
    pub(super) fn forget_below(&mut self, path: &Path, paths: &WatchedPaths) {
        if !paths.folders.iter().any(|folder| folder.starts_with(path)) {
            return;
        }
        for set in [&mut self.deep, &mut self.shallow] {
            let stale: Vec<PathBuf> = set.iter().filter(|folder| folder.starts_with(path)).cloned().collect();
            for folder in stale {
                set.remove(&folder);
                // Fails when the system has forgotten it already.
                let _ = self.watcher.unwatch(&folder);
            }
        }
    }

    fn watch(&mut self, folder: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
        match self.watcher.watch(folder, mode) {
            Ok(()) => Ok(()),
            // Gone again: the parent's event brings us back here.
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => Err(WatchError::Limit),
            Err(source) => Err(WatchError::Watch { path: folder.to_owned(), source }),
        }
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The folder itself or the nearest one above that exists.
fn nearest_folder(folder: Option<&Path>) -> Option<&Path> {
    folder?.ancestors().find(|ancestor| ancestor.is_dir())
}

fn hints_of(result: notify::Result<Event>) -> Vec<Hint> {
    match result {
        Ok(event) if event.need_rescan() => vec![Hint::LostEvents],
        Ok(event) => match event.kind {
            // A file that was open for writing is closed; all other reading is of no interest.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => paths_of(event, true),
            EventKind::Access(_) => Vec::new(),
            // A file comes into its place or leaves it in one step.
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => paths_of(event, true),
            // Made or written to. Where the system never tells of a close, it stays so until the burst ends.
            _ => paths_of(event, false),
        },
        Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => vec![Hint::Limit],
        // An error without a path: something was missed.
        Err(_) => vec![Hint::LostEvents],
    }
}

fn paths_of(event: Event, whole: bool) -> Vec<Hint> {
    event.paths.into_iter().map(|path| Hint::Path { path, whole }).collect()
}
