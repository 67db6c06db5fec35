//! Secrets by name: what is in them, and what whoever makes them says.
//!
//! Secrets are read with `get`, one by one; they are never listed, so that a Role with
//! `resourceNames` suffices. What explains a missing secret (the namespace, an `ExternalSecret` and
//! its store, a CloudNativePG cluster) is looked up where that is allowed, and left out where not.

mod causes;
mod create;

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use whimbrel_contract::{
    Cause, DatabaseContract, Observation, Observations, Place, SecretValue, UnknownReason, Values,
};

use self::causes::Makers;
pub use self::create::{CreatedSecret, create_missing_secret};
use crate::client::{Cluster, ClusterError, ClusterErrorKind};

/// How many secrets are asked for at once.
const CONCURRENT: usize = 8;
/// How long to look for causes, all together.
const CAUSES_DEADLINE: Duration = Duration::from_secs(10);

/// Looks for the secrets of the contracts in one namespace.
///
/// # Errors
/// When the cluster does not answer at all. That one secret cannot be read is part of the answer.
pub async fn observe_secrets(
    cluster: &Cluster,
    namespace: &str,
    contracts: &[DatabaseContract],
) -> Result<Observations, ClusterError> {
    observe_within(cluster, namespace, contracts, CAUSES_DEADLINE).await
}

async fn observe_within(
    cluster: &Cluster,
    namespace: &str,
    contracts: &[DatabaseContract],
    causes_deadline: Duration,
) -> Result<Observations, ClusterError> {
    let place = Place::Kubernetes {
        context: cluster.context().map(ToOwned::to_owned),
        namespace: namespace.to_owned(),
    };
    let mut observations = Observations::new(place);
    let secrets: Vec<Answer> = stream::iter(names(contracts))
        .map(|name| async move {
            match get_secret(cluster, namespace, &name).await {
                Err(error) if ends_the_run(error.kind) => Err(error),
                answer => Ok((name, answer)),
            }
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    if secrets.iter().any(|(_, answer)| matches!(answer, Ok(None))) {
        observations.namespace_missing = is_namespace_missing(cluster, namespace).await;
    }
    if observations.namespace_missing {
        return Ok(observations);
    }
    let mut causes = causes_in_time(cluster, namespace, &secrets, causes_deadline).await;
    for (name, answer) in secrets {
        let causes = causes.remove(&name).unwrap_or_default();
        let observation = match answer {
            Ok(Some(secret)) => Observation::Present { values: wanted(&name, secret, contracts), causes },
            Ok(None) => Observation::Missing { causes },
            Err(error) => unknown(&error),
        };
        observations.secrets.insert(name, observation);
    }
    Ok(observations)
}

/// A secret by name, or that it is not there, or that it cannot be read.
type Answer = (String, Result<Option<Secret>, ClusterError>);

/// The causes by secret. They are a courtesy: a server that keeps us waiting for them is not waited for.
async fn causes_in_time(
    cluster: &Cluster,
    namespace: &str,
    secrets: &[Answer],
    deadline: Duration,
) -> BTreeMap<String, Vec<Cause>> {
    let find = async {
        let makers = Makers::find(cluster, namespace).await;
        let readable = secrets.iter().filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?)));
        let each = readable.map(|(name, secret)| {
            let makers = &makers;
            async move { (name.clone(), makers.causes(name, secret.as_ref()).await) }
        });
        stream::iter(each).buffered(CONCURRENT).collect().await
    };
    tokio::time::timeout(deadline, find).await.unwrap_or_default()
}

fn names(contracts: &[DatabaseContract]) -> Vec<String> {
    let mut names: Vec<String> = contracts.iter().map(|contract| contract.secret().to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

async fn get_secret(cluster: &Cluster, namespace: &str, name: &str) -> Result<Option<Secret>, ClusterError> {
    let api: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    cluster.find(format!("read the secret {name} in namespace {namespace}"), api.get(name)).await
}

/// Without an answer to one request there is no use in the others.
fn ends_the_run(kind: ClusterErrorKind) -> bool {
    matches!(
        kind,
        ClusterErrorKind::Configuration | ClusterErrorKind::Unreachable | ClusterErrorKind::Unauthorized
    )
}

/// `false` also when we may not ask.
async fn is_namespace_missing(cluster: &Cluster, namespace: &str) -> bool {
    let api: Api<Namespace> = Api::all(cluster.client());
    let doing = format!("look for the namespace {namespace}");
    matches!(cluster.find(doing, api.get_metadata(namespace)).await, Ok(None))
}

/// The values of the keys that some contract names. Of the others only the names are kept.
fn wanted(name: &str, secret: Secret, contracts: &[DatabaseContract]) -> Values {
    let is_wanted = |key: &str| {
        contracts
            .iter()
            .filter(|contract| contract.secret() == name)
            .any(|contract| contract.keys().iter().any(|(_, wanted)| wanted == key))
    };
    let mut values = Values::default();
    for (key, bytes) in secret.data.unwrap_or_default() {
        let value = if is_wanted(&key) { SecretValue::from_bytes(bytes.0) } else { SecretValue::NotText };
        values.insert(key, value);
    }
    values
}

fn unknown(error: &ClusterError) -> Observation {
    let reason = match error.kind {
        ClusterErrorKind::Forbidden => UnknownReason::NoRight,
        _ => UnknownReason::Refused,
    };
    let said = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    Observation::Unknown { reason, message: format!("{error}{said}") }
}

/// Values by key, as a Secret holds them.
type Data = BTreeMap<String, secrecy::SecretString>;

#[cfg(test)]
mod tests;
