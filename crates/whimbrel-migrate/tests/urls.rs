//! What `secrets verify` says of a URL is what the runner does with it: both readers agree, URL by URL.

use secrecy::{ExposeSecret, SecretString};
use whimbrel_contract::parse_url;
use whimbrel_database::Target;

/// The first host, its port, database or file, user, password; a blank is nothing. Read as both readers have to.
const READ: [(&str, &str); 25] = [
    ("postgres://u:p@h:6543/d", "h 6543 d u p"),
    ("postgresql://u:p%40%2f%3a+%25@h/d", "h 5432 d u p@/:+%"),
    ("postgres://u:a:b@h/d", "h 5432 d u a:b"),
    ("postgres://h:6543/d?user=u&password=a+b", "h 6543 d u a+b"),
    ("postgres://u@[::1]:1/d", "::1 1 d u "),
    ("postgres://u@%2Ftmp%2Fs:1/d", "/tmp/s 1 d u "),
    ("postgres://u@/d?host=/tmp/s&port=1", "/tmp/s 1 d u "),
    ("postgres://u:p@h:1,other:2/d", "h 1 d u p"),
    ("postgres://u:p@h,other/d", "h 5432 d u p"),
    ("postgres://u:p@/d?host=h,other&port=1,2", "h 1 d u p"),
    ("jdbc:mysql://h:1,other/d?user=u&password=p", "h 1 d u p"),
    ("postgres://u:p@h/d?dbname=e", "h 5432 e u p"),
    ("postgres:///d", "localhost 5432 d  "),
    ("jdbc:postgresql://h:6543/d?user=u&password=p+%2B%40", "h 6543 d u p +@"),
    ("jdbc:postgresql://h/a+b%2B", "h 5432 a b+  "),
    ("jdbc:postgresql:d", "localhost 5432 d  "),
    ("jdbc:postgresql:///d", "localhost 5432 d  "),
    ("mysql://u:p@h/d?useSSL", "h 3306 d u p"),
    ("mariadb://u:p+%2B@h:1/d", "h 1 d u p++"),
    ("jdbc:mysql://u:p@h/d", "h 3306 d u p"),
    ("jdbc:mariadb://h:6543/d?user=u&password=a+b&sslMode=trust", "h 6543 d u a b"),
    ("sqlite:/var/a%20b.db", "  /var/a b.db  "),
    ("sqlite:///var/shop.db?mode=ro", "  /var/shop.db  "),
    ("jdbc:sqlite:my 100%.db", "  my 100%.db  "),
    ("jdbc:sqlite::memory:", "  :memory:  "),
];

/// Refused by both.
const REFUSED: [&str; 18] = [
    "oracle://u:p@h/d",
    "postgres:/u:p@h/d",
    "h:5432/d",
    "postgres://u:p@x@h/d",
    "mysql://u:p@h@x/d",
    "jdbc:postgresql://u:p@h/d",
    "postgres://u:p/x@h/d",
    "postgres://u:p%x@h/d",
    "postgres://u:p%ff@h/d",
    "postgres://u:p x@h/d",
    "postgres://u:p@h:0/d",
    "postgres://u:p@h:70000/d",
    "postgres://u:p@h:1,other:0/d",
    "postgres://u:p@[::1/d",
    "jdbc:postgres://h/d",
    "mysql:u:p@h/d",
    "sqlite:a%2.db",
    "postgres://u:p@h:port/d",
];

fn line(host: &str, port: &str, name: &str, user: &str, password: &str) -> String {
    format!("{host} {port} {name} {user} {password}")
}

fn as_the_runner_reads(url: &str) -> Option<String> {
    let (target, _) = Target::parse(&SecretString::from(url)).ok()?;
    let endpoint = target.endpoints.first();
    Some(line(
        endpoint.map_or("", |endpoint| &endpoint.host),
        &endpoint.map(|endpoint| endpoint.port.to_string()).unwrap_or_default(),
        target.database.as_deref().unwrap_or_default(),
        target.user.as_deref().unwrap_or_default(),
        target.password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default(),
    ))
}

fn as_the_contract_reads(url: &str) -> Option<String> {
    let read = parse_url(url).ok()?;
    // What a URL leaves open is filled in by whoever connects.
    let (host, port) = match read.file {
        Some(_) => ("", String::new()),
        None => (read.host.as_deref().unwrap_or("localhost"), read.port.unwrap_or(5432).to_string()),
    };
    Some(line(
        host,
        &port,
        read.file.or(read.name).as_deref().unwrap_or_default(),
        read.user.as_deref().unwrap_or_default(),
        read.password.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default(),
    ))
}

#[test]
fn both_readers_take_the_same_from_a_url() {
    for (url, parts) in READ {
        assert_eq!(as_the_runner_reads(url).as_deref(), Some(parts), "the runner: {url}");
        assert_eq!(as_the_contract_reads(url).as_deref(), Some(parts), "the contract: {url}");
    }
}

#[test]
fn both_readers_refuse_the_same() {
    for url in REFUSED {
        assert_eq!(as_the_runner_reads(url), None, "the runner: {url}");
        assert_eq!(as_the_contract_reads(url), None, "the contract: {url}");
    }
}
