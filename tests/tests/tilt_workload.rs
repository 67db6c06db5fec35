//! The optional wirings of the Tiltfile: the Job as a workload that Tilt deploys itself (`custom_build` runs our program,
//! no Docker engine takes part), and the watcher as a resource that serves.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Running, clean, path_with_testbed, run};
use whimbrel_tests::release::Release;
use whimbrel_tests::{eventually, registry, testbed};

const PATIENCE: Duration = Duration::from_secs(90);

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    socket.local_addr().expect("a listener has an address").port()
}

/// `tilt up` with one resource of the Tiltfile, which an option adds.
fn up(release: &Release, home: &Path, port: u16, resource: &str, option: &str) -> Running {
    let mut command = clean(testbed::variable("WHIMBREL_TEST_TILT"));
    command
        .args(["up", "--stream", "--web-mode=prod", &format!("--port={port}"), resource, "--", option])
        .args(["--repository", &release.project.repository, "--namespace", &release.namespace.name])
        .current_dir(release.project.path())
        .env("HOME", home)
        .env("PATH", path_with_testbed())
        .env("KUBECONFIG", testbed::kubeconfig())
        .env("WHIMBREL_BIN", Path::new(&testbed::variable("WHIMBREL_BIN_DIR")).join("whimbrel"))
        .env("TILT_DISABLE_ANALYTICS", "1")
        .env("DO_NOT_TRACK", "1");
    Running::start(&mut command)
}

#[track_caller]
fn reaches(tilt: &Running, database: &Database, version: &str) {
    let until = Instant::now() + PATIENCE;
    while database.version().as_deref() != Some(version) {
        assert!(Instant::now() < until, "version {version} was not reached\n{}", tilt.so_far());
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_save_becomes_a_new_run_of_the_workload() {
    let release = Release::prepare("workload");
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let tilt = up(&release, home.path(), free_port(), "db-migrations-workload", "--workload");
    let database = release.database("workflows");
    reaches(&tilt, database, "5");

    release.project.write(
        "db/flyway/sql/workflows/V900__from_a_save.sql",
        "CREATE TABLE from_a_save (id int PRIMARY KEY);\n",
    );
    reaches(&tilt, database, "900");
    let said = tilt.so_far();
    assert!(!said.contains("Build Failed"), "{said}");
    assert!(said.contains("V900__from_a_save.sql"), "the Job's log is in Tilt\n{said}");
    release.holds_no_password("Tilt", &said);
}

#[test]
fn the_watcher_pushes_at_each_save_for_as_long_as_tilt_runs() {
    let release = Release::prepare("watcher");
    let repository = &release.project.repository;
    let home = tempfile::tempdir().expect("a temporary folder can be made");
    let port = free_port();
    let tilt = up(&release, home.path(), port, "ops-migrations-watch", "--watcher");
    eventually("the resource waits for its trigger", PATIENCE, || {
        let mut trigger = clean(testbed::variable("WHIMBREL_TEST_TILT"));
        trigger.args(["trigger", &format!("--port={port}"), "ops-migrations-watch"]).env("HOME", home.path());
        (run(&mut trigger, PATIENCE).code == Some(0)).then_some(())
    });
    let first = eventually("the first push", PATIENCE, || registry::digest(repository, "dev"));
    release.project.write("db/flyway/sql/graph/V900__watched.sql", "CREATE TABLE watched (id int);\n");
    let second = eventually("the push after the save", PATIENCE, || {
        registry::digest(repository, "dev").filter(|digest| *digest != first)
    });
    assert!(tilt.so_far().contains(&second), "Tilt shows the digest\n{}", tilt.so_far());
}
