//! Looking at the files in an interval: for folders whose changes the system does not tell, such as mounts from
//! another machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::{Hint, WatchedPaths, is_hidden};

type Fingerprint = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

#[derive(Debug)]
pub(super) struct PollSource(JoinHandle<()>);

impl Drop for PollSource {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PollSource {
    pub(super) fn start(paths: &WatchedPaths, interval: Duration, hints: UnboundedSender<Hint>) -> Self {
        let paths = paths.clone();
        let mut before = fingerprint(&paths);
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let look = paths.clone();
                let Ok(now) = tokio::task::spawn_blocking(move || fingerprint(&look)).await else { return };
                for path in differences(&before, &now) {
                    if hints.send(Hint::Path { path, whole: false }).is_err() {
                        return;
                    }
                }
                before = now;
            }
        }))
    }
}

fn differences(before: &Fingerprint, now: &Fingerprint) -> Vec<PathBuf> {
    let changed = now.iter().filter(|(path, state)| before.get(*path) != Some(state));
    let removed = before.iter().filter(|(path, _)| !now.contains_key(*path));
    changed.chain(removed).map(|(path, _)| path.clone()).collect()
}

fn fingerprint(paths: &WatchedPaths) -> Fingerprint {
    let mut found = Fingerprint::new();
    for folder in &paths.folders {
        look(folder, folder, &mut found);
    }
    for file in &paths.files {
        note(file, &mut found);
    }
    found
}

fn note(path: &Path, found: &mut Fingerprint) -> bool {
    let Ok(metadata) = fs_err::metadata(path) else { return false };
    let is_folder = metadata.is_dir();
    // A folder's own time changes with every temporary file in it.
    let state = if is_folder { (0, None) } else { (metadata.len(), metadata.modified().ok()) };
    found.insert(path.to_owned(), state).is_none() && is_folder
}

fn look(root: &Path, path: &Path, found: &mut Fingerprint) {
    let hidden = path.strip_prefix(root).is_ok_and(is_hidden);
    // Depth is limited by the file system's own limit of links in a path.
    if hidden || path.components().count() > root.components().count() + 40 || !note(path, found) {
        return;
    }
    let Ok(entries) = fs_err::read_dir(path) else { return };
    for entry in entries.flatten() {
        look(root, &entry.path(), found);
    }
}
