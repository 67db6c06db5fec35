//! `doctor`: what is here, what the flow can use, and whether the registry's two names are one registry.
//!
//! What is absent is told and is no fault: a laptop without cluster and Docker is a fine place for `up`. A problem is
//! something that is here and would fail.

mod programs;
mod registry;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use whimbrel_cli::project::Project;
use whimbrel_cluster::client::{Cluster, ClusterErrorKind, ConnectOptions, Locality};
use whimbrel_docker::Engine;

/// How long anything but the pull of the probe may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Here and usable.
    Ok,
    /// Not here; some verbs will not work.
    Absent,
    /// Here, and it would fail.
    Problem,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at, as a stable slug.
    pub check: &'static str,
    /// What was found.
    pub state: State,
    /// In words.
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), next: None }
    }

    fn absent(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Absent, detail: detail.into(), next: None }
    }

    fn problem(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Problem, detail: detail.into(), next: None }
    }

    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// What to look at.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// The kubeconfig; where it is absent, where kubectl looks.
    pub kubeconfig: Option<PathBuf>,
    /// The context; where it is absent, the project's.
    pub context: Option<String>,
    /// The Docker engine's address.
    pub docker_host: String,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// How long the cluster may take to pull the probe.
    pub pull_timeout: Duration,
    /// Makes the names of the probe unique.
    pub nonce: String,
}

/// Looks at everything. What cannot be found out is a line of the report, never an error.
pub async fn doctor(project: &Project, options: &DoctorOptions) -> Vec<Check> {
    let mut checks = vec![project_check(project)];
    checks.extend(programs::checks(&options.path).await);
    checks.push(docker_check(&options.docker_host).await);
    let (cluster, check) = cluster_check(project, options).await;
    checks.push(check);
    checks.extend(registry::checks(project, cluster.as_ref(), options).await);
    checks
}

fn project_check(project: &Project) -> Check {
    let missing: Vec<String> = project
        .enabled()
        .flat_map(|(name, database)| project.locations(database).into_iter().map(move |at| (name, at)))
        .filter(|(_, location)| !location.is_dir())
        .map(|(name, location)| format!("{name}: {}", location.display()))
        .collect();
    let databases = project.enabled().count();
    let path = project.path.display();
    if missing.is_empty() {
        return Check::ok("project", format!("{path}, {databases} databases enabled"));
    }
    Check::problem("project", format!("{path}: folders that are not there: {}", missing.join(", ")))
        .next("make the folders, or correct `locations`")
}

async fn docker_check(host: &str) -> Check {
    match Engine::connect(host, PATIENCE).await {
        Ok(engine) => {
            Check::ok("docker", format!("an engine answers at {host}, API {}", engine.api_version()))
        }
        Err(_) => {
            Check::absent("docker", format!("no engine answers at {host}; images are built without one"))
        }
    }
}

async fn cluster_check(project: &Project, options: &DoctorOptions) -> (Option<Cluster>, Check) {
    let configured = project.file.cluster.as_ref().and_then(|cluster| cluster.context.clone());
    let context = options.context.clone().or(configured);
    let connect =
        ConnectOptions { kubeconfig: options.kubeconfig.clone(), context, request_timeout: Some(PATIENCE) };
    let cluster = match Cluster::connect(connect).await {
        Ok(cluster) => cluster,
        Err(error) => return (None, Check::absent("cluster", told(&error))),
    };
    let name = cluster.context().unwrap_or("in-cluster").to_owned();
    match cluster.probe().await {
        Ok(version) => {
            let (Locality::Local(why) | Locality::Remote(why)) = cluster.locality();
            let place = if cluster.is_local() { "local" } else { "not local" };
            let check = Check::ok("cluster", format!("context {name}, Kubernetes {version}, {place}: {why}"));
            (Some(cluster), check)
        }
        Err(error) if error.kind == ClusterErrorKind::Unreachable => (
            None,
            Check::absent("cluster", format!("context {name} does not answer at {}", cluster.server())),
        ),
        Err(error) => {
            let check = Check::problem("cluster", told(&error));
            (None, check.next("renew the login of this context, or choose another with --context"))
        }
    }
}

/// An error with its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
