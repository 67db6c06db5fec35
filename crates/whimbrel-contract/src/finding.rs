//! Findings: expected bad answers, each with a stable slug.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! slugs {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The stable name of a kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Slug { $($(#[$doc])* $variant,)* }

        impl Slug {
            /// Every slug.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The slug as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

slugs! {
    /// The namespace does not exist.
    NamespaceMissing = "namespace-missing",
    /// The secret does not exist.
    SecretMissing = "secret-missing",
    /// The secret is being deleted.
    SecretDeleting = "secret-deleting",
    /// The secret has no such key.
    KeyMissing = "key-missing",
    /// Two databases use one key in a place where all secrets share their keys.
    KeyClash = "key-clash",
    /// The value is empty, or white space only.
    ValueEmpty = "value-empty",
    /// The value begins or ends with white space, or has a line break inside.
    ValueWhitespace = "value-whitespace",
    /// The value is wrapped in quotation marks.
    ValueQuoted = "value-quoted",
    /// The value was encoded as base64 before it was stored.
    ValueDoubleBase64 = "value-double-base64",
    /// The value is a placeholder or an unexpanded template.
    ValuePlaceholder = "value-placeholder",
    /// The value is not UTF-8 text.
    ValueNotText = "value-not-text",
    /// The port is not a number from 1 to 65535.
    PortInvalid = "port-invalid",
    /// The URL cannot be parsed.
    UrlInvalid = "url-invalid",
    /// The URL is not one of PostgreSQL.
    UrlScheme = "url-scheme",
    /// A special character stands in the URL without its percent-encoding.
    UrlPercentEncoding = "url-percent-encoding",
    /// The URL names no host.
    UrlHostMissing = "url-host-missing",
    /// Neither the URL nor a key names the database.
    UrlDatabaseMissing = "url-database-missing",
    /// Neither the URL nor a key names the user.
    UserMissing = "user-missing",
    /// Neither the URL nor a key holds a password.
    PasswordMissing = "password-missing",
    /// The user in the URL is another than the one in its key.
    UrlUserDiffers = "url-user-differs",
    /// The password in the URL is another than the one in its key.
    UrlPasswordDiffers = "url-password-differs",
    /// The database in the URL is another than the one in its key.
    UrlDatabaseDiffers = "url-database-differs",
    /// The host in the URL is another than the one in its key.
    UrlHostDiffers = "url-host-differs",
    /// The port in the URL is another than the one in its key.
    UrlPortDiffers = "url-port-differs",
    /// Two databases of the project lead to one database of one server.
    SameTarget = "same-target",
    /// The `ExternalSecret` behind the secret is not ready.
    ExternalSecretNotReady = "external-secret-not-ready",
    /// The CloudNativePG cluster behind the secret is not ready.
    CnpgNotReady = "cnpg-not-ready",
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Slug {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; the secret can be used.
    Warning,
    /// The secret cannot be used.
    Error,
}

/// What stands behind a finding, as far as it can be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CauseNote {
    /// Its kind.
    pub slug: Slug,
    /// What was seen.
    pub message: String,
    /// What to do next.
    pub next: String,
}

/// One problem. It holds names of databases, secrets and keys, and never a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub slug: Slug,
    /// How bad it is.
    pub severity: Severity,
    /// The database; none when the finding is about all of them.
    pub database: Option<String>,
    /// The secret.
    pub secret: Option<String>,
    /// The key.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// What stands behind it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<CauseNote>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.slug, self.message)
    }
}
