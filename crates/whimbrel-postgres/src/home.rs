//! Where the server's data lives.
//!
//! | who runs us | home |
//! |---|---|
//! | an ordinary user | `<state>/postgres`, inside the project |
//! | root | `/var/lib/whimbrel/<hash of the project's path>`, else under `/var/tmp/whimbrel`: the server's user cannot enter root's own folders |
//!
//! ```text
//! home/superuser.password   ours alone (0600)
//! home/checkout             ties the data to one checkout's state folder
//! home/project              the project's path, to know whose data this is
//! home/data                 the server's, 0700
//! home/run                  the server's: its log, its socket
//! ```

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{PostgresError, ServerUser, secret};

/// Where root keeps the homes, in the order in which they are tried.
const ROOT_FOLDERS: [&str; 2] = ["/var/lib/whimbrel", "/var/tmp/whimbrel"];

const UNFINISHED: &str = "data.unfinished-";
/// How long files that are still being written are removed again.
const REMOVE_DEADLINE: Duration = Duration::from_secs(30);

/// The folders of one server.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    root: PathBuf,
    user: ServerUser,
}

impl Home {
    /// Finds the home of a project's server and makes its folder.
    pub(crate) fn locate(project: &Path, state: &Path, user: ServerUser) -> Result<Self, PostgresError> {
        let root = match user {
            ServerUser::Ourselves => {
                let root = state.join("postgres");
                fs_err::create_dir_all(&root).map_err(PostgresError::Files)?;
                root
            }
            ServerUser::Named { .. } => {
                let name = path_hash(project);
                let parent = shared_folder()?;
                let root = parent.join(name);
                make_folder(&root, 0o711).map_err(PostgresError::Files)?;
                root
            }
        };
        Ok(Self { root, user })
    }

    pub(crate) fn user(&self) -> &ServerUser {
        &self.user
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.run().join("server.log")
    }

    pub(crate) fn superuser_password(&self) -> PathBuf {
        self.root.join("superuser.password")
    }

    pub(crate) fn checkout(&self) -> PathBuf {
        self.root.join("checkout")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// Makes the folders that the server's user owns.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        make_folder(&self.run(), 0o700)?;
        self.give_to_server(&self.run())
    }

    /// Makes an empty folder for initdb, renamed to [`Home::data`] when it is whole. Its name is new each time: the
    /// initdb of a killed run may still be writing into the last one.
    pub(crate) fn fresh_unfinished_data(&self) -> io::Result<PathBuf> {
        self.sweep_unfinished();
        let folder = self.root.join(format!("{UNFINISHED}{}", secret::random_hex(4)?));
        make_folder(&folder, 0o700)?;
        self.give_to_server(&folder)?;
        Ok(folder)
    }

    /// Removes what killed runs left. What resists is still being written and goes away next time.
    fn sweep_unfinished(&self) {
        let entries = fs_err::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            if let Err(error) = remove_folder(&entry.path()) {
                tracing::debug!(%error, "leaving an unfinished data folder for the next time");
            }
        }
    }

    /// Makes a path belong to the user who runs the server.
    pub(crate) fn give_to_server(&self, path: &Path) -> io::Result<()> {
        match self.user {
            ServerUser::Ourselves => Ok(()),
            ServerUser::Named { uid, gid, .. } => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        }
    }

    /// Removes everything of this server. The server must not run. The initdb of a killed run may still be writing;
    /// it ends by itself soon, the sooner without its files.
    pub(crate) async fn forget(&self) -> io::Result<()> {
        let deadline = Instant::now() + REMOVE_DEADLINE;
        loop {
            match remove_folder(&self.root) {
                Err(error)
                    if error.kind() == io::ErrorKind::DirectoryNotEmpty && Instant::now() < deadline =>
                {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                result => return result,
            }
        }
    }

    /// Removes the data and the password that opens it. The server must not run.
    pub(crate) fn discard_data(&self) -> io::Result<()> {
        remove_folder(&self.data())?;
        match fs_err::remove_file(self.superuser_password()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The folder that holds what root shares with the server's users: homes and fetched programs.
pub(crate) fn shared_folder() -> Result<PathBuf, PostgresError> {
    ROOT_FOLDERS
        .iter()
        .map(PathBuf::from)
        .find(|folder| make_folder(folder, 0o755).is_ok() && is_roots(folder))
        .ok_or_else(|| PostgresError::NoHome { tried: ROOT_FOLDERS.iter().map(PathBuf::from).collect() })
}

/// In a folder that everybody may write to, somebody else may have made the name first.
fn is_roots(folder: &Path) -> bool {
    fs_err::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == 0)
}

fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(mode))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// FNV-1a: the name must be the same in every build, and nobody attacks it.
fn path_hash(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let hash = path.as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_home_never_changes() {
        assert_eq!(path_hash(Path::new("/src/shop")), path_hash(Path::new("/src/shop")));
        assert_eq!(path_hash(Path::new("")), "cbf29ce484222325");
        assert_eq!(path_hash(Path::new("a")), "af63dc4c8601ec8c");
    }

    #[test]
    fn an_ordinary_users_data_stays_in_the_project() {
        let project = tempfile::tempdir().unwrap();
        let home =
            Home::locate(project.path(), &project.path().join(".whimbrel"), ServerUser::Ourselves).unwrap();
        assert_eq!(home.data(), project.path().join(".whimbrel/postgres/data"));
    }
}
