//! Runs one of PostgreSQL's programs as the server's user, with a deadline.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::{PostgresError, ServerUser};

/// How much of a failed program's output goes into the error.
const OUTPUT_TAIL: usize = 2000;

/// A program, who runs it and where.
pub(crate) struct Program<'a> {
    pub(crate) path: PathBuf,
    pub(crate) user: &'a ServerUser,
    pub(crate) folder: &'a Path,
    pub(crate) deadline: Duration,
}

impl Program<'_> {
    /// Runs the program to its end; an exit status other than 0 is an error.
    pub(crate) async fn run(&self, arguments: &[&std::ffi::OsStr]) -> Result<Output, PostgresError> {
        let output = self.output(arguments).await?;
        if output.status.success() {
            return Ok(output);
        }
        Err(PostgresError::Failed {
            program: self.path.clone(),
            status: output.status.to_string(),
            output: tail(&[output.stdout, output.stderr].concat()),
        })
    }

    async fn output(&self, arguments: &[&std::ffi::OsStr]) -> Result<Output, PostgresError> {
        let mut command = Command::new(&self.path);
        command.args(arguments).current_dir(self.folder).stdin(Stdio::null()).kill_on_drop(true);
        // Variables such as PGDATA, PGPORT or LANG of the caller must not change what the server is.
        command.env_clear().env("LC_ALL", "C").env("HOME", self.folder);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        if let ServerUser::Named { uid, gid, .. } = self.user {
            command.uid(*uid).gid(*gid);
        }
        match tokio::time::timeout(self.deadline, command.output()).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(source)) => Err(PostgresError::Spawn { program: self.path.clone(), source }),
            Err(_) => Err(PostgresError::Deadline { program: self.path.clone(), deadline: self.deadline }),
        }
    }
}

/// The end of a text, cut at a line.
pub(crate) fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(OUTPUT_TAIL)..]);
    let text = if bytes.len() > OUTPUT_TAIL {
        text.split_once('\n').map_or(&*text, |(_, rest)| rest)
    } else {
        &text
    };
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_is_cut_at_a_line() {
        let text = "0123456789\n".repeat(1000);
        let tail = tail(text.as_bytes());
        assert!(tail.len() <= OUTPUT_TAIL && tail.starts_with("0123456789\n"), "{tail}");
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_stopped_at_its_deadline() {
        let program = Program {
            path: PathBuf::from("sleep"),
            user: &ServerUser::Ourselves,
            folder: Path::new("/"),
            deadline: Duration::from_millis(50),
        };
        let error = program.run(&["30".as_ref()]).await.unwrap_err();
        assert!(matches!(error, PostgresError::Deadline { .. }), "{error}");
    }
}
