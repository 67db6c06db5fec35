//! The Tilt extension with a program that only writes down how it was called: what runs, when, in which order.
//! The real loop through Tilt is in `tilt.rs`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const RESOURCES: [&str; 5] = [
    "ops-migrations-image",
    "ops-secrets-verify",
    "ops-db-migrate-platform",
    "ops-flyway-cli",
    "ops-db-migrations-logs",
];
const DEADLINE: Duration = Duration::from_secs(60);

/// The project's Tiltfile with a recording program as front door.
struct Bench {
    folder: TempDir,
    port: u16,
}

impl Bench {
    fn new(failing: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let program = folder.path().join("whimbrel");
        let calls = folder.path().join("calls");
        let text = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\necho \"called: $*\"\n[ \"$1\" != '{failing}' ]\n",
            calls.display()
        );
        fs_err::write(&program, text).expect("the folder is ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(&program, mode).expect("the file is ours");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        Self { folder, port: port.expect("a port is free").port() }
    }

    fn tilt(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("TILT").unwrap_or_else(|| "tilt".into()));
        command
            .args(arguments)
            .current_dir(root())
            .env("WHIMBREL_BIN", self.folder.path().join("whimbrel"))
            // No cluster takes part.
            .env("KUBECONFIG", self.folder.path().join("none"))
            .env("TILT_PORT", self.port.to_string())
            .env("TILT_DISABLE_ANALYTICS", "1")
            .env("DO_NOT_TRACK", "1")
            .env("XDG_DATA_HOME", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.tilt(arguments).output().expect("tilt is installed")
    }

    /// First words of each call, in order.
    fn calls(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn verbs(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    fn resource(&self, name: &str) -> Option<Value> {
        let output = self.run(&["get", "uiresource", name, "--output", "json"]);
        serde_json::from_slice(&output.stdout).ok()
    }

    fn wait_for(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}; calls: {:?}", self.calls());
            sleep(Duration::from_millis(200));
        }
    }
}

/// A running `tilt up`, ended with the test.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn manifests(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    let mut all = vec!["alpha", "tiltfile-result", "--"];
    all.extend(arguments);
    let output = bench.run(&all);
    assert!(output.status.success(), "{}", text(&output));
    let result: Value = serde_json::from_slice(&output.stdout).expect("tilt prints JSON");
    result["Manifests"].as_array().expect("a list of manifests").clone()
}

fn named<'a>(manifests: &'a [Value], name: &str) -> &'a Value {
    manifests.iter().find(|manifest| manifest["Name"] == name).unwrap_or_else(|| panic!("no resource {name}"))
}

#[test]
fn the_tiltfile_has_the_five_resources_under_their_label() {
    let bench = Bench::new("");
    let manifests = manifests(&bench, &[]);
    let names: Vec<_> = manifests.iter().filter_map(|manifest| manifest["Name"].as_str()).collect();
    assert_eq!(names, RESOURCES);
    for manifest in &manifests {
        assert_eq!(manifest["Labels"]["ops.migrations"], "ops.migrations", "{}", manifest["Name"]);
        // Manual, as Tilt numbers it: neither at start nor at a change.
        assert_eq!(manifest["TriggerMode"], 2, "{}", manifest["Name"]);
    }
    let parallel = |name| named(&manifests, name)["DeployTarget"]["AllowParallel"] == true;
    assert!(parallel("ops-db-migrations-logs") && parallel("ops-secrets-verify"));
    assert!(!parallel("ops-db-migrate-platform") && !parallel("ops-migrations-image"));
}

#[test]
fn registry_names_and_context_are_arguments() {
    let bench = Bench::new("");
    let arguments =
        ["--push", "127.0.0.1:5001", "--pull", "reg:5000", "--context", "kind-x", "--namespace", "n"];
    let manifests = manifests(&bench, &arguments);
    let command = |name| named(&manifests, name)["DeployTarget"]["UpdateCmdSpec"]["args"].to_string();
    assert!(
        command("ops-migrations-image").contains("registry://127.0.0.1:5001/ameide/ameide-migrations:dev")
    );
    assert!(command("ops-db-migrate-platform").contains("reg:5000"));
    for name in ["ops-secrets-verify", "ops-db-migrate-platform", "ops-db-migrations-logs"] {
        assert!(command(name).contains(r#""--context","kind-x""#), "{}", command(name));
        assert!(command(name).contains(r#""--namespace","n""#), "{}", command(name));
    }
}

#[test]
fn the_watcher_serves_beside_other_updates() {
    let bench = Bench::new("");
    let manifests = manifests(&bench, &["--watcher"]);
    let watch = &named(&manifests, "ops-migrations-watch")["DeployTarget"];
    assert_eq!(watch["AllowParallel"], true);
    assert!(watch["ServeCmd"]["Argv"].to_string().contains(r#""watch""#), "{watch}");
    assert!(watch["UpdateCmdSpec"].is_null(), "{watch}");
}

#[test]
fn tilt_ci_runs_the_chain_in_order() {
    let bench = Bench::new("");
    let output = bench.run(&["ci", "--web-mode=prod"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(bench.verbs(), ["watch", "secrets", "deploy", "tail"]);
}

#[test]
fn tilt_ci_is_red_at_the_first_failure_and_goes_no_further() {
    let bench = Bench::new("secrets");
    let output = bench.run(&["ci", "--web-mode=prod"]);
    assert!(!output.status.success(), "{}", text(&output));
    assert_eq!(bench.verbs(), ["watch", "secrets"]);
}

#[test]
fn tilt_up_runs_what_is_triggered_and_nothing_else() {
    let bench = Bench::new("tail");
    let mut command = bench.tilt(&["up", "--stream", "--web-mode=prod"]);
    let _up = Up(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tilt is installed"));
    bench.wait_for("tilt's resources", |bench| bench.resource(RESOURCES[4]).is_some());
    // Longer than Tilt takes to start what it starts by itself.
    sleep(Duration::from_secs(2));
    assert!(bench.calls().is_empty(), "{:?}", bench.calls());

    let update = |bench: &Bench, name: &str| {
        bench
            .resource(name)
            .and_then(|resource| Some(resource["status"]["updateStatus"].as_str()?.to_owned()))
    };
    // In the opposite order: no resource waits for another.
    for (name, outcome) in
        [("ops-db-migrations-logs", "error"), ("ops-secrets-verify", "ok"), ("ops-flyway-cli", "ok")]
    {
        let trigger = bench.run(&["trigger", name]);
        assert!(trigger.status.success(), "{}", text(&trigger));
        bench.wait_for(name, |bench| update(bench, name).as_deref() == Some(outcome));
    }
    assert_eq!(bench.verbs(), ["tail", "secrets"]);
    let log = text(&bench.run(&["logs", "ops-flyway-cli"]));
    assert!(log.contains("/tilt/bin/flyway-cli' info all"), "{log}");
}

#[test]
fn another_repository_loads_it_as_extension() {
    let bench = Bench::new("");
    let other = tempfile::tempdir().expect("a temporary folder can be made");
    let repository = fs_err::canonicalize(root()).expect("the repository is there");
    let tiltfile = format!(
        "v1alpha1.extension_repo(name='whimbrel', url='file://{}')\n\
         v1alpha1.extension(name='migrations', repo_name='whimbrel', repo_path='tilt')\n\
         load('ext://migrations', 'whimbrel')\n\
         whimbrel(prefix='db-', labels=['data'])\n",
        repository.display()
    );
    fs_err::write(other.path().join("Tiltfile"), tiltfile).expect("the folder is ours");
    let output = bench.tilt(&["alpha", "tiltfile-result"]).current_dir(other.path()).output();
    let output = output.expect("tilt is installed");
    assert!(output.status.success(), "{}", text(&output));
    let result: Value = serde_json::from_slice(&output.stdout).expect("tilt prints JSON");
    let manifests = result["Manifests"].as_array().expect("a list of manifests");
    let command = &named(manifests, "db-secrets-verify")["DeployTarget"]["UpdateCmdSpec"];
    // Nothing was given, so whimbrel.toml of that project says everything.
    let program = repository.join("tilt/bin/whimbrel");
    assert_eq!(command["args"], serde_json::json!([program, "secrets", "verify"]));
    assert_eq!(
        command["dir"],
        fs_err::canonicalize(other.path()).expect("it is there").to_str().unwrap_or_default()
    );
    assert_eq!(named(manifests, "db-migrations-image")["Labels"]["data"], "data");
}

#[test]
fn the_tiltfile_names_what_the_project_file_names() {
    let bench = Bench::new("");
    let project =
        fs_err::read_to_string(root().join("whimbrel.toml")).expect("the project has a whimbrel.toml");
    let project: toml::Table = project.parse().expect("whimbrel.toml is TOML");
    let said = |table: &str, key: &str| project[table][key].as_str().expect("a string").to_owned();
    let manifests = manifests(&bench, &[]);
    let command = |name| named(&manifests, name)["DeployTarget"]["UpdateCmdSpec"].to_string();
    let image = format!(
        "registry://{}/{}:{}",
        said("registry", "push"),
        said("image", "repository"),
        said("image", "tag")
    );
    assert!(command("ops-migrations-image").contains(&image), "{}", command("ops-migrations-image"));
    let deploy = command("ops-db-migrate-platform");
    for (table, key) in [("cluster", "context"), ("cluster", "namespace"), ("registry", "pull")] {
        assert!(deploy.contains(&format!("\"{}\"", said(table, key))), "{table}.{key} is not in {deploy}");
    }
    assert!(command("ops-db-migrations-logs").contains(&format!("\"job/{}\"", said("cluster", "job"))));
    let cli = command("ops-flyway-cli");
    assert!(cli.contains(&format!("WHIMBREL_RELEASE={}", said("cluster", "release"))), "{cli}");
    for database in project["databases"].as_table().expect("a table").keys() {
        assert!(cli.contains(database.as_str()), "{database} is not in {cli}");
    }
}
