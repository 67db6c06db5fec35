//! Credentials: everything that a connection needs, and nothing that prints it.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

/// The port of PostgreSQL when none is named.
pub const DEFAULT_PORT: u16 = 5432;

/// What RFC 3986 leaves unreserved stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Further parameters of a connection, in libpq's names (`sslmode`, `options`, …). `Debug` tells
/// neither values (`sslpassword` is a parameter) nor names.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, SecretString>);

impl Parameters {
    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }

    /// Every parameter by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value.into());
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|value| value.expose_secret().to_owned())
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name that stood in a broken URL can be a piece of its password.
        f.debug_struct("Parameters").field("count", &self.0.len()).finish()
    }
}

/// Where a database is and who logs in. `Debug` tells none of it.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: Option<SecretString>,
    pub(crate) parameters: Parameters,
}

impl Credentials {
    /// Credentials from parts.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        name: impl Into<String>,
        user: impl Into<String>,
        password: Option<SecretString>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            name: name.into(),
            user: user.into(),
            password,
            parameters: Parameters::default(),
        }
    }

    /// The host; the folder of a Unix socket when it begins with `/`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of the database on its server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its password, when there is one.
    pub fn password(&self) -> Option<&SecretString> {
        self.password.as_ref()
    }

    /// Further parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Whether the host is the folder of a Unix socket.
    pub fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// `host:port`, for a line that says which server does not answer. The check of a contract
    /// never prints it.
    pub fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if self.is_socket() {
            format!("{host}/.s.PGSQL.{port}")
        } else if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    /// The whole as a `postgres://` URL, which holds the password.
    pub fn url(&self) -> SecretString {
        let password = self.password.as_ref().map(|p| format!(":{}", encode(p.expose_secret())));
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { encode(&self.host) };
        let mut url = format!(
            "postgres://{}{}@{host}:{}/{}",
            encode(&self.user),
            password.unwrap_or_default(),
            self.port,
            encode(&self.name)
        );
        push_parameters(&mut url, self.parameters.iter().map(|(name, value)| (name, value.expose_secret())));
        url.into()
    }

    /// The whole as a `jdbc:postgresql://` URL, which holds the password. JDBC knows no Unix
    /// sockets: there is none for such a host.
    pub fn jdbc_url(&self) -> Option<SecretString> {
        if self.is_socket() {
            return None;
        }
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { encode(&self.host) };
        let mut url = format!("jdbc:postgresql://{host}:{}/{}", self.port, encode(&self.name));
        let login = [
            ("user", Some(self.user.as_str())),
            ("password", self.password.as_ref().map(ExposeSecret::expose_secret)),
        ];
        let login = login.into_iter().filter_map(|(name, value)| Some((name, value?)));
        push_parameters(&mut url, login.chain(self.parameters.iter().map(|(n, v)| (n, v.expose_secret()))));
        Some(url.into())
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn push_parameters<'a>(url: &mut String, parameters: impl Iterator<Item = (&'a str, &'a str)>) {
    for (position, (name, value)) in parameters.enumerate() {
        url.push(if position == 0 { '?' } else { '&' });
        url.push_str(&encode(name));
        url.push('=');
        url.push_str(&encode(value));
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
