//! Where a database is: parsed once from a URL or from parts, printable without its password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use whimbrel_migration::dialect::Dialect;

mod mysql;
mod postgres;
pub(crate) mod sqlite;
mod url;

/// What kind of server a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// PostgreSQL.
    PostgreSql,
    /// MySQL or MariaDB: which of them it is, the server says.
    MySql,
    /// A file of SQLite.
    Sqlite,
}

impl EngineKind {
    /// The dialect of its scripts. A server that says it is MariaDB is [`Dialect::MariaDb`].
    pub fn dialect(self) -> Dialect {
        match self {
            Self::PostgreSql => Dialect::PostgreSql,
            Self::MySql => Dialect::MySql,
            Self::Sqlite => Dialect::Sqlite,
        }
    }

    /// The port of a server that names none.
    fn default_port(self) -> u16 {
        match self {
            Self::PostgreSql => 5432,
            Self::MySql => 3306,
            Self::Sqlite => 0,
        }
    }
}

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

/// What is asked of TLS; the meanings are libpq's. MySQL's and MariaDB's words are translated.
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
    /// The word that a URL of libpq has for it.
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

/// Which of several servers is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerKind {
    /// The first that answers.
    #[default]
    Any,
    /// One that may be written to.
    Primary,
    /// One that may only be read.
    Secondary,
    /// A primary where there is one.
    PreferPrimary,
    /// A secondary where there is one.
    PreferSecondary,
}

impl ServerKind {
    /// Whether a server is of this kind.
    pub(crate) fn is(self, read_only: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Primary | Self::PreferPrimary => !read_only,
            Self::Secondary | Self::PreferSecondary => read_only,
        }
    }

    /// Whether no other will do.
    pub(crate) fn must_be(self) -> bool {
        matches!(self, Self::Primary | Self::Secondary)
    }
}

/// A database that can be connected to.
#[derive(Clone, Debug)]
pub struct Target {
    /// What kind of server it is.
    pub engine: EngineKind,
    /// Servers, tried in this order; none for SQLite.
    pub endpoints: Vec<Endpoint>,
    /// The role to log in as.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The database's name; PostgreSQL takes the user's name when there is none. For SQLite the file, or `:memory:`.
    pub database: Option<String>,
    /// TLS mode.
    pub tls: TlsMode,
    /// Channel binding of the login (PostgreSQL).
    pub channel_binding: ChannelBindingMode,
    /// File with the certificates of trusted authorities; for PostgreSQL the word `system` stands for those of the
    /// machine.
    pub root_certificate: Option<PathBuf>,
    /// Client certificate.
    pub client_certificate: Option<PathBuf>,
    /// Key of the client certificate.
    pub client_key: Option<PathBuf>,
    /// How long one attempt to connect may take.
    pub connect_timeout: Option<Duration>,
    /// How long the server may be silent while an answer is awaited; then the connection counts as lost.
    pub socket_timeout: Option<Duration>,
    /// Which of the servers is wanted.
    pub server: ServerKind,
    /// Whether the servers are tried in another order each time.
    pub load_balance: bool,
    /// Schemas for `search_path`, in order (`currentSchema` of a JDBC URL).
    pub search_path: Option<String>,
    /// The server's own command line options (`options` of a URL).
    pub options: Option<String>,
    /// Settings of the session by name, as SQL writes them: session variables of MySQL, pragmas of SQLite.
    pub settings: Vec<(String, String)>,
    /// Whether a database that is missing is made (`createDatabaseIfNotExist` of MySQL).
    pub create_database: bool,
    /// Whether nothing may be written (`readOnly` of a JDBC URL, `mode=ro` of SQLite).
    pub read_only: bool,
}

/// What a URL said that we leave aside.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("parameter \"{parameter}\" of the database URL is not used{}", if parameter == "?" { NAMELESS } else { "" })]
pub struct TargetWarning {
    /// The parameter's name.
    pub parameter: String,
}

const NAMELESS: &str = " (it follows the password and may be a piece of it: is an & not percent-encoded?)";

/// Why a URL could not be understood. It never repeats any of the URL's values: they may be a password.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The scheme is none that is known here.
    #[error(
        "the database URL does not begin with postgres://, mysql://, mariadb:// or sqlite:, or jdbc: and one of them \
         (PostgreSQL, MySQL, MariaDB and SQLite are supported)"
    )]
    Scheme,
    /// The URL is for a driver of Java that stands before the database's own.
    #[error("the database URL begins with jdbc:{wrapper}:, which only Java has: {hint}")]
    Wrapper {
        /// What stands behind `jdbc:`.
        wrapper: &'static str,
        /// What to write instead.
        hint: &'static str,
    },
    /// A port is not a number from 1 to 65535.
    #[error(
        "the port in the database URL is not a number (is a character of the password not percent-encoded?)"
    )]
    Port,
    /// `user:password@` in a URL of PostgreSQL's JDBC driver.
    #[error("a jdbc:postgresql: URL has no user:password@ before its host (write ?user=…&password=…)")]
    JdbcLogin,
    /// More than one `@` before the path: one of them belongs to a password.
    #[error(
        "the user or password in the database URL has a special character that is not encoded (write %40 for @)"
    )]
    SpecialCharacter,
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
    /// A database of PostgreSQL made of parts, without user and password.
    pub fn from_parts(host: &str, port: Option<u16>, database: Option<&str>) -> Self {
        Self::of_engine(EngineKind::PostgreSql, host, port, database)
    }

    /// A database made of parts, without user and password.
    pub fn of_engine(engine: EngineKind, host: &str, port: Option<u16>, database: Option<&str>) -> Self {
        Self {
            engine,
            endpoints: vec![Endpoint { host: host.to_owned(), port: port.unwrap_or(engine.default_port()) }],
            user: None,
            password: None,
            database: database.map(str::to_owned),
            tls: TlsMode::default(),
            channel_binding: ChannelBindingMode::default(),
            root_certificate: None,
            client_certificate: None,
            client_key: None,
            connect_timeout: None,
            socket_timeout: None,
            server: ServerKind::default(),
            load_balance: false,
            search_path: None,
            options: None,
            settings: Vec::new(),
            create_database: false,
            read_only: false,
        }
    }

    /// Reads `postgres://`, `postgresql://`, `mysql://`, `mariadb://` and `sqlite:` URLs, and those of JDBC for the same
    /// engines.
    ///
    /// A parameter that is not known is left aside and named in a warning.
    pub fn parse(url: &SecretString) -> Result<(Self, Vec<TargetWarning>), TargetError> {
        url::parse(url.expose_secret())
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
        let user = self.user.as_deref().filter(|_| self.engine == EngineKind::PostgreSql);
        self.database.as_deref().or(user).unwrap_or_default()
    }

    /// A JDBC-like URL without user, password and parameters, for people.
    pub fn public_url(&self) -> String {
        match self.engine {
            EngineKind::PostgreSql => format!("jdbc:postgresql://{}/{}", self.hosts(), self.database_name()),
            EngineKind::MySql => format!("jdbc:mysql://{}/{}", self.hosts(), self.database_name()),
            EngineKind::Sqlite => format!("jdbc:sqlite:{}", self.database_name()),
        }
    }

    fn hosts(&self) -> String {
        self.endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
    }
}

/// `host:port/database` or the file, without anything secret.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.engine {
            EngineKind::Sqlite => f.write_str(self.database_name()),
            _ => write!(f, "{}/{}", self.hosts(), self.database_name()),
        }
    }
}
