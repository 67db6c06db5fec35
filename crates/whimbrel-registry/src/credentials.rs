//! Names and passwords for registries, as Docker's `config.json` keeps them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use whimbrel_image::RegistryName;

/// A login for a registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password or access token.
    pub password: SecretString,
}

/// A file with logins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It is not JSON of the known form. The parser's words are left out: they could quote a value.
    #[error("not a Docker client configuration (line {line})")]
    Unreadable {
        /// The line of the first problem.
        line: usize,
    },
    /// An entry is not the base64 form of `user:password`.
    #[error("the entry for {registry} is not base64 of user:password")]
    Entry {
        /// The entry's registry.
        registry: String,
    },
    /// The login is kept by another program, which is not asked.
    #[error("the login for {registry} is kept by docker-credential-{helper}, which is not supported")]
    Helper {
        /// The registry.
        registry: String,
        /// The helper's name.
        helper: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigDocument {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct AuthEntry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
}

impl Credentials {
    /// The login for `registry` in the text of Docker's `config.json`, when there is one.
    pub fn from_docker_config(
        text: &[u8],
        registry: &RegistryName,
    ) -> Result<Option<Self>, CredentialsError> {
        let mut document: ConfigDocument = serde_json::from_slice(text)
            .map_err(|error| CredentialsError::Unreadable { line: error.line() })?;
        if let Some(helper) = document.cred_helpers.remove(registry.as_str()) {
            return Err(CredentialsError::Helper { registry: registry.to_string(), helper });
        }
        let entry = names_of(registry).into_iter().find_map(|name| document.auths.remove(&name));
        entry.map_or(Ok(None), |entry| entry.credentials(registry))
    }
}

impl AuthEntry {
    fn credentials(self, registry: &RegistryName) -> Result<Option<Credentials>, CredentialsError> {
        use secrecy::ExposeSecret as _;
        if let (Some(user), Some(password)) = (self.username, self.password) {
            return Ok(Some(Credentials { user, password }));
        }
        let Some(auth) = self.auth.filter(|auth| !auth.expose_secret().is_empty()) else {
            return Ok(None);
        };
        STANDARD
            .decode(auth.expose_secret().trim())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| {
                let (user, password) = text.split_once(':')?;
                Some(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').into() })
            })
            .map(Some)
            .ok_or_else(|| CredentialsError::Entry { registry: registry.to_string() })
    }
}

/// The keys under which Docker keeps a registry.
fn names_of(registry: &RegistryName) -> Vec<String> {
    let host = registry.as_str();
    let mut names = vec![host.to_owned(), format!("https://{host}"), format!("https://{host}/v2/")];
    if host == "docker.io" {
        names.push("https://index.docker.io/v1/".to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn lookup(text: &str, registry: &str) -> Result<Option<(String, String)>, CredentialsError> {
        Credentials::from_docker_config(text.as_bytes(), &registry.parse().unwrap())
            .map(|found| found.map(|c| (c.user, c.password.expose_secret().to_owned())))
    }

    #[test]
    fn basic_entry_is_found_by_host() {
        let text = r#"{"auths":{"localhost:5000":{"auth":"dXNlcjpwOncsZA=="},"ghcr.io":{}}}"#;
        assert_eq!(lookup(text, "localhost:5000").unwrap(), Some(("user".into(), "p:w,d".into())));
        assert_eq!(lookup(text, "ghcr.io").unwrap(), None);
        assert_eq!(lookup(text, "localhost").unwrap(), None);
    }

    #[test]
    fn broken_files_are_named_without_their_values() {
        let error = lookup(r#"{"auths":{"a.io":{"auth":"hunter2"}}}"#, "a.io").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let error = lookup(r#"{"auths":{"a.io":{"auth":["hunter2"]}}}"#, "a.io").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(matches!(
            lookup(r#"{"credHelpers":{"a.io":"pass"}}"#, "a.io"),
            Err(CredentialsError::Helper { .. })
        ));
    }
}
