//! Whether a cluster runs on somebody's own machine: a guard for what may be written without asking.
//!
//! Both must speak for it: a name that only local tools give, and an address that is not a public one. A tunnel to
//! production ends on the loopback address, and a context can be given any name.

use std::net::IpAddr;

/// The answer with its reason, as a fragment for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locality {
    /// On somebody's own machine.
    Local(String),
    /// Anything else.
    Remote(String),
}

const PREFIXES: [(&str, &str); 7] = [
    ("k3d-", "k3d"),
    ("kind-", "kind"),
    ("minikube", "minikube"),
    ("microk8s", "MicroK8s"),
    ("colima", "Colima"),
    ("rancher-desktop", "Rancher Desktop"),
    ("docker-", "Docker Desktop"),
];
const EXACT: [(&str, &str); 2] = [("orbstack", "OrbStack"), ("docker-desktop", "Docker Desktop")];
const LOCAL_SUFFIXES: [&str; 4] = [".docker.internal", ".orb.local", ".localhost", ".local"];

/// Decides from the context's name, its cluster's name and the server's address.
pub fn locality(context: Option<&str>, cluster: Option<&str>, server: &str) -> Locality {
    let Some(product) = context.and_then(product).or_else(|| cluster.and_then(product)) else {
        let name = context.unwrap_or("in-cluster");
        return Locality::Remote(format!("the context {name} has no local cluster's name (k3d-…, kind-…)"));
    };
    let host = host_of(server);
    if is_near(&host) {
        Locality::Local(format!("{product} at {host}"))
    } else {
        Locality::Remote(format!("the name says {product}, but {host} is not on this machine"))
    }
}

fn product(name: &str) -> Option<&'static str> {
    let exact = EXACT.iter().find(|(known, _)| name == *known);
    exact
        .or_else(|| PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)))
        .map(|(_, product)| *product)
}

fn host_of(server: &str) -> String {
    let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default().to_owned(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_owned(),
    }
}

fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_private()
                || address.is_link_local()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unspecified() || address.is_unique_local()
        }
        // A name without a dot is one of a container network, such as `k3d-dev-serverlb`.
        Err(_) => !host.contains('.') || LOCAL_SUFFIXES.iter().any(|suffix| host.ends_with(suffix)),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("k3d-whimbrel", "k3d-whimbrel", "https://127.0.0.1:6443" => true; "k3d")]
    #[test_case("admin", "k3d-whimbrel", "https://0.0.0.0:6443" => true; "the cluster name counts too")]
    #[test_case("k3d-a", "k3d-a", "https://k3d-a-serverlb:6443" => true; "inside a container network")]
    #[test_case("minikube", "minikube", "https://192.168.49.2:8443" => true; "minikube")]
    #[test_case("docker-desktop", "docker-desktop", "https://kubernetes.docker.internal:6443" => true; "docker desktop")]
    #[test_case("kind-x", "kind-x", "https://[::1]:6443" => true; "v6 loopback")]
    #[test_case("prod", "prod", "https://127.0.0.1:6443" => false; "a tunnel to production")]
    #[test_case("kind-of-prod", "prod", "https://api.example.com" => false; "a misleading name")]
    #[test_case("k3d-x", "k3d-x", "https://203.0.113.9:6443" => false; "a public address")]
    fn a_cluster_is_local_by_name_and_address(context: &str, cluster: &str, server: &str) -> bool {
        matches!(locality(Some(context), Some(cluster), server), Locality::Local(_))
    }

    #[test]
    fn a_pod_is_not_on_somebodys_machine() {
        assert!(matches!(locality(None, None, "https://10.0.0.1"), Locality::Remote(_)));
    }
}
