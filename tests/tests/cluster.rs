//! Secrets, deploy and outcome in a real Kubernetes, with a real Helm.

use std::time::Duration;

use whimbrel_tests::cluster::Namespace;
use whimbrel_tests::program::{Ended, run};
use whimbrel_tests::project::{Project, create_secrets};
use whimbrel_tests::registry;
use whimbrel_tests::release::Release;

const SECRET: &str = "threads-db-credentials";
const KEY: &str = "THREADS_DATABASE_PASSWORD";
const BROKEN: &str = "db/flyway/sql/threads/V900__broken.sql";

fn verify(project: &Project) -> Ended {
    run(project.tool("whimbrel-secrets").arg("verify"), Duration::from_secs(60))
}

#[test]
fn a_missing_key_is_named_and_its_return_is_enough() {
    let project = Project::sample();
    let namespace = Namespace::create("secrets");
    project.in_namespace(&namespace);
    let databases = project.create_databases();

    let nothing = verify(&project).expect_code(3);
    assert!(nothing.says("platform-db-credentials"), "{}", nothing.said());

    create_secrets(&namespace, &databases);
    verify(&project).expect_code(0);

    namespace.remove_secret_key(SECRET, KEY);
    let without = verify(&project).expect_code(3);
    assert!(without.says(SECRET) && without.says(KEY), "{}", without.said());
    assert!(!without.says("error: graph"), "only the broken one is named\n{}", without.said());

    create_secrets(&namespace, &databases);
    verify(&project).expect_code(0);
}

#[test]
fn empty_and_untidy_values_are_findings_that_tell_no_value() {
    let project = Project::sample();
    let namespace = Namespace::create("untidy");
    project.in_namespace(&namespace);
    let databases = project.create_databases();
    create_secrets(&namespace, &databases);
    let (entry, database) =
        databases.iter().find(|(entry, _)| entry.secret == SECRET).expect("it is in the sample");
    let with = |password: &str| {
        let mut values = entry.values_in_cluster(database);
        for (key, value) in &mut values {
            if *key == KEY {
                *value = password.to_owned();
            }
        }
        let keys: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        namespace.secret(SECRET, &keys);
        let found = verify(&project).expect_code(3);
        assert!(found.says(KEY), "{}", found.said());
        assert!(!found.says(&database.password), "{}", found.said());
    };
    with("");
    with(&format!("{}\n", database.password));
}

#[test]
fn a_namespace_that_is_not_there_is_the_cause() {
    let project = Project::sample();
    project.replace("whimbrel.toml", "namespace = \"ameide\"", "namespace = \"nobody-made-this\"");
    let found = verify(&project).expect_code(3);
    assert!(found.says("nobody-made-this"), "{}", found.said());
}

#[test]
fn a_deploy_brings_eight_databases_to_their_versions() {
    let release = Release::prepare("deploy");
    release.push();
    let digest = registry::digest(&release.project.repository, "dev").expect("the image was pushed");
    let first = release.deploy().expect_code(0);
    assert_eq!(release.databases.len(), 8);
    release.is_up_to_date();
    assert_eq!(release.status(), "deployed");

    let job = release.namespace.get("job/db-migrations").expect("the hook's Job stays");
    let pod = &job["spec"]["template"]["spec"];
    let image = pod["containers"][0]["image"].as_str().unwrap_or_default();
    assert!(image.starts_with("k3d-dev-reg:5000/") && image.ends_with(&digest), "{image} is not by {digest}");
    assert_eq!(pod["automountServiceAccountToken"], false);

    let uid = release.namespace.uid("job/db-migrations");
    release.project.write(
        "db/flyway/sql/graph/V900__more.sql",
        "CREATE TABLE added_later (id bigint PRIMARY KEY, note text);\n",
    );
    release.push();
    let second = release.deploy().expect_code(0);
    assert_ne!(
        release.namespace.uid("job/db-migrations"),
        uid,
        "the last release's Job was taken for the new one"
    );
    assert!(second.says("V900__more.sql") || second.says("900"), "{}", second.said());
    release.is_up_to_date();

    let third = release.deploy().expect_code(0);
    release.is_up_to_date();
    for (name, run) in [("first", &first), ("second", &second), ("third", &third)] {
        release.holds_no_password(&format!("the {name} deploy"), &run.said());
    }
    nothing_in_the_cluster_holds_a_password(&release);
}

fn nothing_in_the_cluster_holds_a_password(release: &Release) {
    let objects =
        release.namespace.kubectl(&["get", "jobs,pods,configmaps,events", "--output=yaml"]).expect_code(0);
    release.holds_no_password("an object of the namespace", &objects.stdout);
    let log = release.namespace.kubectl(&["logs", "job/db-migrations"]).expect_code(0);
    assert!(!log.stdout.is_empty());
    release.holds_no_password("the Job's log", &log.said());
    for what in ["all", "hooks", "manifest", "values"] {
        let told = release.helm(&["get", what, "db-migrations"]).expect_code(0);
        release.holds_no_password(&format!("helm get {what}"), &told.said());
    }
    let record = termination_message(release);
    assert_eq!(record["schema"], 1);
    assert_eq!(record["outcome"], "ok");
}

/// The run record that the runner leaves behind in its pod.
fn termination_message(release: &Release) -> serde_json::Value {
    let pods = release.namespace.get("pods").expect("the Job has a pod");
    let message =
        pods["items"][0]["status"]["containerStatuses"][0]["state"]["terminated"]["message"].as_str();
    serde_json::from_str(message.unwrap_or_default()).expect("the termination message is the run record")
}

#[test]
fn a_failing_script_stops_the_release_and_changes_nothing_until_it_is_right() {
    let release = Release::prepare("failing");
    release.push();
    release.deploy().expect_code(0);
    let threads = release.database("threads");
    let (before, version) = (threads.schema(), threads.version());

    // Right as SQL, wrong as soon as it runs: the check before a push cannot know.
    release.project.write(
        BROKEN,
        "CREATE TABLE half_done (id int);\n\nINSERT INTO half_done\nSELECT missing_column FROM half_done;\n",
    );
    release.push();
    let failed = release.deploy().expect_code(7);
    assert!(failed.says("V900__broken.sql"), "{}", failed.said());
    assert!(failed.says("missing_column"), "the server's words are there\n{}", failed.said());
    release.holds_no_password("the failed deploy", &failed.said());
    assert_eq!(release.status(), "failed");
    assert_eq!((threads.schema(), threads.version()), (before, version.clone()));
    let job = release.namespace.get("job/db-migrations").expect("the failed Job stays for its log");
    assert_eq!(job["status"]["failed"], 1);

    let record = termination_message(&release);
    let threads_record =
        record["databases"].as_array().into_iter().flatten().find(|each| each["database"] == "threads");
    let threads_record = threads_record.expect("the record names every database");
    assert_eq!(threads_record["outcome"], "failed");
    let unchanged = serde_json::Value::from(version.clone());
    assert_eq!((&threads_record["before"], &threads_record["after"]), (&unchanged, &unchanged));

    let tail = run(
        release.project.tool("whimbrel-tail").args(["job/db-migrations", "-n", &release.namespace.name]),
        Duration::from_secs(60),
    )
    .expect_code(1);
    assert!(tail.says("V900__broken.sql"), "{}", tail.said());
    assert!(line_of(&tail), "file and line are named\n{}", tail.said());

    release.project.write(BROKEN, "CREATE TABLE half_done (id int);\nINSERT INTO half_done VALUES (1);\n");
    release.push();
    release.deploy().expect_code(0);
    assert_eq!(release.status(), "deployed");
    release.is_up_to_date();
    assert_eq!(threads.ask("SELECT id FROM half_done"), "1");
}

/// The statement begins in line 3; the column that is missing is in line 4.
fn line_of(ended: &Ended) -> bool {
    ["V900__broken.sql:3", "V900__broken.sql:4"].iter().any(|place| ended.says(place))
}

/// A script that no PostgreSQL would take does not even reach the registry.
#[test]
fn a_script_that_is_not_sql_is_stopped_before_the_push() {
    let release = Release::prepare("syntax");
    release.push();
    let digest = registry::digest(&release.project.repository, "dev");
    release.project.write(BROKEN, "CREATE TABLE good (id int);\nCREAT TABLE bad (id int);\n");
    let stopped =
        run(release.project.tool("whimbrel-watch").arg("--once"), Duration::from_secs(60)).expect_code(1);
    assert!(stopped.says("V900__broken.sql:2:1"), "{}", stopped.said());
    assert_eq!(registry::digest(&release.project.repository, "dev"), digest, "the last good image stays");
}
