//! The connection: kubeconfig and context to a client, its errors, and whether the cluster is a local one.
//!
//! Precedence for the configuration: an explicit path, then `$KUBECONFIG`, then `~/.kube/config`, then (only when no
//! context was asked for) the service account of the pod we run in.

use std::{error::Error as StdError, future::Future, path::PathBuf, time::Duration};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

pub use self::locality::{Locality, locality};

mod locality;

/// How long an ordinary request may take before the cluster counts as unreachable.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which cluster to talk to.
#[derive(Debug, Clone, Default)]
pub struct ConnectOptions {
    /// A kubeconfig file; `None` means where kubectl looks.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it; `None` means its current context.
    pub context: Option<String>,
    /// How long an ordinary request may take; `None` means [`DEFAULT_REQUEST_TIMEOUT`].
    pub request_timeout: Option<Duration>,
}

/// A client together with the names that messages need.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    context: Option<String>,
    server: String,
    namespace: String,
    locality: Locality,
    request_timeout: Duration,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("context", &self.context)
            .field("server", &self.server)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Reads the configuration and makes a client. Nothing is sent to the cluster yet: see [`Cluster::probe`].
    pub async fn connect(options: ConnectOptions) -> Result<Self, ClusterError> {
        let request_timeout = options.request_timeout.unwrap_or(DEFAULT_REQUEST_TIMEOUT);
        let resolved = resolve(&options).await?;
        let mut config = resolved.config;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let client = kube::Client::try_from(config)
            .map_err(|error| ClusterError::from_kube(format!("make a client for {server}"), error))?;
        let locality = locality(resolved.context.as_deref(), resolved.cluster.as_deref(), &server);
        Ok(Self { client, context: resolved.context, server, namespace, locality, request_timeout })
    }

    /// A cluster behind a client that somebody else made, such as a scripted API server in a test.
    pub fn from_client(client: kube::Client, namespace: impl Into<String>) -> Self {
        Self {
            client,
            context: None,
            server: String::new(),
            namespace: namespace.into(),
            locality: Locality::Remote("the client was made by the caller".to_owned()),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
        }
    }

    /// The client itself.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// The kubeconfig context in use; `None` in a pod.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The namespace of the context.
    pub fn default_namespace(&self) -> &str {
        &self.namespace
    }

    /// Whether this is somebody's own machine, and why we think so.
    pub fn locality(&self) -> &Locality {
        &self.locality
    }

    /// Whether this is a cluster on somebody's own machine.
    pub fn is_local(&self) -> bool {
        matches!(self.locality, Locality::Local(_))
    }

    /// How long an ordinary request may take.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Asks the API server for its version: proves that it can be reached and that the login is accepted.
    pub async fn probe(&self) -> Result<String, ClusterError> {
        let doing = format!("reach the cluster at {}", self.server);
        let version = self.within(doing, self.client.apiserver_version()).await?;
        Ok(version.git_version)
    }

    /// Runs one request with the deadline for ordinary requests. `doing` completes "could not …".
    pub async fn within<T>(
        &self,
        doing: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ClusterError> {
        let doing = doing.into();
        match tokio::time::timeout(self.request_timeout, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(ClusterError::from_kube(doing, error)),
            Err(_) => Err(ClusterError {
                doing,
                kind: ClusterErrorKind::Unreachable,
                source: Some(format!("no answer within {} s", self.request_timeout.as_secs()).into()),
            }),
        }
    }

    /// Like [`Cluster::within`], with "not found" as `None`.
    pub async fn find<T>(
        &self,
        doing: impl Into<String>,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, ClusterError> {
        match self.within(doing, request).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind == ClusterErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What went wrong, as far as a caller must tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClusterErrorKind {
    /// No usable kubeconfig or context: the user has to fix settings.
    Configuration,
    /// No connection, no answer in time, or the server is overloaded. May be retried.
    Unreachable,
    /// The login was not accepted.
    Unauthorized,
    /// The login was accepted, but has no right to do this.
    Forbidden,
    /// There is no such object.
    NotFound,
    /// The requested version is too old: list again.
    Gone,
    /// Any other answer of the API server.
    Rejected,
}

impl ClusterErrorKind {
    /// Whether the same request may succeed a moment later.
    pub fn may_retry(self) -> bool {
        matches!(self, Self::Unreachable | Self::Gone)
    }

    /// The kind of an error of the client library.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Self::Unauthorized,
                403 => Self::Forbidden,
                404 => Self::NotFound,
                410 => Self::Gone,
                429 | 500 | 502..=504 => Self::Unreachable,
                _ => Self::Rejected,
            },
            kube::Error::Auth(_) => Self::Unauthorized,
            kube::Error::InferConfig(_) | kube::Error::InferKubeconfig(_) => Self::Configuration,
            kube::Error::HyperError(_)
            | kube::Error::Service(_)
            | kube::Error::ReadEvents(_)
            | kube::Error::HttpError(_) => Self::Unreachable,
            _ => Self::Rejected,
        }
    }
}

/// We could not find out, or could not do it: the cluster did not answer or said no.
#[derive(Debug, Error)]
#[error("could not {doing}")]
pub struct ClusterError {
    /// What was tried, as it follows "could not".
    pub doing: String,
    /// The kind, for decisions and exit codes.
    pub kind: ClusterErrorKind,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ClusterError {
    /// An error of our own making.
    pub fn new(
        doing: impl Into<String>,
        kind: ClusterErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { doing: doing.into(), kind, source: Some(source.into()) }
    }

    /// Wraps an error of the client library, without the noise that its `Display` adds.
    pub fn from_kube(doing: impl Into<String>, error: kube::Error) -> Self {
        let kind = ClusterErrorKind::of(&error);
        let source: Box<dyn StdError + Send + Sync> = match error {
            kube::Error::Api(status) if status.message.is_empty() => {
                format!("the API server answered {} {}", status.code, status.reason).into()
            }
            kube::Error::Api(status) => status.message.into(),
            kube::Error::Service(inner) => inner,
            other => other.into(),
        };
        Self { doing: doing.into(), kind, source: Some(source) }
    }
}

struct Resolved {
    config: kube::Config,
    context: Option<String>,
    cluster: Option<String>,
}

async fn resolve(options: &ConnectOptions) -> Result<Resolved, ClusterError> {
    let doing = match (&options.kubeconfig, &options.context) {
        (Some(path), _) => format!("use the kubeconfig {}", path.display()),
        (None, Some(context)) => format!("use the context {context}"),
        (None, None) => "find a kubeconfig".to_owned(),
    };
    let read = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        Err(error) => match in_cluster(options) {
            Some(config) => return Ok(Resolved { config, context: None, cluster: None }),
            None => return Err(configuration(doing, &error)),
        },
    };
    let context = options.context.clone().or_else(|| kubeconfig.current_context.clone());
    if context.is_none()
        && let Some(config) = in_cluster(options)
    {
        return Ok(Resolved { config, context: None, cluster: None });
    }
    let cluster = cluster_of(&kubeconfig, context.as_deref());
    let chosen = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &chosen)
        .await
        .map_err(|error| configuration(doing, &error))?;
    Ok(Resolved { config, context, cluster })
}

/// The pod's own service account, but never when somebody named a file or a context.
fn in_cluster(options: &ConnectOptions) -> Option<kube::Config> {
    if options.kubeconfig.is_some() || options.context.is_some() {
        return None;
    }
    kube::Config::incluster().ok()
}

fn cluster_of(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let named = kubeconfig.contexts.iter().find(|entry| Some(entry.name.as_str()) == context)?;
    named.context.as_ref().map(|entry| entry.cluster.clone())
}

/// A parser's message can quote the file, and the file holds keys: only its kind is told.
fn configuration(doing: String, error: &KubeconfigError) -> ClusterError {
    let reason = match error {
        KubeconfigError::CurrentContextNotSet => "no current context is set in it".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name}"),
        KubeconfigError::FindPath => "there is no home folder to look in".to_owned(),
        KubeconfigError::ReadConfig(error, path) => format!("{}: {error}", path.display()),
        KubeconfigError::MissingClusterUrl => "its cluster has no server address".to_owned(),
        _ => "it is not a valid kubeconfig (kubectl config view shows it)".to_owned(),
    };
    ClusterError::new(doing, ClusterErrorKind::Configuration, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: k3d-one
clusters: [{name: k3d-one, cluster: {server: "http://127.0.0.1:1"}}, {name: far, cluster: {server: "http://203.0.113.1:6443"}}]
users: [{name: u, user: {token: canary-token}}]
contexts: [{name: k3d-one, context: {cluster: k3d-one, user: u, namespace: ameide}}, {name: far, context: {cluster: far, user: u}}]
"#;

    fn options(directory: &tempfile::TempDir, text: &str, context: Option<&str>) -> ConnectOptions {
        let path = directory.path().join("config");
        fs_err::write(&path, text).unwrap();
        ConnectOptions {
            kubeconfig: Some(path),
            context: context.map(str::to_owned),
            request_timeout: Some(Duration::from_secs(2)),
        }
    }

    #[tokio::test]
    async fn the_context_decides_server_namespace_and_locality() {
        let directory = tempfile::tempdir().unwrap();
        let near = Cluster::connect(options(&directory, KUBECONFIG, None)).await.unwrap();
        assert_eq!(
            (near.context(), near.server(), near.default_namespace(), near.is_local()),
            (Some("k3d-one"), "http://127.0.0.1:1", "ameide", true)
        );
        let far = Cluster::connect(options(&directory, KUBECONFIG, Some("far"))).await.unwrap();
        assert_eq!((far.default_namespace(), far.is_local()), ("default", false));
    }

    #[tokio::test]
    async fn an_unknown_context_is_a_configuration_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let error = Cluster::connect(options(&directory, KUBECONFIG, Some("gone"))).await.unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::Configuration);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("gone"), "{cause}");
    }

    #[tokio::test]
    async fn a_broken_kubeconfig_is_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let text = "users: [{name: u, user: {token: canary-token}]\n  broken";
        let error = Cluster::connect(options(&directory, text, None)).await.unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::Configuration);
        assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_port_is_unreachable() {
        let directory = tempfile::tempdir().unwrap();
        let cluster = Cluster::connect(options(&directory, KUBECONFIG, None)).await.unwrap();
        let error = cluster.probe().await.unwrap_err();
        assert_eq!(error.kind, ClusterErrorKind::Unreachable);
        assert_eq!(error.to_string(), "could not reach the cluster at http://127.0.0.1:1");
    }
}
