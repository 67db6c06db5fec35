//! The image on real systems: registry, Docker engine, skopeo, and the program inside it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::{registry, testbed};

const DEADLINE: Duration = Duration::from_secs(120);

fn watch(project: &Project, arguments: &[&str]) -> Command {
    let mut command = project.tool("whimbrel-watch");
    command.args(["--format", "json"]).args(arguments);
    command
}

/// The destination in the testbed's registry that no other test has.
fn registry_of(project: &Project) -> String {
    format!("registry://{}/{}:dev", testbed::registry(), project.repository)
}

fn push(project: &Project) -> Ended {
    run(&mut watch(project, &["--once", "--to", &registry_of(project)]), DEADLINE)
}

/// The last event: what the round came to.
#[track_caller]
fn last(ended: &Ended) -> Value {
    ended.json_lines().pop().unwrap_or_else(|| panic!("no events\n{}", ended.said()))
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_else(|| panic!("no {field} in {event}"))
}

/// A program of the machine, to its end and well.
#[track_caller]
fn output(program: &str, arguments: &[&str]) -> String {
    run(clean(program).args(arguments), DEADLINE).expect_code(0).stdout
}

fn small(scripts: &[(&str, &str)]) -> Project {
    let project = Project::small();
    for (name, sql) in scripts {
        project.write(&format!("sql/{name}"), sql);
    }
    project
}

#[test]
fn changed_script_sends_one_layer_and_the_registry_keeps_the_rest() {
    let project = Project::sample();
    let first = last(&push(&project).expect_code(0));
    assert_eq!(first["event"], "pushed");
    assert_eq!(first["has_runner"], true, "the runner stands beside the tool");
    let before = registry::layers(&project.repository, "dev");

    let again = last(&push(&project).expect_code(0));
    assert_eq!((&again["event"], &again["bytes"]), (&Value::from("unchanged"), &Value::from(0)));

    project.write("db/flyway/sql/platform/V900__more.sql", "CREATE TABLE more (id bigint);\n");
    let second = last(&push(&project).expect_code(0));
    assert_eq!(second["event"], "pushed");
    // The layer of scripts and the config.
    assert_eq!((&second["blobs_sent"], &second["blobs_reused"]), (&Value::from(2), &Value::from(1)));
    let after = registry::layers(&project.repository, "dev");
    assert_eq!((before.len(), after.len()), (2, 2));
    assert_eq!(before[0], after[0], "the program's layer");
    assert_ne!(before[1], after[1], "the scripts' layer");
    assert_eq!(registry::digest(&project.repository, "dev").as_deref(), Some(text(&second, "digest")));
    registry::is_complete(&testbed::registry(), &project.repository, text(&second, "digest"));
}

#[test]
fn other_tools_accept_the_image_in_every_form() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let pushed = last(&push(&project).expect_code(0));
    let digest = text(&pushed, "digest");
    let reference = format!("docker://{}/{}:dev", testbed::registry(), project.repository);
    let inspected: Value =
        serde_json::from_str(&output("skopeo", &["inspect", "--tls-verify=false", &reference])).unwrap();
    assert_eq!(text(&inspected, "Digest"), digest);
    assert_eq!(text(&inspected["Labels"], "dev.whimbrel.sql.digest"), text(&pushed, "sql_digest"));

    let layout = format!("oci:{}", project.file("layout").display());
    let written = last(&run(&mut watch(&project, &["--once", "--to", &layout]), DEADLINE).expect_code(0));
    assert_eq!(text(&written, "digest"), digest, "the same image wherever it goes");
    let from_layout: Value =
        serde_json::from_str(&output("skopeo", &["inspect", &format!("{layout}:dev")])).unwrap();
    assert_eq!(from_layout["Layers"], inspected["Layers"]);

    let name = format!("{}:dev", testbed::unique("image"));
    let loaded = last(
        &run(&mut watch(&project, &["--once", "--to", &format!("docker:{name}")]), DEADLINE).expect_code(0),
    );
    let config = output("skopeo", &["inspect", "--tls-verify=false", "--raw", "--config", &reference]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs_err::write(&file, config.trim_end()).unwrap();
    let sum = output("sha256sum", &[file.to_str().unwrap()]);
    let id = output("docker", &["inspect", "--format", "{{.Id}}", &name]);
    assert_eq!(text(&loaded, "image_id"), id.trim());
    assert_eq!(id.trim().strip_prefix("sha256:"), sum.split(' ').next(), "the id is the config's digest");
    output("docker", &["rmi", &name]);
}

#[test]
fn docker_pulls_and_the_container_holds_what_was_saved() {
    let scripts = [("V1__a.sql", "SELECT 'ä';\r\n"), ("sub/R__b.sql", "SELECT 2;\n")];
    let project = small(&scripts);
    push(&project).expect_code(0);
    let reference = format!("{}/{}:dev", testbed::registry(), project.repository);
    output("docker", &["pull", "--quiet", &reference]);
    let container = output("docker", &["create", &reference]);
    let back = project.file("back");
    output("docker", &["cp", &format!("{}:/flyway", container.trim()), back.to_str().unwrap()]);
    output("docker", &["rm", container.trim()]);
    output("docker", &["rmi", &reference]);
    for (name, sql) in scripts {
        assert_eq!(fs_err::read_to_string(back.join("sql/app").join(name)).unwrap(), sql);
    }
    let settings = fs_err::read_to_string(back.join("whimbrel.toml")).unwrap();
    assert!(settings.contains("locations = [\"/flyway/sql/app\"]"), "{settings}");
    assert!(!settings.contains("APP_DATABASE_URL") && !settings.contains(project.path().to_str().unwrap()));
}

#[test]
fn container_migrates_under_either_name() {
    let project =
        small(&[("V1__a.sql", "CREATE TABLE a (id int);\n"), ("V2__b.sql", "CREATE TABLE b (id int);\n")]);
    let name = format!("{}:dev", testbed::unique("image"));
    run(&mut watch(&project, &["--once", "--to", &format!("docker:{name}")]), DEADLINE).expect_code(0);
    let database = Database::create("image");
    let variable = format!("APP_DATABASE_URL={}", database.url());
    let container = |entry: &[&str], arguments: &[&str]| {
        let mut command = clean("docker");
        command.args([
            "run",
            "--rm",
            "--network",
            "host",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--env",
            &variable,
        ]);
        command.args(entry).arg(&name).args(arguments);
        run(&mut command, DEADLINE).expect_code(0)
    };
    let info = container(&[], &["info"]);
    assert!(info.says("Pending") || info.says("pending"), "{}", info.said());
    container(&[], &[]);
    assert_eq!(database.version().as_deref(), Some("2"));
    // As Flyway is called: its options, its words.
    let url = database.url();
    let (_, place) = url.split_once('@').expect("the URL has a login");
    let options = [
        format!("-url=jdbc:postgresql://{place}"),
        format!("-user={}", database.user),
        format!("-password={}", database.password),
        "-locations=filesystem:/flyway/sql/app".to_owned(),
        "info".to_owned(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let flyway = container(&["--entrypoint", "/flyway/flyway"], &options);
    assert!(flyway.says("Success"), "{}", flyway.said());
    output("docker", &["rmi", &name]);
}

#[test]
fn set_with_an_error_is_not_pushed() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let good = last(&push(&project).expect_code(0));
    project.write("sql/V2__b.sql", "SELECT 1;\n\nCREAT TABLE b (id int);\n");
    let refused = push(&project).expect_code(1);
    let finding = refused.json_lines().into_iter().find(|line| line["event"] == "finding").unwrap();
    assert_eq!(
        (&finding["slug"], &finding["line"], &finding["column"]),
        (&"syntax".into(), &3.into(), &1.into())
    );
    assert!(Path::new(text(&finding, "file")).ends_with("sql/V2__b.sql"));
    assert_eq!(registry::digest(&project.repository, "dev").as_deref(), Some(text(&good, "digest")));
    project.write("sql/V2__b.sql", "-- whimbrel: syntax-unchecked\nCREAT TABLE b (id int);\n");
    push(&project).expect_code(0);
}

#[test]
fn tilt_gets_a_reference_that_changes_with_the_content_only() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let reference = || {
        let mut command = watch(&project, &["--once", "--ref-out", "state/ref"]);
        command.env("EXPECTED_REGISTRY", testbed::registry());
        run(&mut command, DEADLINE).expect_code(0);
        fs_err::read_to_string(project.file("state/ref")).unwrap().trim().to_owned()
    };
    let first = reference();
    assert!(first.starts_with(&format!("{}/{}:sha-", testbed::registry(), project.repository)), "{first}");
    assert_eq!(reference(), first);
    project.write("sql/V2__b.sql", "SELECT 2;\n");
    let second = reference();
    assert_ne!(second, first);
    let tag = |reference: &str| reference.rsplit_once(':').unwrap().1.to_owned();
    assert!(registry::digest(&project.repository, &tag(&first)).is_some(), "the old one is still there");
    assert!(registry::digest(&project.repository, &tag(&second)).is_some());
}

#[test]
fn base_is_mounted_and_not_copied() {
    let base = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let pushed = last(&push(&base).expect_code(0));
    assert_eq!(pushed["has_runner"], true);
    let project = small(&[("V1__other.sql", "SELECT 2;\n")]);
    let reference = format!("{}/{}:dev", testbed::registry(), base.repository);
    let arguments = ["--once", "--to", &registry_of(&project), "--base", &reference];
    let built = last(&run(&mut watch(&project, &arguments), DEADLINE).expect_code(0));
    assert_eq!(built["blobs_sent"], 2, "the scripts and the config: {built}");
    let layers = registry::layers(&project.repository, "dev");
    assert_eq!(layers[..2], registry::layers(&base.repository, "dev")[..]);
    registry::is_complete(&testbed::registry(), &project.repository, text(&built, "digest"));
}

#[test]
fn watcher_pushes_each_save_and_stops_cleanly() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let mut watcher = Running::start(&mut watch(&project, &["--to", &registry_of(&project)]));
    watcher.line_with("\"event\":\"pushed\"", DEADLINE);
    let digest = || registry::digest(&project.repository, "dev").expect("the tag is there");
    let mut before = digest();
    for number in 2..6 {
        // As editors save: beside, then over.
        project.write("sql/.new.tmp", &format!("SELECT {number};\n"));
        fs_err::rename(project.file("sql/.new.tmp"), project.file(&format!("sql/V{number}__x.sql"))).unwrap();
        let now = whimbrel_tests::eventually("the save is in the registry", DEADLINE, || {
            Some(digest()).filter(|now| *now != before)
        });
        before = now;
    }
    project.write("sql/V9__broken.sql", "CREAT TABLE x;\n");
    watcher.line_with("\"event\":\"refused\"", DEADLINE);
    assert_eq!(digest(), before);
    fs_err::remove_dir_all(project.file("sql")).unwrap();
    watcher.line_with("location-missing", DEADLINE);
    project.write("sql/V1__new.sql", "SELECT 'new';\n");
    whimbrel_tests::eventually("the new folder is in the registry", DEADLINE, || {
        Some(digest()).filter(|now| *now != before)
    });
    watcher.signal(Signal::TERM);
    assert_eq!(watcher.wait(Duration::from_secs(10)).code, Some(143));
}

#[test]
fn registry_that_is_not_there_is_told_within_seconds() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let to = "registry://localhost:1/x:dev";
    let ended = run(&mut watch(&project, &["--once", "--to", to]), Duration::from_secs(30)).expect_code(69);
    assert!(ended.says("localhost:1"), "{}", ended.said());
    let wrong = run(&mut watch(&project, &["--once", "--to", "ftp://x"]), DEADLINE).expect_code(2);
    assert!(wrong.says("registry://HOST"), "{}", wrong.said());
}

#[test]
fn program_that_would_not_run_in_the_image_is_refused() {
    let project = small(&[("V1__a.sql", "SELECT 1;\n")]);
    let arguments = ["--once", "--to", "oci:out", "--runner", "/bin/sh"];
    let ended = run(&mut watch(&project, &arguments), DEADLINE).expect_code(2);
    assert!(ended.says("ld-linux") || ended.says("/lib"), "{}", ended.said());
    assert!(!project.file("out").exists());
}
