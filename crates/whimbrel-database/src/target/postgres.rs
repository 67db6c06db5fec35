//! The URLs of libpq and of PostgreSQL's JDBC driver.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::url::{decode, non_empty, parse_port, parse_server};
use super::{ChannelBindingMode, Endpoint, EngineKind, Target, TargetError, TlsMode};

/// Parameters of libpq and of the JDBC driver that may be told by their name wherever they stand.
pub(super) const PASSED_OVER: [&str; 9] = [
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

/// `//…` as for all servers; JDBC also knows the database alone.
pub(super) fn parse_location(target: &mut Target, location: &str, jdbc: bool) -> Result<(), TargetError> {
    if let Some(location) = location.strip_prefix("//") {
        return parse_server(target, location);
    }
    if !jdbc {
        return Err(TargetError::Scheme);
    }
    target.database = non_empty(&decode(location.trim_start_matches('/'))?);
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
            let port = parse_port(value)?;
            target.endpoints.iter_mut().for_each(|endpoint| endpoint.port = port);
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
