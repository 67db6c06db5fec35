//! The programs that some verbs start.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::Check;

/// A program, how it tells its version, and who wants it.
struct Program {
    check: &'static str,
    name: &'static str,
    version: &'static [&'static str],
    wanted_for: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program { check: "helm", name: "helm", version: &["version", "--short"], wanted_for: "deploy" },
    Program {
        check: "kubectl",
        name: "kubectl",
        version: &["version", "--client=true"],
        wanted_for: "looking around",
    },
    Program { check: "tilt", name: "tilt", version: &["version"], wanted_for: "the Tilt resources" },
    Program { check: "psql", name: "psql", version: &["--version"], wanted_for: "looking into a database" },
];
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn checks(path: &[PathBuf]) -> Vec<Check> {
    let mut checks = Vec::new();
    for program in &PROGRAMS {
        checks.push(match find(path, program.name) {
            Some(found) => match version(&found, program.version).await {
                Some(version) => Check::ok(program.check, version),
                None => {
                    Check::problem(program.check, format!("{} does not tell its version", found.display()))
                }
            },
            None => Check::absent(program.check, format!("not on PATH; wanted for {}", program.wanted_for)),
        });
    }
    checks
}

fn find(path: &[PathBuf], name: &str) -> Option<PathBuf> {
    path.iter().map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The first line of what the program says; `None` if it fails or hangs.
async fn version(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::checks;
    use crate::doctor::State;

    #[tokio::test]
    async fn what_is_not_on_the_path_is_absent_and_no_problem() {
        let checks = checks(&[]).await;
        assert!(checks.iter().all(|check| check.state == State::Absent), "{checks:?}");
    }
}
