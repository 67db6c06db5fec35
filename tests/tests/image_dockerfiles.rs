//! The two Dockerfiles give what `whimbrel watch` gives without Docker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use whimbrel_tests::program::{self, Ended};
use whimbrel_tests::project::Project;
use whimbrel_tests::testbed;

const DEADLINE: Duration = Duration::from_secs(180);
const SETTINGS: &str = "db/image/flyway/whimbrel.toml";

/// Images of this test, removed with it.
struct Images {
    prefix: String,
    project: Project,
}

impl Images {
    fn new() -> Self {
        let project = Project::sample();
        let program = Path::new(&testbed::variable("WHIMBREL_BIN_DIR")).join("whimbrel-migrate");
        fs_err::create_dir_all(project.file("build")).expect("folders can be made");
        fs_err::copy(program, project.file("build/whimbrel-migrate")).expect("tests/run builds the programs");
        Self { prefix: testbed::unique("dockerfile"), project }
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{image}:1", self.prefix)
    }

    /// `docker build`, with the file's own words for everything else.
    fn build(&self, image: &str, arguments: &[&str]) -> String {
        let name = self.name(image);
        let mut all = vec!["build", "--quiet", "--tag", &name];
        all.extend(arguments);
        all.push(".");
        docker(&all, self.project.path());
        name
    }

    fn watch(&self, image: &str) -> String {
        let name = self.name(image);
        let mut command = self.project.tool("whimbrel");
        let runner = self.project.file("build/whimbrel-migrate");
        command.args(["watch", "--once", "--to", &format!("docker:{name}"), "--runner"]).arg(runner);
        program::run(&mut command, DEADLINE).expect_code(0);
        name
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        for image in ["runner", "dev", "release", "watch"] {
            let _ = Command::new("docker").args(["rmi", "--force", &self.name(image)]).output();
        }
    }
}

#[track_caller]
fn docker(arguments: &[&str], folder: &Path) -> Ended {
    program::run(program::clean("docker").args(arguments).current_dir(folder), DEADLINE).expect_code(0)
}

/// The files of an image below `/flyway`, and the program; a link counts as what it leads to.
fn content(image: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let container = docker(&["create", image], folder.path()).stdout.trim().to_owned();
    docker(&["cp", &format!("{container}:/flyway"), "."], folder.path());
    docker(&["cp", &format!("{container}:/whimbrel-migrate"), "."], folder.path());
    docker(&["rm", &container], folder.path());
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(next).expect("the folder is ours") {
            let path = entry.expect("the folder is ours").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder.path()).expect("it is below").to_owned();
                files.insert(name, fs_err::read(&path).expect("docker wrote it"));
            }
        }
    }
    files
}

/// What starts a container, and as whom.
fn start(image: &str) -> String {
    let format = "{{.Config.User}} {{json .Config.Entrypoint}} {{json .Config.Cmd}}";
    docker(&["inspect", "--format", format, image], Path::new("/")).stdout
}

#[track_caller]
fn assert_same(expected: &BTreeMap<PathBuf, Vec<u8>>, other: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(expected), names(other));
    for (name, bytes) in expected {
        // Not by assert_eq: programs are no reading matter.
        assert!(bytes == &other[name], "{} differs", name.display());
    }
}

#[test]
fn docker_builds_what_watch_builds() {
    let images = Images::new();
    let watched = images.watch("watch");
    let expected = content(&watched);
    let settings = &expected[Path::new("flyway/whimbrel.toml")];
    if std::env::var_os("WHIMBREL_UPDATE").is_some() {
        fs_err::write(testbed::repository().join(SETTINGS), settings).expect("the repository can be written");
        fs_err::write(images.project.file(SETTINGS), settings).expect("the project can be written");
    }
    assert!(
        expected.contains_key(Path::new("flyway/sql/platform/R__demo_seed.sql")),
        "{:?}",
        expected.keys()
    );
    assert!(expected[Path::new("flyway/flyway")] == expected[Path::new("whimbrel-migrate")], "two programs");

    let runner = images.build("runner", &["--file", "Dockerfile.dev", "--target", "runner"]);
    let dev = images.build("dev", &["--file", "Dockerfile.dev"]);
    let argument = format!("RUNNER_IMAGE={runner}");
    let release = images.build("release", &["--file", "Dockerfile.release", "--build-arg", &argument]);
    for image in [&dev, &release] {
        assert_same(&expected, &content(image));
        assert_eq!(start(&watched), start(image), "{image}");
    }
}

#[test]
fn the_program_answers_to_both_names_in_a_locked_down_container() {
    let images = Images::new();
    let dev = images.build("dev", &["--file", "Dockerfile.dev"]);
    let locked = ["run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none"];
    let run = |more: &[&str]| docker(&[&locked[..], more].concat(), Path::new("/"));
    assert!(run(&[&dev, "--version"]).says("whimbrel-migrate"));
    assert!(run(&["--entrypoint", "/flyway/flyway", &dev, "--help"]).says("Usage: flyway"));
}
