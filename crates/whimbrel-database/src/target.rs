//! Where a database is: parsed once from a URL or from parts, printable without its password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// The port of a PostgreSQL server that names none.
pub const DEFAULT_PORT: u16 = 5432;

/// One server: a host name, an address, or the folder of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, address, or a path beginning with `/`.
    pub host: String,
    /// TCP port, or the number in the socket's file name.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What is asked of TLS; the meanings are libpq's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// Plain first, TLS when the server insists.
    Allow,
    /// TLS when the server offers it.
    #[default]
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority for this host.
    VerifyFull,
}

impl TlsMode {
    /// The word that a URL has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    fn parse(value: &str) -> Option<Self> {
        Some(match value.to_ascii_lowercase().as_str() {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Whether a login has to be bound to the TLS connection that it goes through, so that nobody in the middle can use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBindingMode {
    /// Never.
    Disable,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Always: a login that is not bound is refused.
    Require,
}

/// A database that can be connected to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Servers, tried in this order.
    pub endpoints: Vec<Endpoint>,
    /// The role to log in as.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The database's name; PostgreSQL takes the user's name when there is none.
    pub database: Option<String>,
    /// TLS mode.
    pub tls: TlsMode,
    /// Channel binding of the login.
    pub channel_binding: ChannelBindingMode,
    /// File with the certificates of trusted authorities; the word `system` stands for those of the machine.
    pub root_certificate: Option<PathBuf>,
    /// Client certificate.
    pub client_certificate: Option<PathBuf>,
    /// Key of the client certificate.
    pub client_key: Option<PathBuf>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Option<Duration>,
    /// Schemas for `search_path`, in order (`currentSchema` of a JDBC URL).
    pub search_path: Option<String>,
    /// The server's own command line options (`options` of a URL).
    pub options: Option<String>,
}

/// Parameters of libpq and of the JDBC driver that may be told by their name when they are left aside.
const PASSED_OVER: [&str; 9] = [
    "adaptiveFetch",
    "binaryTransfer",
    "defaultRowFetchSize",
    "fallback_application_name",
    "loadBalanceHosts",
    "load_balance_hosts",
    "loggerLevel",
    "socketTimeout",
    "targetServerType",
];

/// What a URL said that we leave aside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("parameter \"{parameter}\" of the database URL is not used (? is one whose name is not known)")]
pub struct TargetWarning {
    /// The parameter's name.
    pub parameter: String,
}

/// Why a URL could not be understood. It never repeats any of the URL's values: they may be a password.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The scheme is none that is known here.
    #[error(
        "the database URL does not begin with postgres://, postgresql:// or jdbc:postgresql:// \
         (only PostgreSQL is supported)"
    )]
    Scheme,
    /// A port is not a number from 1 to 65535.
    #[error(
        "the port in the database URL is not a number (is a character of the password not percent-encoded?)"
    )]
    Port,
    /// A percent sign is not followed by two hexadecimal digits of UTF-8.
    #[error("a percent-encoding in the database URL is wrong (write %25 for a percent sign)")]
    Encoding,
    /// A value has a blank or a control character at its end or inside the host.
    #[error("the database URL has a blank or a line break in it")]
    Blank,
    /// A parameter's value is not one of the known ones.
    #[error("parameter \"{parameter}\" of the database URL has a value that is not known")]
    Parameter {
        /// The parameter's name.
        parameter: String,
    },
    /// A parameter of JDBC that changes who is trusted, and that we cannot honour.
    #[error("parameter \"{parameter}\" of the database URL is not supported: {hint}")]
    Unsupported {
        /// The parameter's name.
        parameter: String,
        /// What to write instead.
        hint: &'static str,
    },
}

impl Target {
    /// A database made of parts, without user and password.
    pub fn from_parts(host: &str, port: Option<u16>, database: Option<&str>) -> Self {
        Self {
            endpoints: vec![Endpoint { host: host.to_owned(), port: port.unwrap_or(DEFAULT_PORT) }],
            user: None,
            password: None,
            database: database.map(str::to_owned),
            tls: TlsMode::default(),
            channel_binding: ChannelBindingMode::default(),
            root_certificate: None,
            client_certificate: None,
            client_key: None,
            connect_timeout: None,
            search_path: None,
            options: None,
        }
    }

    /// Reads `postgres://`, `postgresql://` and `jdbc:postgresql:` URLs.
    ///
    /// A parameter that is not known is left aside and named in a warning.
    pub fn parse(url: &SecretString) -> Result<(Self, Vec<TargetWarning>), TargetError> {
        parse_url(url.expose_secret())
    }

    /// With this user, which wins over the URL's.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// With this password, which wins over the URL's.
    #[must_use]
    pub fn with_password(mut self, password: SecretString) -> Self {
        self.password = Some(password);
        self
    }

    /// With this database name.
    #[must_use]
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// The database's name as the server will understand it.
    pub fn database_name(&self) -> &str {
        self.database.as_deref().or(self.user.as_deref()).unwrap_or_default()
    }

    /// A JDBC-like URL without user, password and parameters, for people.
    pub fn public_url(&self) -> String {
        format!("jdbc:postgresql://{}/{}", self.hosts(), self.database_name())
    }

    fn hosts(&self) -> String {
        self.endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
    }
}

/// `host:port/database`, without anything secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hosts(), self.database_name())
    }
}

fn parse_url(url: &str) -> Result<(Target, Vec<TargetWarning>), TargetError> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(TargetError::Blank);
    }
    let (jdbc, rest) = if let Some(rest) = url.strip_prefix("jdbc:postgresql:") {
        (true, rest)
    } else if let Some(rest) = url.strip_prefix("postgresql:").or_else(|| url.strip_prefix("postgres:")) {
        (false, rest)
    } else {
        return Err(TargetError::Scheme);
    };
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut target = Target::from_parts("localhost", None, None);
    if let Some(location) = location.strip_prefix("//") {
        parse_location(&mut target, location)?;
    } else if jdbc {
        target.database = non_empty(&decode(location.trim_start_matches('/'))?);
    } else {
        return Err(TargetError::Scheme);
    }
    let mut warnings = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if !apply_parameter(&mut target, &name, &value)? {
            // Behind an `&` that the password should have written as %26 comes a piece of it, not a name.
            let is_name = PASSED_OVER.contains(&name.as_str());
            let parameter = if is_name { name } else { "?".to_owned() };
            warnings.push(TargetWarning { parameter });
        }
    }
    Ok((target, warnings))
}

fn parse_location(target: &mut Target, location: &str) -> Result<(), TargetError> {
    // The last `@` before the path: libpq's users often leave one in a password.
    let (authority, database) = match location.find('/') {
        Some(slash) => (&location[..slash], &location[slash + 1..]),
        None => (location, ""),
    };
    let (login, hosts) = match authority.rfind('@') {
        Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
        None => (None, authority),
    };
    if let Some(login) = login {
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        target.user = non_empty(&decode(user)?);
        target.password = password.map(decode).transpose()?.map(SecretString::from);
    }
    if !hosts.is_empty() {
        target.endpoints = hosts.split(',').map(parse_endpoint).collect::<Result<_, _>>()?;
    }
    target.database = non_empty(&decode(database)?);
    Ok(())
}

fn parse_endpoint(text: &str) -> Result<Endpoint, TargetError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(TargetError::Port)?;
        (host, rest.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(port) => parse_port(port)?,
    };
    let host = decode(host)?;
    Ok(Endpoint { host: if host.is_empty() { "localhost".to_owned() } else { host }, port })
}

fn parse_port(port: &str) -> Result<u16, TargetError> {
    port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(TargetError::Port)
}

/// Whether the parameter means something here.
fn apply_parameter(target: &mut Target, name: &str, value: &str) -> Result<bool, TargetError> {
    let wrong = || TargetError::Parameter { parameter: name.to_owned() };
    match name {
        "user" => target.user = non_empty(value),
        "password" => target.password = Some(SecretString::from(value)),
        "host" => {
            let port = target.endpoints.first().map_or(DEFAULT_PORT, |endpoint| endpoint.port);
            target.endpoints =
                value.split(',').map(|host| Endpoint { host: host.to_owned(), port }).collect();
        }
        "port" => {
            let port = parse_port(value)?;
            target.endpoints.iter_mut().for_each(|endpoint| endpoint.port = port);
        }
        "dbname" => target.database = non_empty(value),
        "sslmode" => target.tls = TlsMode::parse(value).ok_or_else(wrong)?,
        "ssl" => match value {
            // pgjdbc: ssl without sslmode checks everything.
            "" | "true" => target.tls = TlsMode::VerifyFull,
            "false" => {}
            _ => return Err(wrong()),
        },
        "channel_binding" | "channelBinding" => {
            target.channel_binding = match value {
                "disable" => ChannelBindingMode::Disable,
                "prefer" => ChannelBindingMode::Prefer,
                "require" => ChannelBindingMode::Require,
                _ => return Err(wrong()),
            };
        }
        "sslrootcert" => target.root_certificate = Some(PathBuf::from(value)),
        "sslcert" => target.client_certificate = Some(PathBuf::from(value)),
        "sslkey" => target.client_key = Some(PathBuf::from(value)),
        "sslfactory" => {
            return Err(TargetError::Unsupported {
                parameter: name.to_owned(),
                hint: "use sslmode=require, verify-ca or verify-full",
            });
        }
        "connect_timeout" | "connectTimeout" | "loginTimeout" => {
            let seconds: u64 = value.parse().map_err(|_| wrong())?;
            target.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "currentSchema" => target.search_path = non_empty(value),
        "options" => target.options = non_empty(value),
        // Ours names the run; these change only how other drivers work.
        "application_name"
        | "ApplicationName"
        | "prepareThreshold"
        | "preferQueryMode"
        | "stringtype"
        | "reWriteBatchedInserts"
        | "assumeMinServerVersion"
        | "tcpKeepAlive"
        | "keepalives"
        | "gssEncMode"
        | "gssencmode" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn decode(text: &str) -> Result<String, TargetError> {
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let digits = bytes.get(index + 1..index + 3);
        if *byte == b'%' && !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(TargetError::Encoding);
        }
    }
    Ok(percent_decode_str(text).decode_utf8().map_err(|_| TargetError::Encoding)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Target {
        Target::parse(&SecretString::from(url)).unwrap().0
    }

    fn password(target: &Target) -> &str {
        target.password.as_ref().map(secrecy::ExposeSecret::expose_secret).unwrap_or_default()
    }

    #[test]
    fn url_with_everything_is_taken_apart() {
        let target =
            parsed("postgres://app:p%40ss%2Fw@db.example:6000/shop?sslmode=verify-full&connect_timeout=3");
        assert_eq!(target.endpoints, [Endpoint { host: "db.example".to_owned(), port: 6000 }]);
        assert_eq!(target.user.as_deref(), Some("app"));
        assert_eq!(password(&target), "p@ss/w");
        assert_eq!(target.database.as_deref(), Some("shop"));
        assert_eq!(target.tls, TlsMode::VerifyFull);
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        assert_eq!(target.to_string(), "db.example:6000/shop");
    }

    #[test]
    fn an_at_sign_in_the_password_needs_no_encoding() {
        let target = parsed("postgresql://app:p@ss@db/shop");
        assert_eq!((password(&target), target.endpoints[0].host.as_str()), ("p@ss", "db"));
    }

    #[test]
    fn jdbc_urls_are_understood() {
        let target =
            parsed("jdbc:postgresql://db:5433/shop?user=app&password=s%26cret&ssl=true&currentSchema=a,b");
        assert_eq!(target.user.as_deref(), Some("app"));
        assert_eq!(password(&target), "s&cret");
        assert_eq!(target.tls, TlsMode::VerifyFull);
        assert_eq!(target.search_path.as_deref(), Some("a,b"));
        let short = parsed("jdbc:postgresql:shop");
        assert_eq!((short.endpoints[0].host.as_str(), short.database_name()), ("localhost", "shop"));
    }

    #[test]
    fn sockets_ipv6_and_several_hosts_are_understood() {
        assert_eq!(parsed("postgres:///db?host=/run/pg&port=6001").to_string(), "/run/pg:6001/db");
        assert_eq!(parsed("postgres://%2Frun%2Fpg/db").endpoints[0].host, "/run/pg");
        assert_eq!(parsed("postgres://[::1]:6000/db").to_string(), "[::1]:6000/db");
        assert_eq!(parsed("postgres://a:1,b/db").to_string(), "a:1,b:5432/db");
    }

    #[test]
    fn unknown_parameters_are_named_in_warnings() {
        let (_, warnings) =
            Target::parse(&SecretString::from("postgres://db/x?adaptiveFetch=1&s3cret=1&sslmode=require"))
                .unwrap();
        let named = |name: &str| TargetWarning { parameter: name.to_owned() };
        assert_eq!(warnings, [named("adaptiveFetch"), named("?")]);
    }

    #[test]
    fn errors_never_repeat_what_could_be_a_password() {
        for url in [
            "mysql://u:canary@h/db",
            "postgres://u:canary/x@h/db",
            "postgres://u:can%zzary@h/db",
            "postgres://u:canary@h:canary/db",
            "postgres://u:canary@h/db?sslmode=canary",
            "postgres://u:canary@h/db \n",
            "canary",
        ] {
            let error = Target::parse(&SecretString::from(url)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let target = parsed("postgres://u:canary@h/db?password=canary");
        assert!(!format!("{target} {target:?} {}", target.public_url()).contains("canary"));
    }
}
