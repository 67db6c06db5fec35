//! The registry that the cluster announces, for projects that name none.

use std::time::Duration;

use whimbrel_cli::project::{Project, Registry};
use whimbrel_cluster::client::{Cluster, ClusterError, ConnectOptions};
use whimbrel_cluster::registry_hosting::{RegistryHosting, registry_hosting};

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the project's cluster which registry it has, and under which two names.
///
/// # Errors
/// When the cluster cannot be asked.
pub async fn announced_registry(project: &Project) -> Result<Option<Registry>, ClusterError> {
    let context = project.file.cluster.as_ref().and_then(|cluster| cluster.context.clone());
    let options = ConnectOptions { context, request_timeout: Some(PATIENCE), ..ConnectOptions::default() };
    let cluster = Cluster::connect(options).await?;
    Ok(registry_hosting(&cluster).await?.and_then(names))
}

fn names(hosting: RegistryHosting) -> Option<Registry> {
    let pull = hosting.pull_host().map(str::to_owned);
    hosting.host.map(|push| Registry { push, pull })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_that_cannot_be_pushed_to_from_here_is_none() {
        let inside = RegistryHosting {
            host_from_cluster_network: Some("reg:5000".to_owned()),
            ..RegistryHosting::default()
        };
        assert_eq!(names(inside.clone()), None);
        let both = RegistryHosting {
            host: Some("localhost:5000".to_owned()),
            host_from_container_runtime: Some("k3d-dev-reg:5000".to_owned()),
            ..inside
        };
        let registry = names(both).unwrap();
        assert_eq!((registry.push.as_str(), registry.pull()), ("localhost:5000", "k3d-dev-reg:5000"));
    }
}
