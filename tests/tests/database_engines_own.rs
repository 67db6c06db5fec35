//! What the runner does that Flyway does not, on MariaDB and SQLite.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use common::engines::Shop;
use whimbrel_tests::engines::{self, Place};
use whimbrel_tests::program::{clean, run, whimbrel};
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(60);

const BIRDS: [(&str, &str); 4] = [
    ("V1__birds.sql", "CREATE TABLE bird (id int PRIMARY KEY, name varchar(99));\n"),
    ("V2__nests.sql", "CREATE TABLE nest (id int);\nCREATE TABLE egg (id int);\n"),
    ("U1__birds.sql", "DROP TABLE bird;\n"),
    ("U2__nests.sql", "DROP TABLE nest;\nINSERT INTO bird VALUES (2, 'undone');\nDROP TABLE egg;\n"),
];

const LAST_ROW: &str =
    "SELECT version, type, success FROM flyway_schema_history ORDER BY installed_rank DESC LIMIT 1";

fn a_version_is_taken_back_with_its_row(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    let undone = shop.run("undo", &[]).expect_code(0);
    assert!(undone.says("now at version 1"), "{}", undone.said());
    assert_eq!(shop.ask(LAST_ROW), "2|DELETE|1");
    assert_eq!(shop.ask("SELECT name FROM bird"), "undone");
    assert_eq!(shop.flyway("info", &[])["schemaVersion"], "1");
    shop.ask("DELETE FROM bird");
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM egg"), "0");
}

#[test]
fn mariadb_takes_a_version_back_although_its_ddl_commits() {
    a_version_is_taken_back_with_its_row(Place::mariadb());
}

#[test]
fn sqlite_takes_a_version_back() {
    a_version_is_taken_back_with_its_row(Place::sqlite());
}

#[test]
fn an_undo_that_stopped_halfway_on_mariadb_goes_on_there() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    shop.ask("INSERT INTO bird VALUES (2, 'in the way')");
    let failed = shop.run("undo", &[]).expect_code(8);
    for part in ["1 of its 3 statements are done", "U2__nests.sql:2:1", "run undo again", "at version 2"] {
        assert!(failed.says(part), "{part:?} is missing: {}", failed.said());
    }
    // Half an undo is none: the version still counts, and Flyway sees nothing of it.
    assert_eq!(shop.ask(LAST_ROW), "2|SQL|1");
    assert_eq!(shop.flyway("info", &[])["schemaVersion"], "2");
    shop.ask("DELETE FROM bird");
    let undone = shop.run("undo", &[]).expect_code(0);
    assert!(undone.says("goes on with statement 2 of 3"), "{}", undone.said());
    assert_eq!(shop.ask(LAST_ROW), "2|DELETE|1");
    assert_eq!(shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
}

#[test]
fn callbacks_of_an_undo_run_where_ddl_commits_outside_of_transactions_and_around_each_statement() {
    for (place, u2) in [
        (Place::mariadb(), "DROP TABLE nest;\nDROP TABLE egg;\n"),
        (Place::sqlite(), "DROP TABLE nest;\nDROP TABLE egg;\n"),
        (Place::sqlite(), "DROP TABLE nest;\nDROP TABLE egg;\nVACUUM;\n"),
    ] {
        let shop = Shop::new(place, &BIRDS);
        shop.write("U2__nests.sql", u2);
        shop.run("migrate", &["--mixed"]).expect_code(0);
        shop.ask_twice("CREATE TABLE trail (event varchar(40))");
        for event in ["beforeEachUndo", "beforeEachUndoStatement", "afterEachUndoStatement", "afterEachUndo"]
        {
            shop.write(&format!("{event}.sql"), &format!("INSERT INTO trail VALUES ('{event}');\n"));
        }
        shop.run("undo", &["--mixed"]).expect_code(0);
        let count = |event| shop.ask(&format!("SELECT count(*) FROM trail WHERE event = '{event}'"));
        let statements = u2.lines().count().to_string();
        assert_eq!((count("beforeEachUndo"), count("afterEachUndo")), ("1".to_owned(), "1".to_owned()));
        assert_eq!(
            (count("beforeEachUndoStatement"), count("afterEachUndoStatement")),
            (statements.clone(), statements)
        );
        assert_eq!(shop.ask(LAST_ROW), "2|DELETE|1");
    }
}

/// Whatever the statement is; `SET` and `SELECT 1` use no table, and the server would say again what it said before.
const WARNED: &str = "DROP TABLE IF EXISTS nowhere;
CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int, b varchar(9));
INSERT INTO t (a, b) VALUES (300, 'abcdef'), (301, 'x');
SET sql_mode = '';
ALTER TABLE t MODIFY a tinyint unsigned, MODIFY b varchar(3);
INSERT INTO t (b) VALUES ('too long'); -- one
INSERT INTO t (b) VALUES ('too \\' long'), ('fits'), ('too long');
INSERT IGNORE INTO t (id) VALUES (1);
SET @nothing = 1;
SELECT 1;
UPDATE t SET a = 'none' WHERE id = 1;
REPLACE INTO t (id, a) VALUES (LAST_INSERT_ID(), 1000);
DELETE FROM t WHERE b = 0;
DELIMITER //
CREATE PROCEDURE p() BEGIN
  INSERT INTO t (b) VALUES ('fits');
  INSERT INTO t (b) VALUES ('too long');
END//
DELIMITER ;
CALL p();
SELECT CAST('none' AS SIGNED);
START TRANSACTION;
INSERT INTO t (b) VALUES ('too long');
COMMIT;
";

#[test]
fn what_mariadb_says_about_a_statement_is_told_in_the_lines_of_real_flyway() {
    let said = |program: Command, place: Place| {
        let shop = Shop::new(place, &[("V1__w.sql", WARNED)]);
        shop.write("V2__more.sql", "SET sql_mode = '';\nREPLACE INTO t (id, b) VALUES (1, 'long');\n");
        shop.write("afterEachMigrate.sql", "REPLACE INTO t (id, b) VALUES (1, 'longer');\n");
        let mut command = program;
        let (url, login) = shop.place.jdbc();
        let (user, password) = login.expect("MariaDB has logins");
        command.env("FLYWAY_URL", url).env("FLYWAY_USER", user).env("FLYWAY_PASSWORD", password);
        command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
        let ended = run(command.args(["-skipCheckForUpdate", "migrate"]), 2 * MINUTE).expect_code(0);
        let told = ended.stdout.lines().filter(|line| line.contains("DB: "));
        // What the place is called differs.
        told.map(|line| line.replace(&shop.ask("SELECT DATABASE()"), "here")).collect::<Vec<_>>()
    };
    let mut ours = whimbrel("whimbrel-migrate");
    ours.arg0("flyway");
    let ours = said(ours, Place::mariadb());
    assert_eq!(ours, said(clean(testbed::variable("WHIMBREL_TEST_FLYWAY")), Place::mariadb()));
    assert!(ours.len() > 20, "{ours:?}");
    assert!(ours[0].contains("Unknown table 'here.nowhere' (SQL State:  - Error Code: 1051)"), "{ours:?}");
    let own =
        Shop::new(Place::mariadb(), &[("V1__w.sql", &WARNED[..WARNED.find("START").expect("it has one")])]);
    let told = own.run("migrate", &[]).expect_code(0);
    assert!(told.says("Data truncated for column 'b' at row 3"), "{}", told.said());
}

#[test]
fn a_script_that_looks_back_at_a_statement_sees_what_that_one_left() {
    let shop = Shop::new(
        Place::mariadb(),
        &[(
            "V1__back.sql",
            "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, b varchar(3));\n\
             CREATE TABLE seen (rows_changed int, last_id int, warnings int);\nSET sql_mode = '';\n\
             INSERT INTO t (b) VALUES ('a'), ('b');\n\
             INSERT INTO seen VALUES (ROW_COUNT(), LAST_INSERT_ID(), @@warning_count);\n\
             INSERT INTO t (b) VALUES ('too long'), ('b'), ('too long');\nSET @warnings = @@warning_count;\n\
             INSERT INTO seen VALUES (0, LAST_INSERT_ID(), @warnings);\n",
        )],
    );
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT * FROM seen"), "2|1|0\n0|3|2");
}

/// Many statements go as one text, and the server quotes what follows the place of an error.
#[test]
fn a_statement_among_many_that_fails_is_named_with_its_line_and_quoted_as_it_stands() {
    for (wrong, told) in [
        ("INSERT INTO bird VALUES (1 frob)", "near 'frob)' at line 1"),
        ("INSERT INTO bird VALUES (NULL, 7)", "Column 'id' cannot be null"),
    ] {
        let shop =
            Shop::new(Place::mariadb(), &[("V1__a.sql", "CREATE TABLE bird (id int NOT NULL, a int);\n")]);
        let rows = |count: usize| "INSERT INTO bird VALUES (1, 2);\n".repeat(count);
        shop.write("V2__b.sql", &format!("{}{wrong};\n{}", rows(100), rows(100)));
        let failed = shop.run("migrate", &[]).expect_code(7);
        assert!(failed.says("V2__b.sql:101") && failed.says(told), "{}", failed.said());
        assert_eq!(shop.ask("SELECT count(*) FROM bird"), "0");
    }
}

#[test]
fn a_row_that_was_stamped_names_whom_the_settings_name() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.project.replace(
        "whimbrel.toml",
        "[databases.app]\n",
        "[databases.app]\nflyway = { installedBy = \"Flynn\" }\n",
    );
    shop.run("stamp", &["1", "--yes"]).expect_code(0);
    assert_eq!(shop.ask("SELECT version, installed_by FROM flyway_schema_history"), "1|Flynn");
}

/// Somebody else does this meanwhile, for a while.
fn meanwhile(shop: &Shop, sql: &str) -> std::thread::JoinHandle<()> {
    let (url, sql) = (shop.place.url().to_owned(), sql.to_owned());
    let other = std::thread::spawn(move || drop(engines::ask(&url, &sql)));
    std::thread::sleep(Duration::from_millis(300));
    other
}

#[test]
fn a_script_of_mariadb_waits_for_a_lock_as_long_as_it_was_told_and_comes_again() {
    let shop = Shop::new(Place::mariadb(), &BIRDS[..1]);
    shop.run("migrate", &[]).expect_code(0);
    let report = meanwhile(&shop, "START TRANSACTION; SELECT * FROM bird; SELECT SLEEP(6)");
    let began = Instant::now();
    shop.write(
        "V2__wings.sql",
        "-- whimbrel: lock_timeout=900ms lock_retries=0\nALTER TABLE bird ADD COLUMN w int;\n",
    );
    let failed = shop.run("migrate", &[]).expect_code(7);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    for part in ["nothing of it was kept", "1205", "SHOW PROCESSLIST"] {
        assert!(failed.says(part) && !failed.says("pg_"), "{part:?}: {}", failed.said());
    }
    shop.run("repair", &[]).expect_code(0);
    shop.write("V2__wings.sql", "ALTER TABLE bird ADD COLUMN w int;\n");
    shop.write(
        "V3__seen.sql",
        "CREATE TABLE seen AS SELECT @@lock_wait_timeout = @@GLOBAL.lock_wait_timeout AS usual;\n",
    );
    let again = shop.run("migrate", &["--lock-timeout", "1s"]).expect_code(0);
    assert!(again.says("trying again"), "{}", again.said());
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "3|1");
    report.join().expect("no panic");
}

#[test]
fn limits_on_mariadb_end_with_their_script() {
    let shop = Shop::new(Place::mariadb(), &BIRDS[..1]);
    let seen = "@@lock_wait_timeout AS l, @@innodb_lock_wait_timeout AS i, @@max_statement_time AS s";
    shop.write(
        "V2__own.sql",
        &format!("-- whimbrel: lock_timeout=2s statement_timeout=30s\nCREATE TABLE seen AS SELECT {seen};\n"),
    );
    shop.write("V3__next.sql", &format!("INSERT INTO seen SELECT {seen};\n"));
    shop.run("migrate", &[]).expect_code(0);
    let usual = shop.ask("SELECT @@GLOBAL.lock_wait_timeout, @@GLOBAL.innodb_lock_wait_timeout");
    assert_eq!(shop.ask("SELECT * FROM seen ORDER BY l"), format!("2|2|30.000000\n{usual}|0.000000"));
    shop.write("V4__slow.sql", "INSERT INTO bird SELECT 9, SLEEP(60);\n");
    let failed = shop.run("migrate", &["--statement-timeout", "1s"]).expect_code(7);
    assert!(failed.says("1969") && !failed.says("trying again"), "{}", failed.said());
}

#[test]
fn who_loses_a_deadlock_on_mariadb_comes_again() {
    let shop = Shop::new(Place::mariadb(), &BIRDS[..1]);
    shop.write("V2__two.sql", "INSERT INTO bird VALUES (1, 'a'), (2, 'b');\nCREATE TABLE heavy (i int);\n");
    shop.run("migrate", &[]).expect_code(0);
    // The server gives up on the transaction that changed less.
    let other = meanwhile(
        &shop,
        "START TRANSACTION; INSERT INTO heavy SELECT seq FROM seq_1_to_5000; UPDATE bird SET name = 'x' WHERE id = 2; \
         SELECT SLEEP(3); UPDATE bird SET name = 'x' WHERE id = 1; COMMIT",
    );
    shop.write(
        "V3__swap.sql",
        "UPDATE bird SET name = 'mine' WHERE id = 1;\nUPDATE bird SET name = 'mine' WHERE id = 2;\n",
    );
    let swapped = shop.run("migrate", &[]).expect_code(0);
    assert!(swapped.says("Deadlock") && swapped.says("trying again"), "{}", swapped.said());
    other.join().expect("no panic");
    assert_eq!(shop.ask("SELECT name FROM bird"), "mine\nmine");
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "3|1");
}

#[test]
fn a_script_of_sqlite_waits_for_another_writer_as_long_as_it_was_told_and_comes_again() {
    let shop = Shop::new(Place::sqlite(), &BIRDS[..1]);
    shop.run("migrate", &[]).expect_code(0);
    let writer = || {
        let url = shop.place.url().to_owned();
        let writer =
            std::thread::spawn(move || engines::hold(&url, "BEGIN IMMEDIATE", Duration::from_secs(3)));
        std::thread::sleep(Duration::from_millis(300));
        writer
    };
    // Without a limit it would have waited for so long.
    let first = writer();
    shop.write(
        "V2__wings.sql",
        "-- whimbrel: lock_timeout=300ms lock_retries=0\nALTER TABLE bird ADD COLUMN w int;\n",
    );
    let failed = shop.run("migrate", &[]).expect_code(7);
    assert!(failed.says("database is locked") && failed.says("another program writes"), "{}", failed.said());
    first.join().expect("no panic");
    let second = writer();
    shop.write("V2__wings.sql", "-- whimbrel: lock_timeout=300ms\nALTER TABLE bird ADD COLUMN w int;\n");
    let again = shop.run("migrate", &[]).expect_code(0);
    assert!(again.says("trying again"), "{}", again.said());
    second.join().expect("no panic");
    shop.write("V3__slow.sql", "-- whimbrel: statement_timeout=1s\nSELECT 1;\n");
    let refused = shop.run("migrate", &[]).expect_code(2);
    assert!(refused.says("SQLite has no limit for the time that a statement runs"), "{}", refused.said());
}

#[test]
fn what_may_only_be_read_is_written_by_no_verb() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    let url = format!("{}?mode=ro", shop.place.url());
    for options in [
        ["undo"].as_slice(),
        &["repair"],
        &["baseline"],
        &["clean", "--clean-enabled"],
        &["stamp", "1", "--yes"],
    ] {
        let mut command = shop.command(options[0]);
        command.args(&options[1..]).env("APP_DATABASE_URL", &url);
        let refused = whimbrel_tests::program::run(&mut command, Duration::from_secs(60)).expect_code(1);
        assert!(refused.says("the file was opened read-only"), "{options:?}: {}", refused.said());
    }
}

#[test]
fn a_run_that_ends_before_its_plan_tells_the_version_that_the_database_has() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    let tells = |options: &[&str]| {
        let mut command = shop.command(options[0]);
        command.args(&options[1..]).args(["--report", "report.json"]);
        let ended = whimbrel_tests::program::run(&mut command, Duration::from_secs(60));
        assert_ne!(ended.code, Some(0), "{}", ended.said());
        assert!(ended.says("failed; the database is at version 2"), "{options:?}: {}", ended.said());
        let record = fs_err::read_to_string(shop.project.file("report.json")).expect("there is a report");
        let record: serde_json::Value = serde_json::from_str(&record).expect("it is JSON");
        let database = &record["databases"][0];
        assert_eq!((&database["before"], &database["after"]), (&"2".into(), &"2".into()), "{options:?}");
    };
    shop.write("V3__c.sql", "SELECT '${nobody_knows}';\n");
    tells(&["migrate"]);
    shop.write("V3__c.sql", "SELECT '\0';\n");
    tells(&["migrate"]);
    shop.write("V3__c.sql", "-- whimbrel: lock_timeuot=1s\nSELECT 1;\n");
    tells(&["migrate"]);
    shop.project.remove("sql/V3__c.sql");
    shop.project.remove("sql/U2__nests.sql");
    tells(&["undo"]);
}

#[test]
fn a_schema_that_sqlite_has_not_is_named() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.project.replace("whimbrel.toml", "[databases.app]\n", "[databases.app]\nschema = \"app\"\n");
    let refused = shop.run("migrate", &[]).expect_code(2);
    assert!(refused.says("app is none of them"), "{}", refused.said());
}

#[test]
fn a_role_of_mariadb_that_may_not_make_our_tables_still_migrates() {
    let shop = Shop::new(Place::mariadb(), &[("V1__bird.sql", "CREATE TABLE bird (id int PRIMARY KEY);\n")]);
    shop.run("migrate", &[]).expect_code(0);
    let name = &shop.place.name;
    shop.ask(&format!(
        "DROP TABLE whimbrel_run, whimbrel_script_progress; CREATE USER {name}@'%' IDENTIFIED BY 'narrow'; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {name}@'%'; GRANT ALL ON {name}.bird TO {name}@'%'"
    ));
    let (_, place) = shop.place.url().split_once('@').expect("the URL has a login");
    let url = format!("mariadb://{name}:narrow@{place}");
    let migrate = || run(shop.command("migrate").env("APP_DATABASE_URL", &url), MINUTE);
    shop.write("V2__name.sql", "ALTER TABLE bird ADD COLUMN name varchar(99);\n");
    shop.write(
        "V3__more.sql",
        "ALTER TABLE bird ADD COLUMN size int;\nALTER TABLE bird ADD COLUMN size int;\n",
    );
    let failed = migrate().expect_code(8);
    assert!(failed.stderr.contains("how far V2__name.sql comes cannot be recorded"), "{}", failed.said());
    assert!(failed.stderr.contains("1 of its 2 statements are done"), "{}", failed.said());
    assert_eq!(
        shop.ask("SELECT version, success FROM flyway_schema_history ORDER BY installed_rank"),
        "1|1\n2|1\n3|0"
    );
    shop.ask(&format!("DROP USER {name}@'%'"));
}
