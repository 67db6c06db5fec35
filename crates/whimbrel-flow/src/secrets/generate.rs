//! Local values: the same each time on one checkout.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use whimbrel_cluster::client::{Cluster, Locality};
use whimbrel_cluster::secrets::{CreatedSecret, create_missing_secret};
use whimbrel_contract::DatabaseContract;
use whimbrel_contract::generate::{Seed, local_credentials, values};

use super::SecretsError;

/// The values of one secret.
#[derive(Clone, Debug)]
pub struct LocalSecret {
    /// Its name.
    pub name: String,
    /// The databases that it serves.
    pub databases: Vec<String>,
    /// Its values by key.
    pub values: BTreeMap<String, SecretString>,
}

/// Local values for every contract, secret by secret.
///
/// # Errors
/// When two databases want different values under one key.
pub fn local_secrets(
    seed: &Seed,
    contracts: &[DatabaseContract],
    host: &str,
    port: u16,
) -> Result<Vec<LocalSecret>, SecretsError> {
    let mut secrets: BTreeMap<&str, LocalSecret> = BTreeMap::new();
    for contract in contracts {
        let credentials = local_credentials(seed, contract.database(), host, port);
        let secret = secrets.entry(contract.secret()).or_insert_with(|| LocalSecret {
            name: contract.secret().to_owned(),
            databases: Vec::new(),
            values: BTreeMap::new(),
        });
        for (key, value) in values(contract, &credentials) {
            if let Some(other) = secret.values.get(&key)
                && other.expose_secret() != value.expose_secret()
            {
                return Err(SecretsError::SharedKey {
                    secret: secret.name.clone(),
                    key,
                    first: secret.databases.last().cloned().unwrap_or_default(),
                    second: contract.database().to_owned(),
                });
            }
            secret.values.insert(key, value);
        }
        secret.databases.push(contract.database().to_owned());
    }
    Ok(secrets.into_values().collect())
}

/// The secrets as manifests for `kubectl apply -f`. The text holds the values.
pub fn render_manifests(secrets: &[LocalSecret], namespace: &str) -> SecretString {
    let mut text = String::new();
    for secret in secrets {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {}\n  namespace: {}\n  labels:\n    \
             app.kubernetes.io/managed-by: whimbrel\ntype: Opaque\nstringData:\n",
            quoted(&secret.name),
            quoted(namespace)
        );
        for (key, value) in &secret.values {
            let _ = writeln!(text, "  {}: {}", quoted(key), quoted(value.expose_secret()));
        }
    }
    text.into()
}

/// A JSON string is a double-quoted one in YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Makes the secrets that a local cluster lacks; what is there is left. Any other cluster is refused.
///
/// # Errors
/// When the cluster is not a local one, does not answer or refuses.
pub async fn apply_missing(
    cluster: &Cluster,
    namespace: &str,
    secrets: &[LocalSecret],
) -> Result<Vec<(String, CreatedSecret)>, SecretsError> {
    if let Locality::Remote(reason) = cluster.locality() {
        return Err(SecretsError::NotLocal { reason: reason.clone() });
    }
    let mut outcomes = Vec::new();
    for secret in secrets {
        let created = create_missing_secret(cluster, namespace, &secret.name, &secret.values).await?;
        outcomes.push((secret.name.clone(), created));
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_contract::Keys;

    fn contract(database: &str, secret: &str, keys: Keys) -> DatabaseContract {
        DatabaseContract::try_new(database, secret, keys).unwrap()
    }

    fn seed() -> Seed {
        Seed::from_bytes(&[3; 32]).unwrap()
    }

    #[test]
    fn databases_may_share_a_secret_but_no_key() {
        let apart = ["a", "b"].map(|name| contract(name, "shared", Keys::conventional(name)));
        let secrets = local_secrets(&seed(), &apart, "h", 1).unwrap();
        assert_eq!((secrets.len(), secrets[0].values.len()), (1, 6));
        let url = Keys { url: Some("URL".into()), ..Keys::default() };
        let clash = ["a", "b"].map(|name| contract(name, "shared", url.clone()));
        assert!(matches!(local_secrets(&seed(), &clash, "h", 1), Err(SecretsError::SharedKey { .. })));
    }

    #[test]
    fn manifests_are_quoted() {
        let secrets = [LocalSecret {
            name: "s".into(),
            databases: vec![],
            values: [("K".to_owned(), SecretString::from("a: \"b\" #c\n"))].into(),
        }];
        let text = render_manifests(&secrets, "n");
        assert!(text.expose_secret().ends_with("stringData:\n  \"K\": \"a: \\\"b\\\" #c\\n\"\n"));
    }
}
