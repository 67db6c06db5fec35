//! What a source of secrets answered.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Where secrets were looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Place {
    /// Secrets of one namespace of a cluster.
    Kubernetes {
        /// The kubeconfig's context, when one is known.
        context: Option<String>,
        /// The namespace.
        namespace: String,
    },
    /// A folder with a folder per secret and a file per key.
    Folder {
        /// Its path.
        path: String,
    },
    /// A file of `KEY=value` lines, which holds the keys of all secrets.
    Dotenv {
        /// Its path.
        path: String,
    },
    /// The variables of a process.
    Environment,
}

impl Place {
    /// Whether the keys of all secrets share one name space, so that two databases can clash.
    pub fn is_flat(&self) -> bool {
        matches!(self, Self::Dotenv { .. } | Self::Environment)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes { context: Some(context), namespace } => {
                write!(f, "namespace `{namespace}` of context `{context}`")
            }
            Self::Kubernetes { context: None, namespace } => write!(f, "namespace `{namespace}`"),
            Self::Folder { path } => write!(f, "folder `{path}`"),
            Self::Dotenv { path } => write!(f, "file `{path}`"),
            Self::Environment => f.write_str("the environment"),
        }
    }
}

/// One value of a secret.
#[derive(Clone, Debug)]
pub enum SecretValue {
    /// Text.
    Text(SecretString),
    /// Bytes that are not UTF-8. They are not kept: nothing could use them.
    NotText,
}

impl SecretValue {
    /// A value from bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or(Self::NotText, |text| Self::Text(text.into()))
    }
}

/// The values of one secret by key. `Debug` tells the keys alone.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<String, SecretValue>);

impl Values {
    /// Adds a value.
    pub fn insert(&mut self, key: impl Into<String>, value: SecretValue) {
        self.0.insert(key.into(), value);
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&SecretValue> {
        self.0.get(key)
    }

    /// The names of the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|value| match value {
            SecretValue::Text(text) => Some(text.expose_secret()),
            SecretValue::NotText => None,
        })
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Values {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let text = |value: V| SecretValue::Text(SecretString::from(value.into()));
        Self(pairs.into_iter().map(|(key, value)| (key.into(), text(value))).collect())
    }
}

/// What was seen of one secret.
#[derive(Clone, Debug)]
pub enum Observation {
    /// It is there.
    Present {
        /// Its values.
        values: Values,
        /// What is known about whoever makes the secret, when something is wrong there.
        causes: Vec<Cause>,
    },
    /// It is not there.
    Missing {
        /// Why, as far as it can be seen.
        causes: Vec<Cause>,
    },
    /// We could not find out.
    Unknown {
        /// What stood in the way.
        reason: UnknownReason,
        /// The other system's words.
        message: String,
    },
}

/// Why nothing could be found out about a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownReason {
    /// The caller may not read it.
    NoRight,
    /// The caller was not recognised.
    NotLoggedIn,
    /// The other system did not answer.
    Unreachable,
    /// The other system answered with something unexpected.
    Refused,
}

/// A database of which nothing could be found out.
#[derive(Clone, Debug, Serialize)]
pub struct Unknown {
    /// The database.
    pub database: String,
    /// Its secret.
    pub secret: String,
    /// What stood in the way.
    pub reason: UnknownReason,
    /// What was tried and what the other system said.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// What is wrong with the maker of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An `ExternalSecret` that has not been synced, or no longer is.
    ExternalSecret {
        /// Its name.
        name: String,
        /// The reason of its `Ready` condition.
        reason: Option<String>,
        /// The message of its `Ready` condition.
        message: Option<String>,
        /// The state of its store, when that is not ready.
        store: Option<StoreState>,
    },
    /// A CloudNativePG cluster that is not ready.
    CnpgCluster {
        /// Its name.
        name: String,
        /// Its phase.
        phase: Option<String>,
        /// How many instances are ready.
        ready: u64,
        /// How many are wanted.
        wanted: u64,
    },
    /// The secret is being deleted.
    Deleting,
}

/// A `SecretStore` or `ClusterSecretStore` that is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreState {
    /// `SecretStore` or `ClusterSecretStore`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The reason of its `Ready` condition; none when it does not exist.
    pub reason: Option<String>,
    /// The message of its `Ready` condition.
    pub message: Option<String>,
}

/// What a source answered for all secrets of a project.
#[derive(Clone, Debug)]
pub struct Observations {
    /// Where it looked.
    pub place: Place,
    /// The namespace itself is not there.
    pub namespace_missing: bool,
    /// What was seen, by the secret's name.
    pub secrets: BTreeMap<String, Observation>,
}

impl Observations {
    /// No observations yet.
    pub fn new(place: Place) -> Self {
        Self { place, namespace_missing: false, secrets: BTreeMap::new() }
    }
}
