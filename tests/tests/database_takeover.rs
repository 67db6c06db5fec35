//! A project of some forty scripts whose history real Flyway made is taken over by our program under its name, and given
//! back: nothing in the project changes but which program `flyway` is.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_tests::golden::Driver;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, clean, run, whimbrel};
use whimbrel_tests::testbed;

const CONF: &str = "# the team's settings\n\
    flyway.locations=filesystem:sql\n\
    flyway.placeholders.owner=shop team\n\
    flyway.placeholders.currency=EUR\n\
    flyway.baselineDescription=before Flyway\n\
    flyway.connectRetries=2\n";

const TOML: &str = "[flyway]\n\
    locations = [\"filesystem:sql\"]\n\
    baselineDescription = \"before Flyway\"\n\
    [flyway.placeholders]\n\
    owner = \"shop team\"\n\
    currency = \"EUR\"\n\
    [environments.default]\n\
    connectRetries = 2\n";

/// What the settings say, for Flyway's API, which reads no file of its own.
const SETTINGS: [(&str, &str); 3] = [
    ("placeholders.owner", "shop team"),
    ("placeholders.currency", "EUR"),
    ("baselineDescription", "before Flyway"),
];

/// Who made the history.
enum Real {
    /// The command line of Flyway 11.
    Eleven,
    /// The Java API of Flyway 10.
    Ten(Box<Driver>),
}

struct Team {
    folder: tempfile::TempDir,
    database: Database,
    real: Real,
}

impl Team {
    fn new(real: Real, settings: (&str, &str)) -> Self {
        let team = Self {
            folder: tempfile::tempdir().expect("there is room"),
            database: Database::create("takeover"),
            real,
        };
        fs_err::write(team.folder.path().join(settings.0), settings.1).expect("the file can be written");
        fs_err::create_dir(team.folder.path().join("bin")).expect("a folder can be made");
        let ours = whimbrel("whimbrel-migrate").get_program().to_owned();
        fs_err::os::unix::fs::symlink(ours, team.folder.path().join("bin/flyway"))
            .expect("a link can be made");
        team.database.ask("CREATE TABLE legacy (id int)");
        team
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("sql").join(name);
        fs_err::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
        fs_err::write(path, text).expect("the file can be written");
    }

    fn remove(&self, name: &str) {
        fs_err::remove_file(self.folder.path().join("sql").join(name)).expect("the file was there");
    }

    fn jdbc(&self) -> String {
        format!("jdbc:postgresql://{}", self.database.url().rsplit_once('@').expect("a URL").1)
    }

    /// The line as it stands in the team's CI job.
    fn line(&self, mut program: Command, arguments: &[&str]) -> Ended {
        program.current_dir(self.folder.path()).env("TZ", "UTC");
        program.env("FLYWAY_USER", &self.database.user).env("FLYWAY_PASSWORD", &self.database.password);
        program.arg(format!("-url={}", self.jdbc())).arg("-skipCheckForUpdate").args(arguments);
        run(&mut program, Duration::from_secs(120))
    }

    fn ours(&self, arguments: &[&str]) -> Ended {
        self.line(clean(self.folder.path().join("bin/flyway")), arguments)
    }

    fn eleven(&self, arguments: &[&str]) -> Ended {
        self.line(clean(testbed::variable("WHIMBREL_TEST_FLYWAY")), arguments)
    }

    /// A verb of whoever makes the history; whether it went well.
    fn real(&mut self, arguments: &[&str]) -> bool {
        let Real::Ten(driver) = &mut self.real else {
            return self.eleven(arguments).code == Some(0);
        };
        let (verb, parameters) = arguments.split_last().expect("there is a verb");
        let sql: PathBuf = self.folder.path().join("sql");
        let mut settings = json!({"locations": format!("filesystem:{}", sql.display())});
        let given = parameters.iter().map(|parameter| parameter[1..].split_once('=').expect("a parameter"));
        for (name, value) in SETTINGS.into_iter().chain(given) {
            settings[name] = json!(value);
        }
        let url = format!("jdbc:postgresql://{}", self.database.url().rsplit_once('@').expect("a URL").1);
        let answer = driver.ask(&json!({
            "url": url, "user": self.database.user, "password": self.database.password, "verb": verb, "settings": settings,
        }));
        answer["error"].is_null()
    }

    /// Three years in a hurry: baseline, many scripts, one that failed and was repaired, one out of order, one taken away.
    fn live(&mut self) {
        self.first_scripts();
        assert!(self.real(&["-baselineVersion=1", "baseline"]));
        assert!(self.real(&["migrate"]));
        self.write("2024/V30__index.sql", "VACUUM t2;\nCREATE INDEX CONCURRENTLY i ON nowhere (id);\n");
        assert!(!self.real(&["-postgresql.transactional.lock=false", "migrate"]));
        assert!(self.real(&["repair"]));
        self.write("2024/V30__index.sql", "CREATE INDEX CONCURRENTLY i ON t2 (id);\n");
        assert!(self.real(&["-postgresql.transactional.lock=false", "migrate"]));
        self.write("V5_1__late.sql", "CREATE TABLE late (id int);\n");
        assert!(self.real(&["-outOfOrder=true", "migrate"]));
        self.write(
            "R__view_1.sql",
            "CREATE OR REPLACE VIEW v1 AS SELECT '${currency}' AS currency, 2 AS version;\n",
        );
        assert!(self.real(&["migrate"]));
        self.remove("V8__t8.sql");
        assert!(self.real(&["repair"]));
    }

    fn first_scripts(&self) {
        self.write("V1__legacy.sql", "CREATE TABLE legacy (id int);\n");
        for number in 2..=28 {
            let end = if number % 3 == 0 { "\r\n" } else { "\n" };
            let table = format!(
                "CREATE TABLE t{number} (id int,{end}  note text DEFAULT '${{owner}}; {number}');{end}"
            );
            let folder = if number > 20 { "2023/" } else { "" };
            self.write(&format!("{folder}V{number}__t{number}.sql"), &table);
        }
        self.write(
            "2024/V29__function.sql",
            "CREATE FUNCTION f() RETURNS int AS $body$ BEGIN RETURN 1; END; $body$ LANGUAGE plpgsql;\n\
             INSERT INTO t2 (id) SELECT f();\nCOPY t3 (id) FROM stdin;\n1\n2\n\\.\n",
        );
        for number in 1..=4 {
            let view = format!("CREATE OR REPLACE VIEW v{number} AS SELECT '${{currency}}' AS currency;\n");
            self.write(&format!("R__view_{number}.sql"), &view);
        }
        self.write("beforeMigrate.sql", "CREATE TABLE IF NOT EXISTS calls (n serial, at text, who text);\n");
        self.write("afterEachMigrate.sql", "INSERT INTO calls (at, who) VALUES ('each', '${owner}');\n");
        self.write(
            "afterMigrate__log.sql",
            "INSERT INTO calls (at, who) VALUES ('end', '${flyway:table}');\n",
        );
    }

    fn history(&self) -> String {
        self.database.ask("SELECT * FROM flyway_schema_history ORDER BY installed_rank")
    }

    /// Both show the same lines, to the last key, and both say that all is well.
    #[track_caller]
    fn assert_both_agree(&self) {
        let theirs = document(&self.eleven(&["-outputType=json", "info"]).expect_code(0));
        let ours = document(&self.ours(&["-outputType=json", "info"]).expect_code(0));
        assert_eq!(ours["migrations"], theirs["migrations"]);
        assert_eq!(ours["schemaVersion"], theirs["schemaVersion"]);
        let keys =
            |document: &Value| document.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&ours), keys(&theirs));
        self.eleven(&["validate"]).expect_code(0);
        self.ours(&["validate"]).expect_code(0);
    }
}

fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("not JSON\n{}", ended.said()))
}

fn taken_over_and_given_back(mut team: Team) {
    team.live();
    let before = team.history();
    assert!(before.lines().count() >= 37, "{before}");
    team.assert_both_agree();

    // The CI job's line does nothing where nothing is to be done, and leaves every row as it is.
    team.ours(&["migrate", "info"]).expect_code(0);
    assert_eq!(team.history(), before);
    for line in [
        &["info"][..],
        &["validate"],
        &["-outputType=json", "validate"],
        &["baseline"],
        &["clean"],
        &["-target=99", "migrate"],
        &["-ignoreMigrationPatterns=nonsense", "migrate"],
        &["-unknown=1", "info"],
        &["undone"],
    ] {
        assert_eq!(team.ours(line).code, team.eleven(line).code, "flyway {}", line.join(" "));
    }

    // Ours goes on where Flyway was.
    team.write("V31__new.sql", "ALTER TABLE t2 ADD COLUMN more text DEFAULT '${owner}';\r\n");
    team.write("V32__no_transaction.sql", "CREATE INDEX CONCURRENTLY j ON t3 (id);\n");
    team.write(
        "R__view_2.sql",
        "CREATE OR REPLACE VIEW v2 AS SELECT '${currency}' AS currency, 3 AS version;\n",
    );
    team.write("V4_1__late_again.sql", "SELECT 1;\n");
    team.ours(&["migrate"]).expect_code(1);
    let answer = document(&team.ours(&["-outputType=json", "-outOfOrder=true", "migrate"]).expect_code(0));
    assert_eq!(answer["migrationsExecuted"], 4, "{answer}");
    team.assert_both_agree();
    assert_eq!(team.database.ask("SELECT count(*) > 36 FROM calls WHERE who = 'shop team'"), "t");

    // And back: Flyway finds nothing to do, goes on, and ours agrees again.
    let after = team.history();
    team.eleven(&["migrate"]).expect_code(0);
    assert_eq!(team.history(), after);
    team.write("V33__back.sql", "CREATE TABLE back (id int);\n");
    assert!(team.real(&["migrate"]));
    team.assert_both_agree();
    team.remove("V31__new.sql");
    team.eleven(&["validate"]).expect_code(1);
    team.ours(&["validate"]).expect_code(1);
    team.ours(&["repair"]).expect_code(0);
    team.assert_both_agree();
}

#[test]
fn a_project_of_flyway_11_with_a_conf_file_is_taken_over_and_given_back() {
    taken_over_and_given_back(Team::new(Real::Eleven, ("flyway.conf", CONF)));
}

#[test]
fn a_project_of_flyway_10_with_a_toml_file_is_taken_over_and_given_back() {
    let ten = Real::Ten(Box::new(Driver::start("10")));
    taken_over_and_given_back(Team::new(ten, ("flyway.toml", TOML)));
}
