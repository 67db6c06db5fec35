//! What the URLs of all engines have in common.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::{Endpoint, EngineKind, Target, TargetError, TargetWarning, mysql, postgres, sqlite};

/// Reads a URL of any engine.
pub(super) fn parse(url: &str) -> Result<(Target, Vec<TargetWarning>), TargetError> {
    let (jdbc, rest) = match url.strip_prefix("jdbc:") {
        Some(rest) => (true, rest),
        None => (false, url),
    };
    let (scheme, rest) = rest.split_once(':').ok_or(TargetError::Scheme)?;
    let engine = match scheme {
        "postgresql" => EngineKind::PostgreSql,
        "postgres" if !jdbc => EngineKind::PostgreSql,
        "mysql" | "mariadb" => EngineKind::MySql,
        "sqlite" => EngineKind::Sqlite,
        _ => return Err(wrapper(scheme).filter(|_| jdbc).unwrap_or(TargetError::Scheme)),
    };
    // A path may hold blanks; nothing else does.
    let wrong = |c: char| c.is_control() || (c.is_whitespace() && engine != EngineKind::Sqlite);
    if url.chars().any(wrong) {
        return Err(TargetError::Blank);
    }
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut target = Target::of_engine(engine, "localhost", None, None);
    match engine {
        EngineKind::PostgreSql => postgres::parse_location(&mut target, location, jdbc)?,
        EngineKind::MySql => mysql::parse_location(&mut target, location, jdbc)?,
        EngineKind::Sqlite => sqlite::parse_location(&mut target, location, jdbc)?,
    }
    let warnings = apply_parameters(&mut target, query, jdbc)?;
    Ok((target, warnings))
}

/// Drivers of Java that hand on to another one, or do more than connect.
const WRAPPERS: [(&str, &str); 6] = [
    ("p6spy", "leave p6spy: out, as in jdbc:postgresql://…"),
    ("otel", "leave otel: out, as in jdbc:postgresql://…"),
    ("log4jdbc", "leave log4jdbc: out, as in jdbc:postgresql://…"),
    (
        "tc",
        "it starts a container; start the database yourself and name it, as in jdbc:postgresql://localhost/…",
    ),
    ("aws-wrapper", "leave aws-wrapper: out, and name the cluster's writer, as in jdbc:postgresql://…"),
    ("datadog", "leave datadog: out, as in jdbc:postgresql://…"),
];

fn wrapper(scheme: &str) -> Option<TargetError> {
    let (wrapper, hint) = WRAPPERS.into_iter().find(|(wrapper, _)| *wrapper == scheme)?;
    Some(TargetError::Wrapper { wrapper, hint })
}

/// Whether it is the name of a parameter of other drivers, and so no piece of a password.
fn is_known(name: &str) -> bool {
    postgres::PASSED_OVER.contains(&name) || mysql::PASSED_OVER.contains(&name.to_ascii_lowercase().as_str())
}

fn apply_parameters(target: &mut Target, query: &str, jdbc: bool) -> Result<Vec<TargetWarning>, TargetError> {
    let mut warnings = Vec::new();
    let mut after_password = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode_as(name, jdbc)?, decode_as(value, jdbc)?);
        let known = match target.engine {
            EngineKind::PostgreSql => postgres::apply_parameter(target, &name, &value)?,
            EngineKind::MySql => mysql::apply_parameter(target, &name, &value)?,
            EngineKind::Sqlite => sqlite::apply_parameter(target, &name, &value)?,
        };
        if !known {
            // Behind an `&` that the password should have written as %26 comes a piece of it, not a name.
            let is_name = !after_password || is_known(&name);
            let parameter = if is_name { name.clone() } else { "?".to_owned() };
            warnings.push(TargetWarning { parameter });
        }
        after_password |= name == "password";
    }
    Ok(warnings)
}

/// `//[user[:password]@]host[:port][,host[:port]…][/database]`, without the slashes at its beginning.
pub(super) fn parse_server(target: &mut Target, location: &str, jdbc: bool) -> Result<(), TargetError> {
    let (authority, database) = match location.find('/') {
        Some(slash) => (&location[..slash], &location[slash + 1..]),
        None => (location, ""),
    };
    let (login, hosts) = match authority.split_once('@') {
        // libpq takes the rest of such a password for a host: nobody knows which one was meant.
        Some((_, hosts)) if hosts.contains('@') => return Err(TargetError::SpecialCharacter),
        Some((login, hosts)) => (Some(login), hosts),
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
        target.endpoints =
            hosts.split(',').map(|host| parse_endpoint(target.engine, host)).collect::<Result<_, _>>()?;
    }
    target.database = non_empty(&decode_as(database, jdbc)?);
    Ok(())
}

fn parse_endpoint(engine: EngineKind, text: &str) -> Result<Endpoint, TargetError> {
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
        None | Some("") => engine.default_port(),
        Some(port) => parse_port(port)?,
    };
    let host = decode(host)?;
    Ok(Endpoint { host: if host.is_empty() { "localhost".to_owned() } else { host }, port })
}

pub(super) fn parse_port(port: &str) -> Result<u16, TargetError> {
    port.parse::<u16>().ok().filter(|port| *port != 0).ok_or(TargetError::Port)
}

pub(super) fn non_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// The drivers of Java decode as a form is decoded: there `+` is a blank.
pub(super) fn decode_as(text: &str, jdbc: bool) -> Result<String, TargetError> {
    if jdbc { decode(&text.replace('+', " ")) } else { decode(text) }
}

pub(super) fn decode(text: &str) -> Result<String, TargetError> {
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

    use std::path::PathBuf;
    use std::time::Duration;

    use crate::target::{ServerKind, TlsMode};

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
    fn an_at_sign_in_the_password_is_encoded_or_refused() {
        assert_eq!(password(&parsed("postgresql://app:p%40ss@db/shop")), "p@ss");
        let error = Target::parse(&SecretString::from("postgresql://app:p@ss@db/shop")).unwrap_err();
        assert!(matches!(error, TargetError::SpecialCharacter), "{error:?}");
    }

    #[test]
    fn a_plus_is_a_blank_where_java_reads_it() {
        assert_eq!(password(&parsed("jdbc:postgresql://h/d?user=u&password=a+b%2B")), "a b+");
        assert_eq!(password(&parsed("postgres://h/d?user=u&password=a+b%2B")), "a+b+");
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
    fn mysql_urls_are_understood() {
        let target = parsed(
            "jdbc:mariadb://db/shop?user=app&password=s%26cret&sslMode=verify-full&serverSslCert=/ca.pem&\
             sessionVariables=sql_mode=ANSI,max_sort_length=%27a,b%27&connectTimeout=3000&useUnicode=true",
        );
        assert_eq!((target.engine, target.to_string().as_str()), (EngineKind::MySql, "db:3306/shop"));
        assert_eq!((password(&target), target.tls), ("s&cret", TlsMode::VerifyFull));
        assert_eq!(target.root_certificate, Some(PathBuf::from("/ca.pem")));
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(3)));
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(target.settings, [setting("sql_mode", "ANSI"), setting("max_sort_length", "'a,b'")]);
        assert_eq!(parsed("mysql://u:p@h:3307/d?useSSL=false").tls, TlsMode::Disable);
        assert_eq!(parsed("mysql://u:p@h/d?ssl-mode=VERIFY_IDENTITY").tls, TlsMode::VerifyFull);
        assert_eq!(parsed("jdbc:mysql://h/d?useSSL=true&requireSSL=true").tls, TlsMode::Require);
    }

    #[test]
    fn sqlite_urls_name_a_file() {
        let file = |url: &str| parsed(url).database.unwrap();
        assert_eq!(file("jdbc:sqlite:shop.db"), "shop.db");
        assert_eq!(file("jdbc:sqlite:/var/lib/my shop.db?foreign_keys=on"), "/var/lib/my shop.db");
        assert_eq!(file("sqlite:///var/shop.db"), "/var/shop.db");
        assert_eq!(file("sqlite://shop.db"), "shop.db");
        assert_eq!(file("sqlite:a%20b.db"), "a b.db");
        assert_eq!(file("jdbc:sqlite:file:/a/b.db?mode=ro"), "/a/b.db");
        assert!(parsed("jdbc:sqlite:file:/a/b.db?mode=ro").read_only);
        for memory in ["jdbc:sqlite::memory:", "sqlite::memory:", "jdbc:sqlite:", "sqlite://:memory:"] {
            assert_eq!(file(memory), ":memory:", "{memory}");
        }
        let settings =
            parsed("jdbc:sqlite:a.db?foreign_keys=true&journal_mode=WAL&busy_timeout=100").settings;
        assert_eq!(settings.len(), 3);
        let wrong = SecretString::from("jdbc:sqlite:a.db?foreign_keys=1;DROP");
        assert!(Target::parse(&wrong).is_err());
    }

    #[test]
    fn sockets_ipv6_and_several_hosts_are_understood() {
        assert_eq!(parsed("postgres:///db?host=/run/pg&port=6001").to_string(), "/run/pg:6001/db");
        assert_eq!(parsed("postgres://%2Frun%2Fpg/db").endpoints[0].host, "/run/pg");
        assert_eq!(parsed("postgres://[::1]:6000/db").to_string(), "[::1]:6000/db");
        assert_eq!(parsed("postgres://a:1,b/db").to_string(), "a:1,b:5432/db");
        assert_eq!(parsed("postgres:///db?host=a,b&port=1,2").to_string(), "a:1,b:2/db");
        assert_eq!(parsed("postgres:///db?host=a,b&port=3").to_string(), "a:3,b:3/db");
        assert!(Target::parse(&SecretString::from("postgres:///db?host=a,b,c&port=1,2")).is_err());
    }

    #[test]
    fn unknown_parameters_are_named_in_warnings() {
        let (_, warnings) =
            Target::parse(&SecretString::from("postgres://db/x?adaptiveFetch=1&s3cret=1&sslmode=require"))
                .unwrap();
        let named = |name: &str| TargetWarning { parameter: name.to_owned() };
        assert_eq!(warnings, [named("adaptiveFetch"), named("s3cret")]);
        let (_, warnings) =
            Target::parse(&SecretString::from("jdbc:postgresql://db/x?password=a&s3cret&sslmode=require"))
                .unwrap();
        assert_eq!(warnings, [named("?")]);
    }

    #[test]
    fn what_changes_nothing_here_is_named_and_what_can_be_kept_is_kept() {
        let warned = |url: &str| -> Vec<String> {
            let (_, warnings) = Target::parse(&SecretString::from(url)).unwrap();
            warnings.into_iter().map(|warning| warning.parameter).collect()
        };
        assert_eq!(
            warned(
                "jdbc:postgresql://h/d?ApplicationName=a&prepareThreshold=0&stringtype=unspecified&keepalives=1"
            ),
            ["ApplicationName", "prepareThreshold", "stringtype"]
        );
        assert_eq!(warned("postgres://h/d?keepalives=0&gssencmode=disable"), ["keepalives"]);
        assert_eq!(
            warned(
                "jdbc:mysql://h/d?useUnicode=true&characterEncoding=UTF-8&serverTimezone=UTC&tinyInt1isBit=false"
            ),
            ["serverTimezone", "tinyInt1isBit"]
        );
        assert_eq!(warned("jdbc:mysql://h/d?password=a&characterEncoding=latin1"), ["characterEncoding"]);
        let target = parsed(
            "jdbc:postgresql://a,b/d?socketTimeout=30&targetServerType=primary&loadBalanceHosts=true&readOnly=true",
        );
        assert_eq!(target.socket_timeout, Some(Duration::from_secs(30)));
        assert!((target.server, target.load_balance, target.read_only) == (ServerKind::Primary, true, true));
        let libpq = parsed("postgres://a,b/d?target_session_attrs=prefer-standby&load_balance_hosts=disable");
        assert!((libpq.server, libpq.load_balance) == (ServerKind::PreferSecondary, false));
        let mysql = parsed("jdbc:mysql://h/d?socketTimeout=1500&connectionCollation=utf8mb4_bin");
        assert_eq!(mysql.socket_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(mysql.settings, [("collation_connection".to_owned(), "utf8mb4_bin".to_owned())]);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_what_to_write() {
        for (url, part) in [
            ("jdbc:p6spy:postgresql://h/d", "jdbc:p6spy:"),
            ("jdbc:tc:postgresql:15:///d", "start the database yourself"),
            ("jdbc:aws-wrapper:postgresql://h/d", "cluster's writer"),
            ("jdbc:postgresql://h/d?service=shop", "write host"),
            ("postgres://h/d?sslkey=k.pem&sslpassword=canary", "openssl pkey"),
            ("postgres://h/d?gssencmode=require", "GSS"),
        ] {
            let error = Target::parse(&SecretString::from(url)).unwrap_err();
            assert!(error.to_string().contains(part) && !error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn errors_never_repeat_what_could_be_a_password() {
        for url in [
            "oracle://u:canary@h/db",
            "mysql://u:canary@h:canary/db",
            "jdbc:mysql://h/db?user=u&password=canary&sslMode=canary",
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
