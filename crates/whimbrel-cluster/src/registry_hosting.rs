//! The registry that a local cluster announces: the ConfigMap `local-registry-hosting` in `kube-public` (KEP-1755).

use k8s_openapi::api::core::v1::ConfigMap;

use crate::client::{Cluster, ClusterError};

const NAMESPACE: &str = "kube-public";
const NAME: &str = "local-registry-hosting";
/// The newest version of the document that we know; later ones stand beside it under keys of their own.
const KEY: &str = "localRegistryHosting.v1";

/// One registry under its names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RegistryHosting {
    /// Where to push from outside the cluster.
    pub host: Option<String>,
    /// The name in image fields of Pods, where it differs.
    pub host_from_container_runtime: Option<String>,
    /// Where to push from inside the cluster.
    pub host_from_cluster_network: Option<String>,
    /// A page that helps when it does not work.
    pub help: Option<String>,
}

impl RegistryHosting {
    /// The name that the cluster pulls by: its own, else the one to push by.
    pub fn pull_host(&self) -> Option<&str> {
        self.host_from_container_runtime.as_deref().or(self.host.as_deref())
    }
}

/// Reads the announcement; `None` when there is none. What it says may be stale.
pub async fn registry_hosting(cluster: &Cluster) -> Result<Option<RegistryHosting>, ClusterError> {
    let maps: kube::Api<ConfigMap> = kube::Api::namespaced(cluster.client(), NAMESPACE);
    let doing = format!("read the configmap {NAMESPACE}/{NAME}");
    let map = cluster.within(doing, maps.get_opt(NAME)).await?;
    let document = map.and_then(|map| map.data).and_then(|mut data| data.remove(KEY));
    Ok(document.map(|document| parse_registry_hosting(&document)))
}

/// Reads the document. It is YAML by its standard, and by the same standard nothing but names and texts: no nesting.
pub fn parse_registry_hosting(document: &str) -> RegistryHosting {
    let value = |wanted: &str| document.lines().find_map(|line| value_of(line, wanted));
    RegistryHosting {
        host: value("host"),
        host_from_container_runtime: value("hostFromContainerRuntime"),
        host_from_cluster_network: value("hostFromClusterNetwork"),
        help: value("help"),
    }
}

fn value_of(line: &str, wanted: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    if name.trim().trim_matches(['"', '\'']) != wanted {
        return None;
    }
    let value = value.trim();
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next().unwrap_or_default(),
        _ => value.split(" #").next().unwrap_or_default().trim(),
    };
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_read_in_any_spelling() {
        let document = "host: \"localhost:5000\"\nhostFromContainerRuntime: k3d-dev-reg:5000 # k3d\nhelp: \
                        'https://x/#y'\nother: 1\n";
        let hosting = parse_registry_hosting(document);
        assert_eq!(hosting.host.as_deref(), Some("localhost:5000"));
        assert_eq!(hosting.pull_host(), Some("k3d-dev-reg:5000"));
        assert_eq!(
            (hosting.help.as_deref(), hosting.host_from_cluster_network),
            (Some("https://x/#y"), None)
        );
    }

    #[test]
    fn one_name_serves_for_both_and_an_empty_one_for_none() {
        assert_eq!(parse_registry_hosting("host: reg:5000").pull_host(), Some("reg:5000"));
        assert_eq!(parse_registry_hosting("host:\nhostFromContainerRuntime: \"\"").pull_host(), None);
    }
}
