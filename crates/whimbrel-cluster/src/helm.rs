//! The helm program: what state a release is in, and `upgrade --install`.
//!
//! Never with `--atomic`: a database cannot be rolled back, so a release that says it was would be a lie. Values go in
//! by stdin, so nothing is left in a file.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// How long helm may take for a question.
const QUESTION: Duration = Duration::from_secs(30);
/// How long helm may take to write down that it was stopped.
const GOODBYE: Duration = Duration::from_secs(10);
/// What helm may take beyond its own `--timeout` before it is ended.
const BEYOND: Duration = Duration::from_secs(30);

/// The program and the cluster that it is to talk to.
#[derive(Debug, Clone)]
pub struct Helm {
    /// The program: a path, or a name on `PATH`.
    pub program: PathBuf,
    /// `--kubeconfig`.
    pub kubeconfig: Option<PathBuf>,
    /// `--kube-context`.
    pub context: Option<String>,
    /// `--namespace`.
    pub namespace: String,
}

/// The state of a release, in helm's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The newest revision.
    pub revision: u32,
    /// Its status: `deployed`, `failed`, `pending-install`, `pending-upgrade`, …
    pub status: String,
    /// What helm says about it.
    pub description: String,
    /// When its operation began, where helm tells it.
    pub updated: Option<Timestamp>,
}

impl Release {
    /// Whether an operation is under way, or was when helm was killed.
    pub fn is_pending(&self) -> bool {
        self.status.starts_with("pending-")
    }
}

/// What was done about a release that a killed helm had left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// It had never been deployed: it was uninstalled, without hooks.
    Uninstalled,
    /// It was rolled back to this revision, without hooks.
    RolledBack(u32),
}

/// helm did not do what was asked.
#[derive(Debug, Error)]
pub enum HelmError {
    /// It cannot be started.
    #[error("cannot start {}", .program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It said no.
    #[error("helm {verb} failed: {words}")]
    Failed {
        /// The verb.
        verb: &'static str,
        /// The last thing that it said.
        words: String,
    },
    /// It did not end.
    #[error("helm {verb} did not end within {} s", .limit.as_secs())]
    Deadline {
        /// The verb.
        verb: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It answered something else than it should.
    #[error("helm {verb} gave no answer that could be read")]
    Answer {
        /// The verb.
        verb: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// `upgrade --install`.
#[derive(Debug, Clone)]
pub struct Upgrade<'a> {
    /// The release.
    pub release: &'a str,
    /// The chart: a folder or a reference.
    pub chart: &'a str,
    /// The values, as JSON, which is YAML.
    pub values: &'a str,
    /// helm's own limit.
    pub timeout: Duration,
}

#[derive(Deserialize)]
struct Entry {
    revision: u32,
    status: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    updated: String,
}

impl Helm {
    /// The newest revision of a release; `None` where there is none.
    pub async fn release(&self, release: &str) -> Result<Option<Release>, HelmError> {
        let entries = self.history(release).await?;
        Ok(entries.into_iter().max_by_key(|entry| entry.revision).map(|entry| Release {
            revision: entry.revision,
            status: entry.status,
            description: entry.description,
            updated: entry.updated.parse().ok(),
        }))
    }

    /// Ends the pending state of a release that nobody works on any more: hooks do not run, nothing new is deployed.
    pub async fn repair(&self, release: &str) -> Result<Repair, HelmError> {
        let entries = self.history(release).await?;
        let good = entries.iter().filter(|entry| matches!(entry.status.as_str(), "deployed" | "superseded"));
        match good.map(|entry| entry.revision).max() {
            Some(revision) => {
                let to = revision.to_string();
                self.run("rollback", &["rollback", release, &to, "--no-hooks"], None, QUESTION).await?;
                Ok(Repair::RolledBack(revision))
            }
            None => {
                self.run("uninstall", &["uninstall", release, "--no-hooks"], None, QUESTION).await?;
                Ok(Repair::Uninstalled)
            }
        }
    }

    /// Installs or upgrades; ends when the hooks have ended. Cancelled, helm is asked to stop and writes that down.
    pub async fn upgrade(&self, upgrade: &Upgrade<'_>, cancel: &CancellationToken) -> Result<(), HelmError> {
        let timeout = format!("{}s", upgrade.timeout.as_secs());
        let arguments = [
            "upgrade",
            upgrade.release,
            upgrade.chart,
            "--install",
            "--create-namespace",
            "--timeout",
            &timeout,
            "--values",
            "-",
        ];
        let limit = upgrade.timeout + BEYOND;
        self.run_until("upgrade", &arguments, Some(upgrade.values), limit, cancel).await.map(drop)
    }

    async fn history(&self, release: &str) -> Result<Vec<Entry>, HelmError> {
        let verb = "history";
        match self.run(verb, &[verb, release, "--max", "50", "--output", "json"], None, QUESTION).await {
            Ok(output) => {
                serde_json::from_slice(&output.stdout).map_err(|source| HelmError::Answer { verb, source })
            }
            Err(HelmError::Failed { words, .. }) if words.contains("not found") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn run(
        &self,
        verb: &'static str,
        arguments: &[&str],
        stdin: Option<&str>,
        limit: Duration,
    ) -> Result<Output, HelmError> {
        self.run_until(verb, arguments, stdin, limit, &CancellationToken::new()).await
    }

    async fn run_until(
        &self,
        verb: &'static str,
        arguments: &[&str],
        stdin: Option<&str>,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Output, HelmError> {
        let start = |source| HelmError::Start { program: self.program.clone(), source };
        let child = self.command(arguments, stdin.is_some()).spawn().map_err(start)?;
        let id = child.id();
        let mut talk = std::pin::pin!(talk(child, stdin));
        let ended = tokio::select! {
            ended = &mut talk => Ok(ended),
            () = tokio::time::sleep(limit) => Err(HelmError::Deadline { verb, limit }),
            () = cancel.cancelled() => {
                terminate(id);
                tokio::time::timeout(GOODBYE, &mut talk).await.map_err(|_| HelmError::Deadline { verb, limit: GOODBYE })
            }
        };
        let output = ended?.map_err(start)?;
        if output.status.success() {
            return Ok(output);
        }
        Err(HelmError::Failed { verb, words: last_words(&output.stderr) })
    }

    fn command(&self, arguments: &[&str], talks: bool) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--namespace").arg(&self.namespace);
        if let Some(kubeconfig) = &self.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        if let Some(context) = &self.context {
            command.arg("--kube-context").arg(context);
        }
        let stdin = if talks { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

async fn talk(mut child: Child, stdin: Option<&str>) -> std::io::Result<Output> {
    if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
        // helm that ends before it has read all says itself why.
        let _ = pipe.write_all(text.as_bytes()).await;
    }
    child.wait_with_output().await
}

/// Asks a process to end; one that has ended already needs no asking.
fn terminate(id: Option<u32>) {
    let pid = id.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// helm's own error in one line, without warnings, bullets and the word in front.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("WARNING"));
    let mut words = String::new();
    for line in lines {
        let separator = if words.is_empty() {
            ""
        } else if words.ends_with(':') {
            " "
        } else {
            "; "
        };
        let line = line.strip_prefix("Error: ").or(line.strip_prefix("* ")).unwrap_or(line);
        words.push_str(separator);
        words.push_str(line);
    }
    if words.is_empty() { "it said nothing".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::{Helm, HelmError, Repair, last_words};

    /// A helm that writes down how it was called and answers from a script.
    fn scripted(folder: &tempfile::TempDir, script: &str) -> Helm {
        let program: PathBuf = folder.path().join("helm");
        let calls = folder.path().join("calls");
        fs_err::write(&program, format!("#!/bin/sh\necho \"$@\" >>{}\n{script}\n", calls.display())).unwrap();
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helm { program, kubeconfig: None, context: Some("k3d-x".to_owned()), namespace: "shop".to_owned() }
    }

    #[tokio::test]
    async fn a_release_that_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let helm = scripted(&folder, "echo 'Error: release: not found' >&2; exit 1");
        assert_eq!(helm.release("db").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_pending_upgrade_is_rolled_back_to_the_last_good_revision_without_hooks() {
        let folder = tempfile::tempdir().unwrap();
        let history = r#"[{"revision":1,"status":"superseded"},{"revision":2,"status":"deployed"},
            {"revision":3,"status":"failed"},{"revision":4,"status":"pending-upgrade","description":"Preparing upgrade"}]"#;
        let helm = scripted(&folder, &format!("[ \"$1\" = history ] && cat <<'J'\n{history}\nJ\nexit 0"));
        assert!(helm.release("db").await.unwrap().unwrap().is_pending());
        assert_eq!(helm.repair("db").await.unwrap(), Repair::RolledBack(2));
        let calls = fs_err::read_to_string(folder.path().join("calls")).unwrap();
        assert!(calls.contains("rollback db 2 --no-hooks --namespace shop --kube-context k3d-x"), "{calls}");
    }

    #[tokio::test]
    async fn a_first_install_that_was_killed_is_uninstalled() {
        let folder = tempfile::tempdir().unwrap();
        let history = r#"[{"revision":1,"status":"pending-install"}]"#;
        let helm = scripted(&folder, &format!("[ \"$1\" = history ] && echo '{history}'; exit 0"));
        assert_eq!(helm.repair("db").await.unwrap(), Repair::Uninstalled);
    }

    #[tokio::test]
    async fn a_helm_that_is_not_there_is_told_by_its_name() {
        let program = PathBuf::from("/nowhere/helm");
        let helm = Helm { program, kubeconfig: None, context: None, namespace: "shop".to_owned() };
        assert!(matches!(helm.release("db").await, Err(HelmError::Start { .. })));
    }

    #[test]
    fn helms_words_are_told_without_warnings() {
        let text = b"WARNING: file is group-readable\nError: UPGRADE FAILED: pre-upgrade hooks failed\n";
        assert_eq!(last_words(text), "UPGRADE FAILED: pre-upgrade hooks failed");
        let text = b"Error: UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred:\n\t* job db \
                     failed: DeadlineExceeded\n\n\n";
        let words =
            "UPGRADE FAILED: pre-upgrade hooks failed: 1 error occurred: job db failed: DeadlineExceeded";
        assert_eq!(last_words(text), words);
    }
}
