//! One registry under two names? A probe is pushed under the first and asked for under the second.

use std::time::{Duration, Instant};

use whimbrel_cli::project::{Project, Registry as Names};
use whimbrel_cluster::client::Cluster;
use whimbrel_cluster::pull::{PullOutcome, try_pull};
use whimbrel_image::{Image, ImageSpec, Platform, Reference, RegistryName, SqlSet, build};
use whimbrel_registry::{Registry, TransportSettings};

use super::{Check, DoctorOptions, PATIENCE, told};

const PUSH_NAME: &str = "registry-push-name";
const PULL_NAME: &str = "registry-pull-name";
/// The probe's repository: the same on every run, so that a registry does not fill with probes.
const REPOSITORY: &str = "whimbrel/doctor";

pub(super) async fn checks(
    project: &Project,
    cluster: Option<&Cluster>,
    options: &DoctorOptions,
) -> Vec<Check> {
    let Some(names) = &project.file.registry else {
        return vec![Check::absent(PUSH_NAME, "the project names no registry")];
    };
    let probe = match push_probe(names, &options.nonce).await {
        Ok(probe) => probe,
        Err(check) => return vec![check],
    };
    let pushed = Check::ok(PUSH_NAME, format!("{} takes a push", names.push));
    vec![pushed, pull_check(names, &probe, cluster, options).await]
}

/// Pushes an image without content that no registry can have from anybody else.
async fn push_probe(names: &Names, nonce: &str) -> Result<Image, Check> {
    let problem = |detail: String| {
        Check::problem(PUSH_NAME, detail)
            .next("start the registry, or correct [registry] push in whimbrel.toml")
    };
    let wrong = |error: &dyn std::error::Error| problem(format!("{}: {}", names.push, told(error)));
    let name: RegistryName = names.push.parse().map_err(|error| wrong(&error))?;
    let target = Reference::try_new(name.clone(), REPOSITORY).map_err(|error| wrong(&error))?;
    let registry = Registry::new(name, TransportSettings::default(), None).map_err(|error| wrong(&error))?;
    if registry.ping(Instant::now() + PATIENCE).await.is_err() {
        return Err(Check::absent(PUSH_NAME, format!("{} does not answer", names.push)));
    }
    let spec = ImageSpec::new(Platform::default(), SqlSet::default()).with_label("dev.whimbrel.probe", nonce);
    let image = build(&spec).map_err(|error| wrong(&error))?;
    let tags = ["probe".to_owned()];
    let pushed = registry.push_image(&image, &target, &tags, None, Instant::now() + PATIENCE, &|_| {}).await;
    pushed.map_err(|error| wrong(&error))?;
    Ok(image)
}

async fn pull_check(
    names: &Names,
    probe: &Image,
    cluster: Option<&Cluster>,
    options: &DoctorOptions,
) -> Check {
    let pull = names.pull();
    if pull == names.push {
        return Check::ok(PULL_NAME, format!("{pull}: the same name for both"));
    }
    match ask_from_here(pull, probe).await {
        Some(true) => return Check::ok(PULL_NAME, format!("{pull} has what was pushed to {}", names.push)),
        Some(false) => return another_registry(names),
        None => {}
    }
    match cluster {
        Some(cluster) if cluster.is_local() => ask_a_node(names, probe, cluster, options).await,
        Some(_) => Check::absent(
            PULL_NAME,
            format!("{pull} is not reachable from here, and the cluster is not a local one: not tried"),
        ),
        None => Check::absent(
            PULL_NAME,
            format!("{pull} is not reachable from here, and there is no cluster to ask"),
        ),
    }
}

/// Whether the registry of that name has the probe; `None` when it does not answer under that name here.
async fn ask_from_here(pull: &str, probe: &Image) -> Option<bool> {
    let name: RegistryName = pull.parse().ok()?;
    let settings = TransportSettings { plain: vec![name.clone()], ..TransportSettings::default() };
    let registry = Registry::new(name, settings, None).ok()?;
    let deadline = Instant::now() + Duration::from_secs(2);
    registry.ping(deadline).await.ok()?;
    let digest = probe.digest().to_string();
    Some(registry.manifest_digest(REPOSITORY, &digest, deadline).await.ok()?.is_some())
}

async fn ask_a_node(names: &Names, probe: &Image, cluster: &Cluster, options: &DoctorOptions) -> Check {
    let (pull, push) = (names.pull(), &names.push);
    let image = format!("{pull}/{REPOSITORY}@{}", probe.digest());
    let pod = format!("whimbrel-doctor-{}", options.nonce);
    match try_pull(cluster, "default", &pod, &image, options.pull_timeout).await {
        Ok(PullOutcome::Pulled) => {
            Check::ok(PULL_NAME, format!("a node pulls from {pull} what was pushed to {push}"))
        }
        Ok(PullOutcome::Failed(words)) if words.contains("not found") || words.contains("unknown") => {
            another_registry(names)
        }
        Ok(PullOutcome::Failed(words)) => {
            Check::problem(PULL_NAME, format!("a node cannot pull from {pull}: {words}"))
                .next("make the name known to the nodes (k3d: --registry-use), or correct [registry] pull")
        }
        Ok(PullOutcome::Unknown(state)) => {
            Check::problem(PULL_NAME, format!("no node could say whether {pull} is {push}: {state}"))
        }
        Err(error) => Check::problem(PULL_NAME, told(&error)),
    }
}

fn another_registry(names: &Names) -> Check {
    let (pull, push) = (names.pull(), &names.push);
    Check::problem(
        PULL_NAME,
        format!("{pull} does not have what was pushed to {push}: these are two registries"),
    )
    .next("stop the stray registry, or correct [registry] in whimbrel.toml")
}
