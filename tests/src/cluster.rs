//! Namespaces of the testbed's Kubernetes, through `kubectl`.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::program::{Ended, clean, path_with_testbed, run};
use crate::testbed;

/// A namespace of its own; deleted, without waiting for it, with this value.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// Makes a namespace, and waits until pods can be made in it.
    pub fn create(prefix: &str) -> Self {
        let name = testbed::unique(&format!("{prefix}-"));
        kubectl(&["create", "namespace", &name]).expect_code(0);
        crate::eventually("the default service account", Duration::from_secs(30), || {
            let asked = kubectl(&["get", "serviceaccount/default", "--namespace", &name]);
            (asked.code == Some(0)).then_some(())
        });
        Self { name }
    }

    /// `kubectl` in this namespace.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> Ended {
        let mut all = vec!["--namespace", &self.name];
        all.extend(arguments);
        kubectl(&all)
    }

    /// An object as JSON, or nothing when it does not exist.
    #[track_caller]
    pub fn get(&self, object: &str) -> Option<Value> {
        let answer = self.kubectl(&["get", object, "--ignore-not-found", "--output=json"]).expect_code(0);
        (!answer.stdout.is_empty())
            .then(|| serde_json::from_str(&answer.stdout).expect("kubectl prints JSON"))
    }

    /// Creates or replaces an object of this namespace.
    #[track_caller]
    pub fn apply(&self, object: &Value) {
        apply(&["--namespace", &self.name], object);
    }

    /// Creates or replaces a Secret with these keys.
    #[track_caller]
    pub fn secret(&self, name: &str, keys: &[(&str, &str)]) {
        let data: serde_json::Map<_, _> =
            keys.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect();
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data,
        }));
    }

    /// Removes one key of a Secret.
    #[track_caller]
    pub fn remove_secret_key(&self, name: &str, key: &str) {
        let patch = json!([{"op": "remove", "path": format!("/data/{key}")}]).to_string();
        self.kubectl(&["patch", "secret", name, "--type=json", "--patch", &patch]).expect_code(0);
    }

    /// The UID of an object, or nothing when it does not exist.
    #[track_caller]
    pub fn uid(&self, object: &str) -> Option<String> {
        self.get(object).and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = command(&["delete", "namespace", &self.name, "--wait=false"]).output();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = clean(testbed::variable("WHIMBREL_TEST_KUBECTL"));
    command.env("KUBECONFIG", testbed::kubeconfig()).env("PATH", path_with_testbed()).args(arguments);
    command
}

/// `kubectl` as the administrator.
#[track_caller]
pub fn kubectl(arguments: &[&str]) -> Ended {
    run(&mut command(arguments), Duration::from_secs(90))
}

#[track_caller]
fn apply(before: &[&str], object: &Value) {
    let mut arguments = before.to_vec();
    arguments.extend(["apply", "--filename=-"]);
    let mut child = command(&arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut input = child.stdin.take().expect("stdin is a pipe");
    input.write_all(object.to_string().as_bytes()).expect("kubectl reads");
    drop(input);
    let output = child.wait_with_output().expect("kubectl ends");
    assert!(output.status.success(), "{object}\n{}", String::from_utf8_lossy(&output.stderr));
}
