//! The chart in a real Kubernetes by helm alone, as Argo CD and CI use it, in a namespace that admits only pods of the
//! Pod Security Standard *restricted*.

use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_tests::cluster::Namespace;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{self, Ended};
use whimbrel_tests::project::{Entry, Project, create_secrets};
use whimbrel_tests::testbed;

const ENABLED: [&str; 2] = ["platform", "threads"];

struct Release {
    project: Project,
    namespace: Namespace,
    databases: Vec<(Entry, Database)>,
    digest: String,
}

impl Release {
    /// The project with its image pushed, databases and secrets; only those of the enabled databases.
    fn prepare(prefix: &str) -> Self {
        let project = Project::sample();
        let namespace = Namespace::create(prefix);
        let restricted = "pod-security.kubernetes.io/enforce=restricted";
        namespace.kubectl(&["label", "namespace", &namespace.name, restricted]).expect_code(0);
        let mut databases = project.create_databases();
        databases.retain(|(entry, _)| ENABLED.contains(&entry.database.as_str()));
        create_secrets(&namespace, &databases);
        let mut watch = project.tool("whimbrel");
        watch.args(["watch", "--once", "--format", "json"]);
        let events = program::run(&mut watch, Duration::from_secs(120)).expect_code(0).json_lines();
        let digest = events.iter().rev().find_map(|event| event["digest"].as_str());
        let digest = digest.unwrap_or_else(|| panic!("no digest in {events:?}")).to_owned();
        Self { project, namespace, databases, digest }
    }

    fn values(&self, mode: &str, seed: bool) -> Value {
        let mut databases = serde_json::Map::new();
        for entry in self.project.entries() {
            let enabled = ENABLED.contains(&entry.database.as_str());
            let keys: serde_json::Map<_, _> =
                entry.keys.iter().map(|(part, key)| (part.clone(), json!(key))).collect();
            databases
                .insert(entry.database, json!({ "enabled": enabled, "secret": entry.secret, "keys": keys }));
        }
        json!({
            "mode": mode,
            "image": {
                "registry": testbed::variable("WHIMBREL_TEST_REGISTRY_IN_CLUSTER"),
                "repository": self.project.repository,
                "digest": self.digest,
            },
            "migrations": { "seedDemoData": seed },
            "databases": databases,
        })
    }

    fn helm(&self, arguments: &[&str]) -> Ended {
        let mut command = program::clean(testbed::variable("WHIMBREL_TEST_HELM"));
        command
            .args(["--namespace", &self.namespace.name])
            .args(arguments)
            .env("KUBECONFIG", testbed::kubeconfig())
            .current_dir(self.project.path());
        program::run(&mut command, Duration::from_secs(180))
    }

    fn install(&self, values: &Value, more: &[&str]) -> Ended {
        let file = self.project.file("values.json");
        fs_err::write(&file, values.to_string()).expect("the project can be written");
        let mut arguments = vec!["upgrade", "--install", "db-migrations", "charts/whimbrel-migrations"];
        arguments.extend(["--timeout", "2m", "--values", "values.json"]);
        arguments.extend(more);
        self.helm(&arguments)
    }

    fn database(&self, name: &str) -> &Database {
        let found = self.databases.iter().find(|(entry, _)| entry.database == name);
        &found.unwrap_or_else(|| panic!("{name} is enabled")).1
    }

    /// The run record that the newest pod of the Job left.
    fn record(&self) -> Value {
        let pods = self.namespace.get("pods").expect("a list");
        let pods = pods["items"].as_array().expect("a list");
        let newest = pods.iter().max_by_key(|pod| pod["metadata"]["creationTimestamp"].to_string());
        let status = &newest.expect("the Job has a pod")["status"]["containerStatuses"][0];
        let message = status["state"]["terminated"]["message"].as_str().expect("a termination message");
        serde_json::from_str(message).unwrap_or_else(|error| panic!("not JSON ({error}): {message}"))
    }

    /// No password in anything that the cluster or helm keeps in the open.
    #[track_caller]
    fn assert_no_password(&self) {
        let kept = [
            self.namespace.kubectl(&["get", "jobs,pods,configmaps,events", "--output=yaml"]),
            self.namespace.kubectl(&[
                "logs",
                "--selector=app.kubernetes.io/component=migrations",
                "--tail=-1",
            ]),
            self.helm(&["get", "all", "db-migrations"]),
            self.helm(&["history", "db-migrations"]),
        ];
        for (_, database) in &self.databases {
            for text in &kept {
                assert!(!text.said().contains(&database.password), "a password in:\n{}", text.said());
            }
        }
    }
}

#[test]
fn helm_alone_migrates_the_enabled_databases_in_a_restricted_namespace() {
    let release = Release::prepare("chart");
    let values = release.values("hook", true);
    release.install(&values, &[]).expect_code(0);
    assert_eq!(release.database("platform").version().as_deref(), Some("5"));
    assert_eq!(release.database("threads").version().as_deref(), Some("5"));
    assert_eq!(release.database("platform").number("SELECT count(*) FROM tenants"), 2);
    let record = release.record();
    assert_eq!(record["outcome"], "ok", "{record}");
    assert_eq!(record["image"], values["image"]["digest"], "{record}");
    assert_eq!(record["databases"].as_array().map(Vec::len), Some(2), "{record}");
    let tracked =
        release.namespace.get("configmap/db-migrations-tracked").expect("it is part of the release");
    assert_eq!(tracked["data"]["digest"], values["image"]["digest"]);
    let first = release.namespace.uid("job/db-migrations").expect("the hook Job stays");
    release.assert_no_password();

    release.install(&values, &[]).expect_code(0);
    assert_ne!(release.namespace.uid("job/db-migrations"), Some(first), "an upgrade is a new Job");
    assert_eq!(release.database("platform").number("SELECT count(*) FROM tenants"), 2);
}

#[test]
fn a_plain_job_runs_once_for_each_content() {
    let release = Release::prepare("plain");
    let jobs = || {
        let list = release.namespace.get("jobs").expect("a list");
        list["items"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|job| job["metadata"]["uid"].clone())
            .collect::<Vec<_>>()
    };
    let wait = ["--wait", "--wait-for-jobs"];
    release.install(&release.values("job", false), &wait).expect_code(0);
    assert_eq!(release.database("threads").version().as_deref(), Some("5"));
    assert_eq!(release.database("platform").number("SELECT count(*) FROM tenants"), 0);
    let first = jobs();
    release.install(&release.values("job", false), &wait).expect_code(0);
    assert_eq!(jobs(), first, "the same content is left alone");
    release.install(&release.values("job", true), &wait).expect_code(0);
    assert_ne!(jobs(), first, "another setting is another Job");
    assert_eq!(release.database("platform").number("SELECT count(*) FROM tenants"), 2);
}

#[test]
fn a_missing_key_stops_the_job_before_any_statement() {
    let release = Release::prepare("key");
    release.namespace.remove_secret_key("threads-db-credentials", "THREADS_DATABASE_PASSWORD");
    // Such a container never starts: only the Job's own deadline ends it.
    let mut values = release.values("hook", false);
    values["job"] = json!({ "activeDeadlineSeconds": 60 });
    let began = std::time::Instant::now();
    let ended = release.install(&values, &[]);
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.says("DeadlineExceeded"), "{}", ended.said());
    assert!(began.elapsed() < Duration::from_secs(110), "helm's own timeout was waited for");
    assert_eq!(release.database("platform").version(), None);
}
