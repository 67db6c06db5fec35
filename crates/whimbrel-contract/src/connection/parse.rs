//! The parser.

use std::fmt;

use secrecy::SecretString;

use super::Parameters;
use crate::Slug;

/// What a connection URL says. `Debug` tells none of it.
#[derive(Clone, Default)]
pub struct ConnectionUrl {
    /// The host; the folder of a Unix socket when it begins with `/`. Of several the first: which of them is taken is found
    /// out by whoever connects.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// The database's name.
    pub name: Option<String>,
    /// The file of an SQLite database, or `:memory:`; then there is neither host, port, name nor user.
    pub file: Option<String>,
    /// The role that logs in.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// Everything after `?` that is none of the above, in libpq's names.
    pub parameters: Parameters,
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionUrl").finish_non_exhaustive()
    }
}

/// Why a URL cannot be used. The texts are constant, so that no part of the URL is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// It does not begin like a URL of PostgreSQL, MySQL, MariaDB or SQLite.
    #[error(
        "does not begin with postgres://, postgresql://, mysql://, mariadb://, sqlite: or jdbc: and one of them"
    )]
    Scheme,
    /// A special character stands there as it is, or `%` is not followed by two hexadecimal digits.
    #[error("has a special character in the user, password or database that is not percent-encoded")]
    PercentEncoding,
    /// The port is not a number from 1 to 65535.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    /// `user:password@` in JDBC's form, which pgJDBC would take for a host.
    #[error("has `user:password@` before the host, which JDBC does not know: use ?user=…&password=…")]
    JdbcUserInfo,
    /// Something else.
    #[error("cannot be parsed")]
    Invalid,
}

impl UrlProblem {
    /// The finding that it makes.
    pub fn slug(self) -> Slug {
        match self {
            Self::Scheme => Slug::UrlScheme,
            Self::PercentEncoding => Slug::UrlPercentEncoding,
            Self::Port | Self::JdbcUserInfo | Self::Invalid => Slug::UrlInvalid,
        }
    }
}

/// Which rules a URL is written by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UrlForm {
    Libpq,
    Jdbc,
    /// MySQL's and MariaDB's, which are written as libpq's.
    MySql,
    /// And those of their JDBC drivers, which have parameters of their own.
    MySqlJdbc,
    /// A file of SQLite.
    Sqlite,
    /// And as the JDBC driver writes it: the path stands as it is.
    SqliteJdbc,
}

impl UrlForm {
    fn is_jdbc(self) -> bool {
        matches!(self, Self::Jdbc | Self::MySqlJdbc)
    }
}

/// How a URL begins, and what rules follow from that.
const SCHEMES: [(&str, UrlForm); 9] = [
    ("postgres://", UrlForm::Libpq),
    ("postgresql://", UrlForm::Libpq),
    ("jdbc:postgresql:", UrlForm::Jdbc),
    ("mysql://", UrlForm::MySql),
    ("mariadb://", UrlForm::MySql),
    ("jdbc:mysql://", UrlForm::MySqlJdbc),
    ("jdbc:mariadb://", UrlForm::MySqlJdbc),
    ("sqlite:", UrlForm::Sqlite),
    ("jdbc:sqlite:", UrlForm::SqliteJdbc),
];

/// An SQLite database that lives as long as its connection.
const MEMORY: &str = ":memory:";

/// The port of a MySQL or MariaDB that names none.
const MYSQL_PORT: u16 = 3306;

/// Parses the URLs of PostgreSQL, MySQL, MariaDB and SQLite, and those of their JDBC drivers.
///
/// # Errors
/// See [`UrlProblem`].
pub fn parse_url(url: &str) -> Result<ConnectionUrl, UrlProblem> {
    let known = SCHEMES.iter().find_map(|(scheme, form)| Some((*form, url.strip_prefix(scheme)?)));
    let (form, rest) = known.ok_or(UrlProblem::Scheme)?;
    if matches!(form, UrlForm::Sqlite | UrlForm::SqliteJdbc) {
        return parse_file(form, rest);
    }
    let rest = if form == UrlForm::Jdbc { jdbc_rest(rest) } else { rest.to_owned() };
    if rest.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(UrlProblem::PercentEncoding);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user_info, host_port) = split_authority(form, authority, tail)?;
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    if path.contains(['#', '@']) || query.contains('#') {
        return Err(UrlProblem::PercentEncoding);
    }
    let mut parsed = ConnectionUrl::default();
    if let Some(user_info) = user_info {
        read_user_info(&mut parsed, user_info)?;
    }
    (parsed.host, parsed.port) = read_hosts(host_port)?;
    let name = path.strip_prefix('/').unwrap_or(path);
    if name.contains('/') {
        return Err(UrlProblem::PercentEncoding);
    }
    parsed.name = not_empty(decode(form, name)?);
    read_query(form, &mut parsed, query)?;
    if matches!(form, UrlForm::MySql | UrlForm::MySqlJdbc) {
        parsed.port.get_or_insert(MYSQL_PORT);
    }
    Ok(parsed)
}

/// `path`, `//path`, `file:path`, `:memory:` or nothing, and pragmas behind `?`.
fn parse_file(form: UrlForm, rest: &str) -> Result<ConnectionUrl, UrlProblem> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if path.chars().any(char::is_control) {
        return Err(UrlProblem::Invalid);
    }
    let path = path.strip_prefix("//").filter(|_| form == UrlForm::Sqlite).unwrap_or(path);
    let file = match path.strip_prefix("file:") {
        // A URI is encoded, whoever writes it.
        Some(uri) => decode(UrlForm::Sqlite, uri.strip_prefix("//").unwrap_or(uri))?,
        None if form == UrlForm::SqliteJdbc => path.to_owned(),
        None => decode(form, path)?,
    };
    let mut parsed = ConnectionUrl {
        file: Some(not_empty(file).unwrap_or(MEMORY.to_owned())),
        ..ConnectionUrl::default()
    };
    read_query(form, &mut parsed, query)?;
    Ok(parsed)
}

/// `jdbc:postgresql:name` and `jdbc:postgresql:/name` mean a host by default.
fn jdbc_rest(rest: &str) -> String {
    match rest.strip_prefix("//") {
        Some(rest) => rest.to_owned(),
        None if rest.starts_with(['/', '?']) => rest.to_owned(),
        None => format!("/{rest}"),
    }
}

/// Splits `user:password@host:port`. A second `@`, or one behind the authority, belongs to a
/// password that is not encoded.
fn split_authority<'a>(
    form: UrlForm,
    authority: &'a str,
    tail: &str,
) -> Result<(Option<&'a str>, &'a str), UrlProblem> {
    match (authority.matches('@').count(), form) {
        (0, _) if form != UrlForm::Jdbc && has_torn_password(authority, tail) => {
            Err(UrlProblem::PercentEncoding)
        }
        (0, _) => Ok((None, authority)),
        (1, _) if form != UrlForm::Jdbc => {
            Ok(authority.split_once('@').map_or((None, authority), |(info, host)| (Some(info), host)))
        }
        _ if form == UrlForm::Jdbc => Err(UrlProblem::JdbcUserInfo),
        _ => Err(UrlProblem::PercentEncoding),
    }
}

/// `u:p/a@host/db`: the authority ended inside the password.
fn has_torn_password(authority: &str, tail: &str) -> bool {
    let port_is_none = |port: &str| !port.is_empty() && port.parse::<u16>().is_err();
    let odd_port = authority.rsplit_once(':').is_some_and(|(_, port)| port_is_none(port));
    let path_end = tail.find('?').unwrap_or(tail.len());
    tail[..path_end].contains('@') || (odd_port && tail.contains('@'))
}

fn read_user_info(parsed: &mut ConnectionUrl, user_info: &str) -> Result<(), UrlProblem> {
    let (user, password) = match user_info.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (user_info, None),
    };
    parsed.user = not_empty(decode(UrlForm::Libpq, user)?);
    let password = password.map(|p| decode(UrlForm::Libpq, p)).transpose()?;
    parsed.password = password.and_then(not_empty).map(SecretString::from);
    Ok(())
}

/// The first of the hosts; the others have to be written right as well.
fn read_hosts(text: &str) -> Result<(Option<String>, Option<u16>), UrlProblem> {
    let (first, others) = text.split_once(',').map_or((text, None), |(first, others)| (first, Some(others)));
    others
        .into_iter()
        .flat_map(|others| others.split(','))
        .try_for_each(|host| read_host_port(host).map(drop))?;
    read_host_port(first)
}

fn read_host_port(text: &str) -> Result<(Option<String>, Option<u16>), UrlProblem> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlProblem::Invalid)?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| UrlProblem::Invalid)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => read_port(port)?,
            None if rest.is_empty() => None,
            None => return Err(UrlProblem::Invalid),
        };
        return Ok((Some(host.to_owned()), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, read_port(port)?),
        None => (text, None),
    };
    let host = decode(UrlForm::Libpq, host)?;
    if !host.starts_with('/') && !host.chars().all(is_host_character) {
        return Err(UrlProblem::Invalid);
    }
    Ok((not_empty(host), port))
}

fn is_host_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '.' | '_')
}

fn read_port(text: &str) -> Result<Option<u16>, UrlProblem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().ok().filter(|port| *port > 0).map(Some).ok_or(UrlProblem::Port)
}

/// Parameters that name what the authority and the path name win over those, as in libpq.
fn read_query(form: UrlForm, parsed: &mut ConnectionUrl, query: &str) -> Result<(), UrlProblem> {
    let mut parameters = Parameters::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = match (pair.split_once('='), form) {
            (Some(pair), _) => pair,
            (None, UrlForm::Libpq) => return Err(UrlProblem::Invalid),
            (None, _) => (pair, ""),
        };
        if form == UrlForm::Libpq && value.contains('=') {
            return Err(UrlProblem::Invalid);
        }
        parameters.insert(decode(form, name)?, decode(form, value)?);
    }
    let mut take = |name: &str| parameters.remove(name).and_then(not_empty);
    if let Some(user) = take("user") {
        parsed.user = Some(user);
    }
    if let Some(password) = take("password") {
        parsed.password = Some(password.into());
    }
    match form {
        UrlForm::Libpq => {
            if let Some(host) = take("host") {
                (parsed.host, _) =
                    if host.starts_with('/') { (Some(host), None) } else { read_hosts(&host)? };
            }
            if let Some(port) = take("port") {
                let ports: Vec<_> = port.split(',').map(read_port).collect::<Result<_, _>>()?;
                parsed.port = ports.into_iter().next().flatten();
            }
            if let Some(name) = take("dbname") {
                parsed.name = Some(name);
            }
        }
        UrlForm::Jdbc => translate_jdbc(&mut parameters),
        UrlForm::MySql | UrlForm::MySqlJdbc | UrlForm::Sqlite | UrlForm::SqliteJdbc => {}
    }
    parsed.parameters = parameters;
    Ok(())
}

/// pgJDBC's own names for what libpq calls otherwise.
fn translate_jdbc(parameters: &mut Parameters) {
    if let Some(name) = parameters.remove("ApplicationName") {
        parameters.insert("application_name".into(), name);
    }
    if let Some(ssl) = parameters.remove("ssl")
        && (ssl.is_empty() || ssl == "true")
        && parameters.get("sslmode").is_none()
    {
        parameters.insert("sslmode".into(), "verify-full".into());
    }
    if let Some(schema) = parameters.remove("currentSchema") {
        let options = parameters.remove("options").map(|options| format!("{options} ")).unwrap_or_default();
        parameters
            .insert("options".into(), format!("{options}-c search_path={}", schema.replace(' ', "\\ ")));
    }
}

/// Percent-decoding that refuses what it does not understand. In JDBC's form `+` is a space.
fn decode(form: UrlForm, text: &str) -> Result<String, UrlProblem> {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let whole = bytes.iter().enumerate().all(|(at, b)| *b != b'%' || (is_hex(at + 1) && is_hex(at + 2)));
    if !whole {
        return Err(UrlProblem::PercentEncoding);
    }
    let text = if form.is_jdbc() { text.replace('+', " ") } else { text.to_owned() };
    let decoded = percent_encoding::percent_decode_str(&text).decode_utf8();
    let decoded = decoded.map_err(|_| UrlProblem::PercentEncoding)?;
    if decoded.contains('\0') { Err(UrlProblem::Invalid) } else { Ok(decoded.into_owned()) }
}

fn not_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use test_case::test_case;

    type Parts<'a> = (Option<&'a str>, Option<u16>, Option<&'a str>, Option<&'a str>, Option<&'a str>);

    const ALL: Parts<'static> = (Some("h"), Some(6543), Some("d"), Some("u"), Some("p"));

    #[test_case("postgres://u:p@h:6543/d", ALL)]
    #[test_case("postgresql://u:p@h:6543/d?sslmode=require", ALL)]
    #[test_case("postgres://h:6543/d?user=u&password=p", ALL)]
    #[test_case("jdbc:postgresql://h:6543/d?user=u&password=p", ALL)]
    #[test_case("postgres://u:p%40%2f%3a+%25@h/d", (Some("h"), None, Some("d"), Some("u"), Some("p@/:+%")))]
    #[test_case("jdbc:postgresql://h/d?user=u&password=p+%2B%40", (Some("h"), None, Some("d"), Some("u"), Some("p +@")))]
    #[test_case("postgres://u:a:b@h/d", (Some("h"), None, Some("d"), Some("u"), Some("a:b")))]
    #[test_case("postgres://u@[::1]:1/d", (Some("::1"), Some(1), Some("d"), Some("u"), None))]
    #[test_case("postgres://u@%2Ftmp%2Fs:1/d", (Some("/tmp/s"), Some(1), Some("d"), Some("u"), None))]
    #[test_case("postgres://u@/d?host=/tmp/s&port=1", (Some("/tmp/s"), Some(1), Some("d"), Some("u"), None))]
    #[test_case("mysql://u:p@h/d?useSSL", (Some("h"), Some(3306), Some("d"), Some("u"), Some("p")))]
    #[test_case("jdbc:mariadb://h:6543/d?user=u&password=p&sslMode=trust", ALL)]
    #[test_case("jdbc:mysql://u:p@h:6543/d", ALL)]
    #[test_case("postgres://u:p@h:6543,other/d", ALL)]
    #[test_case("postgres://u:p@/d?host=h,other&port=6543,1", ALL)]
    #[test_case("postgres://h", (Some("h"), None, None, None, None))]
    #[test_case("postgres:///d", (None, None, Some("d"), None, None))]
    #[test_case("jdbc:postgresql:d", (None, None, Some("d"), None, None))]
    #[test_case("jdbc:postgresql:///d", (None, None, Some("d"), None, None))]
    fn urls_are_read(url: &str, expected: Parts<'_>) {
        let parsed = parse_url(url).unwrap();
        let actual = (
            parsed.host.as_deref(),
            parsed.port,
            parsed.name.as_deref(),
            parsed.user.as_deref(),
            parsed.password.as_ref().map(ExposeSecret::expose_secret),
        );
        assert_eq!(actual, expected);
    }

    #[test_case("oracle://u:p@h/d", UrlProblem::Scheme)]
    #[test_case("mysql://u:p@h@x/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres:/u:p@h/d", UrlProblem::Scheme)]
    #[test_case("h:5432/d", UrlProblem::Scheme)]
    #[test_case("postgres://u:p@x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p/x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p#x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p?x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p%x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p%ff@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p x@h/d", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p@h/a/b", UrlProblem::PercentEncoding)]
    #[test_case("postgres://u:p@h:0/d", UrlProblem::Port)]
    #[test_case("postgres://u:p@h:70000/d", UrlProblem::Port)]
    #[test_case("postgres://u:p@a:1,b:0/d", UrlProblem::Port)]
    #[test_case("postgres://u:p@h/d?sslmode", UrlProblem::Invalid)]
    #[test_case("postgres://u:p@[::1/d", UrlProblem::Invalid)]
    #[test_case("jdbc:postgresql://u:p@h/d", UrlProblem::JdbcUserInfo)]
    fn bad_urls_are_refused(url: &str, expected: UrlProblem) {
        assert_eq!(parse_url(url).unwrap_err(), expected);
    }

    #[test_case("sqlite:/var/lib/shop%20a.db?mode=ro" => "/var/lib/shop a.db")]
    #[test_case("sqlite:///var/shop.db" => "/var/shop.db")]
    #[test_case("jdbc:sqlite:my 100%.db" => "my 100%.db")]
    #[test_case("jdbc:sqlite:file:/a/b%20c.db" => "/a/b c.db")]
    #[test_case("sqlite::memory:" => ":memory:")]
    fn sqlite_urls_name_a_file(url: &str) -> String {
        let parsed = parse_url(url).unwrap();
        assert_eq!((&parsed.host, parsed.port, &parsed.name, &parsed.user), (&None, None, &None, &None));
        parsed.file.unwrap()
    }

    #[test]
    fn parameters_of_jdbc_get_libpqs_names() {
        let parsed = parse_url("jdbc:postgresql://h/d?ssl=true&ApplicationName=x&currentSchema=a").unwrap();
        let get = |name| parsed.parameters.get(name).map(|v| v.expose_secret().to_owned());
        assert_eq!(get("sslmode").as_deref(), Some("verify-full"));
        assert_eq!(get("application_name").as_deref(), Some("x"));
        assert_eq!(get("options").as_deref(), Some("-c search_path=a"));
    }

    proptest::proptest! {
        #[test]
        fn a_built_url_is_read_back(user in "\\PC{1,12}", password in "\\PC{1,12}", name in "\\PC{1,12}", port in 1u16..) {
            let password = SecretString::from(password);
            let built = crate::Credentials::new("db.example", port, &user, &name, Some(password.clone()));
            for url in [built.url(), built.jdbc_url().unwrap()] {
                let parsed = parse_url(url.expose_secret()).unwrap();
                proptest::prop_assert_eq!(parsed.user.as_deref(), Some(built.user()));
                proptest::prop_assert_eq!(parsed.name.as_deref(), Some(built.name()));
                proptest::prop_assert_eq!(parsed.port, Some(port));
                let read = parsed.password.unwrap();
                proptest::prop_assert_eq!(read.expose_secret(), password.expose_secret());
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(postgres://|jdbc:postgresql:)?\\PC{0,40}") {
            let _ = parse_url(&text);
        }
    }
}
