//! The contract: which secret a database has, and under which keys its values are.

use serde::{Deserialize, Serialize};

/// The names of the keys of one secret, by what they hold.
///
/// Three shapes are useful: a URL with or without a separate user and password; parts (host, port,
/// name, user, password); and CloudNativePG's `uri` and `jdbc-uri`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// A `postgres://`, `postgresql://` or `jdbc:postgresql://` URL.
    pub url: Option<String>,
    /// A second URL in JDBC's form.
    pub jdbc: Option<String>,
    /// The host, or the folder of a Unix socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<String>,
    /// The name of the database on its server.
    pub name: Option<String>,
    /// The role that logs in.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// A connection URL.
    Url,
    /// A connection URL in JDBC's form.
    Jdbc,
    /// A host.
    Host,
    /// A port.
    Port,
    /// A database's name.
    Name,
    /// A role's name.
    User,
    /// A password.
    Password,
}

impl Keys {
    /// The names that the runner reads from its environment: `<DATABASE>_DATABASE_URL`, `…_USER`,
    /// `…_PASSWORD`, `…_HOST`, `…_PORT`, `…_NAME`.
    pub fn environment(database: &str) -> Self {
        let prefix = environment_prefix(database);
        let key = |suffix: &str| Some(format!("{prefix}_{suffix}"));
        Self {
            url: key("URL"),
            jdbc: None,
            host: key("HOST"),
            port: key("PORT"),
            name: key("NAME"),
            user: key("USER"),
            password: key("PASSWORD"),
        }
    }

    /// The keys of a secret by convention: `<DATABASE>_DATABASE_URL`, `…_USER`, `…_PASSWORD`.
    pub fn conventional(database: &str) -> Self {
        Self { host: None, port: None, name: None, ..Self::environment(database) }
    }

    /// Every key that is named, with what it holds.
    pub fn iter(&self) -> impl Iterator<Item = (KeyRole, &str)> {
        [
            (KeyRole::Url, &self.url),
            (KeyRole::Jdbc, &self.jdbc),
            (KeyRole::Host, &self.host),
            (KeyRole::Port, &self.port),
            (KeyRole::Name, &self.name),
            (KeyRole::User, &self.user),
            (KeyRole::Password, &self.password),
        ]
        .into_iter()
        .filter_map(|(role, key)| Some((role, key.as_deref()?)))
    }

    /// The name of the key that holds `role`.
    pub fn get(&self, role: KeyRole) -> Option<&str> {
        self.iter().find(|(candidate, _)| *candidate == role).map(|(_, key)| key)
    }

    fn has_url(&self) -> bool {
        self.url.is_some() || self.jdbc.is_some()
    }
}

/// `agents-runtime` → `AGENTS_RUNTIME_DATABASE`: how the runner's variables for a database begin.
pub fn environment_prefix(database: &str) -> String {
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = database.chars().map(upper).collect();
    format!("{name}_DATABASE")
}

/// What one database needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseContract {
    database: String,
    secret: String,
    keys: Keys,
}

/// A contract that no secret could keep. This is a mistake in the project's settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// The secret's name is none that Kubernetes accepts.
    #[error(
        "database `{database}`: `{secret}` is not a secret's name (lower-case letters, digits, `-` and `.`)"
    )]
    SecretName {
        /// The database.
        database: String,
        /// The name.
        secret: String,
    },
    /// A key's name is none that Kubernetes accepts.
    #[error("database `{database}`: `{key}` is not a key's name (letters, digits, `-`, `_` and `.`)")]
    KeyName {
        /// The database.
        database: String,
        /// The name.
        key: String,
    },
    /// One key is named for two things.
    #[error("database `{database}`: key `{key}` is named twice")]
    KeyTwice {
        /// The database.
        database: String,
        /// The name.
        key: String,
    },
    /// The keys do not suffice to connect.
    #[error("database `{database}`: the keys do not suffice: name `url`, or `host`, `name` and `user`")]
    NotEnough {
        /// The database.
        database: String,
    },
}

impl DatabaseContract {
    /// A contract for `database`, refused when no secret could keep it.
    ///
    /// # Errors
    /// See [`ContractError`].
    pub fn try_new(
        database: impl Into<String>,
        secret: impl Into<String>,
        keys: Keys,
    ) -> Result<Self, ContractError> {
        let (database, secret) = (database.into(), secret.into());
        if !is_secret_name(&secret) {
            return Err(ContractError::SecretName { database, secret });
        }
        let mut seen = std::collections::BTreeSet::new();
        for (_, key) in keys.iter() {
            if !is_key_name(key) {
                return Err(ContractError::KeyName { database, key: key.to_owned() });
            }
            if !seen.insert(key) {
                return Err(ContractError::KeyTwice { database, key: key.to_owned() });
            }
        }
        let parts = keys.host.is_some() && keys.name.is_some() && keys.user.is_some();
        if !keys.has_url() && !parts {
            return Err(ContractError::NotEnough { database });
        }
        Ok(Self { database, secret, keys })
    }

    /// The database, as the project names it.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The secret's name.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// An RFC 1123 subdomain. It contains no `/` and no `..`, so that it is safe as a folder's name.
fn is_secret_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// What Kubernetes accepts as a key of a Secret. `.` and names that begin with `..` are refused.
fn is_key_name(key: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !key.is_empty() && key.len() <= 253 && key != "." && !key.starts_with("..") && key.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    #[test_case("platform-db-credentials", true)]
    #[test_case("a.b", true)]
    #[test_case("", false; "empty")]
    #[test_case("..", false)]
    #[test_case("a/b", false)]
    #[test_case("-a", false)]
    #[test_case("Platform", false)]
    fn secret_names_are_subdomains(name: &str, expected: bool) {
        assert_eq!(is_secret_name(name), expected);
    }

    #[test_case("jdbc-uri", true)]
    #[test_case("A_B.c", true)]
    #[test_case("..", false)]
    #[test_case("..data", false)]
    #[test_case("a/b", false)]
    #[test_case("", false; "empty")]
    fn key_names_are_safe_as_file_names(name: &str, expected: bool) {
        assert_eq!(is_key_name(name), expected);
    }

    #[test]
    fn a_contract_without_a_host_or_url_is_refused() {
        let keys = Keys { user: Some("u".into()), password: Some("p".into()), ..Keys::default() };
        let error = DatabaseContract::try_new("a", "a", keys).unwrap_err();
        assert_eq!(error, ContractError::NotEnough { database: "a".into() });
    }

    #[test]
    fn one_key_for_two_things_is_refused() {
        let keys = Keys { url: Some("k".into()), user: Some("k".into()), ..Keys::default() };
        assert!(matches!(DatabaseContract::try_new("a", "a", keys), Err(ContractError::KeyTwice { .. })));
    }

    #[test]
    fn variables_are_upper_case_with_underscores() {
        assert_eq!(environment_prefix("agents-runtime.x"), "AGENTS_RUNTIME_X_DATABASE");
        assert_eq!(Keys::conventional("threads").url.as_deref(), Some("THREADS_DATABASE_URL"));
    }
}
