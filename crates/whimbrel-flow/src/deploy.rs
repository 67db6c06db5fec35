//! `deploy`: secrets → tail armed → helm upgrade by digest → outcome.
//!
//! The Job is a hook: it runs inside `helm upgrade`, so the tail starts before helm, takes only a Job whose UID is
//! new, and ends without one when helm ends without one. What helm and the tail say is put together in
//! `verdict::judge`.

mod leftover;
mod values;
mod verdict;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::project::{Cluster as ClusterNames, Project};
use whimbrel_cluster::client::{Cluster, ClusterError, ConnectOptions};
use whimbrel_cluster::follow::{FollowEnd, FollowOptions, follow};
use whimbrel_cluster::helm::{Helm, HelmError, Repair, Upgrade};
use whimbrel_cluster::job::job_now;
use whimbrel_contract::{Conclusion, Report};
use whimbrel_image::{Digest, Reference, ReferenceError, RegistryName};
use whimbrel_joblog::{Output, Target};
use whimbrel_registry::{Registry, RegistryError, TransportSettings};

use crate::secrets::{self, SecretsError, Source, SourceChoice};

pub use leftover::Leftover;
pub use values::{ChartInput, chart_values, job_deadline};
pub use verdict::{DeployReport, Ending};

const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// What to deploy, and how.
#[derive(Clone, Debug)]
pub struct DeployOptions {
    /// Only these databases, or all enabled ones when empty.
    pub only: Vec<String>,
    /// The image by digest; where it is absent, what the project's tag stands for in the registry now.
    pub digest: Option<Digest>,
    /// Placeholders that win over the project's.
    pub placeholders: Vec<(String, String)>,
    /// helm's `--timeout`; the Job's own deadline lies within it.
    pub timeout: Duration,
    /// The kubeconfig; where it is absent, where kubectl looks.
    pub kubeconfig: Option<PathBuf>,
    /// The context; where it is absent, the project's.
    pub context: Option<String>,
    /// The namespace; where it is absent, the project's.
    pub namespace: Option<String>,
    /// The helm program.
    pub helm: PathBuf,
    /// Whether the secrets are verified first.
    pub verify_secrets: bool,
}

/// What happens on the way.
#[derive(Debug)]
pub enum DeployEvent<'a> {
    /// The image that is deployed.
    Image(&'a Reference),
    /// What the check of the secrets found.
    Secrets(&'a Report),
    /// Something is being waited for.
    Waiting(String),
    /// A killed helm had left the release pending; this was done about it.
    Repaired(&'a Repair),
    /// helm starts.
    Helm,
    /// The tail tells something.
    Tail(&'a Output),
    /// The tail cannot follow; helm goes on.
    Deaf(&'a ClusterError),
}

/// Why nothing could be deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The project does not say what is needed.
    #[error("whimbrel.toml has no {0}")]
    NotInProject(&'static str),
    /// A database that the project does not have.
    #[error("the project has no database {0}")]
    NoSuchDatabase(String),
    /// The name of the image is not one.
    #[error("[image] or [registry] makes no reference")]
    Reference(#[from] ReferenceError),
    /// The registry does not answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Nothing was pushed under this name.
    #[error("{0} is not in the registry")]
    NoImage(Reference),
    /// The secrets could not be verified.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// At least one secret is missing or unusable.
    #[error("secrets are missing or unusable; nothing was deployed")]
    BadSecrets,
    /// Of some secrets nothing could be found out.
    #[error("whether the secrets are good could not be found out; nothing was deployed")]
    UnknownSecrets,
    /// The cluster does not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// helm does not do what it should.
    #[error(transparent)]
    Helm(#[from] HelmError),
    /// Somebody else is deploying.
    #[error("release {release} is {status}, and its Job is still running")]
    Busy {
        /// The release.
        release: String,
        /// helm's word.
        status: String,
    },
    /// We were asked to stop before helm was started.
    #[error("stopped before anything was deployed")]
    Stopped,
}

impl From<DeployError> for CommandError {
    fn from(error: DeployError) -> Self {
        use DeployError as E;
        match error {
            E::Secrets(error) => error.into(),
            E::NotInProject(_) | E::NoSuchDatabase(_) | E::Reference(_) => Self::usage(error),
            E::NoImage(_) => Self::new(ErrorKind::No, error).hinted("push it first: whimbrel watch --once"),
            E::BadSecrets => {
                Self::new(ErrorKind::Secret, error).hinted("look again: whimbrel secrets verify")
            }
            E::Busy { .. } => Self::new(ErrorKind::Locked, error).hinted("follow it: whimbrel tail"),
            E::Helm(HelmError::Start { .. }) => {
                Self::usage(error).hinted("install helm, or name it with --helm")
            }
            E::Stopped => Self::new(ErrorKind::Interrupted, error),
            E::UnknownSecrets | E::Registry(_) | E::Cluster(_) | E::Helm(_) => Self::unavailable(error),
        }
    }
}

/// Deploys and follows to the end. `tell` hears everything in order; `cancel` stops helm politely.
///
/// # Errors
/// When it cannot be tried. That it was tried and failed is in the report.
pub async fn deploy(
    project: &Project,
    options: &DeployOptions,
    cancel: &CancellationToken,
    mut tell: impl FnMut(DeployEvent<'_>),
) -> Result<DeployReport, DeployError> {
    let names = project.file.cluster.clone().ok_or(DeployError::NotInProject("[cluster]"))?;
    let names =
        ClusterNames { namespace: options.namespace.clone().unwrap_or(names.namespace.clone()), ..names };
    if let Some(unknown) = options.only.iter().find(|name| !project.file.databases.contains_key(*name)) {
        return Err(DeployError::NoSuchDatabase(unknown.clone()));
    }
    let image = find_image(project, options).await?;
    tell(DeployEvent::Image(&image));
    let context = options.context.clone().or_else(|| names.context.clone());
    let connect = ConnectOptions {
        kubeconfig: options.kubeconfig.clone(),
        context: context.clone(),
        request_timeout: None,
    };
    let cluster = Cluster::connect(connect).await?;
    if options.verify_secrets {
        verify_secrets(project, options, &names, context.clone(), &mut tell).await?;
    }
    let helm = Helm {
        program: options.helm.clone(),
        kubeconfig: options.kubeconfig.clone(),
        context,
        namespace: names.namespace.clone(),
    };
    let leftover = Leftover { cluster: &cluster, helm: &helm, names: &names, patience: options.timeout };
    if let Some(repair) = leftover.clear(cancel, &mut |line| tell(DeployEvent::Waiting(line))).await? {
        tell(DeployEvent::Repaired(&repair));
    }
    if cancel.is_cancelled() {
        return Err(DeployError::Stopped);
    }
    let values = values_text(project, options, &names, &image);
    tell(DeployEvent::Helm);
    let (helm_end, tail_end) =
        run(&cluster, &helm, &names, project, &values, options, cancel, &mut tell).await?;
    Ok(verdict::judge(image, helm_end, tail_end))
}

/// The image as the cluster pulls it, with its digest.
async fn find_image(project: &Project, options: &DeployOptions) -> Result<Reference, DeployError> {
    let image = project.file.image.as_ref().ok_or(DeployError::NotInProject("[image]"))?;
    let names = project.file.registry.as_ref().ok_or(DeployError::NotInProject("[registry]"))?;
    let (push, pull): (RegistryName, RegistryName) = (names.push.parse()?, names.pull().parse()?);
    let pulled = Reference::try_new(pull, &image.repository)?;
    if let Some(digest) = &options.digest {
        return Ok(pulled.with_digest(digest.clone()));
    }
    let registry = Registry::new(push.clone(), TransportSettings::default(), None)?;
    let deadline = Instant::now() + REGISTRY_PATIENCE;
    let found = registry.manifest_digest(&image.repository, &image.tag, deadline).await?;
    match found {
        Some(digest) => Ok(pulled.with_digest(digest)),
        None => Err(DeployError::NoImage(Reference::try_new(push, &image.repository)?.with_tag(&image.tag)?)),
    }
}

async fn verify_secrets(
    project: &Project,
    options: &DeployOptions,
    names: &ClusterNames,
    context: Option<String>,
    tell: &mut impl FnMut(DeployEvent<'_>),
) -> Result<(), DeployError> {
    let contracts = secrets::contracts(project, &options.only).map_err(SecretsError::from)?;
    let source = Source::resolve(SourceChoice::Kubernetes, project, context, Some(names.namespace.clone()));
    let report = secrets::verify(&source, &contracts).await?;
    tell(DeployEvent::Secrets(&report));
    match report.conclusion() {
        Conclusion::Clean => Ok(()),
        Conclusion::Unusable => Err(DeployError::BadSecrets),
        Conclusion::Unknown => Err(DeployError::UnknownSecrets),
    }
}

fn values_text(
    project: &Project,
    options: &DeployOptions,
    names: &ClusterNames,
    image: &Reference,
) -> String {
    let input = ChartInput {
        project,
        image,
        job: &names.job,
        helm_timeout: options.timeout,
        only: &options.only,
        placeholders: &options.placeholders,
    };
    chart_values(&input).to_string()
}

/// helm and the tail side by side. The tail is told when helm has ended, so that it does not wait for a Job in vain.
#[expect(clippy::too_many_arguments, reason = "the two halves of one step, called once")]
async fn run(
    cluster: &Cluster,
    helm: &Helm,
    names: &ClusterNames,
    project: &Project,
    values: &str,
    options: &DeployOptions,
    cancel: &CancellationToken,
    tell: &mut impl FnMut(DeployEvent<'_>),
) -> Result<(Result<(), HelmError>, Option<FollowEnd>), DeployError> {
    let last = job_now(cluster, &names.namespace, &names.job).await?;
    let helm_ended = CancellationToken::new();
    let follow_options = FollowOptions {
        after: last.map(|job| job.uid),
        timeout: options.timeout + Duration::from_secs(60),
        no_more_jobs: helm_ended.clone(),
        ..FollowOptions::new(&names.namespace, Target::Name(names.job.clone()))
    };
    let chart = project.root.join(&names.chart);
    let chart = chart.to_string_lossy();
    let upgrade = Upgrade { release: &names.release, chart: &chart, values, timeout: options.timeout };
    let work = async {
        let end = helm.upgrade(&upgrade, cancel).await;
        helm_ended.cancel();
        end
    };
    let tail = follow(cluster, follow_options, CancellationToken::new(), |output| {
        tell(DeployEvent::Tail(output));
        ControlFlow::Continue(())
    });
    let (helm_end, tail_end) = tokio::join!(work, tail);
    let tail_end = tail_end.map_err(|error| tell(DeployEvent::Deaf(&error))).ok();
    Ok((helm_end, tail_end))
}
