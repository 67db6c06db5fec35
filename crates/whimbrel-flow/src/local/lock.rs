//! One `up` at a time on one checkout: a file lock that the system gives back when its holder dies.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long somebody else's work is waited for.
pub const LOCK_DEADLINE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(100);

/// Why the lock was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock's file cannot be opened or locked.
    #[error("cannot use the lock file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else held it all the time.
    #[error("another whimbrel ({holder}) held {} for {} s", path.display(), deadline.as_secs())]
    Deadline {
        /// The file.
        path: PathBuf,
        /// What the holder says about itself.
        holder: String,
        /// How long we waited.
        deadline: Duration,
    },
}

/// The lock, held while this lives.
#[derive(Debug)]
pub struct CheckoutLock {
    _file: File,
}

impl CheckoutLock {
    /// Takes the lock of a checkout's state folder. `on_wait` is told once who holds it.
    pub async fn acquire(
        state: &Path,
        deadline: Duration,
        mut on_wait: impl FnMut(&str),
    ) -> Result<Self, LockError> {
        let path = state.join("up.lock");
        let failed = |source| LockError::File { path: path.clone(), source };
        let mut file = open(state, &path).map_err(failed)?;
        let end = Instant::now() + deadline;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            let holder = read_holder(&mut file);
            if !std::mem::replace(&mut told, true) {
                on_wait(&holder);
            }
            if Instant::now() >= end {
                return Err(LockError::Deadline { path, holder, deadline });
            }
            sleep(PAUSE).await;
        }
        // Only told to people; the lock itself does not depend on it.
        let _ = write_holder(&mut file);
        Ok(Self { _file: file })
    }
}

fn open(state: &Path, path: &Path) -> io::Result<File> {
    fs_err::create_dir_all(state)?;
    let file = fs_err::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    Ok(file.into())
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "process {}", std::process::id())
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    if read.is_ok() && !text.trim().is_empty() {
        text.trim().to_owned()
    } else {
        "another process".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_says_for_whom() {
        let state = tempfile::tempdir().unwrap();
        let first =
            CheckoutLock::acquire(state.path(), Duration::ZERO, |_| panic!("it is free")).await.unwrap();
        let mut told = Vec::new();
        let second = CheckoutLock::acquire(state.path(), Duration::from_secs(5), |holder| {
            told.push(holder.to_owned());
        });
        let release = async {
            sleep(Duration::from_millis(150)).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, release);
        second.unwrap();
        assert_eq!(told, [format!("process {}", std::process::id())]);
    }

    #[tokio::test]
    async fn a_wait_has_an_end() {
        let state = tempfile::tempdir().unwrap();
        let _first = CheckoutLock::acquire(state.path(), Duration::ZERO, |_| {}).await.unwrap();
        let error = CheckoutLock::acquire(state.path(), Duration::from_millis(50), |_| {}).await.unwrap_err();
        assert!(matches!(error, LockError::Deadline { .. }), "{error}");
    }
}
