//! `.devcontainer/` brought up by its real command line, on an image that the testbed makes.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use whimbrel_tests::program::{self, Ended};
use whimbrel_tests::project::Project;
use whimbrel_tests::testbed;

const IMAGE: &str = "whimbrel-testbed/devcontainer:1";
const PROGRAMS: [&str; 5] =
    ["whimbrel", "whimbrel-watch", "whimbrel-secrets", "whimbrel-migrate", "whimbrel-tail"];

/// A copy of the project with the programs where a host leaves them, and the container that is made for it.
struct Devcontainer {
    project: Project,
}

impl Devcontainer {
    fn new(programs: &[&str]) -> Self {
        let project = Project::sample();
        let built = testbed::variable("WHIMBREL_BIN_DIR");
        fs_err::create_dir_all(project.file("build/bin")).expect("folders can be made");
        for program in programs {
            let from = std::path::Path::new(&built).join(program);
            fs_err::copy(from, project.file("build/bin").join(program))
                .expect("tests/run builds the programs");
        }
        Self { project }
    }

    fn cli(&self, verb: &str, arguments: &[&str]) -> Ended {
        let mut command = program::clean(testbed::variable("WHIMBREL_TEST_DEVCONTAINER"));
        command
            .arg(verb)
            .arg("--workspace-folder")
            .arg(self.project.path())
            .args(arguments)
            .env("WHIMBREL_DEVCONTAINER_IMAGE", IMAGE);
        program::run(&mut command, Duration::from_secs(180))
    }

    fn up(&self) -> Ended {
        self.cli("up", &[])
    }
}

impl Drop for Devcontainer {
    fn drop(&mut self) {
        let label = format!("label=devcontainer.local_folder={}", self.project.path().display());
        let found = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &label]).output();
        let Ok(found) = found else { return };
        for id in String::from_utf8_lossy(&found.stdout).split_whitespace() {
            let _ = Command::new("docker").args(["rm", "--force", id]).output();
        }
    }
}

/// The last line of `devcontainer up`, which is its answer.
fn outcome(up: &Ended) -> Value {
    let line = up.stdout.lines().rev().find(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("no answer\n{}", up.said()));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line}"))
}

#[test]
fn the_devcontainer_comes_up_with_the_programs_and_doctor_is_content() {
    let devcontainer = Devcontainer::new(&PROGRAMS);
    let up = devcontainer.up().expect_code(0);
    assert_eq!(outcome(&up)["outcome"], "success", "{}", up.said());
    assert!(up.says("[postCreate] whimbrel-migrate installed from"), "{}", up.said());

    for program in PROGRAMS {
        let version = devcontainer.cli("exec", &[program, "--version"]).expect_code(0);
        assert!(version.says(program), "{}", version.said());
    }
    devcontainer.cli("exec", &["whimbrel", "doctor"]).expect_code(0);

    let again = devcontainer.cli("exec", &["sh", ".devcontainer/postCreate.sh"]).expect_code(0);
    for program in PROGRAMS {
        assert!(again.says(&format!("[postCreate] {program} is up to date")), "{}", again.said());
    }
}

#[test]
fn without_programs_and_cargo_it_says_what_to_do() {
    let devcontainer = Devcontainer::new(&[]);
    let up = devcontainer.up();
    assert_ne!(up.code, Some(0), "{}", up.said());
    assert_eq!(outcome(&up)["outcome"], "error", "{}", up.said());
    assert!(up.says("hint: on the host: cargo build --release"), "{}", up.said());
}
