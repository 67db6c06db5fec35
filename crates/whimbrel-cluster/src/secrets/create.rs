//! Making a secret that is not there.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use secrecy::ExposeSecret as _;

use super::Data;
use crate::client::{Cluster, ClusterError};

/// What became of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedSecret {
    /// It is new.
    Created,
    /// There was one, which was left as it is.
    AlreadyThere,
}

/// Makes a secret unless there is one of that name; what is there is never touched. Whether the
/// cluster is one where this may be done is the caller's question: see [`Cluster::is_local`].
///
/// # Errors
/// When the cluster does not answer or refuses.
pub async fn create_missing_secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    values: &Data,
) -> Result<CreatedSecret, ClusterError> {
    let bytes = |value: &secrecy::SecretString| ByteString(value.expose_secret().as_bytes().to_vec());
    let label = ("app.kubernetes.io/managed-by".to_owned(), "whimbrel".to_owned());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([label])),
            ..ObjectMeta::default()
        },
        data: Some(values.iter().map(|(key, value)| (key.clone(), bytes(value))).collect()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let api: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let create = async {
        match api.create(&PostParams::default(), &secret).await {
            Ok(_) => Ok(CreatedSecret::Created),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(CreatedSecret::AlreadyThere),
            Err(error) => Err(error),
        }
    };
    cluster.within(format!("create the secret {name} in namespace {namespace}"), create).await
}
