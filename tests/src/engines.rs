//! Databases of the other engines: a database on the testbed's MariaDB, a file of SQLite, any server by its URL.

use sqlx::{AssertSqlSafe, ColumnIndex, Connection, Executor, Row};
use tempfile::TempDir;

use crate::testbed;

/// One database that a test has for itself. It goes with this value.
pub struct Place {
    url: String,
    /// Its name on the server; for SQLite that of its only schema.
    pub name: String,
    folder: Option<TempDir>,
    server: Option<String>,
}

impl Place {
    /// A database of its own on the testbed's MariaDB.
    pub fn mariadb() -> Self {
        Self::on(&testbed::mariadb())
    }

    /// A database of its own on the MySQL or MariaDB that an administrator's URL names.
    pub fn on(server: &str) -> Self {
        let name = testbed::unique("engines");
        ask(server, &format!("CREATE DATABASE {name}"));
        let (host, _) = server.rsplit_once('/').expect("the URL names a database");
        Self { url: format!("{host}/{name}"), name, folder: None, server: Some(server.to_owned()) }
    }

    /// A file that does not exist yet, in a folder of its own.
    pub fn sqlite() -> Self {
        let folder = tempfile::Builder::new().prefix("whimbrel-sqlite-").tempdir().expect("there is room");
        let url = format!("sqlite:{}", folder.path().join("birds.db").display());
        Self { url, name: "main".to_owned(), folder: Some(folder), server: None }
    }

    /// The URL as the runner takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is SQLite.
    pub fn is_sqlite(&self) -> bool {
        self.folder.is_some()
    }

    /// The URL, user and password as Flyway takes them.
    pub fn jdbc(&self) -> (String, Option<(String, String)>) {
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return (format!("jdbc:{}", self.url), None);
        };
        let (login, place) = rest.split_once('@').expect("the URL has a login");
        let (user, password) = login.split_once(':').expect("the login has a password");
        (format!("jdbc:{scheme}://{place}"), Some((user.to_owned(), password.to_owned())))
    }

    /// The file of SQLite.
    pub fn file(&self) -> &std::path::Path {
        std::path::Path::new(self.url.strip_prefix("sqlite:").expect("it is a file"))
    }

    /// Runs SQL; a line for each row, `|` between columns.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        ask(&self.url, sql)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &self.server
            && !std::thread::panicking()
        {
            ask(server, &format!("DROP DATABASE IF EXISTS {}", self.name));
        }
    }
}

/// Runs SQL on the database of a URL.
#[track_caller]
pub fn ask(url: &str, sql: &str) -> String {
    let url = url.replacen("mariadb://", "mysql://", 1);
    // A thread of its own: the caller may be in a runtime already.
    let sql = sql.to_owned();
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            if url.starts_with("sqlite:") {
                rows(sqlx::SqliteConnection::connect(&url).await?, &sql).await
            } else {
                rows(sqlx::MySqlConnection::connect(&url).await?, &sql).await
            }
        })
    });
    asked.join().expect("no panic").unwrap_or_else(|error: sqlx::Error| panic!("{error}"))
}

/// Runs SQL on a file of SQLite and keeps its connection for so long, in a thread. The SQL is done when this returns.
pub fn hold(url: &str, sql: &str, time: std::time::Duration) -> std::thread::JoinHandle<()> {
    let (url, sql) = (url.to_owned(), sql.to_owned());
    let (tell, told) = std::sync::mpsc::channel();
    let holder = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the file opens");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("it runs");
            tell.send(()).expect("somebody waits for it");
            tokio::time::sleep(time).await;
            connection.close().await.expect("it closes");
        });
    });
    told.recv().expect("the SQL runs");
    holder
}

async fn rows<C>(mut connection: C, sql: &str) -> Result<String, sqlx::Error>
where
    C: Connection,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
    for<'r> String: sqlx::Decode<'r, C::Database>,
    usize: ColumnIndex<<C::Database as sqlx::Database>::Row>,
{
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?;
    let line = |row: &<C::Database as sqlx::Database>::Row| {
        let value =
            |index| row.try_get_unchecked::<Option<String>, _>(index).ok().flatten().unwrap_or_default();
        (0..row.len()).map(value).collect::<Vec<_>>().join("|")
    };
    let lines: Vec<String> = rows.iter().map(line).collect();
    connection.close().await?;
    Ok(lines.join("\n"))
}
