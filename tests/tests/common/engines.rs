//! A project with one database on MariaDB or SQLite that a test writes scripts for.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use whimbrel_tests::engines::{self, Place};
use whimbrel_tests::program::{Ended, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(60);

/// A project with one database.
pub(crate) struct Shop {
    pub(crate) project: Project,
    pub(crate) place: Place,
}

#[allow(dead_code, reason = "each test file uses what it needs")]
impl Shop {
    pub(crate) fn new(place: Place, scripts: &[(&str, &str)]) -> Self {
        let shop = Self { project: Project::small(), place };
        for (name, text) in scripts {
            shop.write(name, text);
        }
        shop
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.project.write(&format!("sql/{name}"), text);
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = self.project.tool("whimbrel-migrate");
        command.env("APP_DATABASE_URL", self.place.url()).arg(verb);
        command
    }

    #[track_caller]
    pub(crate) fn run(&self, verb: &str, options: &[&str]) -> Ended {
        run(self.command(verb).args(options), MINUTE)
    }

    #[track_caller]
    pub(crate) fn ask(&self, sql: &str) -> String {
        self.place.ask(sql)
    }

    /// (version, description, state) of every line of `info`.
    #[track_caller]
    pub(crate) fn states(&self) -> Vec<(String, String, String)> {
        states(
            &self.run("info", &["--format", "json"]).expect_code(0).json_lines()[0]["databases"][0]["migrations"],
        )
    }

    /// Real Flyway with the same scripts and the same database.
    #[track_caller]
    pub(crate) fn flyway(&self, verb: &str, options: &[&str]) -> Value {
        let mut command = clean(testbed::variable("WHIMBREL_TEST_FLYWAY"));
        let (url, login) = self.place.jdbc();
        command.env("FLYWAY_URL", url);
        if let Some((user, password)) = login {
            command.env("FLYWAY_USER", user).env("FLYWAY_PASSWORD", password);
        }
        command.arg(format!("-locations=filesystem:{}", self.project.file("sql").display()));
        command.args(["-skipCheckForUpdate", "-outputType=json", verb]).args(options);
        let ended = run(&mut command, 2 * MINUTE);
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("not JSON\n{}", ended.said()))
    }

    /// A file of SQLite is there only once somebody made it.
    pub(crate) fn ask_twice(&self, sql: &str) {
        if self.place.is_sqlite() {
            engines::ask(&format!("{}?mode=rwc", self.place.url()), sql);
        } else {
            self.ask(sql);
        }
    }

    /// Both say that all is well, and show the same lines.
    #[track_caller]
    pub(crate) fn assert_both_agree(&self) {
        let validated = self.flyway("validate", &[]);
        assert_eq!(validated["validationSuccessful"], true, "{validated}");
        self.run("validate", &[]).expect_code(0);
        assert_eq!(self.states(), states(&self.flyway("info", &[])["migrations"]));
    }
}

#[allow(dead_code, reason = "each test file uses what it needs")]
pub(crate) fn states(rows: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| (text(&row["version"]), text(&row["description"]), text(&row["state"]))).collect()
}
