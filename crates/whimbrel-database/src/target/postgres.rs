//! The URLs of libpq and of PostgreSQL's JDBC driver.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::url::{decode_as, non_empty, parse_port, parse_server};
use super::{ChannelBindingMode, Endpoint, EngineKind, ServerKind, Target, TargetError, TlsMode};

/// Parameters of libpq and of the JDBC driver that change nothing here. They may be told by their name wherever they
/// stand.
pub(super) const PASSED_OVER: [&str; 15] = [
    "ApplicationName",
    "adaptiveFetch",
    "application_name",
    "assumeMinServerVersion",
    "binaryTransfer",
    "defaultRowFetchSize",
    "fallback_application_name",
    "keepalives",
    "loggerLevel",
    "preferQueryMode",
    "prepareThreshold",
    "prepared_statement_cache_queries",
    "reWriteBatchedInserts",
    "stringtype",
    "tcpKeepAlive",
];

/// `//…` as for all servers; JDBC also knows the database alone.
pub(super) fn parse_location(target: &mut Target, location: &str, jdbc: bool) -> Result<(), TargetError> {
    if let Some(location) = location.strip_prefix("//") {
        // The driver of Java would take `user:password@` for a host.
        if jdbc && location.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(TargetError::JdbcLogin);
        }
        return parse_server(target, location, jdbc);
    }
    if !jdbc {
        return Err(TargetError::Scheme);
    }
    target.database = non_empty(&decode_as(location.trim_start_matches('/'), jdbc)?);
    Ok(())
}

/// Whether the parameter means something here.
pub(super) fn apply_parameter(target: &mut Target, name: &str, value: &str) -> Result<bool, TargetError> {
    let wrong = || TargetError::Parameter { parameter: name.to_owned() };
    match name {
        "user" => target.user = non_empty(value),
        "password" => target.password = Some(SecretString::from(value)),
        "host" => {
            let port = target
                .endpoints
                .first()
                .map_or(EngineKind::PostgreSql.default_port(), |endpoint| endpoint.port);
            target.endpoints =
                value.split(',').map(|host| Endpoint { host: host.to_owned(), port }).collect();
        }
        "port" => {
            // One for all hosts, or one each.
            let ports: Vec<u16> = value.split(',').map(parse_port).collect::<Result<_, _>>()?;
            if ports.len() != 1 && ports.len() != target.endpoints.len() {
                return Err(wrong());
            }
            let ports = ports.iter().cycle();
            target.endpoints.iter_mut().zip(ports).for_each(|(endpoint, port)| endpoint.port = *port);
        }
        "dbname" => target.database = non_empty(value),
        "sslmode" => target.tls = parse_mode(value).ok_or_else(wrong)?,
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
            return Err(unsupported(name, "use sslmode=require, verify-ca or verify-full"));
        }
        "connect_timeout" | "connectTimeout" | "loginTimeout" => {
            let seconds: u64 = value.parse().map_err(|_| wrong())?;
            target.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "socketTimeout" => {
            let seconds: u64 = value.parse().map_err(|_| wrong())?;
            target.socket_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        }
        "targetServerType" | "target_session_attrs" => {
            target.server = parse_server_kind(value).ok_or_else(wrong)?;
        }
        "loadBalanceHosts" | "load_balance_hosts" => {
            target.load_balance = match value {
                "true" | "random" => true,
                "false" | "disable" => false,
                _ => return Err(wrong()),
            };
        }
        "readOnly" => target.read_only = value.parse().map_err(|_| wrong())?,
        "currentSchema" => target.search_path = non_empty(value),
        "options" => target.options = non_empty(value),
        "sslpassword" if !value.is_empty() => {
            return Err(unsupported(
                name,
                "a key is read without a password: write it with openssl pkey -in KEY -out NEW, and protect the file",
            ));
        }
        "service" => {
            return Err(unsupported(
                name,
                "files of services are not read: write host, port, database and user into the URL",
            ));
        }
        "gssEncMode" | "gssencmode" if value == "require" => {
            return Err(unsupported(name, "there is no GSS encryption here: use TLS, sslmode=verify-full"));
        }
        // So it is here anyhow: probes are sent, nothing is encrypted by GSS, and there is no key to be unlocked.
        "tcpKeepAlive" | "keepalives" if matches!(value, "true" | "1") => {}
        "gssEncMode" | "gssencmode" | "sslpassword" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

fn unsupported(parameter: &str, hint: &'static str) -> TargetError {
    TargetError::Unsupported { parameter: parameter.to_owned(), hint }
}

/// The words of the JDBC driver and of libpq.
fn parse_server_kind(value: &str) -> Option<ServerKind> {
    Some(match value {
        "any" => ServerKind::Any,
        "primary" | "master" | "read-write" => ServerKind::Primary,
        "secondary" | "slave" | "standby" | "read-only" => ServerKind::Secondary,
        "preferPrimary" => ServerKind::PreferPrimary,
        "preferSecondary" | "preferSlave" | "prefer-standby" => ServerKind::PreferSecondary,
        _ => return None,
    })
}

/// The words of `sslmode`.
fn parse_mode(value: &str) -> Option<TlsMode> {
    Some(match value.to_ascii_lowercase().as_str() {
        "disable" => TlsMode::Disable,
        "allow" => TlsMode::Allow,
        "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" => TlsMode::VerifyFull,
        _ => return None,
    })
}
