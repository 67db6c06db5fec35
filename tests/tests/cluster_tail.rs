//! `whimbrel-tail` in a real Kubernetes: every line once, every attempt, every blocker, the Job's own outcome.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use whimbrel_tests::cluster::{Namespace, kubectl};
use whimbrel_tests::program::{Ended, Running, run, whimbrel};
use whimbrel_tests::{eventually, testbed};

const PATIENCE: Duration = Duration::from_secs(120);

fn busybox() -> String {
    format!("{}/testbed/busybox:1", testbed::registry_in_cluster())
}

/// A Job with one container that runs a shell script.
struct Job {
    object: Value,
}

impl Job {
    fn new(name: &str, script: &str) -> Self {
        let container = json!({"name": "migrate", "image": busybox(), "command": ["sh", "-c", script]});
        Self {
            object: json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
                "spec": {"backoffLimit": 0, "template": {"spec": {
                    "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container],
                }}},
            }),
        }
    }

    fn spec(mut self, name: &str, value: Value) -> Self {
        self.object["spec"][name] = value;
        self
    }

    fn pod(mut self, name: &str, value: Value) -> Self {
        self.object["spec"]["template"]["spec"][name] = value;
        self
    }

    fn container(mut self, name: &str, value: Value) -> Self {
        self.object["spec"]["template"]["spec"]["containers"][0][name] = value;
        self
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.object["metadata"]["labels"][name] = json!(value);
        self
    }

    fn apply(self, namespace: &Namespace) {
        namespace.apply(&self.object);
    }
}

fn tail(namespace: &Namespace, job: &str, arguments: &[&str]) -> Command {
    let mut command = whimbrel("whimbrel-tail");
    // No project is near: everything is said on the command line.
    command.current_dir(std::env::temp_dir());
    command.arg(format!("job/{job}")).args(["--namespace", &namespace.name]).args(arguments);
    command
}

fn follow(namespace: &Namespace, job: &str, arguments: &[&str]) -> Ended {
    run(&mut tail(namespace, job, arguments), PATIENCE)
}

/// The objects of a JSON tail that are of this type.
fn of_type(ended: &Ended, kind: &str) -> Vec<Value> {
    ended.json_lines().into_iter().filter(|object| object["type"] == kind).collect()
}

fn texts(ended: &Ended) -> Vec<String> {
    of_type(ended, "log").iter().map(|line| line["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_thousand_lines_appear_once_whenever_the_tail_starts() {
    let namespace = Namespace::create("tail-lines");
    let before = Running::start(&mut tail(&namespace, "talk", &[]));
    std::thread::sleep(Duration::from_millis(500));
    let script =
        "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo line $i; [ $i = 500 ] && sleep 3; done; exit 0";
    Job::new("talk", script).apply(&namespace);
    eventually("the job is half done", PATIENCE, || {
        namespace.kubectl(&["logs", "job/talk", "--tail=1"]).says("line 500").then_some(())
    });
    let during = Running::start(&mut tail(&namespace, "talk", &[]));
    let before = before.wait(PATIENCE).expect_code(0);
    let during = during.wait(PATIENCE).expect_code(0);
    let after = follow(&namespace, "talk", &[]).expect_code(0);
    let mut wanted = String::new();
    for line in 1..=1000 {
        writeln!(wanted, "line {line}").expect("a String takes everything");
    }
    for ended in [before, during, after] {
        assert!(ended.stdout == wanted, "{}", ended.said());
        assert!(ended.stderr.contains("job talk complete"), "{}", ended.stderr);
    }
}

#[test]
fn every_attempt_of_a_failing_job_is_shown() {
    let namespace = Namespace::create("tail-fail");
    let script = "echo begins; echo \"V2__broken.sql:3:1: syntax error\" >&2; exit 7";
    Job::new("bad", script).spec("backoffLimit", json!(1)).apply(&namespace);
    let ended = follow(&namespace, "bad", &["--format", "json"]).expect_code(1);
    let lines: Vec<_> = of_type(&ended, "log")
        .iter()
        .map(|line| (line["attempt"].as_u64(), line["text"].as_str().unwrap_or_default().to_owned()))
        .collect();
    for attempt in [1, 2] {
        for text in ["begins", "V2__broken.sql:3:1: syntax error"] {
            let count = lines.iter().filter(|line| **line == (Some(attempt), text.to_owned())).count();
            assert_eq!(count, 1, "{attempt} {text}\n{}", ended.said());
        }
    }
    let outcome = &of_type(&ended, "outcome")[0];
    assert_eq!((outcome["verdict"].as_str(), outcome["attempts"].as_u64()), (Some("failed"), Some(2)));
    assert_eq!(
        (outcome["exit_code"].as_u64(), outcome["reason"].as_str()),
        (Some(7), Some("BackoffLimitExceeded"))
    );
    // Long after the end it is all still there, in order.
    let again = follow(&namespace, "bad", &[]).expect_code(1);
    assert!(again.stdout.contains("2 migrate | begins"), "{}", again.said());
}

/// The moment at which kubectl first sees this reason in the Pod's status.
fn seen_by_kubectl(namespace: &Namespace, reason: &str) -> Instant {
    let path = "--output=jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
    eventually(reason, PATIENCE, || namespace.kubectl(&["get", "pods", path]).says(reason).then(Instant::now))
}

#[test]
fn a_missing_image_is_told_within_two_seconds_and_waited_for() {
    let namespace = Namespace::create("tail-image");
    let mut running = Running::start(&mut tail(&namespace, "noimage", &["--timeout", "12"]));
    let missing = format!("{}/testbed/missing:1", testbed::registry_in_cluster());
    Job::new("noimage", "true").container("image", json!(missing)).apply(&namespace);
    let seen = seen_by_kubectl(&namespace, "ImagePull");
    running.line_with("ImagePull", Duration::from_secs(10));
    assert!(seen.elapsed() < Duration::from_secs(2), "{}", running.so_far());
    assert!(running.is_running(), "a registry can come back");
    let ended = running.wait(PATIENCE).expect_code(124);
    assert!(ended.stderr.contains("12 s passed waiting for job noimage to end"), "{}", ended.said());
    let told = |line: &&str| line.contains("blocked:") && line.contains("container migrate");
    assert_eq!(ended.stderr.lines().filter(told).count(), 1, "told once\n{}", ended.said());

    let fast = follow(&namespace, "noimage", &["--fail-fast"]).expect_code(1);
    assert!(fast.took < Duration::from_secs(5), "{:?}", fast.took);
}

#[test]
fn a_missing_key_is_named_and_its_arrival_heals() {
    let namespace = Namespace::create("tail-key");
    namespace.secret("db", &[("other", "x")]);
    let from = json!([{"name": "URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]);
    Job::new("key", "echo has it").container("env", from).apply(&namespace);
    let mut running = Running::start(&mut tail(&namespace, "key", &["--format", "json"]));
    let line = running.line_with("\"blocker\"", PATIENCE);
    assert!(line.contains("container-config") && line.contains("couldn't find key url in Secret"), "{line}");
    namespace.secret("db", &[("url", "marked-secret-value")]);
    let ended = running.wait(PATIENCE).expect_code(0);
    assert_eq!(texts(&ended), ["has it"]);
    assert_eq!(of_type(&ended, "healed")[0]["slug"], "container-config");
    assert!(!ended.says("marked-secret-value"), "{}", ended.said());
}

#[test]
fn a_job_deleted_and_made_anew_is_followed() {
    let namespace = Namespace::create("tail-anew");
    Job::new("db", "echo first; sleep 60").apply(&namespace);
    let mut running = Running::start(&mut tail(&namespace, "db", &[]));
    running.line_with("first", PATIENCE);
    namespace.kubectl(&["delete", "job/db", "--cascade=background"]).expect_code(0);
    running.line_with("blocked: Deleted", Duration::from_secs(2));
    Job::new("db", "echo second").apply(&namespace);
    let ended = running.wait(PATIENCE).expect_code(0);
    assert!(ended.stderr.contains("was made anew"), "{}", ended.said());
    assert_eq!(ended.stdout.lines().filter(|line| line.ends_with("second")).count(), 1, "{}", ended.said());
}

#[test]
fn a_job_that_is_gone_for_good_is_unknown() {
    let namespace = Namespace::create("tail-gone");
    Job::new("db", "echo first; sleep 60").apply(&namespace);
    let mut running = Running::start(&mut tail(&namespace, "db", &["--format", "json"]));
    running.line_with("first", PATIENCE);
    namespace.kubectl(&["delete", "job/db"]).expect_code(0);
    let ended = running.wait(PATIENCE).expect_code(1);
    assert_eq!(of_type(&ended, "outcome")[0]["verdict"], "unknown", "{}", ended.said());
}

#[test]
fn a_job_deleted_in_the_moment_of_its_success_is_a_success() {
    let namespace = Namespace::create("tail-hook");
    let mut running = Running::start(&mut tail(&namespace, "db", &["--format", "json"]));
    running.line_with("waiting-for-job", PATIENCE);
    Job::new("db", "echo did it").apply(&namespace);
    namespace.kubectl(&["wait", "--for=condition=complete", "job/db", "--timeout=60s"]).expect_code(0);
    namespace.kubectl(&["delete", "job/db"]).expect_code(0);
    let ended = running.wait(PATIENCE).expect_code(0);
    assert_eq!(texts(&ended), ["did it"], "{}", ended.said());
}

#[test]
fn the_job_of_the_last_release_is_not_taken() {
    let namespace = Namespace::create("tail-after");
    Job::new("db", "echo old; exit 1").apply(&namespace);
    follow(&namespace, "db", &[]).expect_code(1);
    let old = namespace.uid("job/db").expect("it stays");
    let late = follow(&namespace, "db", &["--after", &old, "--timeout", "3"]).expect_code(124);
    assert!(late.stderr.contains("waiting for Job db to appear"), "{}", late.said());
    let running = Running::start(&mut tail(&namespace, "db", &["--after", &old]));
    namespace.kubectl(&["delete", "job/db"]).expect_code(0);
    Job::new("db", "echo new").apply(&namespace);
    let ended = running.wait(PATIENCE).expect_code(0);
    assert_eq!(ended.stdout, "new\n", "{}", ended.said());
}

#[test]
fn of_the_jobs_with_the_labels_the_newest_is_followed() {
    let namespace = Namespace::create("tail-labels");
    Job::new("old", "echo old; exit 1").label("app", "db").apply(&namespace);
    namespace.kubectl(&["wait", "--for=condition=failed", "job/old", "--timeout=60s"]).expect_code(0);
    Job::new("new", "echo new").label("app", "db").apply(&namespace);
    Job::new("other", "echo other").label("app", "other").apply(&namespace);
    let mut command = whimbrel("whimbrel-tail");
    command.current_dir(std::env::temp_dir());
    command.args(["--selector", "app=db", "--namespace", &namespace.name]);
    assert_eq!(run(&mut command, PATIENCE).expect_code(0).stdout, "new\n");
}

#[test]
fn what_kubernetes_ends_is_told_with_its_reason() {
    let namespace = Namespace::create("tail-ends");
    let memory = json!({"limits": {"memory": "16Mi"}});
    let eater = "x=0123456789; while true; do x=$x$x; done";
    Job::new("memory", eater).container("resources", memory).apply(&namespace);
    Job::new("late", "echo starts; sleep 60").spec("activeDeadlineSeconds", json!(3)).apply(&namespace);
    Job::new("nowhere", "true").pod("nodeSelector", json!({"no": "such-node"})).apply(&namespace);

    let memory = follow(&namespace, "memory", &["--format", "json"]).expect_code(1);
    let slugs: Vec<_> = of_type(&memory, "blocker").iter().map(|found| found["slug"].clone()).collect();
    assert!(slugs.ends_with(&["out-of-memory".into(), "backoff-limit-exceeded".into()]), "{}", memory.said());

    let late = follow(&namespace, "late", &["--format", "json"]).expect_code(1);
    assert_eq!(texts(&late), ["starts"], "{}", late.said());
    assert_eq!(of_type(&late, "outcome")[0]["reason"], "DeadlineExceeded");

    let nowhere = follow(&namespace, "nowhere", &["--fail-fast", "--format", "json"]).expect_code(1);
    assert_eq!(of_type(&nowhere, "blocker")[0]["slug"], "unschedulable", "{}", nowhere.said());
}

#[test]
fn a_quota_that_keeps_the_pod_from_being_made_is_told() {
    let namespace = Namespace::create("tail-quota");
    namespace.apply(&json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}},
    }));
    eventually("the quota counts", PATIENCE, || {
        namespace.get("resourcequota/none").filter(|quota| quota["status"]["hard"]["pods"] == "0")
    });
    Job::new("db", "true").apply(&namespace);
    let ended = follow(&namespace, "db", &["--fail-fast"]).expect_code(1);
    assert!(ended.stderr.contains("blocked: FailedCreate (job db)"), "{}", ended.said());
    assert!(ended.stderr.contains("exceeded quota"), "{}", ended.said());
}

#[test]
fn foreign_bytes_are_made_harmless_and_nothing_is_lost() {
    let namespace = Namespace::create("tail-bytes");
    let script = r"printf 'red \033[31mtext\033[0m\n'; printf '\033]0;title\007bell\n'; printf 'bad \377 byte\n';
        echo 'at postgres://app:marked-password@db/app'; head -c 2000000 /dev/zero | tr '\0' x; echo; printf 'no line end'";
    Job::new("db", script).apply(&namespace);
    let ended = follow(&namespace, "db", &[]).expect_code(0);
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 6, "{} lines", lines.len());
    assert_eq!(lines[..4], ["red text", "bell", "bad \u{fffd} byte", "at postgres://app:***@db/app"]);
    assert!(lines[4].starts_with("xxx") && lines[4].ends_with(" more bytes)") && lines[4].len() < 70_000);
    assert_eq!(lines[5], "no line end");
    assert!(!ended.says("marked-password"));
}

#[test]
fn init_containers_come_first_and_are_named() {
    let namespace = Namespace::create("tail-init");
    let init = json!([{"name": "wait-for-db", "image": busybox(), "command": ["sh", "-c", "echo waited"]}]);
    Job::new("db", "echo migrated").pod("initContainers", init).apply(&namespace);
    let ended = follow(&namespace, "db", &["--prefix", "always"]).expect_code(0);
    assert_eq!(ended.stdout, "1 wait-for-db | waited\n1 migrate | migrated\n", "{}", ended.said());
}

/// A kubeconfig for a service account with these rules.
fn account(namespace: &Namespace, name: &str, rules: &Value, folder: &Path) -> PathBuf {
    namespace.kubectl(&["create", "serviceaccount", name]).expect_code(0);
    let api = "rbac.authorization.k8s.io";
    let role = json!({"apiVersion": format!("{api}/v1"), "kind": "Role", "metadata": {"name": name}, "rules": rules});
    namespace.apply(&role);
    namespace.apply(&json!({
        "apiVersion": format!("{api}/v1"), "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace.name}],
    }));
    let token = namespace.kubectl(&["create", "token", name]).expect_code(0).stdout;
    let whole =
        kubectl(&["config", "view", "--raw", "--minify", "--flatten", "--output=json"]).expect_code(0);
    let mut config: Value = serde_json::from_str(&whole.stdout).expect("kubectl prints JSON");
    config["users"][0]["user"] = json!({"token": token.trim()});
    let path = folder.join(format!("{name}.kubeconfig"));
    fs_err::write(&path, config.to_string()).expect("it can be written");
    path
}

#[test]
fn few_rights_are_enough_and_fewer_are_69() {
    let namespace = Namespace::create("tail-rights");
    let folder = tempfile::tempdir().expect("there is room");
    let watch = json!(["get", "list", "watch"]);
    let jobs = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": watch});
    let pods = json!({"apiGroups": [""], "resources": ["pods"], "verbs": watch});
    let logs = json!({"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]});
    let none = account(&namespace, "none", &json!([]), folder.path());
    let no_logs = account(&namespace, "no-logs", &json!([jobs, pods]), folder.path());
    // Without events: what only they tell is missed, the rest is not.
    let enough = account(&namespace, "enough", &json!([jobs, pods, logs]), folder.path());
    Job::new("db", "echo hello").apply(&namespace);
    let with = |kubeconfig: &Path| {
        let ended = run(tail(&namespace, "db", &[]).env("KUBECONFIG", kubeconfig), PATIENCE);
        let token: Value = serde_json::from_str(&fs_err::read_to_string(kubeconfig).expect("it is there"))
            .expect("it is JSON");
        assert!(!ended.says(token["users"][0]["user"]["token"].as_str().expect("there is a token")));
        ended
    };
    assert!(with(&none).expect_code(69).stderr.contains("could not watch jobs"));
    assert!(with(&no_logs).expect_code(69).stderr.contains("could not read the log of pod"));
    assert_eq!(with(&enough).expect_code(0).stdout, "hello\n");
}

#[test]
fn a_signal_ends_the_tail_and_not_the_job() {
    let namespace = Namespace::create("tail-signal");
    Job::new("db", "echo runs; sleep 6").apply(&namespace);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut running = Running::start(&mut tail(&namespace, "db", &[]));
        running.line_with("runs", PATIENCE);
        running.signal(signal);
        let ended = running.wait(Duration::from_secs(3)).expect_code(code);
        assert!(ended.stderr.contains("the Job goes on without us"), "{}", ended.said());
    }
    follow(&namespace, "db", &[]).expect_code(0);
}

#[test]
fn what_a_rotation_took_is_an_exact_gap() {
    let namespace = Namespace::create("tail-rotate");
    // 12 MB of a runner's lines: the kubelet keeps 10 MiB in a file, and the API serves the current one only.
    let script = r#"line() { echo "{\"schema\":1,\"run\":\"r\",\"seq\":$1,\"level\":\"info\",\"message\":\"last $1\"}"; }
        awk 'BEGIN { pad = sprintf("%1000s", ""); for (i = 1; i <= 12000; i++)
            printf "{\"schema\":1,\"run\":\"r\",\"seq\":%d,\"level\":\"info\",\"message\":\"%s\"}\n", i, pad }'
        sleep 25; line 12001; line 12002"#;
    Job::new("db", script).apply(&namespace);
    namespace.kubectl(&["wait", "--for=condition=complete", "job/db", "--timeout=90s"]).expect_code(0);
    let ended = follow(&namespace, "db", &["--format", "json"]).expect_code(0);
    let gaps = of_type(&ended, "gap");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let lost = gaps[0]["last"].as_u64().expect("a number") - gaps[0]["first"].as_u64().expect("a number") + 1;
    assert!(lost > 0, "{gaps:?}");
    assert_eq!(lost + of_type(&ended, "log").len() as u64, 12_002);
    let text = follow(&namespace, "db", &[]).expect_code(0);
    assert!(text.stdout.starts_with("--- lines 1..") && text.stdout.ends_with("last 12001\nlast 12002\n"));
}
