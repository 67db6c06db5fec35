//! The chart, as helm renders it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn helm(arguments: &[&str]) -> Output {
    let program = std::env::var_os("HELM").unwrap_or_else(|| "helm".into());
    Command::new(&program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{} did not start: {error}", program.display()))
}

fn render_to(arguments: &[&str]) -> Output {
    let mut all = vec!["template", "db-migrations", "charts/whimbrel-migrations", "--namespace", "ameide"];
    all.extend(arguments);
    helm(&all)
}

fn render(arguments: &[&str]) -> String {
    let output = render_to(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("helm writes UTF-8")
}

/// The reason for which helm refuses to render.
fn refusal(arguments: &[&str]) -> String {
    let output = render_to(arguments);
    assert!(!output.status.success(), "was rendered:\n{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn example(name: &str) -> String {
    format!("tests/chart/values/{name}.yaml")
}

/// The value after `key:` on the first line that has it.
fn field<'a>(manifest: &'a str, key: &str) -> &'a str {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in:\n{manifest}")).trim().trim_matches('"')
}

#[test]
fn every_example_renders_as_recorded() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../chart/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for name in ["hook", "plain-job", "production", "off"] {
        let manifest = render(&["--values", &example(name)]);
        settings.bind(|| insta::assert_snapshot!(name, manifest));
    }
}

#[test]
fn lint_has_nothing_to_say() {
    for name in ["hook", "plain-job", "production", "off"] {
        let output = helm(&["lint", "--strict", "charts/whimbrel-migrations", "--values", &example(name)]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(!text.contains("[WARNING]") && !text.contains("[ERROR]"), "{text}");
    }
}

#[test]
fn switched_off_renders_no_job() {
    let manifest = render(&["--values", &example("hook"), "--set", "migrations.enabled=false"]);
    assert!(!manifest.contains("kind: Job"), "{manifest}");
    assert_eq!(field(&manifest, "enabled"), "false");
}

#[test]
fn a_disabled_database_costs_no_secret() {
    let manifest = render(&["--values", &example("hook")]);
    assert!(!manifest.contains("graph-db-credentials"), "{manifest}");
    assert!(manifest.contains("name: AGENTS_RUNTIME_DATABASE_PASSWORD"), "{manifest}");
}

#[test]
fn whatever_changes_the_pod_changes_the_tracked_object() {
    let tracked = |set: &str| {
        let manifest =
            render(&["--values", &example("hook"), "--set", set, "--show-only", "templates/tracked.yaml"]);
        manifest.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
    };
    let before = tracked("migrations.seedDemoData=true");
    assert_eq!(before, tracked("migrations.seedDemoData=true"));
    let other_digest = format!("image.digest=sha256:{}", "1".repeat(64));
    for change in [
        &*other_digest,
        "migrations.seedDemoData=false",
        "databases.graph.enabled=true",
        "databases.platform.secret=other",
        "resources.limits.memory=1Gi",
    ] {
        assert_ne!(before, tracked(change), "{change}");
    }
}

#[test]
fn a_plain_job_is_named_for_what_it_runs() {
    let name = |set: &str| {
        let manifest =
            render(&["--values", &example("plain-job"), "--set", set, "--show-only", "templates/job.yaml"]);
        assert!(!manifest.contains("helm.sh/hook"), "{manifest}");
        field(&manifest, "name").to_owned()
    };
    let first = name("image.tag=1.4.0");
    assert!(first.starts_with("db-migrations-") && first.len() == "db-migrations-".len() + 10, "{first}");
    assert_eq!(first, name("image.tag=1.4.0"));
    assert_ne!(first, name("image.tag=1.4.1"));
}

#[test]
fn the_deadlines_lie_within_each_other() {
    let manifest = render(&["--values", &example("hook"), "--set", "job.activeDeadlineSeconds=900"]);
    assert_eq!(field(&manifest, "activeDeadlineSeconds"), "900");
    assert!(manifest.contains("- name: WHIMBREL_DEADLINE\n              value: \"870s\""), "{manifest}");
    let reason = refusal(&["--values", &example("hook"), "--set", "migrations.deadlineSeconds=240"]);
    assert!(reason.contains("must be less than job.activeDeadlineSeconds (240)"), "{reason}");
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    let hook = example("hook");
    let cases: &[(&[&str], &str)] = &[
        (&[], "image.digest (or image.tag) is not set"),
        (&["--set", "image.tag=dev"], "no database is enabled"),
        (&["--values", &hook, "--set", "image.digest=sha256:abc"], "does not match pattern"),
        (&["--values", &hook, "--set", "mode=cronjob"], "value must be one of"),
        (&["--values", &hook, "--set", "migrations.seeddemodata=true"], "seeddemodata"),
        (&["--values", &hook, "--set", "hook.deletePolicy={hook-succeeded}"], "hook"),
        (&["--values", &hook, "--set", "job.ttlSecondsAfterFinished=5"], "minimum"),
        (&["--values", &hook, "--set", "databases.platform.password=x"], "password"),
        (
            &["--values", &hook, "--set", "databases.x.secret=s,databases.x.keys.user=u"],
            "needs url, jdbc, or host",
        ),
    ];
    for (arguments, expected) in cases {
        let reason = refusal(arguments);
        assert!(reason.contains(expected), "{arguments:?}: {reason}");
    }
}

#[test]
fn a_secret_value_has_no_way_into_the_render() {
    let hook = example("hook");
    for set in [
        "databases.platform.keys.url=postgres://app:canary@db/platform",
        "databases.platform.secret=canary@secret",
        "databases.platform.url=postgres://app:canary@db/platform",
        "extraEnv[0].name=PLATFORM_DATABASE_URL,extraEnv[0].value=canary",
        "extraEnv[0].name=PGPASSWORD,extraEnv[0].value=canary",
    ] {
        refusal(&["--values", &hook, "--set", set]);
    }
}

#[test]
fn the_pod_has_no_more_rights_than_it_needs() {
    let manifest = render(&["--values", &example("production"), "--show-only", "templates/job.yaml"]);
    for line in [
        "automountServiceAccountToken: false",
        "runAsNonRoot: true",
        "runAsUser: 65532",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [ALL]",
        "type: RuntimeDefault",
        "restartPolicy: Never",
        "backoffLimit: 0",
    ] {
        assert!(manifest.contains(line), "no {line:?} in:\n{manifest}");
    }
}

/// What `whimbrel.toml` says of the databases, in the shape of the chart's values.
fn values_of_the_project() -> Value {
    let text = fs_err::read_to_string(root().join("whimbrel.toml")).expect("the project has a whimbrel.toml");
    let project: toml::Table = text.parse().expect("whimbrel.toml is TOML");
    let databases = project["databases"].as_table().expect("databases is a table");
    let entries: BTreeMap<&String, Value> = databases
        .iter()
        .map(|(name, database)| {
            let enabled = database.get("enabled").and_then(toml::Value::as_bool).unwrap_or(true);
            let keys = serde_json::to_value(&database["keys"]).expect("TOML of strings is JSON too");
            (name, json!({ "enabled": enabled, "secret": database["secret"].as_str(), "keys": keys }))
        })
        .collect();
    json!({ "databases": entries })
}

#[test]
fn the_sample_values_say_what_the_project_file_says() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("values.json");
    fs_err::write(&path, values_of_the_project().to_string()).expect("the folder is ours");
    let path = path.to_str().expect("the path is UTF-8");
    let digest = format!("image.digest={DIGEST}");
    let from_project = render(&["--values", path, "--set", &digest]);
    let from_file = render(&["--values", "charts/values/ameide.yaml", "--set", &digest]);
    assert_eq!(from_project, from_file);
    assert_eq!(from_project.matches("_DATABASE_URL\n              valueFrom").count(), 8);
}
