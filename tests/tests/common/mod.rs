//! A project with one database that a test writes scripts for.

#[allow(dead_code, reason = "only some test files are about other engines")]
pub(crate) mod engines;

use std::process::Command;
use std::time::Duration;

use whimbrel_tests::eventually;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::project::Project;

/// The project and its database.
pub(crate) struct Shop {
    pub(crate) project: Project,
    pub(crate) database: Database,
}

#[allow(dead_code, reason = "each test file uses what it needs")]
impl Shop {
    /// A database of its own, with these scripts in `sql/`.
    pub(crate) fn new(scripts: &[(&str, &str)]) -> Self {
        let shop = Self { project: Project::small(), database: Database::create("runner") };
        for (name, text) in scripts {
            shop.write(name, text);
        }
        shop
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.project.write(&format!("sql/{name}"), text);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.project.remove(&format!("sql/{name}"));
    }

    /// The runner with a verb, ready to be started.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = self.project.tool("whimbrel-migrate");
        command.env("APP_DATABASE_URL", self.database.url()).arg(verb);
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, verb: &str, options: &[&str]) -> Ended {
        run(self.command(verb).args(options), Duration::from_secs(60))
    }

    #[track_caller]
    pub(crate) fn migrate(&self, options: &[&str]) -> Ended {
        self.run("migrate", options)
    }

    /// The rows of the history, as text.
    #[track_caller]
    pub(crate) fn history(&self) -> String {
        self.database.ask("SELECT * FROM flyway_schema_history ORDER BY installed_rank")
    }
}

/// Scripts that count how often they ran: `runs` has a row for each.
#[allow(dead_code, reason = "each test file uses what it needs")]
pub(crate) fn counting_shop(number: usize) -> Shop {
    let shop = Shop::new(&[]);
    count(&shop.project, number);
    shop
}

/// Writes scripts that count how often they ran.
#[allow(dead_code, reason = "each test file uses what it needs")]
pub(crate) fn count(project: &Project, number: usize) {
    project.write(
        "sql/V1__runs.sql",
        "CREATE TABLE runs (script int NOT NULL);\nINSERT INTO runs VALUES (1);\n",
    );
    for version in 2..=number {
        let text = format!("CREATE TABLE t{version} (id int);\nINSERT INTO runs VALUES ({version});\n");
        project.write(&format!("sql/V{version}__t.sql"), &text);
    }
}

/// Every script once, every row once, ranks without a gap.
#[allow(dead_code, reason = "each test file uses what it needs")]
#[track_caller]
pub(crate) fn assert_each_once(ask: impl Fn(&str) -> String, number: usize) {
    let expected = format!("{number}|{number}|{number}");
    assert_eq!(ask("SELECT count(*), count(DISTINCT script), max(script) FROM runs"), expected);
    let history = "SELECT count(*), count(DISTINCT version), max(installed_rank) FROM flyway_schema_history WHERE success";
    assert_eq!(ask(history), expected);
}

/// A session of somebody else that did this SQL and keeps what it took. It ends with this value, on the server as well.
#[allow(dead_code, reason = "each test file uses what it needs")]
pub(crate) struct Holding<'a> {
    database: &'a Database,
    name: String,
    _session: Running,
}

#[allow(dead_code, reason = "each test file uses what it needs")]
impl<'a> Holding<'a> {
    /// Begins a transaction with this SQL, as `program`, and returns when the SQL is done.
    pub(crate) fn start(database: &'a Database, program: &str, sql: &str) -> Self {
        let mut command = clean("psql");
        command.env("PGAPPNAME", program).env("PGPASSWORD", &database.password);
        let url = database.url().replace(&format!(":{}@", database.password), "@");
        command.args(["-X", "-q", &url, "-c", &format!("BEGIN; {sql}; SELECT pg_sleep(600)")]);
        let session = Running::start(&mut command);
        let name = program.to_owned();
        let holding = Self { database, name, _session: session };
        eventually("the other session has what it wants", Duration::from_secs(60), || {
            (database.number(&format!("{} AND wait_event = 'PgSleep'", holding.query("count(*)"))) > 0)
                .then_some(())
        });
        holding
    }

    /// Its process id on the server.
    pub(crate) fn backend(&self) -> String {
        self.database.ask(&self.query("pid"))
    }

    fn query(&self, what: &str) -> String {
        format!(
            "SELECT {what} FROM pg_stat_activity WHERE application_name = '{}' AND datname = current_database()",
            self.name
        )
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        // A server does not notice that the client of a sleeping statement is gone.
        self.database.ask(&self.query("count(pg_terminate_backend(pid))"));
    }
}
