//! `whimbrel-secrets` against a real API server: rights, causes, local values.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_tests::cluster::{Namespace, kubectl};
use whimbrel_tests::program::{Ended, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::{eventually, testbed};

const CANARY: &str = "c4n4ry-s3cret";

/// A project with one database in a namespace of its own.
fn project(namespace: &Namespace) -> Project {
    let project = Project::small();
    let text = fs_err::read_to_string(project.file("whimbrel.toml")).expect("it was written");
    let cluster = format!("\n[cluster]\nnamespace = \"{}\"\n", namespace.name);
    project.write("whimbrel.toml", &(text + &cluster));
    project
}

fn secrets(project: &Project, kubeconfig: &Path, arguments: &[&str]) -> Ended {
    let mut tool = project.tool("whimbrel-secrets");
    // Everything that our libraries have to say, so that a leak at any level is seen.
    tool.env("KUBECONFIG", kubeconfig).env("WHIMBREL_LOG", "trace").args(arguments);
    let ended = run(&mut tool, Duration::from_secs(90));
    assert!(!ended.says(CANARY), "a value was told\n{}", ended.said());
    ended
}

fn verify(project: &Project) -> Ended {
    secrets(project, &testbed::kubeconfig(), &["verify"])
}

fn good(namespace: &Namespace) {
    namespace.secret("app-db", &[("APP_DATABASE_URL", &format!("postgres://app:{CANARY}@db:5432/app"))]);
}

/// A kubeconfig for a service account without any right.
fn powerless(namespace: &Namespace, folder: &Path) -> std::path::PathBuf {
    namespace.kubectl(&["create", "serviceaccount", "powerless"]).expect_code(0);
    let token = namespace.kubectl(&["create", "token", "powerless"]).expect_code(0).stdout;
    let whole =
        kubectl(&["config", "view", "--raw", "--minify", "--flatten", "--output=json"]).expect_code(0);
    let mut config: Value = serde_json::from_str(&whole.stdout).expect("kubectl prints JSON");
    config["users"][0]["user"] = json!({"token": token.trim()});
    let path = folder.join("powerless.kubeconfig");
    fs_err::write(&path, config.to_string()).expect("it can be written");
    path
}

#[test]
fn no_right_to_read_is_no_answer_until_the_named_right_is_granted() {
    let namespace = Namespace::create("secrets-rights");
    let project = project(&namespace);
    good(&namespace);
    let kubeconfig = powerless(&namespace, project.path());

    let refused = secrets(&project, &kubeconfig, &["verify"]).expect_code(69);
    assert!(refused.says("app-db") && refused.says("--resource-name=app-db"), "{}", refused.said());

    // What the hint says is enough, and nothing is listed.
    let role =
        ["create", "role", "whimbrel-secrets", "--verb=get", "--resource=secrets", "--resource-name=app-db"];
    namespace.kubectl(&role).expect_code(0);
    let account = format!("--serviceaccount={}:powerless", namespace.name);
    namespace
        .kubectl(&["create", "rolebinding", "whimbrel-secrets", "--role=whimbrel-secrets", &account])
        .expect_code(0);
    eventually("the right to be granted", Duration::from_secs(20), || {
        (secrets(&project, &kubeconfig, &["verify"]).code == Some(0)).then_some(())
    });

    // Without the right to see the namespace, a missing secret is still a missing secret.
    namespace.kubectl(&["delete", "secret", "app-db"]).expect_code(0);
    let missing = secrets(&project, &kubeconfig, &["verify"]).expect_code(3);
    assert!(missing.says("secret-missing"), "{}", missing.said());
}

#[test]
fn a_removed_key_is_red_and_its_return_is_green() {
    let namespace = Namespace::create("secrets-keys");
    let project = project(&namespace);
    assert!(verify(&project).expect_code(3).says("secret-missing"));
    good(&namespace);
    verify(&project).expect_code(0);
    namespace.remove_secret_key("app-db", "APP_DATABASE_URL");
    let red = verify(&project).expect_code(3);
    assert!(
        red.says("key-missing") && red.says("`app-db`") && red.says("`APP_DATABASE_URL`"),
        "{}",
        red.said()
    );
    good(&namespace);
    verify(&project).expect_code(0);
}

#[test]
fn waiting_goes_on_until_the_secret_comes() {
    let namespace = Namespace::create("secrets-wait");
    let project = project(&namespace);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| secrets(&project, &testbed::kubeconfig(), &["verify", "--wait", "60"]));
        std::thread::sleep(Duration::from_secs(1));
        good(&namespace);
        waiter.join().expect("it ends").expect_code(0);
    });
}

#[test]
fn local_values_fill_what_is_missing_and_touch_nothing_else() {
    let namespace = Namespace::create("secrets-local");
    let project = project(&namespace);
    let generate = || secrets(&project, &testbed::kubeconfig(), &["generate", "--apply"]).expect_code(0);
    assert!(generate().says("created secret"));
    verify(&project).expect_code(0);
    let uid = namespace.uid("secret/app-db");
    assert!(generate().says("already there"));
    assert_eq!(namespace.uid("secret/app-db"), uid);

    // The same values as manifests are what kubectl takes as they are.
    let manifests = ["generate", "--to", "manifests:secrets.yaml"];
    secrets(&project, &testbed::kubeconfig(), &manifests).expect_code(0);
    let file = project.file("secrets.yaml");
    let before = namespace.get("secret/app-db").expect("it is there")["data"].clone();
    namespace.kubectl(&["apply", "--filename", &file.display().to_string()]).expect_code(0);
    assert_eq!(namespace.get("secret/app-db").expect("it is there")["data"], before);
}

#[test]
fn an_external_secret_and_a_database_cluster_are_seen_as_causes() {
    let group = "external-secrets.io";
    define(group, "v1", "ExternalSecret", "externalsecrets", "Namespaced");
    define(group, "v1", "SecretStore", "secretstores", "Namespaced");
    define("postgresql.cnpg.io", "v1", "Cluster", "clusters", "Namespaced");
    let namespace = Namespace::create("secrets-causes");
    let project = project(&namespace);
    namespace.apply(&json!({
        "apiVersion": "external-secrets.io/v1", "kind": "SecretStore", "metadata": {"name": "vault"},
        "status": ready(false, "InvalidProviderConfig", "vault is sealed"),
    }));
    namespace.apply(&json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "of-app"},
        "spec": {"target": {"name": "app-db"}, "secretStoreRef": {"name": "vault", "kind": "SecretStore"}},
        "status": ready(false, "SecretSyncedError", "could not get secret data from provider"),
    }));
    let found = verify(&project).expect_code(3);
    for text in ["secret-missing", "`of-app`", "could not get secret data from provider", "vault is sealed"] {
        assert!(found.says(text), "no {text}\n{}", found.said());
    }

    project.replace("whimbrel.toml", "secret = \"app-db\"", "secret = \"main-app\"");
    namespace.apply(&json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "main"},
        "spec": {"instances": 3}, "status": {"phase": "Setting up primary", "readyInstances": 0},
    }));
    let found = verify(&project).expect_code(3);
    assert!(found.says("cnpg-not-ready") && found.says("Setting up primary"), "{}", found.said());
}

fn ready(is: bool, reason: &str, message: &str) -> Value {
    let status = if is { "True" } else { "False" };
    json!({"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": message}]})
}

/// A kind without a schema, as far as reading it goes the same as the operator's own. It is left in the cluster.
fn define(group: &str, version: &str, kind: &str, plural: &str, scope: &str) {
    let name = format!("{plural}.{group}");
    let lower = kind.to_lowercase();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {
            "group": group, "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": lower},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    });
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("definition.json");
    fs_err::write(&file, definition.to_string()).expect("it can be written");
    kubectl(&["apply", "--filename", &file.display().to_string()]).expect_code(0);
    kubectl(&["wait", "--for=condition=Established", &format!("crd/{name}"), "--timeout=30s"]).expect_code(0);
    eventually("the kind to be served", Duration::from_secs(30), || {
        (kubectl(&["get", &name, "--all-namespaces"]).code == Some(0)).then_some(())
    });
}
