//! The URLs of MySQL's clients, and of the JDBC drivers Connector/J and MariaDB Connector/J.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::url::{non_empty, parse_server};
use super::{Target, TargetError, TlsMode};

/// Parameters of the JDBC drivers, in lower case, that change nothing here. They may be told by their name wherever they
/// stand.
pub(super) const PASSED_OVER: [&str; 14] = [
    "allowmultiqueries",
    "allowpublickeyretrieval",
    "autoreconnect",
    "cacheprepstmts",
    "cacheserverconfiguration",
    "characterencoding",
    "connectiontimezone",
    "rewritebatchedstatements",
    "servertimezone",
    "tinyint1isbit",
    "usecompression",
    "useserverprepstmts",
    "useunicode",
    "zerodatetimebehavior",
];

/// `//…` as for all servers. MariaDB's driver also has a word for failover there, which is left to the order of hosts.
pub(super) fn parse_location(target: &mut Target, location: &str, jdbc: bool) -> Result<(), TargetError> {
    let location = location.strip_prefix("//").ok_or(TargetError::Scheme)?;
    parse_server(target, location, jdbc)
}

/// Whether the parameter means something here. Names are compared as the drivers do, without regard to case.
pub(super) fn apply_parameter(target: &mut Target, name: &str, value: &str) -> Result<bool, TargetError> {
    let wrong = || TargetError::Parameter { parameter: name.to_owned() };
    let flag = || match value.to_ascii_lowercase().as_str() {
        "" | "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(wrong()),
    };
    match name.to_ascii_lowercase().as_str() {
        "user" => target.user = non_empty(value),
        "password" => target.password = Some(SecretString::from(value)),
        "sslmode" | "ssl-mode" => target.tls = parse_mode(value).ok_or_else(wrong)?,
        "usessl" | "ssl" => {
            target.tls = match (flag()?, target.tls) {
                (false, _) => TlsMode::Disable,
                // Connector/J: TLS if the server has it; the other words say more.
                (true, TlsMode::Disable) => TlsMode::Prefer,
                (true, mode) => mode,
            };
        }
        "requiressl" if flag()? => target.tls = stricter(target.tls, TlsMode::Require),
        "verifyservercertificate" if flag()? => target.tls = stricter(target.tls, TlsMode::VerifyCa),
        "requiressl" | "verifyservercertificate" => {}
        "trustservercertificate" if flag()? => target.tls = TlsMode::Require,
        "trustservercertificate" => {}
        "serversslcert" | "ssl-ca" | "sslca" => target.root_certificate = Some(PathBuf::from(value)),
        "ssl-cert" | "sslcert" => target.client_certificate = Some(PathBuf::from(value)),
        "ssl-key" | "sslkey" => target.client_key = Some(PathBuf::from(value)),
        "socket" | "localsocket" => {
            for endpoint in &mut target.endpoints {
                value.clone_into(&mut endpoint.host);
            }
        }
        "connecttimeout" => target.connect_timeout = millis(value).ok_or_else(wrong)?,
        "sessionvariables" => target.settings.extend(session_variables(value).ok_or_else(wrong)?),
        "createdatabaseifnotexist" => target.create_database = flag()?,
        "trustcertificatekeystoreurl" | "clientcertificatekeystoreurl" | "keystore" | "truststore" => {
            return Err(TargetError::Unsupported {
                parameter: name.to_owned(),
                hint: "key stores are Java's: use serverSslCert, sslCert and sslKey with files in PEM",
            });
        }
        "sockettimeout" => target.socket_timeout = millis(value).ok_or_else(wrong)?,
        "connectioncollation" => {
            // The value becomes part of a statement.
            if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(wrong());
            }
            target.settings.push(("collation_connection".to_owned(), value.to_owned()));
        }
        // So it is here anyhow: everything is UTF-8, scripts may have many statements, and a login by RSA asks for the key.
        "useunicode" | "allowmultiqueries" | "allowpublickeyretrieval" if flag()? => {}
        "characterencoding" if value.to_ascii_lowercase().replace('-', "").starts_with("utf8") => {}
        // These choose between drivers.
        "disablemariadbdriver" | "permitmysqlscheme" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// The words of MySQL and of MariaDB.
fn parse_mode(value: &str) -> Option<TlsMode> {
    Some(match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" => TlsMode::Disable,
        "preferred" => TlsMode::Prefer,
        "required" | "trust" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-identity" | "verify-full" => TlsMode::VerifyFull,
        _ => return None,
    })
}

fn stricter(mode: TlsMode, at_least: TlsMode) -> TlsMode {
    match mode {
        TlsMode::VerifyCa | TlsMode::VerifyFull => mode,
        _ => at_least,
    }
}

/// Milliseconds; 0 is no limit.
fn millis(value: &str) -> Option<Option<Duration>> {
    let millis: u64 = value.parse().ok()?;
    Some((millis > 0).then(|| Duration::from_millis(millis)))
}

/// `name=value[,name=value…]`; a comma in quotes belongs to the value.
fn session_variables(text: &str) -> Option<Vec<(String, String)>> {
    let (mut parts, mut quote) = (vec![String::new()], None);
    for c in text.chars() {
        match (quote, c) {
            (None, ',' | ';') => parts.push(String::new()),
            (_, c) => {
                if quote == Some(c) {
                    quote = None;
                } else if quote.is_none() && matches!(c, '\'' | '"') {
                    quote = Some(c);
                }
                parts.last_mut()?.push(c);
            }
        }
    }
    let pair = |part: &String| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '.');
        (!name.is_empty() && name.chars().all(is_name)).then(|| (name.to_owned(), value.trim().to_owned()))
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(pair).collect()
}
