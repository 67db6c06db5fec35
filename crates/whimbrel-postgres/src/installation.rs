//! Finds the programs of a PostgreSQL server on the machine.
//!
//! In this order: the folders of `PATH`; then the usual folders of Debian, Fedora and Homebrew, newest version
//! first. A folder counts when `initdb`, `pg_ctl` and `postgres` stand in it together.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Program;
use crate::{PostgresError, ServerUser};

/// Where the programs may come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BinarySource {
    /// Installed ones, else fetched ones.
    #[default]
    InstalledOrFetched,
    /// Fetched ones only.
    Fetched,
    /// The programs in this folder.
    Folder(PathBuf),
}

/// How the programs were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They were installed on the machine, or named.
    Installed,
    /// We fetched them.
    Fetched,
}

/// The version of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// The major version; a data folder belongs to one.
    pub major: u32,
    /// The whole version, such as `17.5`.
    pub text: String,
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The programs of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The folder with `initdb`, `pg_ctl` and `postgres`.
    pub bin: PathBuf,
    /// Their version.
    pub version: ServerVersion,
    /// How they were found.
    pub origin: Origin,
}

impl Installation {
    pub(crate) async fn load(bin: PathBuf, origin: Origin, user: &ServerUser) -> Result<Self, PostgresError> {
        if !is_whole(&bin) {
            return Err(PostgresError::NotAnInstallation { folder: bin });
        }
        let program = Program {
            path: bin.join("postgres"),
            user,
            folder: Path::new("/"),
            deadline: Duration::from_secs(10),
        };
        let output = program.run(&[OsStr::new("--version")]).await?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version =
            parse_version(&answer).ok_or_else(|| PostgresError::Version { program: program.path, answer })?;
        Ok(Self { bin, version, origin })
    }

    pub(crate) fn program<'a>(
        &self,
        name: &str,
        user: &'a ServerUser,
        folder: &'a Path,
        deadline: Duration,
    ) -> Program<'a> {
        Program { path: self.bin.join(name), user, folder, deadline }
    }
}

/// The installed programs' folders, best first.
pub(crate) fn find_installed(path: Option<&OsStr>) -> Vec<PathBuf> {
    let on_path = path.into_iter().flat_map(std::env::split_paths).filter(|folder| is_whole(folder));
    // A folder of PATH often holds links; beside the real program stand its library folders.
    let mut found: Vec<PathBuf> = on_path.map(|folder| real_folder(&folder)).collect();
    let mut usual: Vec<PathBuf> = usual_folders().into_iter().filter(|folder| is_whole(folder)).collect();
    usual.sort_by_key(|folder| std::cmp::Reverse(version_in_path(folder)));
    found.extend(usual);
    let mut seen = std::collections::HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

/// `<parent>/<prefix>*/bin` of Debian, Fedora's PGDG packages, and Homebrew on both processors.
fn usual_folders() -> Vec<PathBuf> {
    const PLACES: [(&str, &str); 5] = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
    ];
    PLACES
        .iter()
        .flat_map(|(parent, prefix)| {
            let entries = fs_err::read_dir(parent).into_iter().flatten().flatten();
            entries
                .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path().join("bin"))
        })
        .collect()
}

fn is_whole(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// The folder in which the real programs stand, when they stand there together.
fn real_folder(folder: &Path) -> PathBuf {
    fs_err::canonicalize(folder.join("postgres"))
        .ok()
        .and_then(|program| program.parent().map(Path::to_owned))
        .filter(|real| is_whole(real))
        .unwrap_or_else(|| folder.to_owned())
}

/// The number in `/usr/lib/postgresql/17/bin` or `/opt/homebrew/opt/postgresql@17/bin`; none counts as the lowest.
fn version_in_path(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).map(OsStr::to_string_lossy).unwrap_or_default();
    let digits: String = name
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` and `postgres (PostgreSQL) 18beta1`.
fn parse_version(answer: &str) -> Option<ServerVersion> {
    let text = answer.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    Some(ServerVersion { major: digits.parse().ok()?, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_programs_answer() {
        let version = parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)").unwrap();
        assert_eq!((version.major, version.text.as_str()), (15, "15.18"));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1").unwrap().major, 18);
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn the_number_of_a_folder_is_found() {
        let number = |path: &str| version_in_path(Path::new(path));
        assert_eq!(number("/usr/lib/postgresql/17/bin"), 17);
        assert_eq!(number("/usr/pgsql-16/bin"), 16);
        assert_eq!(number("/opt/homebrew/opt/postgresql@9/bin"), 9);
        assert_eq!(number("/opt/homebrew/opt/postgresql/bin"), 0);
    }

    #[test]
    fn a_folder_of_the_path_counts_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("postgres"), "").unwrap();
        assert!(!find_installed(Some(folder.path().as_os_str())).contains(&folder.path().to_owned()));
        fs_err::write(folder.path().join("initdb"), "").unwrap();
        fs_err::write(folder.path().join("pg_ctl"), "").unwrap();
        let real = fs_err::canonicalize(folder.path()).unwrap();
        assert_eq!(find_installed(Some(folder.path().as_os_str())).first(), Some(&real));
    }
}
