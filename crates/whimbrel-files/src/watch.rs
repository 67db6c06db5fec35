//! Watching folders of scripts: one burst of events is one change.
//!
//! A change says only that something happened; whoever gets it scans again. So nothing depends on the kind or the
//! order of events, on editors that replace files by renaming, or on events that the system dropped.
//!
//! | what happens | what is reported |
//! |---|---|
//! | one file saved: written and closed, or renamed into its place | one change, after a short moment |
//! | a file still being written, 500 files of a checkout | one change, after a moment of quiet or at the longest wait |
//! | files of editors and of version control | nothing |
//! | a watched folder removed | a change that names it; it is watched again when it comes back |
//! | the system's queue overflowed | a change |

mod events;
mod poll;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use events::EventSource;
use poll::PollSource;

/// What to watch.
#[derive(Debug, Clone, Default)]
pub struct WatchedPaths {
    /// Folders, with everything below them. They need not exist yet.
    pub folders: Vec<PathBuf>,
    /// Single files, such as the project file.
    pub files: Vec<PathBuf>,
}

/// How to watch.
#[derive(Debug, Clone, Copy)]
pub struct WatchOptions {
    /// How long nothing must happen before a burst has ended.
    pub quiet: Duration,
    /// The same for a burst about a single file that is known to be whole.
    pub settled: Duration,
    /// How long a burst may last before it is reported all the same.
    pub longest: Duration,
    /// Look at the files in this interval instead of asking the system for events.
    pub poll: Option<Duration>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(100),
            settled: Duration::from_millis(15),
            longest: Duration::from_secs(2),
            poll: None,
        }
    }
}

/// Something happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Paths that events named, as far as they are known.
    pub paths: BTreeSet<PathBuf>,
    /// Watched folders that are not there at this moment.
    pub gone: Vec<PathBuf>,
    /// Events were lost: anything may have changed.
    pub lost_events: bool,
}

/// Watching is not possible.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system refuses to watch so many folders.
    #[error("the system's limit of watched folders is reached")]
    Limit,
    /// The system would not watch.
    #[error("cannot watch {}", path.display())]
    Watch {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: notify::Error,
    },
    /// The source of events ended.
    #[error("the system stopped sending events")]
    Ended,
}

/// Turns bursts of events into changes.
#[derive(Debug)]
pub struct Watcher {
    source: Source,
    paths: WatchedPaths,
    options: WatchOptions,
    hints: mpsc::UnboundedReceiver<Hint>,
    burst: Option<Burst>,
}

/// Events that belong together.
#[derive(Debug)]
struct Burst {
    first: Instant,
    last: Instant,
    /// Files that were written to and not closed, as far as the system tells.
    unfinished: BTreeSet<PathBuf>,
    change: Change,
}

impl Burst {
    fn quiet(&self, options: &WatchOptions) -> Duration {
        let is_one_save =
            self.unfinished.is_empty() && self.change.paths.len() == 1 && !self.change.lost_events;
        if is_one_save { options.settled } else { options.quiet }
    }
}

#[derive(Debug)]
enum Source {
    Events(EventSource),
    Poll(#[expect(dead_code, reason = "its end stops the task")] PollSource),
}

/// What a source tells.
#[derive(Debug)]
enum Hint {
    /// Something happened to this path; more is to come where it is not whole.
    Path {
        path: PathBuf,
        whole: bool,
    },
    LostEvents,
    Limit,
}

impl Watcher {
    /// Begins to watch. Every change after this call is reported. Must be called inside a tokio runtime.
    pub fn start(paths: WatchedPaths, options: WatchOptions) -> Result<Self, WatchError> {
        let paths = WatchedPaths { folders: absolute(paths.folders), files: absolute(paths.files) };
        let (sender, hints) = mpsc::unbounded_channel();
        let source = match options.poll {
            Some(interval) => Source::Poll(PollSource::start(&paths, interval, sender)),
            None => Source::Events(EventSource::start(&paths, sender)?),
        };
        Ok(Self { source, paths, options, hints, burst: None })
    }

    /// Waits for the next change. It may be dropped while it waits: the next call goes on where it was.
    pub async fn changed(&mut self) -> Result<Change, WatchError> {
        while self.burst.is_none() {
            let hint = self.hints.recv().await.ok_or(WatchError::Ended)?;
            self.take(hint)?;
        }
        while let Some(burst) = &self.burst {
            let quiet = (burst.last + burst.quiet(&self.options)).min(burst.first + self.options.longest);
            tokio::select! {
                biased;
                () = sleep_until(quiet) => break,
                hint = self.hints.recv() => self.take(hint.ok_or(WatchError::Ended)?)?,
            }
        }
        if let Source::Events(events) = &mut self.source {
            // Before the scan that follows: what happens after it comes as a new event.
            events.arm(&self.paths)?;
        }
        let mut change = self.burst.take().map(|burst| burst.change).unwrap_or_default();
        change.gone = self.paths.folders.iter().filter(|folder| !folder.is_dir()).cloned().collect();
        Ok(change)
    }

    /// Adds a hint to the burst, when it is about what is watched.
    fn take(&mut self, hint: Hint) -> Result<(), WatchError> {
        match hint {
            Hint::Path { path, whole } if self.paths.concern(&path) => {
                if let Source::Events(events) = &mut self.source {
                    events.forget_below(&path, &self.paths);
                }
                let burst = self.burst();
                if whole {
                    burst.unfinished.remove(&path);
                } else {
                    burst.unfinished.insert(path.clone());
                }
                burst.change.paths.insert(path);
            }
            Hint::Path { .. } => {}
            Hint::LostEvents => self.burst().change.lost_events = true,
            Hint::Limit => return Err(WatchError::Limit),
        }
        Ok(())
    }

    /// The burst under way, or a new one.
    fn burst(&mut self) -> &mut Burst {
        let now = Instant::now();
        let burst = self.burst.get_or_insert_with(|| Burst {
            first: now,
            last: now,
            unfinished: BTreeSet::new(),
            change: Change::default(),
        });
        burst.last = now;
        burst
    }
}

impl WatchedPaths {
    fn concern(&self, path: &Path) -> bool {
        let in_folder = self.folders.iter().any(|folder| match path.strip_prefix(folder) {
            Ok(below) => !is_hidden(below),
            // A folder on the way came or went.
            Err(_) => folder.starts_with(path),
        });
        in_folder || self.files.iter().any(|file| file == path)
    }
}

/// Inside a folder of editors or version control, or a temporary file itself.
fn is_hidden(below: &Path) -> bool {
    below.components().any(|part| crate::scan::is_temporary(&part.as_os_str().to_string_lossy()))
}

fn absolute(paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    // Without `.` and `..`, as events name paths.
    let mut paths: Vec<PathBuf> = paths.into_iter().map(absolute).map(|path| normal(&path)).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests;
