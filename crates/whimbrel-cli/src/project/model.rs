//! The project as types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The namespace where the project file names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A project file and where it lies.
#[derive(Clone, Debug)]
pub struct Project {
    /// The file that was read.
    pub path: PathBuf,
    /// Its folder: what all paths in it are relative to.
    pub root: PathBuf,
    /// What it says.
    pub file: ProjectFile,
}

impl Project {
    /// The enabled databases by name, in the order of their names.
    pub fn enabled(&self) -> impl Iterator<Item = (&str, &Database)> {
        self.file
            .databases
            .iter()
            .filter(|(_, database)| database.enabled)
            .map(|(name, database)| (&**name, database))
    }

    /// The folders of a database's scripts, as absolute paths or relative to the working directory, as the project is.
    pub fn locations(&self, database: &Database) -> Vec<PathBuf> {
        database.locations.iter().map(|location| self.root.join(location)).collect()
    }

    /// The placeholders of a database: the project's, then its own.
    pub fn placeholders(&self, database: &Database) -> BTreeMap<String, String> {
        let mut placeholders = self.file.placeholders.clone();
        placeholders.extend(database.placeholders.clone());
        placeholders
    }

    /// Where the state of this checkout lives; git ignores it.
    pub fn state(&self) -> PathBuf {
        self.root.join(super::STATE_FOLDER)
    }

    /// A path below the state folder.
    pub fn state_path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.state().join(below)
    }
}

/// What `whimbrel.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectFile {
    /// `[project]`.
    pub project: ProjectName,
    /// `[image]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// `[registry]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// `[cluster]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// `[check]`.
    pub check: Check,
    /// `[migrate]`.
    #[serde(skip_serializing_if = "Migrate::is_empty")]
    pub migrate: Migrate,
    /// `[placeholders]`: for every database.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<String, String>,
    /// `[flyway]`: parameters of Flyway's, by its names, for every database.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flyway: BTreeMap<String, FlywayValue>,
    /// `[databases.<name>]`.
    pub databases: BTreeMap<String, Database>,
}

/// `[project]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectName {
    /// The project's name.
    pub name: String,
}

/// `[image]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The repository without a host, so that every registry can hold it.
    pub repository: String,
    /// The tag that moves with each push.
    #[serde(default = "default_tag")]
    pub tag: String,
}

fn default_tag() -> String {
    "dev".to_owned()
}

/// `[registry]`: one registry under two names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The name that we push under.
    pub push: String,
    /// The name that the cluster pulls under; where it is absent, the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<String>,
}

impl Registry {
    /// The name that the cluster pulls under.
    pub fn pull(&self) -> &str {
        self.pull.as_deref().unwrap_or(&self.push)
    }
}

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The kubeconfig's context; where it is absent, the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespace of secrets and Job.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The Helm release.
    #[serde(default = "default_release")]
    pub release: String,
    /// The chart's folder.
    #[serde(default = "default_chart")]
    pub chart: PathBuf,
    /// The name of the migration Job.
    #[serde(default = "default_release")]
    pub job: String,
}

fn default_namespace() -> String {
    DEFAULT_NAMESPACE.to_owned()
}

fn default_release() -> String {
    "db-migrations".to_owned()
}

fn default_chart() -> PathBuf {
    PathBuf::from("charts/whimbrel-migrations")
}

/// `[check]`: what is looked at before an image is pushed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Whether the syntax of the statements is checked.
    #[serde(default = "yes")]
    pub syntax: bool,
}

impl Default for Check {
    fn default() -> Self {
        Self { syntax: true }
    }
}

fn yes() -> bool {
    true
}

/// `[migrate]`: how scripts are run, where neither the command line nor the environment says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Migrate {
    /// How long a statement waits for a lock, such as `"2s"`; `"0"`: for ever.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::length")]
    pub lock_timeout: Option<Duration>,
    /// How long a statement may run; `"0"`: for ever.
    #[serde(skip_serializing_if = "Option::is_none", with = "super::length")]
    pub statement_timeout: Option<Duration>,
    /// How often a script that lost a lock is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock_retries: Option<u32>,
}

impl Migrate {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `[databases.<name>]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// Whether runs include it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whose SQL its scripts are written in; where it is absent, PostgreSQL's wherever no server is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// The folders of its scripts.
    pub locations: Vec<PathBuf>,
    /// The secret that holds its credentials.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// The keys in that secret.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub keys: Keys,
    /// The schema of the history table; where it is absent, the first of the server's search path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Placeholders of this database alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub placeholders: BTreeMap<String, String>,
    /// Parameters of Flyway's for this database alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flyway: BTreeMap<String, FlywayValue>,
}

/// `engine` of a database: whose SQL its scripts are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `postgresql`
    #[default]
    PostgreSql,
    /// `mysql`
    MySql,
    /// `mariadb`
    MariaDb,
    /// `sqlite`
    Sqlite,
}

impl Engine {
    /// The word in the project file.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "postgresql",
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
            Self::Sqlite => "sqlite",
        }
    }
}

/// The value of a parameter of Flyway's, in the form that its file can have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum FlywayValue {
    /// `outOfOrder = true`
    Switch(bool),
    /// `target = 3`
    Number(i64),
    /// `table = "history"`
    Text(String),
    /// `schemas = ["app", "audit"]`
    List(Vec<String>),
}

impl FlywayValue {
    /// As on Flyway's command line.
    pub fn text(&self) -> String {
        match self {
            Self::Switch(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::List(items) => items.join(","),
        }
    }
}

/// The names of the keys in a secret: a URL (with or without user and password beside it), or the parts of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// A `postgres://`, `postgresql://` or `jdbc:postgresql://` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The same as a `jdbc:` URL, where the secret holds both, as CloudNativePG's do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jdbc: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The host, where there is no URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port, where there is no URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// The database's name on its server, where there is no URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Keys {
    /// Each part that has a key, with the key's name; the part's name ends the runner's variable.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("URL", &self.url),
            ("JDBC", &self.jdbc),
            ("USER", &self.user),
            ("PASSWORD", &self.password),
            ("HOST", &self.host),
            ("PORT", &self.port),
            ("NAME", &self.name),
        ];
        all.into_iter().filter_map(|(part, key)| Some((part, key.as_deref()?)))
    }

    /// Whether no key is named.
    pub fn is_empty(&self) -> bool {
        self.named().next().is_none()
    }
}
