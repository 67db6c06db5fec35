//! A database of one engine, emptied before each case, and questions to it.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row as _, SqliteConnection,
};

use super::compare::text;
use crate::testbed;

/// Where a case was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    PostgreSql,
    MariaDb,
    Sqlite,
}

impl Engine {
    /// The URL of the testbed's server of it, without a database.
    pub fn server(self) -> String {
        match self {
            Self::PostgreSql => server_url("WHIMBREL_TEST_POSTGRES"),
            Self::MariaDb => server_url("WHIMBREL_TEST_MARIADB"),
            Self::Sqlite => String::new(),
        }
    }

    /// The engine of a case; PostgreSQL where it names none.
    pub(super) fn of(case: &Value) -> Self {
        match text(&case["engine"]) {
            "mariadb" | "mysql" => Self::MariaDb,
            "sqlite" => Self::Sqlite,
            _ => Self::PostgreSql,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PostgreSql => "postgresql",
            Self::MariaDb => "mariadb",
            Self::Sqlite => "sqlite",
        })
    }
}

enum Link {
    Postgres(PgConnection),
    MySql(MySqlConnection),
    Sqlite(SqliteConnection),
}

/// All values as text.
macro_rules! texts {
    ($connection:expr, $sql:expr) => {{
        let rows = $connection.fetch_all(sqlx::raw_sql(AssertSqlSafe($sql))).await?;
        let cell = |row: &_, index| sqlx::Row::try_get_unchecked::<Option<String>, usize>(row, index);
        rows.iter()
            .map(|row| (0..row.len()).map(|index| cell(row, index)).collect::<Result<Vec<_>, _>>())
            .collect::<Result<Vec<_>, _>>()
    }};
}

impl Link {
    async fn rows(&mut self, sql: String) -> Result<Vec<Vec<Option<String>>>, sqlx::Error> {
        match self {
            Self::Postgres(connection) => texts!(connection, sql),
            Self::MySql(connection) => texts!(connection, sql),
            Self::Sqlite(connection) => texts!(connection, sql),
        }
    }

    async fn execute(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
            Self::MySql(connection) => connection.execute(sql).await.map(drop),
            Self::Sqlite(connection) => connection.execute(sql).await.map(drop),
        }
    }
}

/// Where a program finds the database.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// As Flyway's users write it.
    pub(super) jdbc: String,
    /// As ours do, login included.
    pub(super) url: String,
    pub(super) user: String,
    pub(super) password: String,
}

/// One database.
pub(super) struct Server {
    pub(super) engine: Engine,
    pub(super) place: Place,
    /// What recorded answers call `<db>`.
    pub(super) name: String,
    runtime: tokio::runtime::Runtime,
    link: RefCell<Link>,
    folder: tempfile::TempDir,
}

impl Server {
    /// Makes the database on the testbed's server; panics where that cannot be reached.
    pub(super) fn new(engine: Engine) -> Self {
        Self::on(engine, &engine.server())
    }

    /// The same on another server of the engine.
    pub(super) fn on(engine: Engine, server: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("there is room");
        let name = match engine {
            Engine::Sqlite => "case.db".to_owned(),
            _ => testbed::unique("golden_"),
        };
        let place = place(engine, server, &name, folder.path());
        let link = runtime.block_on(async {
            match engine {
                Engine::PostgreSql => {
                    let mut server = PgConnection::connect(&format!("{server}/postgres")).await?;
                    server.execute(sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))).await?;
                    Ok(Link::Postgres(PgConnection::connect(&place.url).await?))
                }
                Engine::MariaDb => {
                    let url = format!("{server}/").replacen("mariadb", "mysql", 1);
                    let mut server = MySqlConnection::connect(&url).await?;
                    // The user's name stands in recorded histories.
                    for sql in [
                        "CREATE USER IF NOT EXISTS 't'@'%' IDENTIFIED BY 't'",
                        "GRANT ALL PRIVILEGES ON *.* TO 't'@'%' WITH GRANT OPTION",
                    ] {
                        server.execute(sqlx::raw_sql(sql)).await?;
                    }
                    // MySQL lets a driver without TLS in once it knows the password from a login that had it.
                    MySqlConnection::connect(place.url.trim_end_matches(&name)).await?.close().await?;
                    Ok(Link::MySql(server))
                }
                Engine::Sqlite => sqlite(&folder.path().join("case.db")).await,
            }
        });
        let link = link.unwrap_or_else(|error: sqlx::Error| panic!("no {engine} server: {error}"));
        Self { engine, place, name, runtime, link: RefCell::new(link), folder }
    }

    /// Nothing is left of the case before.
    pub(super) fn empty(&self) {
        match self.engine {
            Engine::PostgreSql => self.sql(
                "DO $$ DECLARE name text; BEGIN FOR name IN SELECT quote_ident(nspname) FROM pg_namespace \
                 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
                 LOOP EXECUTE 'DROP SCHEMA ' || name || ' CASCADE'; END LOOP; END $$; CREATE SCHEMA public",
            ),
            Engine::MariaDb => {
                let name = &self.name;
                for sql in [
                    format!("DROP DATABASE IF EXISTS `{name}`"),
                    format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"),
                    format!("USE `{name}`"),
                ] {
                    self.sql(&sql);
                }
            }
            Engine::Sqlite => {
                let file = self.folder.path().join("case.db");
                for suffix in ["", "-journal", "-wal", "-shm"] {
                    let _ = fs_err::remove_file(format!("{}{suffix}", file.display()));
                }
                let link = self.runtime.block_on(sqlite(&file)).expect("a new file can be opened");
                let _ = self.link.replace(link);
            }
        }
    }

    /// Runs SQL that must go well.
    #[track_caller]
    pub(super) fn sql(&self, sql: &str) {
        let done = self.runtime.block_on(self.link.borrow_mut().execute(sql.to_owned()));
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    /// All values as text; null where the query fails.
    pub(super) fn rows(&self, query: &str) -> Value {
        let rows = self.runtime.block_on(self.link.borrow_mut().rows(query.to_owned()));
        rows.map_or(Value::Null, |rows| json!(rows))
    }

    /// The history table as Flyway makes it, with these rows.
    pub(super) fn write_history(&self, rows: &[Value]) {
        let (quoted, own) = match self.engine {
            Engine::PostgreSql => {
                ("public.flyway_schema_history", "installed_on TIMESTAMP NOT NULL DEFAULT now()")
            }
            Engine::MariaDb => {
                ("`flyway_schema_history`", "installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP")
            }
            Engine::Sqlite => (
                "\"flyway_schema_history\"",
                "installed_on TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f','now'))",
            ),
        };
        let key = match self.engine {
            Engine::PostgreSql => "CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank)",
            _ => "PRIMARY KEY (installed_rank)",
        };
        self.sql(&format!(
            "CREATE TABLE {quoted} (installed_rank INT NOT NULL, version VARCHAR(50), \
             description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, \
             checksum INTEGER, installed_by VARCHAR(100) NOT NULL, {own}, \
             execution_time INTEGER NOT NULL, success BOOLEAN NOT NULL, {key})"
        ));
        self.sql(&format!(
            "CREATE INDEX flyway_schema_history_s_idx ON {} (success)",
            match self.engine {
                Engine::Sqlite => "flyway_schema_history",
                _ => quoted,
            }
        ));
        for row in rows {
            let value = |name: &str| self.literal(&row[name]);
            self.sql(&format!(
                "INSERT INTO {quoted} (installed_rank, version, description, type, script, checksum, installed_by, \
                 execution_time, success) VALUES ({}, {}, {}, {}, {}, {}, 'golden', 1, {})",
                value("installed_rank"),
                value("version"),
                value("description"),
                value("type"),
                value("script"),
                value("checksum"),
                row["success"].as_bool().unwrap_or(true),
            ));
        }
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => {
                let text = text.replace('\'', "''");
                let text = if self.engine == Engine::MariaDb { text.replace('\\', "\\\\") } else { text };
                format!("'{text}'")
            }
            other => other.to_string(),
        }
    }

    /// The rows of `flyway_schema_history` by rank; null where there is no such table.
    pub(super) fn history(&self) -> Value {
        let table = match self.engine {
            Engine::PostgreSql => "public.flyway_schema_history",
            _ => "flyway_schema_history",
        };
        let rows = self.rows(&format!(
            "SELECT installed_rank, version, description, type, script, checksum, success FROM {table} \
             ORDER BY installed_rank"
        ));
        let Some(rows) = rows.as_array() else { return Value::Null };
        let number = |value: &Value| text(value).parse::<i64>().map_or(Value::Null, Value::from);
        rows.iter()
            .map(|row| {
                json!({"installed_rank": number(&row[0]), "version": row[1], "description": row[2], "type": row[3],
                       "script": row[4], "checksum": number(&row[5]), "success": matches!(text(&row[6]), "t" | "1")})
            })
            .collect()
    }

    /// Tables and views, sorted; our own ones beside the history are not Flyway's to know.
    pub(super) fn tables(&self) -> Value {
        let rows = self.rows(match self.engine {
            Engine::PostgreSql => {
                "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE c.relkind IN ('r', 'v', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
                 AND c.relname !~ '^whimbrel_'"
            }
            Engine::MariaDb => {
                "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
                 AND table_name NOT LIKE 'whimbrel\\_%'"
            }
            Engine::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'whimbrel\\_%' ESCAPE '\\'"
            }
        });
        let mut names: Vec<&str> = rows.as_array().into_iter().flatten().map(|row| text(&row[0])).collect();
        names.sort_unstable();
        json!(names)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let name = self.name.clone();
        // A panic here would hide the one that brought us here.
        match self.engine {
            Engine::PostgreSql => {
                let dropped = self.runtime.block_on(async {
                    let mut server = PgConnection::connect(&testbed::postgres()).await?;
                    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    server.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(drop)
                });
                drop(dropped);
            }
            Engine::MariaDb => {
                let sql = format!("DROP DATABASE IF EXISTS `{name}`");
                drop(self.runtime.block_on(self.link.borrow_mut().execute(sql)));
            }
            Engine::Sqlite => {}
        }
    }
}

async fn sqlite(file: &Path) -> Result<Link, sqlx::Error> {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true).foreign_keys(false);
    Ok(Link::Sqlite(SqliteConnection::connect_with(&options).await?))
}

/// A server's URL without a database.
fn server_url(variable: &str) -> String {
    let url = testbed::variable(variable);
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
}

fn place(engine: Engine, server: &str, name: &str, folder: &Path) -> Place {
    if engine == Engine::Sqlite {
        let file: PathBuf = folder.join("case.db");
        let (jdbc, url) = (format!("jdbc:sqlite:{}", file.display()), format!("sqlite:{}", file.display()));
        return Place { jdbc, url, user: String::new(), password: String::new() };
    }
    let scheme = if engine == Engine::PostgreSql { "postgresql" } else { "mariadb" };
    let (_, rest) = server.split_once("://").expect("a URL has a scheme");
    let (login, at) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = match engine {
        Engine::MariaDb => ("t", "t"),
        _ => login.split_once(':').unwrap_or((login, "")),
    };
    Place {
        jdbc: format!("jdbc:{scheme}://{at}/{name}"),
        url: match engine {
            Engine::MariaDb => format!("mysql://{user}:{password}@{at}/{name}"),
            _ => format!("{server}/{name}"),
        },
        user: user.to_owned(),
        password: password.to_owned(),
    }
}
