//! The loop through the root Tiltfile: a real Tilt, registry, cluster and database.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use whimbrel_tests::program::{Ended, Running, clean, path_with_testbed, run};
use whimbrel_tests::registry;
use whimbrel_tests::release::Release;
use whimbrel_tests::{eventually, testbed};

/// A build that Tilt has finished.
struct Build {
    error: Option<String>,
    log: String,
}

/// `tilt up`, and the commands that talk to it.
struct Tilt<'a> {
    release: &'a Release,
    port: u16,
    home: tempfile::TempDir,
    running: Option<Running>,
}

impl<'a> Tilt<'a> {
    fn new(release: &'a Release) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("a listener has an address").port();
        Self { release, port, home: tempfile::tempdir().expect("there is room"), running: None }
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = clean(testbed::variable("WHIMBREL_TEST_TILT"));
        command
            .args(verb)
            .arg(format!("--port={}", self.port))
            .current_dir(self.release.project.path())
            .env("HOME", self.home.path())
            .env("PATH", path_with_testbed())
            .env("KUBECONFIG", testbed::kubeconfig())
            .env(
                "WHIMBREL_BIN",
                std::path::Path::new(&testbed::variable("WHIMBREL_BIN_DIR")).join("whimbrel"),
            )
            .env("TILT_DISABLE_ANALYTICS", "1")
            .env("DO_NOT_TRACK", "1");
        command
    }

    /// Arguments of the Tiltfile.
    fn arguments(&self) -> [&str; 5] {
        let release = self.release;
        ["--", "--repository", &release.project.repository, "--namespace", &release.namespace.name]
    }

    fn up(release: &'a Release) -> Self {
        let mut tilt = Self::new(release);
        let mut command = tilt.command(&["up", "--stream", "--web-mode=prod"]);
        tilt.running = Some(Running::start(command.args(tilt.arguments())));
        eventually("Tilt has read the Tiltfile", Duration::from_secs(90), || {
            let answer =
                run(&mut tilt.command(&["get", "uiresource/ops-migrations-image"]), Duration::from_secs(20));
            (answer.code == Some(0)).then_some(())
        });
        tilt
    }

    /// `tilt ci`, to its end.
    fn ci(release: &'a Release) -> Ended {
        let tilt = Self::new(release);
        let mut command = tilt.command(&["ci", "--web-mode=prod"]);
        run(command.args(tilt.arguments()), Duration::from_secs(300))
    }

    fn status(&self, resource: &str) -> Value {
        let name = format!("uiresource/{resource}");
        let answer =
            run(&mut self.command(&["get", &name, "--output=json"]), Duration::from_secs(20)).expect_code(0);
        let object: Value = serde_json::from_str(&answer.stdout).expect("tilt prints JSON");
        object["status"].clone()
    }

    /// Triggers a resource and waits for the build that comes of it: not for the one before.
    fn trigger(&self, resource: &str) -> Build {
        let began_before = self.status(resource)["buildHistory"][0]["startTime"].clone();
        run(&mut self.command(&["trigger", resource]), Duration::from_secs(20)).expect_code(0);
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            let build = self.status(resource)["buildHistory"][0].clone();
            if build["startTime"].is_string()
                && build["startTime"] != began_before
                && build["finishTime"].is_string()
            {
                let error = build["error"].as_str().filter(|error| !error.is_empty()).map(str::to_owned);
                return Build { error, log: self.log(resource) };
            }
            assert!(Instant::now() < deadline, "{resource} has not ended\n{}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    #[track_caller]
    fn green(&self, resource: &str) -> Build {
        let build = self.trigger(resource);
        assert_eq!(build.error, None, "{resource}\n{}", build.log);
        self.release.holds_no_password(resource, &build.log);
        build
    }

    #[track_caller]
    fn red(&self, resource: &str) -> Build {
        let build = self.trigger(resource);
        assert!(build.error.is_some(), "{resource} is green\n{}", build.log);
        self.release.holds_no_password(resource, &build.log);
        build
    }

    fn log(&self, resource: &str) -> String {
        run(&mut self.command(&["logs", resource]), Duration::from_secs(20)).expect_code(0).stdout
    }

    fn said(&self) -> String {
        self.running.as_ref().map(Running::so_far).unwrap_or_default()
    }
}

impl Drop for Tilt<'_> {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(rustix::process::Signal::TERM);
            let until = Instant::now() + Duration::from_secs(10);
            while running.is_running() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn a_saved_script_travels_through_tilt_into_the_database() {
    let release = Release::prepare("tilt");
    let tilt = Tilt::up(&release);
    let repository = &release.project.repository;
    assert_eq!(registry::digest(repository, "dev"), None, "nothing runs before it is triggered");

    tilt.green("ops-migrations-image");
    let first = registry::digest(repository, "dev").expect("the image was pushed");
    tilt.green("ops-migrations-image");
    assert_eq!(
        registry::digest(repository, "dev").as_ref(),
        Some(&first),
        "the same files are the same image"
    );

    release.project.write(
        "db/flyway/sql/workflows/V900__from_tilt.sql",
        "CREATE TABLE from_tilt (id int PRIMARY KEY);\nINSERT INTO from_tilt VALUES (1);\n",
    );
    tilt.green("ops-migrations-image");
    let second = registry::digest(repository, "dev").expect("the image was pushed");
    assert_ne!(first, second);
    let (old, new) = (registry::layers(repository, &first), registry::layers(repository, &second));
    assert_eq!(old.len(), new.len());
    let changed = old.iter().filter(|layer| !new.contains(layer)).count();
    assert_eq!(changed, 1, "only the SQL layer is new: {old:?} {new:?}");

    tilt.green("ops-secrets-verify");
    release.namespace.remove_secret_key("graph-db-credentials", "GRAPH_DATABASE_URL");
    let red = tilt.red("ops-secrets-verify");
    assert!(
        red.log.contains("graph-db-credentials") && red.log.contains("GRAPH_DATABASE_URL"),
        "{}",
        red.log
    );
    whimbrel_tests::project::create_secrets(&release.namespace, &release.databases);
    tilt.green("ops-secrets-verify");

    tilt.green("ops-db-migrate-platform");
    release.is_up_to_date();
    assert_eq!(release.database("workflows").ask("SELECT id FROM from_tilt"), "1");

    let logs = tilt.green("ops-db-migrations-logs");
    assert!(logs.log.contains("V900__from_tilt"), "the whole log is there\n{}", logs.log);
    assert!(logs.log.contains("platform"), "from the first database on\n{}", logs.log);

    let command = tilt.green("ops-flyway-cli");
    assert!(command.log.contains("kubectl") || command.log.contains("whimbrel"), "{}", command.log);
}

#[test]
fn a_failing_script_is_red_in_tilt_and_green_when_it_is_right() {
    let release = Release::prepare("tiltred");
    let tilt = Tilt::up(&release);
    let broken = "db/flyway/sql/agents/V900__broken.sql";
    tilt.green("ops-migrations-image");
    release.project.write(broken, "CREAT TABLE nothing ();\n");
    let red = tilt.red("ops-migrations-image");
    assert!(red.log.contains("V900__broken.sql:1:1"), "{}", red.log);

    release.project.write(broken, "CREATE TABLE half (id int);\nSELECT 1 / 0;\n");
    tilt.green("ops-migrations-image");
    let red = tilt.red("ops-db-migrate-platform");
    assert!(red.log.contains("V900__broken.sql"), "{}", red.log);
    let logs = tilt.red("ops-db-migrations-logs");
    assert!(logs.log.contains("division by zero"), "{}", logs.log);
    assert_eq!(release.database("agents").ask("SELECT to_regclass('half') IS NULL"), "t");

    release.project.write(broken, "CREATE TABLE half (id int);\n");
    tilt.green("ops-migrations-image");
    tilt.green("ops-db-migrate-platform");
    release.is_up_to_date();
}

#[test]
fn tilt_ci_runs_the_whole_chain_and_is_red_with_a_broken_script() {
    let release = Release::prepare("tiltci");
    let green = Tilt::ci(&release).expect_code(0);
    release.is_up_to_date();
    assert!(green.says("SUCCESS"), "{}", green.said());
    release.holds_no_password("tilt ci", &green.said());

    release
        .project
        .write("db/flyway/sql/agents/V900__broken.sql", "CREATE TABLE half (id int);\nSELECT 1 / 0;\n");
    let red = Tilt::ci(&release);
    assert_ne!(red.code, Some(0), "{}", red.said());
    assert!(red.says("V900__broken.sql"), "{}", red.said());
    assert_eq!(release.database("agents").ask("SELECT to_regclass('half') IS NULL"), "t");
}
