//! Pods deleted, streams cut, helm killed: the next deploy goes through without help, and nothing happened twice.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use whimbrel_tests::cluster::Namespace;
use whimbrel_tests::program::{Running, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::proxy::Proxy;
use whimbrel_tests::release::Release;
use whimbrel_tests::{eventually, testbed};

const SLOW: &str = "db/flyway/sql/threads/V900__slow.sql";

fn slow_script(seconds: u32) -> String {
    format!(
        "CREATE TABLE effect (script int);\nINSERT INTO effect VALUES (900);\nSELECT pg_sleep({seconds});\n\
         INSERT INTO effect VALUES (900);\n"
    )
}

/// Waits until the slow script is at work.
fn wait_until_it_sleeps(release: &Release) {
    let threads = release.database("threads");
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
        threads.name
    );
    eventually("the slow script runs", Duration::from_secs(120), || {
        (threads.number(&query) > 0).then_some(())
    });
}

fn the_effect_is_there_once(release: &Release) {
    release.is_up_to_date();
    assert_eq!(release.database("threads").number("SELECT count(*) FROM effect"), 2, "two rows by one run");
}

#[test]
fn a_deleted_pod_loses_nothing_and_the_next_deploy_goes_through() {
    let release = Release::prepare("poddel");
    release.project.write(SLOW, &slow_script(8));
    release.push();
    let deploy = release.start_deploy();
    wait_until_it_sleeps(&release);
    release
        .namespace
        .kubectl(&["delete", "pod", "--selector=job-name=db-migrations", "--grace-period=8"])
        .expect_code(0);
    let first = deploy.wait(Duration::from_secs(240));
    release.holds_no_password("the deploy", &first.said());
    if first.code != Some(0) {
        // What was applied is whole: the script or nothing of it.
        let threads = release.database("threads");
        let effects = threads.ask("SELECT to_regclass('effect') IS NOT NULL");
        let recorded =
            threads.number("SELECT count(*) FROM flyway_schema_history WHERE version = '900' AND success");
        assert_eq!(effects == "t", recorded == 1, "{}", first.said());
        release.deploy().expect_code(0);
    }
    the_effect_is_there_once(&release);
}

/// The process that `whimbrel deploy` started, by its parent.
fn helm_of(deploy: &Running) -> String {
    eventually("deploy has started helm", Duration::from_secs(60), || {
        let answer = Command::new("pgrep").args(["-P", &deploy.id().to_string(), "helm"]).output().ok()?;
        let id = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        (!id.is_empty()).then_some(id)
    })
}

#[test]
fn a_killed_helm_leaves_a_release_that_the_next_deploy_repairs() {
    let release = Release::prepare("helmkill");
    release.push();
    release.deploy().expect_code(0);
    release.project.write(SLOW, &slow_script(5));
    release.push();
    let deploy = release.start_deploy();
    wait_until_it_sleeps(&release);
    let helm = helm_of(&deploy);
    assert!(Command::new("kill").args(["-KILL", &helm]).status().expect("kill runs").success());
    let killed = deploy.wait(Duration::from_secs(240));
    assert_ne!(killed.code, Some(0), "{}", killed.said());
    assert!(release.status().starts_with("pending-"), "the release is {}", release.status());

    release.deploy().expect_code(0);
    assert_eq!(release.status(), "deployed");
    the_effect_is_there_once(&release);
}

#[test]
fn a_helm_killed_in_its_first_install_is_repaired_as_well() {
    let release = Release::prepare("helmfirst");
    release.project.write(SLOW, &slow_script(5));
    release.push();
    let deploy = release.start_deploy();
    wait_until_it_sleeps(&release);
    let helm = helm_of(&deploy);
    assert!(Command::new("kill").args(["-KILL", &helm]).status().expect("kill runs").success());
    assert_ne!(deploy.wait(Duration::from_secs(240)).code, Some(0));
    release.deploy().expect_code(0);
    the_effect_is_there_once(&release);
}

/// A kubeconfig whose server is a proxy on this machine; the API server's certificate holds that name.
fn kubeconfig_through(proxy: &Proxy, folder: &std::path::Path) -> std::path::PathBuf {
    let text = fs_err::read_to_string(testbed::kubeconfig()).expect("the testbed wrote it");
    let (before, after) = text.split_once("https://").expect("there is a server");
    let (_, after) = after.split_once('"').expect("it is quoted");
    let file = folder.join("kubeconfig");
    fs_err::write(&file, format!("{before}https://{}\"{after}", proxy.address)).expect("there is room");
    file
}

#[test]
fn a_cut_api_stream_costs_no_line_and_doubles_none() {
    const LINES: usize = 120;
    let namespace = Namespace::create("cut");
    let script =
        format!("i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i of the job; sleep 0.1; done");
    namespace.apply(&json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "talker"},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [{
            "name": "talker", "image": "k3d-dev-reg:5000/testbed/busybox:1", "command": ["sh", "-c", script],
        }]}}},
    }));
    let server = fs_err::read_to_string(testbed::kubeconfig()).expect("the testbed wrote it");
    let server =
        server.split_once("https://").and_then(|(_, rest)| rest.split_once('"')).expect("a server").0;
    let proxy = Proxy::to(server);
    let folder = tempfile::tempdir().expect("there is room");
    let project = Project::sample();
    let mut command = project.tool("whimbrel-tail");
    command
        .args(["job/talker", "-n", &namespace.name])
        .env("KUBECONFIG", kubeconfig_through(&proxy, folder.path()));
    let mut tail = Running::start(&mut command);
    tail.line_with("line 5 of the job", Duration::from_secs(60));
    let mut cut = 0;
    for line in [20, 40, 60, 80] {
        cut += proxy.cut();
        tail.line_with(&format!("line {line} of the job"), Duration::from_secs(30));
    }
    // Refused for a while, too: a server that restarts.
    proxy.refuse(true);
    cut += proxy.cut();
    std::thread::sleep(Duration::from_secs(2));
    proxy.refuse(false);
    let ended = tail.wait(Duration::from_secs(90)).expect_code(0);
    assert!(cut >= 5, "only {cut} connections were there to cut");
    for line in 1..=LINES {
        let wanted = format!("line {line} of the job");
        let count = ended.stdout.lines().filter(|said| said.ends_with(&wanted)).count();
        assert_eq!(count, 1, "{wanted}\n{}", ended.said());
    }
}

#[test]
fn a_tail_ends_with_the_outcome_of_a_deleted_and_repeated_job() {
    let release = Release::prepare("gone");
    release.push();
    release.deploy().expect_code(0);
    let tail = |code| {
        let mut command = release.project.tool("whimbrel-tail");
        command.args(["job/db-migrations", "-n", &release.namespace.name]);
        run(&mut command, Duration::from_secs(60)).expect_code(code)
    };
    tail(0);
    release.namespace.kubectl(&["delete", "job/db-migrations"]).expect_code(0);
    release.deploy().expect_code(0);
    tail(0);
}

#[test]
fn a_deploy_whose_job_is_deleted_is_red_although_helm_is_content() {
    let release = Release::prepare("jobdel");
    release.project.write(SLOW, &slow_script(20));
    release.push();
    let deploy = release.start_deploy();
    wait_until_it_sleeps(&release);
    release.namespace.kubectl(&["delete", "job/db-migrations"]).expect_code(0);
    let ended = deploy.wait(Duration::from_secs(240));
    assert_eq!(release.status(), "deployed", "helm takes a deleted hook for a success");
    assert!(!matches!(ended.code, Some(0) | None), "{}", ended.said());
    assert!(ended.says("blocked: Deleted"), "{}", ended.said());
    release.deploy().expect_code(0);
    the_effect_is_there_once(&release);
}
