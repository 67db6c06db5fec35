//! The Job as a workload that Tilt deploys itself: `custom_build` runs our program, no Docker engine takes part.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Running, clean, path_with_testbed};
use whimbrel_tests::release::Release;
use whimbrel_tests::testbed;

const PATIENCE: Duration = Duration::from_secs(90);

fn up(release: &Release, home: &Path) -> Running {
    let socket = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = socket.local_addr().expect("a listener has an address").port();
    drop(socket);
    let mut command = clean(testbed::variable("WHIMBREL_TEST_TILT"));
    command
        .args([
            "up",
            "--stream",
            "--web-mode=prod",
            &format!("--port={port}"),
            "db-migrations-workload",
            "--",
        ])
        .args(["--workload", "--repository", &release.project.repository])
        .args(["--namespace", &release.namespace.name])
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
    let tilt = up(&release, home.path());
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
