//! A project with one database that a test writes scripts for.

#[allow(dead_code, reason = "only some test files are about other engines")]
pub(crate) mod engines;

use std::process::Command;
use std::time::Duration;

use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, run};
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
