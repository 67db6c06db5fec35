//! Who makes a secret, and what it says: External Secrets Operator and CloudNativePG.
//!
//! Everything here is optional. An absent kind, a missing right or a failed request means that
//! nothing can be said, and nothing is.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;
use whimbrel_contract::{Cause, StoreState};

use crate::client::Cluster;

const EXTERNAL_SECRETS: &str = "external-secrets.io";
const CNPG: &str = "postgresql.cnpg.io";

/// The makers of secrets that a cluster knows.
pub(super) struct Makers<'a> {
    cluster: &'a Cluster,
    namespace: &'a str,
    external_secrets: Option<String>,
    cnpg: Option<String>,
    listed: Vec<DynamicObject>,
}

impl<'a> Makers<'a> {
    /// Asks which kinds there are, and lists the `ExternalSecret`s of the namespace, which hold no values.
    pub(super) async fn find(cluster: &'a Cluster, namespace: &'a str) -> Self {
        let groups = cluster.within("list the API groups", cluster.client().list_api_groups()).await;
        let version = |name: &str, known: &[&str]| {
            let group = groups.as_ref().ok()?.groups.iter().find(|group| group.name == name)?;
            let served = |version: &&&str| group.versions.iter().any(|served| served.version == **version);
            known.iter().find(served).map(|version| (*version).to_owned())
        };
        let mut makers = Self {
            cluster,
            namespace,
            external_secrets: version(EXTERNAL_SECRETS, &["v1", "v1beta1"]),
            cnpg: version(CNPG, &["v1"]),
            listed: Vec::new(),
        };
        if let Some(api) = makers.external_secret_api() {
            let list = cluster.within("list ExternalSecrets", api.list(&ListParams::default())).await;
            makers.listed = list.map(|list| list.items).unwrap_or_default();
        }
        makers
    }

    /// What is wrong with whoever makes this secret.
    pub(super) async fn causes(&self, name: &str, secret: Option<&Secret>) -> Vec<Cause> {
        let mut causes = Vec::new();
        if secret.is_some_and(|secret| secret.metadata.deletion_timestamp.is_some()) {
            causes.push(Cause::Deleting);
        }
        if let Some(external) = self.external_secret(name, secret).await {
            causes.extend(self.external_secret_cause(&external).await);
        }
        causes.extend(self.cnpg_cause(name, secret).await);
        causes
    }

    fn api(
        &self,
        group: &str,
        version: &str,
        kind: &str,
        plural: &str,
        cluster_wide: bool,
    ) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        if cluster_wide {
            Api::all_with(self.cluster.client(), &resource)
        } else {
            Api::namespaced_with(self.cluster.client(), self.namespace, &resource)
        }
    }

    fn external_secret_api(&self) -> Option<Api<DynamicObject>> {
        let version = self.external_secrets.as_deref()?;
        Some(self.api(EXTERNAL_SECRETS, version, "ExternalSecret", "externalsecrets", false))
    }

    /// The one whose target is the secret; by its own name where listing is not allowed.
    async fn external_secret(&self, name: &str, secret: Option<&Secret>) -> Option<DynamicObject> {
        if let Some(listed) = self.listed.iter().find(|external| target(external) == Some(name)) {
            return Some(listed.clone());
        }
        let api = self.external_secret_api()?;
        let owner = secret.and_then(|secret| owner(secret, EXTERNAL_SECRETS));
        let candidate = owner.unwrap_or_else(|| name.to_owned());
        let found = self.cluster.find("read an ExternalSecret", api.get(&candidate)).await.ok()??;
        (target(&found) == Some(name)).then_some(found)
    }

    async fn external_secret_cause(&self, external: &DynamicObject) -> Option<Cause> {
        let ready = condition(&external.data, "Ready");
        if ready.as_ref().is_some_and(is_synced) {
            return None;
        }
        let store = self.store_state(&external.data["spec"]["secretStoreRef"]).await;
        Some(Cause::ExternalSecret {
            name: external.metadata.name.clone().unwrap_or_default(),
            reason: ready.as_ref().and_then(|ready| ready.reason.clone()),
            message: ready.and_then(|ready| ready.message),
            store,
        })
    }

    async fn store_state(&self, reference: &Value) -> Option<StoreState> {
        let name = reference["name"].as_str()?;
        let kind = reference["kind"].as_str().unwrap_or("SecretStore");
        let version = self.external_secrets.as_deref()?;
        let api = match kind {
            "SecretStore" => self.api(EXTERNAL_SECRETS, version, kind, "secretstores", false),
            "ClusterSecretStore" => self.api(EXTERNAL_SECRETS, version, kind, "clustersecretstores", true),
            _ => return None,
        };
        let state =
            |reason, message| StoreState { kind: kind.to_owned(), name: name.to_owned(), reason, message };
        let Some(store) = self.cluster.find("read a secret store", api.get(name)).await.ok()? else {
            return Some(state(None, None));
        };
        let ready = condition(&store.data, "Ready")?;
        let reason = ready.reason.or_else(|| Some("not ready".to_owned()));
        (!ready.is_true).then(|| state(reason, ready.message))
    }

    /// A CloudNativePG cluster by owner, by label, or by the names that it gives to its secrets.
    async fn cnpg_cause(&self, name: &str, secret: Option<&Secret>) -> Option<Cause> {
        let version = self.cnpg.as_deref()?;
        let label = || secret?.metadata.labels.as_ref()?.get("cnpg.io/cluster").cloned();
        let by_name = || name.strip_suffix("-app").or(name.strip_suffix("-superuser")).map(ToOwned::to_owned);
        let cluster = secret.and_then(|secret| owner(secret, CNPG)).or_else(label).or_else(by_name)?;
        let api = self.api(CNPG, version, "Cluster", "clusters", false);
        let found = self.cluster.find("read a CloudNativePG cluster", api.get(&cluster)).await.ok()??;
        let status = &found.data["status"];
        let wanted = found.data["spec"]["instances"].as_u64().unwrap_or(1);
        let ready = status["readyInstances"].as_u64().unwrap_or(0);
        let is_ready = condition(&found.data, "Ready").map_or(ready >= wanted, |condition| condition.is_true);
        let phase = status["phase"].as_str().map(ToOwned::to_owned);
        (!is_ready).then_some(Cause::CnpgCluster { name: cluster, phase, ready, wanted })
    }
}

/// The name of the secret that an `ExternalSecret` makes.
fn target(external: &DynamicObject) -> Option<&str> {
    external.data["spec"]["target"]["name"].as_str().or(external.metadata.name.as_deref())
}

fn owner(secret: &Secret, group: &str) -> Option<String> {
    let owners = secret.metadata.owner_references.as_deref()?;
    let of_group = |api_version: &str| api_version.split_once('/').is_some_and(|(name, _)| name == group);
    owners.iter().find(|owner| of_group(&owner.api_version)).map(|owner| owner.name.clone())
}

struct Condition {
    is_true: bool,
    reason: Option<String>,
    message: Option<String>,
}

fn condition(object: &Value, kind: &str) -> Option<Condition> {
    let conditions = object["status"]["conditions"].as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == kind)?;
    let text = |key: &str| condition[key].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    Some(Condition {
        is_true: condition["status"] == "True",
        reason: text("reason"),
        message: text("message"),
    })
}

/// `Ready` is true as well when the secret was kept although its source is gone, was deleted, or was
/// never there: only the reason and the message tell.
fn is_synced(ready: &Condition) -> bool {
    let retained = ready.message.as_deref().is_some_and(|message| message.contains("retained"));
    let gone = matches!(ready.reason.as_deref(), Some("SecretDeleted" | "SecretMissing"));
    ready.is_true && !retained && !gone
}
