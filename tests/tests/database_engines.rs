//! The runner on MariaDB and SQLite: the same verbs with the same answers, and what differs said as it is.

mod common;

use std::time::{Duration, Instant};

use common::engines::{Shop, states};
use rustix::process::Signal;
use whimbrel_tests::engines::{self, Place};
use whimbrel_tests::eventually;
use whimbrel_tests::program::{Running, run};

const MINUTE: Duration = Duration::from_secs(60);
const HISTORY: &str = "SELECT installed_rank, version, description, type, script, checksum, installed_by, success \
     FROM flyway_schema_history ORDER BY 1";

/// Each of these on each engine.
macro_rules! on_each_engine {
    ($($name:ident),+ $(,)?) => {
        mod on_mariadb {
            $(#[test] fn $name() { super::$name(whimbrel_tests::engines::Place::mariadb()); })+
        }
        mod on_sqlite {
            $(#[test] fn $name() { super::$name(whimbrel_tests::engines::Place::sqlite()); })+
        }
    };
}

on_each_engine!(
    a_fresh_database_gets_everything_and_a_second_run_nothing,
    a_dry_run_and_info_write_nothing,
    a_baseline_stands_for_what_is_below_it,
    clean_needs_permission_and_leaves_nothing,
    four_runners_at_once_apply_each_script_once,
    what_a_script_leaves_in_its_session_reaches_no_other,
    flyway_and_the_runner_take_turns,
    no_password_is_told,
);

const BIRDS: [(&str, &str); 3] = [
    (
        "V1__birds.sql",
        "CREATE TABLE bird (id int PRIMARY KEY, name varchar(99));\nINSERT INTO bird VALUES (1, 'it''s; a');\n",
    ),
    (
        "sub/V1_1__more.sql",
        "ALTER TABLE bird ADD COLUMN song text;\nINSERT INTO bird VALUES (2, 'b', NULL);\n",
    ),
    ("R__v.sql", "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT id FROM bird;\n"),
];

fn a_fresh_database_gets_everything_and_a_second_run_nothing(place: Place) {
    let user = if place.is_sqlite() { "" } else { "root" };
    let shop = Shop::new(place, &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    let columns = "installed_rank, version, description, type, script, installed_by, success";
    assert_eq!(
        shop.ask(&format!("SELECT {columns} FROM flyway_schema_history ORDER BY 1")),
        format!(
            "1|1|birds|SQL|V1__birds.sql|{user}|1\n2|1.1|more|SQL|sub/V1_1__more.sql|{user}|1\n3||v|SQL|R__v.sql|{user}|1"
        )
    );
    assert_eq!(shop.ask("SELECT count(*) FROM v"), "2");
    let history = shop.ask(HISTORY);
    let second = shop.run("migrate", &[]).expect_code(0);
    assert!(second.stdout.contains("up to date"), "{}", second.said());
    assert_eq!(shop.ask(HISTORY), history);
    assert!(shop.states().iter().all(|(_, _, state)| state == "Success"));
    shop.run("validate", &[]).expect_code(0);
    shop.write("V1__birds.sql", "CREATE TABLE other (id int);\n");
    shop.run("migrate", &[]).expect_code(6);
    shop.run("repair", &[]).expect_code(0);
    shop.run("validate", &[]).expect_code(0);
}

fn a_dry_run_and_info_write_nothing(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    shop.run("migrate", &["--dry-run"]).expect_code(0);
    assert_eq!(shop.states().len(), 3);
    if shop.place.is_sqlite() {
        assert!(!shop.place.file().exists(), "a file was made");
    } else {
        assert_eq!(shop.ask("SHOW TABLES"), "");
    }
}

fn a_baseline_stands_for_what_is_below_it(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    shop.ask_twice("CREATE TABLE bird (id int PRIMARY KEY, name varchar(99))");
    shop.run("migrate", &[]).expect_code(6);
    shop.run("baseline", &[]).expect_code(0);
    assert_eq!(
        shop.ask("SELECT installed_rank, version, type, success FROM flyway_schema_history"),
        "1|1|BASELINE|1"
    );
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM bird"), "1");
    assert_eq!(shop.flyway("validate", &[])["validationSuccessful"], true);
}

fn clean_needs_permission_and_leaves_nothing(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    let (more, tables) = if shop.place.is_sqlite() {
        (
            "CREATE TABLE child (id INTEGER PRIMARY KEY AUTOINCREMENT, bird int REFERENCES bird (id));\n\
             CREATE TRIGGER t AFTER INSERT ON bird BEGIN INSERT INTO child (bird) VALUES (new.id); END;\n\
             INSERT INTO bird VALUES (3, 'c', NULL);\n",
            "SELECT name FROM sqlite_master WHERE name <> 'sqlite_sequence'",
        )
    } else {
        (
            "CREATE TABLE child (bird int, FOREIGN KEY (bird) REFERENCES bird (id)) ENGINE = InnoDB;\n\
             CREATE SEQUENCE s;\nCREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END;\n\
             CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1;\n\
             CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM child;\n",
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() UNION ALL \
             SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE() UNION ALL \
             SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()",
        )
    };
    shop.write("V2__more.sql", more);
    shop.run("migrate", &[]).expect_code(0);
    shop.run("clean", &[]).expect_code(9);
    assert_ne!(shop.ask(tables), "");
    shop.run("clean", &["--clean-enabled"]).expect_code(0);
    assert_eq!(shop.ask(tables), "");
    shop.run("migrate", &[]).expect_code(0);
}

fn four_runners_at_once_apply_each_script_once(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    for number in 2..12 {
        shop.write(
            &format!("V{number}__x.sql"),
            &format!("CREATE TABLE x{number} (i int);\nINSERT INTO x{number} VALUES (1);\n"),
        );
    }
    let runners: Vec<Running> =
        (0..4).map(|_| Running::start(shop.command("migrate").args(["--lock-wait", "50s"]))).collect();
    for runner in runners {
        runner.wait(MINUTE).expect_code(0);
    }
    assert_eq!(shop.ask("SELECT count(*), max(installed_rank) FROM flyway_schema_history"), "13|13");
    assert_eq!(shop.ask("SELECT count(*) FROM x11"), "1");
}

fn what_a_script_leaves_in_its_session_reaches_no_other(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    if shop.place.is_sqlite() {
        shop.write("V2__settings.sql", "CREATE TEMP TABLE leftover (i int);\nATTACH ':memory:' AS other;\n");
        shop.write("V3__fk.sql", "PRAGMA foreign_keys = ON;\n");
        shop.write(
            "V4__look.sql",
            "CREATE TABLE leftover AS SELECT foreign_keys AS fk FROM pragma_foreign_keys;\n",
        );
        shop.run("migrate", &[]).expect_code(0);
        assert_eq!(shop.ask("SELECT fk FROM leftover"), "0");
    } else {
        shop.write(
            "V2__settings.sql",
            "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', @x = 7, foreign_key_checks = 0;\n\
             CREATE TEMPORARY TABLE leftover (i int);\nSELECT get_lock('mine', 1);\nUSE mysql;\n",
        );
        shop.write(
            "V3__look.sql",
            "CREATE TABLE leftover AS SELECT @@sql_mode = @@GLOBAL.sql_mode AS mode, @x IS NULL AS x, \
             @@foreign_key_checks AS fk, IS_USED_LOCK('mine') IS NULL AS free, @@autocommit AS auto;\n",
        );
        shop.run("migrate", &[]).expect_code(0);
        assert_eq!(shop.ask("SELECT * FROM leftover"), "1|1|1|1|1");
    }
}

fn flyway_and_the_runner_take_turns(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    shop.run("migrate", &[]).expect_code(0);
    shop.assert_both_agree();
    shop.write("V2__b.sql", "CREATE TABLE b (id int);\nINSERT INTO b VALUES (1);\n");
    shop.write("R__v.sql", "DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT id + 1 AS id FROM bird;\n");
    let answer = shop.flyway("migrate", &[]);
    assert_eq!(answer["migrationsExecuted"], 2, "{answer}");
    shop.assert_both_agree();
    shop.write("V3__c.sql", "CREATE TABLE c (id int);\n");
    shop.run("migrate", &[]).expect_code(0);
    shop.assert_both_agree();
    // A failed script of Flyway's is seen by ours, and its row goes with our repair.
    shop.write("V4__bad.sql", "CREATE TABLE d (id int);\nINSERT INTO nope VALUES (1);\n");
    let answer = shop.flyway("migrate", &[]);
    assert!(answer.get("error").is_some(), "{answer}");
    assert_eq!(shop.states(), states(&shop.flyway("info", &[])["migrations"]));
    shop.run("repair", &[]).expect_code(0);
    shop.write("V4__bad.sql", "CREATE TABLE IF NOT EXISTS d (id int);\n");
    shop.run("migrate", &[]).expect_code(0);
    shop.assert_both_agree();
}

fn no_password_is_told(place: Place) {
    let shop = Shop::new(place, &BIRDS);
    let url = shop.place.url().replace("root:root@", "root:canary@");
    let url = format!("{url}?adaptiveFetch=x&canaryless=1");
    for verb in ["migrate", "info"] {
        let ended = run(shop.command(verb).env("APP_DATABASE_URL", &url), MINUTE);
        assert!(!ended.said().replace("canaryless", "").contains("canary"), "{}", ended.said());
        assert!(
            ended.stderr.contains("\"adaptiveFetch\"") && ended.stderr.contains("canaryless"),
            "{}",
            ended.said()
        );
        assert_eq!(ended.code, Some(if shop.place.is_sqlite() { 0 } else { 4 }), "{}", ended.said());
    }
}

#[test]
fn autocommit_that_a_script_turned_off_on_mariadb_is_on_for_the_next_one() {
    let shop = Shop::new(Place::mariadb(), &BIRDS[..1]);
    let insert = |id: u32| format!("INSERT INTO bird VALUES ({id}, 'a');\n");
    shop.write("V2__off.sql", &format!("SET autocommit = 0;\n{}", insert(2)));
    let refused = shop.run("migrate", &[]).expect_code(1);
    assert!(refused.says("V2__off.sql:1:1: SET autocommit"), "{}", refused.said());
    // Declared, it runs: what it commits stays, what it leaves open does not, and is told.
    shop.write("V2__off.sql.conf", "executeInTransaction=false\n");
    shop.write("V2__off.sql", &format!("SET autocommit = 0;\n{}COMMIT;\n{}", insert(2), insert(3)));
    shop.write("V3__next.sql", &insert(4));
    let told = shop.run("migrate", &[]).expect_code(0);
    assert!(told.says("V2__off.sql left a transaction open"), "{}", told.said());
    assert_eq!(shop.ask("SELECT GROUP_CONCAT(id ORDER BY id) FROM bird"), "1,2,4");
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "3|1");
}

#[test]
fn a_project_for_mysql_says_so_once_on_a_mariadb() {
    let shop = Shop::new(Place::mariadb(), &BIRDS[..1]);
    let names = |engine: &str| {
        let settings = fs_err::read_to_string(shop.project.file("whimbrel.toml")).expect("it is there");
        let lines = settings.lines().filter(|line| !line.starts_with("engine"));
        let lines: Vec<&str> = lines.collect();
        let engine = format!("[databases.app]\nengine = \"{engine}\"");
        shop.project.write("whimbrel.toml", &lines.join("\n").replace("[databases.app]", &engine));
    };
    names("mysql");
    let told = shop.run("migrate", &[]).expect_code(0);
    assert_eq!(told.said().matches("the server is MariaDB").count(), 1, "{}", told.said());
    names("mariadb");
    let quiet = shop.run("info", &[]).expect_code(0);
    assert!(!quiet.says("the server is"), "{}", quiet.said());
}

#[test]
fn sqlite_keeps_nothing_of_a_script_that_failed() {
    let shop = Shop::new(Place::sqlite(), &BIRDS);
    shop.write(
        "V2__bad.sql",
        "CREATE TABLE b (i int);\nINSERT INTO b VALUES (1);\nINSERT INTO nope VALUES (1);\n",
    );
    let failed = shop.run("migrate", &[]).expect_code(7);
    for part in ["nothing of it was kept", "V2__bad.sql:3:1", "no such table: nope"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.said());
    }
    assert_eq!(shop.ask("SELECT count(*) FROM flyway_schema_history"), "2");
    assert_eq!(shop.ask("SELECT count(*) FROM sqlite_master WHERE name = 'b'"), "0");
}

#[test]
fn mariadb_keeps_what_its_ddl_committed_and_goes_on_there() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.write(
        "V2__bad.sql",
        "INSERT INTO bird VALUES (10, 'x', NULL);\nCREATE TABLE b (i int);\nINSERT INTO b VALUES (1);\n\
         INSERT INTO late VALUES (1);\nCREATE TABLE c (i int);\n",
    );
    let failed = shop.run("migrate", &[]).expect_code(8);
    for part in ["2 of its 5 statements are done and were kept", "V2__bad.sql:4:1", "42S02", "1146"] {
        assert!(failed.stderr.contains(part), "{part}: {}", failed.said());
    }
    // What came after the last DDL is rolled back, as Flyway leaves it.
    assert_eq!(shop.ask("SELECT count(*) FROM b"), "0");
    assert_eq!(shop.ask("SELECT count(*) FROM bird WHERE id = 10"), "1");
    assert_eq!(shop.ask("SELECT success FROM flyway_schema_history ORDER BY installed_rank"), "1\n1\n0");
    assert_eq!(shop.states()[2].2, "Failed");
    // The cause is gone: the script goes on, and nothing of it is done twice.
    shop.ask("CREATE TABLE late (i int)");
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM b"), "1");
    assert_eq!(shop.ask("SELECT count(*) FROM bird WHERE id = 10"), "1");
    assert_eq!(shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
    shop.assert_both_agree();
}

#[test]
fn after_repair_a_script_of_mariadb_starts_anew() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.write("V2__bad.sql", "CREATE TABLE b (i int);\nINSERT INTO nope VALUES (1);\n");
    shop.run("migrate", &[]).expect_code(8);
    shop.write("V2__bad.sql", "CREATE TABLE IF NOT EXISTS b (i int);\nINSERT INTO b VALUES (1);\n");
    let refused = shop.run("migrate", &[]).expect_code(6);
    assert!(refused.stderr.contains("Detected failed migration"), "{}", refused.said());
    shop.run("repair", &[]).expect_code(0);
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM b"), "1");
}

#[test]
fn a_version_of_mariadb_that_is_done_in_part_is_none_that_the_database_is_at() {
    let shop = Shop::new(Place::mariadb(), &[]);
    shop.write("V1__bad.sql", "CREATE TABLE b (i int);\nINSERT INTO nope VALUES (1);\n");
    for _ in 0..2 {
        let failed = shop.run("migrate", &[]).expect_code(8);
        assert!(failed.says("failed; the database is at no version"), "{}", failed.said());
    }
}

#[test]
fn what_mariadb_could_not_roll_back_is_never_called_rolled_back() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.write(
        "V2__p.sql",
        "DELIMITER //\nCREATE PROCEDURE p() BEGIN INSERT INTO bird VALUES (20, 'p', NULL); COMMIT; END//\n",
    );
    shop.write("V3__m.sql", "CREATE TABLE m (i int) ENGINE = MyISAM;\n");
    shop.run("migrate", &[]).expect_code(0);
    for (number, text) in [
        (4, "CALL p();\nINSERT INTO nope VALUES (1);\n"),
        (5, "INSERT INTO m VALUES (1);\nINSERT INTO nope VALUES (1);\n"),
    ] {
        let name = format!("V{number}__bad.sql");
        shop.write(&name, text);
        let failed = shop.run("migrate", &[]).expect_code(8);
        assert!(failed.stderr.contains("not everything could be rolled back"), "{}", failed.said());
        // Nobody knows what is done, so nobody goes on without being told to.
        shop.run("migrate", &[]).expect_code(6);
        shop.run("repair", &[]).expect_code(0);
        shop.write(&name, "SELECT 1;\n");
        shop.run("migrate", &[]).expect_code(0);
    }
    assert_eq!(shop.ask("SELECT count(*) FROM m"), "1");
}

#[test]
fn a_script_of_mariadb_may_lock_tables() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    shop.write(
        "V2__dump.sql",
        "CREATE TABLE d (i int);\nLOCK TABLES d WRITE;\nINSERT INTO d VALUES (1);\nINSERT INTO d VALUES (2);\n\
         UNLOCK TABLES;\nINSERT INTO bird VALUES (30, 'd', NULL);\n",
    );
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM d"), "2");
    assert_eq!(shop.ask("SELECT count(*) FROM bird WHERE id = 30"), "1");
}

#[test]
fn flyways_lock_on_mariadb_keeps_us_out_and_its_holder_is_told() {
    let shop = Shop::new(Place::mariadb(), &BIRDS);
    // A first run takes the lock's name along: Flyway- and Java's hash of the quoted table.
    let quoted = format!("`{}`.`flyway_schema_history`", shop.place.name);
    let hash =
        quoted.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let url = shop.place.url().to_owned();
    let holder = std::thread::spawn(move || {
        engines::ask(&url, &format!("SELECT GET_LOCK('Flyway-{hash}', 0), SLEEP(4)"))
    });
    eventually("the lock is held", MINUTE, || {
        (shop.ask(&format!("SELECT IS_USED_LOCK('Flyway-{hash}') IS NOT NULL")) == "1").then_some(())
    });
    let refused = shop.run("migrate", &["--lock-wait", "1s"]).expect_code(5);
    assert!(refused.stderr.contains("user root"), "{}", refused.said());
    shop.run("migrate", &["--lock-wait", "30s"]).expect_code(0);
    assert_eq!(holder.join().expect("no panic"), "1|0");
}

/// Whether the server works on the slow statement; SQLite works in the runner itself, and nothing else there takes long.
fn is_under_way(shop: &Shop, runner: &Running) -> bool {
    if shop.place.is_sqlite() {
        return runner.processor_time() > Duration::from_millis(500);
    }
    shop.ask(
        "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND state = 'User sleep'",
    ) == "1"
}

#[test]
fn a_statement_that_takes_hours_ends_with_the_second_signal() {
    for (place, statement) in [
        (Place::mariadb(), "INSERT INTO bird SELECT 9, SLEEP(3600), NULL;\n"),
        (
            Place::sqlite(),
            "INSERT INTO bird WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
             SELECT max(i), 'x', NULL FROM n;\n",
        ),
    ] {
        let shop = Shop::new(place, &BIRDS);
        shop.write("V2__slow.sql", statement);
        let mut runner = Running::start(&mut shop.command("migrate"));
        runner.line_with("applying V2__slow.sql", MINUTE);
        eventually("the statement is under way", MINUTE, || is_under_way(&shop, &runner).then_some(()));
        let began = Instant::now();
        // Signals that come together count as one, so it is asked until it listens.
        eventually("it ends", MINUTE, || {
            runner.signal(Signal::TERM);
            (!runner.is_running()).then_some(())
        });
        runner.wait(MINUTE).expect_code(143);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(shop.ask("SELECT count(*) FROM flyway_schema_history"), "2");
        shop.write("V2__slow.sql", "INSERT INTO bird VALUES (9, 'quick', NULL);\n");
        shop.run("migrate", &[]).expect_code(0);
        assert_eq!(shop.ask("SELECT name FROM bird WHERE id = 9"), "quick");
    }
}
