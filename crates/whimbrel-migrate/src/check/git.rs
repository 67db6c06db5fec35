//! Scripts as a revision of the repository has them, read through `git` with a deadline.
//!
//! Nothing is checked out and nothing is written: `rev-parse`, `merge-base`, `ls-tree` and `cat-file --batch`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use whimbrel_cli::error::{CommandError, ErrorKind};

use crate::files::Location;

/// A repository was not there, or would not say.
#[derive(Debug, Error)]
pub(super) enum GitError {
    #[error("git could not be started: is it installed, and on PATH?")]
    Start(#[source] std::io::Error),
    #[error("git {command} did not end within {} s", .deadline.as_secs())]
    Deadline { command: &'static str, deadline: Duration },
    #[error("git {command} failed: {said}")]
    Failed { command: &'static str, said: String },
    #[error("{} is in no git repository: {said}", .folder.display())]
    NoRepository { folder: PathBuf, said: String },
    #[error("{reference:?} names no commit of this repository")]
    NoCommit { reference: String },
    #[error("the location {} is outside of the repository {}", .location.display(), .root.display())]
    Outside { location: PathBuf, root: PathBuf },
    #[error("git cat-file answered what cannot be understood")]
    Answer,
}

impl From<GitError> for CommandError {
    fn from(error: GitError) -> Self {
        match &error {
            GitError::NoCommit { reference } => {
                let fetch = match reference.split_once('/') {
                    Some((remote, branch)) => format!("git fetch {remote} {branch}"),
                    None => "git branch --all shows what there is".to_owned(),
                };
                Self::usage(error).hinted(fetch)
            }
            GitError::NoRepository { .. } | GitError::Outside { .. } => Self::usage(error),
            GitError::Deadline { .. } => {
                Self::new(ErrorKind::Deadline, error).hinted("--deadline says how long to wait")
            }
            GitError::Start(_) | GitError::Failed { .. } | GitError::Answer => Self::unavailable(error),
        }
    }
}

/// A file of a revision.
#[derive(Debug)]
pub(super) struct GitFile {
    /// Its path below the location.
    pub(super) script: String,
    /// What is in it.
    pub(super) contents: Vec<u8>,
}

/// The files of some locations in a revision.
#[derive(Debug, Default)]
pub(super) struct GitFiles {
    pub(super) files: Vec<GitFile>,
    /// Links that lead to a folder, to nothing or out of the repository: what is behind them is not known.
    pub(super) links: Vec<String>,
}

/// A working tree.
#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
    deadline: Duration,
}

/// An entry of `git ls-tree`.
struct Entry {
    script: String,
    path: String,
    object: String,
    is_link: bool,
}

impl Repository {
    /// The repository that a folder is in.
    pub(super) async fn open(folder: &Path, deadline: Duration) -> Result<Self, GitError> {
        let here = Self { root: folder.to_owned(), deadline };
        let found = here.run("rev-parse", &["--show-toplevel"], None).await?;
        if !found.status.success() {
            return Err(GitError::NoRepository { folder: folder.to_owned(), said: said(&found) });
        }
        Ok(Self { root: PathBuf::from(line(&found)), deadline })
    }

    /// The commit that a name stands for.
    pub(super) async fn commit(&self, reference: &str) -> Result<String, GitError> {
        let none = || GitError::NoCommit { reference: reference.to_owned() };
        // It would be an option to git.
        if reference.starts_with('-') || reference.is_empty() {
            return Err(none());
        }
        let wanted = format!("{reference}^{{commit}}");
        let found = self.run("rev-parse", &["--verify", "--quiet", &wanted], None).await?;
        if found.status.success() { Ok(line(&found)) } else { Err(none()) }
    }

    /// The commit where the branch of this working tree and another one parted; none where that is not known.
    pub(super) async fn parting(&self, commit: &str) -> Result<Option<String>, GitError> {
        let found = self.run("merge-base", &[commit, "HEAD"], None).await?;
        match found.status.code() {
            Some(0) => Ok(Some(line(&found))),
            Some(1) => Ok(None),
            _ => Err(GitError::Failed { command: "merge-base", said: said(&found) }),
        }
    }

    /// The files of these locations in a commit, as far as their names are wanted. Hidden folders are passed over, as they
    /// are on disk; a location that the commit does not have is empty.
    pub(super) async fn files(
        &self,
        commit: &str,
        locations: &[PathBuf],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<GitFiles, GitError> {
        let mut entries = Vec::new();
        for path in locations {
            let location = Location::of(path);
            let below = self.below(location.folder())?;
            let mut arguments = vec!["-r", "-z", "--full-tree", commit];
            if below != "." {
                arguments.extend(["--", below.as_str()]);
            }
            let listed = self.run("ls-tree", &arguments, None).await?;
            if !listed.status.success() {
                return Err(GitError::Failed { command: "ls-tree", said: said(&listed) });
            }
            let list = String::from_utf8_lossy(&listed.stdout);
            entries.extend(list.split('\0').filter_map(|line| entry(line, &below, &location, &wanted)));
        }
        entries.sort_by(|a, b| a.script.cmp(&b.script));
        self.contents(commit, entries).await
    }

    /// A folder's path inside the repository; `.` for all of it.
    fn below(&self, folder: &Path) -> Result<String, GitError> {
        let real = real(folder);
        let below = real.strip_prefix(&self.root).ok().and_then(Path::to_str).map(str::to_owned);
        let below = below.ok_or_else(|| GitError::Outside { location: real, root: self.root.clone() })?;
        Ok(if below.is_empty() { ".".to_owned() } else { below })
    }

    async fn contents(&self, commit: &str, entries: Vec<Entry>) -> Result<GitFiles, GitError> {
        let mut asked = String::new();
        for entry in &entries {
            // Links are followed by git, inside of the commit.
            let object =
                if entry.is_link { format!("{commit}:{}", entry.path) } else { entry.object.clone() };
            asked.push_str(&object);
            asked.push('\n');
        }
        let answered = self.run("cat-file", &["--batch", "--follow-symlinks"], Some(asked)).await?;
        if !answered.status.success() {
            return Err(GitError::Failed { command: "cat-file", said: said(&answered) });
        }
        let (mut files, mut rest) = (GitFiles::default(), answered.stdout.as_slice());
        for entry in entries {
            match answer(&mut rest).ok_or(GitError::Answer)? {
                Some(contents) => {
                    files.files.push(GitFile { script: entry.script, contents: contents.to_vec() });
                }
                None => files.links.push(entry.script),
            }
        }
        Ok(files)
    }

    /// Runs git in the repository: it asks nobody, takes no lock, and ends with its deadline.
    async fn run(
        &self,
        command: &'static str,
        arguments: &[&str],
        input: Option<String>,
    ) -> Result<Output, GitError> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.root).arg(command).args(arguments);
        git.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        git.env("GIT_LITERAL_PATHSPECS", "1");
        // In a hook they speak of the folder that git was started in.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
            git.env_remove(variable);
        }
        git.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        git.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = git.spawn().map_err(GitError::Start)?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let talk = async {
            let tell = async {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A git that is gone says why on its other stream.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            let hear = async {
                let mut heard = Vec::new();
                match stdout {
                    Some(mut stdout) => stdout.read_to_end(&mut heard).await.map(|_| heard),
                    None => Ok(heard),
                }
            };
            let ((), heard, ended) = tokio::join!(tell, hear, child.wait_with_output());
            Ok(Output { stdout: heard?, ..ended? })
        };
        match tokio::time::timeout(self.deadline, talk).await {
            Ok(ended) => ended.map_err(GitError::Start),
            Err(_) => Err(GitError::Deadline { command, deadline: self.deadline }),
        }
    }
}

/// One line of `git ls-tree -z`: `MODE TYPE OBJECT<TAB>PATH`.
fn entry(line: &str, below: &str, location: &Location<'_>, wanted: &impl Fn(&str) -> bool) -> Option<Entry> {
    let (head, path) = line.split_once('\t')?;
    let mut head = head.split(' ');
    let (mode, kind, object) = (head.next()?, head.next()?, head.next()?);
    // A link can be followed only where one line names it; a submodule is another repository.
    if kind != "blob" || path.contains('\n') {
        return None;
    }
    let script = if below == "." { path } else { path.strip_prefix(below)?.strip_prefix('/')? };
    let (folders, name) = script.rsplit_once('/').unwrap_or(("", script));
    if folders.split('/').any(|folder| folder.starts_with('.')) || !wanted(name) {
        return None;
    }
    Some(Entry {
        script: location.script(script)?.to_owned(),
        path: path.to_owned(),
        object: object.to_owned(),
        is_link: mode == "120000",
    })
}

/// One answer of `git cat-file --batch`; `Some(None)` where there is no file behind a link.
fn answer<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 1..];
    if head.ends_with(" missing") {
        return Some(None);
    }
    let words: Vec<&str> = head.split(' ').collect();
    let size: usize = words.last()?.parse().ok()?;
    let contents = rest.get(..size)?;
    *rest = rest.get(size + 1..)?;
    Some((words.len() == 3 && words[1] == "blob").then_some(contents))
}

/// A path without links, as far as it exists: git tells its folder that way.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = fs_err::canonicalize(path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => real(parent).join(name),
        (Some(_), Some(name)) => real(Path::new(".")).join(name),
        _ => path.to_owned(),
    }
}

fn line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end_matches(['\n', '\r']).to_owned()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    whimbrel_migration::redact::redact(text.trim()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_git_are_cut_by_their_sizes() {
        let text = b"abc blob 5\na\nb\n\n\ndangling 3\nx/y\nabc missing\nabc tree 2\n\0\n\nabc blob 0\n\n";
        let mut rest = text.as_slice();
        let found: Vec<_> = std::iter::from_fn(|| answer(&mut rest)).collect();
        assert_eq!(found, [Some(&b"a\nb\n\n"[..]), None, None, None, Some(&b""[..])]);
        assert!(rest.is_empty());
    }

    #[test]
    fn entries_are_named_below_their_location_and_hidden_folders_passed_over() {
        let location = Location::of(Path::new("/r/sql"));
        let sql = |name: &str| name.ends_with(".sql");
        let script = |line| entry(line, "sql", &location, &sql).map(|entry| entry.script);
        assert_eq!(script("100644 blob 1f\tsql/a b/V1__a.sql").as_deref(), Some("a b/V1__a.sql"));
        for line in [
            "100644 blob 1f\tsql/.git/V1__a.sql",
            "100644 blob 1f\tsql/notes.txt",
            "160000 commit 1f\tsql/V1__a.sql",
            "100644 blob 1f\tsqlite/V1__a.sql",
            "",
        ] {
            assert_eq!(script(line), None, "{line}");
        }
    }
}
