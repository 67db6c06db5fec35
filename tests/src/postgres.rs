//! Databases and roles on the testbed's PostgreSQL, and questions to them through `psql`.

use std::process::Command;
use std::time::Duration;

use crate::program::{clean, run};
use crate::testbed;

/// A database of its own, with a role that owns it. Both are dropped with this value.
pub struct Database {
    pub name: String,
    pub user: String,
    pub password: String,
    host_and_port: String,
    /// The URL of its server's superuser.
    server: String,
}

impl Database {
    /// Makes a database and its owner; `prefix` is for those who look at the server.
    pub fn create(prefix: &str) -> Self {
        Self::named(&testbed::unique(&format!("{prefix}_")))
    }

    /// Makes a database and its owner on the server of this superuser.
    pub fn on(server: &str, prefix: &str) -> Self {
        Self::made(server.to_owned(), &testbed::unique(&format!("{prefix}_")), "")
    }

    /// Makes a database with an encoding that has no locale of its own, and its owner.
    pub fn encoded(prefix: &str, encoding: &str) -> Self {
        let options = format!("ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
        Self::made(testbed::postgres(), &testbed::unique(&format!("{prefix}_")), &options)
    }

    /// Makes a database of this name, owned by a role of the same name.
    pub fn named(name: &str) -> Self {
        Self::made(testbed::postgres(), name, "")
    }

    fn made(server: String, name: &str, options: &str) -> Self {
        let password = testbed::unique("pw");
        psql(&server, &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"));
        psql(&server, &format!("CREATE DATABASE \"{name}\" OWNER \"{name}\" {options}"));
        let host_and_port = place_of(&server);
        Self { name: name.to_owned(), user: name.to_owned(), password, host_and_port, server }
    }

    /// The URL as tests and local programs reach it.
    pub fn url(&self) -> String {
        self.url_at(&self.host_and_port)
    }

    /// The URL as pods reach it.
    pub fn url_in_cluster(&self) -> String {
        self.url_at(&testbed::postgres_in_cluster())
    }

    /// The URL with another host and port, such as a proxy's.
    pub fn url_at(&self, host_and_port: &str) -> String {
        format!("postgres://{}:{}@{host_and_port}/{}", self.user, self.password, self.name)
    }

    /// Runs SQL as the superuser in this database; unaligned rows, `|` between columns.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        psql(&with_database(&self.server, &self.name), sql)
    }

    /// The one number that a query gives.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        let answer = self.ask(sql);
        answer.parse().unwrap_or_else(|_| panic!("{sql} gave {answer:?}"))
    }

    /// How many advisory locks are held or waited for in this database; others have their own.
    #[track_caller]
    pub fn advisory_locks(&self) -> i64 {
        self.number(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
             (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
    }

    /// The highest version in the schema history, or nothing when there is no history.
    #[track_caller]
    pub fn version(&self) -> Option<String> {
        if self.ask("SELECT to_regclass('public.flyway_schema_history') IS NOT NULL") != "t" {
            return None;
        }
        let version = self.ask(
            "SELECT version FROM public.flyway_schema_history WHERE success AND version IS NOT NULL \
             ORDER BY string_to_array(version, '.')::bigint[] DESC LIMIT 1",
        );
        (!version.is_empty()).then_some(version)
    }

    /// Everything that a schema-only dump tells, for comparing two databases.
    #[track_caller]
    pub fn schema(&self) -> String {
        let url = with_database(&self.server, &self.name);
        let mut command = client("pg_dump", &url);
        command.args(["--schema-only", "--no-owner", "--no-privileges"]);
        let dump = run(&mut command, Duration::from_secs(60)).expect_code(0);
        // Newer dumps begin and end with a random token.
        dump.stdout.lines().filter(|line| !line.starts_with('\\')).map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let url = &self.server;
        for sql in [
            format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name),
            format!("DROP ROLE IF EXISTS \"{}\"", self.user),
        ] {
            // A panic here would hide the one that brought us here.
            let _ = client("psql", url).args(["-X", "-q", "-c", &sql]).output();
        }
    }
}

/// Runs SQL as the superuser, outside of the test's own databases.
#[track_caller]
pub fn superuser(sql: &str) -> String {
    psql(&testbed::postgres(), sql)
}

/// Host and port of the server, from its URL.
pub fn host_and_port() -> String {
    place_of(&testbed::postgres())
}

fn place_of(url: &str) -> String {
    let (_, after) = url.rsplit_once('@').expect("the URL has a user");
    after.split('/').next().expect("split gives a first piece").to_owned()
}

fn with_database(url: &str, database: &str) -> String {
    let (before, _) = url.rsplit_once('/').expect("the URL names a database");
    format!("{before}/{database}")
}

fn client(program: &str, url: &str) -> Command {
    let mut command = clean(program);
    // The password stays out of the list of processes.
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let (login, place) = rest.rsplit_once('@').expect("the URL has a user");
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    command.env("PGPASSWORD", password).env("PGOPTIONS", "-c client_min_messages=warning");
    command.arg(format!("--dbname={scheme}://{user}@{place}"));
    command
}

/// Runs SQL at this URL; unaligned rows, `|` between columns, no final newline.
#[track_caller]
pub fn psql(url: &str, sql: &str) -> String {
    let mut command = client("psql", url);
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
    let answer = run(&mut command, Duration::from_secs(60));
    assert_eq!(answer.code, Some(0), "{sql}\n{}", answer.stderr);
    answer.stdout.trim_end().to_owned()
}
