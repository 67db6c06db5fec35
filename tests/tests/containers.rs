//! PostgreSQL and MySQL in containers that testcontainers starts, from images that the testbed makes.

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use rustix::process::Signal;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use whimbrel_tests::engines::Place;
use whimbrel_tests::eventually;
use whimbrel_tests::golden::{self, Engine};
use whimbrel_tests::postgres::psql;
use whimbrel_tests::program::{Ended, Running, run, whimbrel};
use whimbrel_tests::project::Project;

const PASSWORD: &str = "marked-container-password";

async fn start() -> (ContainerAsync<GenericImage>, String) {
    let ready = WaitFor::message_on_stderr("database system is ready to accept connections");
    let container = GenericImage::new("whimbrel-testbed/postgres", "15")
        .with_exposed_port(5432.tcp())
        .with_wait_for(ready)
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .start()
        .await
        .expect("the container starts: tests/run makes its image");
    let port = container.get_host_port_ipv4(5432).await.expect("the port is published");
    let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
    (container, url)
}

#[tokio::test]
async fn the_runner_migrates_a_database_in_a_container() {
    let (_container, url) = start().await;
    let project = Project::small();
    project.write(
        "sql/V1__city.sql",
        "CREATE TABLE city (name text);\nINSERT INTO city VALUES ('Lima'), ('Oslo');\n",
    );
    project.write("sql/R__cities.sql", "CREATE OR REPLACE VIEW cities AS SELECT count(*) FROM city;\n");
    let migrate = |verb: &str| {
        let mut command = project.tool("whimbrel-migrate");
        command.args([verb, "app"]).env("APP_DATABASE_URL", &url);
        let ended = run(&mut command, Duration::from_secs(60)).expect_code(0);
        assert!(!ended.says(PASSWORD), "{}", ended.said());
    };
    migrate("migrate");
    assert_eq!(psql(&url, "SELECT * FROM cities"), "2");
    assert_eq!(
        psql(&url, "SELECT version, success FROM flyway_schema_history ORDER BY installed_rank"),
        "1|t\n|t"
    );
    migrate("migrate");
    migrate("validate");
    assert_eq!(psql(&url, "SELECT count(*) FROM flyway_schema_history"), "2");
}

/// The server is still starting when the runner comes: it waits, within its deadline, and then works.
#[tokio::test]
async fn the_runner_waits_for_a_container_that_is_not_ready() {
    let container = GenericImage::new("whimbrel-testbed/postgres", "15")
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_PASSWORD", PASSWORD)
        .start()
        .await
        .expect("the container starts");
    let port = container.get_host_port_ipv4(5432).await.expect("the port is published");
    let project = Project::small();
    project.write("sql/V1__city.sql", "CREATE TABLE city (name text);\n");
    let mut command = project.tool("whimbrel-migrate");
    command
        .args(["migrate", "app", "--wait", "60s"])
        .env("APP_DATABASE_URL", format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"));
    let ended = run(&mut command, Duration::from_secs(90)).expect_code(0);
    assert!(!ended.says(PASSWORD), "{}", ended.said());
}

/// MySQL 9, with the administrator's URL.
async fn start_mysql() -> (ContainerAsync<GenericImage>, String) {
    let container = GenericImage::new("whimbrel-testbed/mysql", "9")
        .with_exposed_port(3306.tcp())
        .with_wait_for(WaitFor::message_on_stderr("ready for connections"))
        .with_env_var("MYSQL_ROOT_PASSWORD", PASSWORD)
        .start()
        .await
        .expect("the container starts: tests/run makes its image");
    let port = container.get_host_port_ipv4(3306).await.expect("the port is published");
    (container, format!("mysql://root:{PASSWORD}@127.0.0.1:{port}/mysql"))
}

/// All that differs from MariaDB at once, for a server takes long to start: the history's table, a script that fails
/// behind a DDL, a login that needs TLS, a certificate that nobody knows, a database that is made.
#[tokio::test]
async fn the_runner_works_on_mysql_nine() {
    let (_container, url) = start_mysql().await;
    let server = url.rsplit_once('/').expect("a database").0.to_owned();
    let project = Project::small();
    let runner = |url: &str, arguments: &[&str]| -> Ended {
        let mut command = project.tool("whimbrel-migrate");
        command.args(arguments).env("APP_DATABASE_URL", url);
        let ended = run(&mut command, Duration::from_secs(60));
        assert!(!ended.says(PASSWORD), "{}", ended.said());
        ended
    };
    project.write("sql/V1__a.sql", "CREATE TABLE a (id int);\n");
    // Without TLS this login would send the password in the clear, or encrypted in a way that we do not have.
    let refused = runner(&format!("{server}/made?useSSL=false"), &["info"]).expect_code(4);
    assert!(refused.stderr.contains("use TLS"), "{}", refused.said());
    let unknown = runner(&format!("{server}/mysql?sslMode=VERIFY_CA"), &["info"]).expect_code(4);
    assert!(unknown.stderr.contains("TLS") && unknown.stderr.contains("UnknownIssuer"), "{}", unknown.said());
    runner(&format!("{server}/made"), &["migrate"]).expect_code(4);
    runner(&format!("{server}/made?createDatabaseIfNotExist=true&sslMode=REQUIRED"), &["migrate"])
        .expect_code(0);

    let place = Place::on(&url);
    project.write(
        "sql/V2__b.sql",
        "DELIMITER //\nCREATE PROCEDURE p() BEGIN INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); END//\n\
         DELIMITER ;\nCALL p();\nCREATE TABLE b (id int);\nINSERT INTO b VALUES (1);\nINSERT INTO late VALUES (1);\n",
    );
    let failed = runner(place.url(), &["migrate"]).expect_code(8);
    assert!(failed.stderr.contains("3 of its 5 statements are done and were kept"), "{}", failed.said());
    assert_eq!(place.ask("SELECT count(*) FROM b"), "0");
    place.ask("CREATE TABLE late (id int)");
    runner(place.url(), &["migrate"]).expect_code(0);
    runner(place.url(), &["migrate"]).expect_code(0);
    runner(place.url(), &["validate"]).expect_code(0);
    assert_eq!(place.ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"), "2|1");
    let columns = "installed_rank, version, description, type, script, installed_by, success";
    assert_eq!(
        place.ask(&format!("SELECT {columns} FROM flyway_schema_history ORDER BY 1")),
        "1|1|a|SQL|V1__a.sql|root|1\n2|2|b|SQL|V2__b.sql|root|1"
    );
    // The key has the name that Flyway gives it on MySQL; the server keeps it as PRIMARY.
    let keys = "SELECT index_name, column_name FROM information_schema.statistics \
                WHERE table_schema = DATABASE() AND table_name = 'flyway_schema_history' ORDER BY 2";
    assert_eq!(place.ask(keys), "PRIMARY|installed_rank\nflyway_schema_history_s_idx|success");
    runner(place.url(), &["clean", "--clean-enabled"]).expect_code(0);
    assert_eq!(place.ask("SHOW TABLES"), "");
    runner(place.url(), &["baseline"]).expect_code(0);
    assert_eq!(place.ask("SELECT version, type FROM flyway_schema_history"), "1|BASELINE");
    runner(place.url(), &["clean", "--clean-enabled"]).expect_code(0);
    under_flyways_name(&place, &project);
}

/// The same scripts, asked for with Flyway's command line and a URL of Java.
fn under_flyways_name(place: &Place, project: &Project) {
    let (login, host) = place.url().rsplit_once('@').expect("a URL with a login");
    assert!(login.ends_with(PASSWORD));
    let flyway = |arguments: &[&str]| -> Ended {
        let mut command = whimbrel("whimbrel-migrate");
        command.arg0("flyway").env("FLYWAY_URL", format!("jdbc:mysql://{host}?allowPublicKeyRetrieval=true"));
        command.env("FLYWAY_USER", "root").env("FLYWAY_PASSWORD", PASSWORD).args(arguments);
        command.arg(format!("-locations=filesystem:{}", project.file("sql").display()));
        let ended = run(&mut command, Duration::from_secs(60));
        assert!(!ended.says(PASSWORD), "{}", ended.said());
        ended
    };
    let states = || {
        let info = flyway(&["-outputType=json", "info"]).expect_code(0);
        let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("one document");
        let rows = info["migrations"].as_array().expect("a list");
        rows.iter().map(|row| row["state"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let failed = flyway(&["migrate"]).expect_code(1);
    let database = format!("Migration of schema `{}` to version \"2 - b\" failed!", place.name);
    assert!(failed.stderr.contains(&database), "{}", failed.said());
    assert!(failed.stderr.contains("SQL State  : 42S02\nError Code : 1146\n"), "{}", failed.said());
    assert_eq!(states(), ["Success", "Failed"]);
    flyway(&["validate"]).expect_code(1);
    flyway(&["repair"]).expect_code(0);
    assert_eq!(states(), ["Success", "Pending"]);
    place.ask("DROP PROCEDURE p");
    place.ask("DROP TABLE b");
    place.ask("CREATE TABLE late (id int)");
    project.write(
        "sql/V3__w.sql",
        "CREATE TABLE w (a varchar(3));\nSET sql_mode = '';\nINSERT INTO w VALUES ('a');\nINSERT INTO w VALUES ('long');\nSELECT 1;\n",
    );
    let done = flyway(&["migrate"]).expect_code(0);
    assert!(done.stdout.contains("(MySQL 9."), "{}", done.said());
    let warned = "WARNING: DB: Data truncated for column 'a' at row 1 (SQL State:  - Error Code: 1265)";
    assert!(done.stdout.contains(warned) && done.stdout.matches("DB: ").count() == 1, "{}", done.said());
    assert_eq!(states(), ["Success", "Success", "Success"]);
    flyway(&["validate"]).expect_code(0);
}

/// Killed between two DDL, kept out by Flyway's lock, and not let in: on MySQL as on MariaDB.
#[tokio::test]
async fn row_87_killed_on_mysql_nine_the_next_run_goes_on_and_a_lock_is_respected() {
    let (_container, url) = start_mysql().await;
    let place = Place::on(&url);
    let project = Project::small();
    let runner = |url: &str, options: &[&str]| {
        let mut command = project.tool("whimbrel-migrate");
        command.arg("migrate").args(options).env("APP_DATABASE_URL", url);
        command
    };
    let minute = Duration::from_secs(60);
    let wrong = place.url().replace(PASSWORD, "canary-mysql");
    let refused = run(&mut runner(&wrong, &["--wait", "30s"]), minute).expect_code(4);
    assert!(!refused.says("canary-mysql") && refused.took < Duration::from_secs(10), "{}", refused.said());

    project.write(
        "sql/V1__steps.sql",
        "CREATE TABLE one (i int);\nINSERT INTO one VALUES (1);\nCREATE TABLE two (i int);\n\
         SELECT SLEEP(3), 'row87';\nINSERT INTO two VALUES (2);\nCREATE TABLE three (i int);\n",
    );
    let mut killed = Running::start(&mut runner(place.url(), &[]));
    eventually("the statement is under way", minute, || {
        let asleep = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%row87%' AND id <> CONNECTION_ID()";
        (place.ask(asleep) == "1").then_some(())
    });
    killed.signal(Signal::KILL);
    killed.wait(minute);
    let next = run(&mut runner(place.url(), &["--lock-wait", "30s"]), minute).expect_code(0);
    assert!(next.stderr.contains("goes on with statement 4 of 6"), "{}", next.said());
    assert_eq!(place.ask("SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)"), "1|1");
    assert_eq!(place.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "1|1");

    let quoted = format!("`{}`.`flyway_schema_history`", place.name);
    let hash =
        quoted.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    project.write("sql/V2__b.sql", "CREATE TABLE b (i int);\n");
    let server = place.url().to_owned();
    let hold = format!("SELECT GET_LOCK('Flyway-{hash}', 0), SLEEP(5)");
    let holder = std::thread::spawn(move || whimbrel_tests::engines::ask(&server, &hold));
    eventually("the lock is held", minute, || {
        (place.ask(&format!("SELECT IS_USED_LOCK('Flyway-{hash}') IS NOT NULL")) == "1").then_some(())
    });
    run(&mut runner(place.url(), &["--lock-wait", "1s"]), minute).expect_code(5);
    run(&mut runner(place.url(), &["--lock-wait", "30s"]), minute).expect_code(0);
    holder.join().expect("no panic");
}

/// As `database_differential` on the other engines; MariaDB's driver is one that Flyway reaches MySQL with, too.
#[tokio::test]
async fn flyway_11_and_ours_take_turns_on_generated_histories_of_mysql_nine() {
    let (_container, url) = start_mysql().await;
    let server = url.rsplit_once('/').expect("a database").0.replacen("mysql", "mariadb", 1);
    let play = move || golden::differ("11", (Engine::MariaDb, &server), Duration::from_secs(10), 1);
    let played = tokio::task::spawn_blocking(play).await.expect("it does not panic");
    let played = played.unwrap_or_else(|difference| panic!("{difference}"));
    assert!(played.steps > 0, "{played:?}");
}
