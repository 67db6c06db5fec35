//! Faults of MariaDB and SQLite: killed runners and connections, a busy file, a full disk.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use common::engines::Shop;
use rustix::process::Signal;
use whimbrel_tests::engines::{self, Place};
use whimbrel_tests::eventually;
use whimbrel_tests::program::{Running, run, whimbrel};

const MINUTE: Duration = Duration::from_secs(60);
const BIRD: (&str, &str) = ("V1__bird.sql", "CREATE TABLE bird (id int PRIMARY KEY, name varchar(99));\n");

/// Waits until a statement with these words is at work on the server.
fn at_work(words: &str) -> String {
    let query = format!(
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%{words}%' AND id <> CONNECTION_ID()"
    );
    eventually(words, MINUTE, || {
        Some(engines::ask(&whimbrel_tests::testbed::mariadb(), &query)).filter(|id| !id.is_empty())
    })
}

#[test]
fn row_87_killed_between_two_ddl_the_next_run_goes_on_there() {
    let shop = Shop::new(Place::mariadb(), &[BIRD]);
    shop.write(
        "V2__steps.sql",
        "CREATE TABLE one (i int);\nINSERT INTO one VALUES (1);\nCREATE TABLE two (i int);\n\
         INSERT INTO two VALUES (1);\nSELECT SLEEP(2), 'row87';\nINSERT INTO two VALUES (2);\nCREATE TABLE three (i int);\n",
    );
    let mut runner = Running::start(&mut shop.command("migrate"));
    at_work("row87");
    runner.signal(Signal::KILL);
    runner.wait(MINUTE);
    // The server notices the closed socket when the statement is over: the lock is held until then.
    let next = shop.run("migrate", &["--lock-wait", "30s"]).expect_code(0);
    assert!(next.stderr.contains("goes on with statement 4 of 7"), "{}", next.said());
    assert_eq!(
        shop.ask(
            "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two), (SELECT count(*) FROM three)"
        ),
        "1|2|0"
    );
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "2|1");
    shop.run("validate", &[]).expect_code(0);
}

#[test]
fn row_87_killed_within_a_ddl_nothing_is_claimed_and_nothing_done_twice() {
    let shop = Shop::new(Place::mariadb(), &[BIRD]);
    shop.write(
        "V2__steps.sql",
        "INSERT INTO bird VALUES (1, 'a');\nCREATE TABLE slow AS SELECT SLEEP(2) AS within87;\nINSERT INTO \
         bird VALUES (2, 'b');\n",
    );
    let mut runner = Running::start(&mut shop.command("migrate"));
    at_work("within87");
    runner.signal(Signal::KILL);
    runner.wait(MINUTE);
    let next = shop.run("migrate", &["--lock-wait", "30s"]);
    if next.code == Some(8) {
        // The server had done it all the same. Who sees that takes it away, and the script goes on.
        assert!(
            next.stderr.contains("1 of its 3 statements are done")
                && next.stderr.contains("may have done it"),
            "{}",
            next.said()
        );
        shop.ask("DROP TABLE slow");
        shop.run("migrate", &[]).expect_code(0);
    } else {
        next.expect_code(0);
    }
    assert_eq!(shop.ask("SELECT count(*) FROM bird"), "2");
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "2|1");
}

#[test]
fn row_87_what_cannot_be_taken_up_again_is_refused() {
    let shop = Shop::new(Place::mariadb(), &[BIRD]);
    shop.write(
        "V2__variable.sql",
        "CREATE TABLE one (i int AUTO_INCREMENT PRIMARY KEY);\nINSERT INTO one VALUES ();\nSET @id = LAST_INSERT_ID();\n\
         CREATE TABLE two (i int);\nINSERT INTO nope VALUES (@id);\n",
    );
    shop.run("migrate", &[]).expect_code(8);
    shop.ask("CREATE TABLE nope (i int)");
    let refused = shop.run("migrate", &[]);
    assert!(refused.stderr.contains("a variable that they set"), "{}", refused.said());
    assert_ne!(refused.code, Some(0));
    assert_eq!(shop.ask("SELECT count(*) FROM nope"), "0");
}

/// The record is in the transaction of the script: whoever is kept from writing it has committed nothing.
#[test]
fn row_87_a_script_that_is_killed_at_its_own_commit_is_done_with_its_record_or_not_at_all() {
    let shop = Shop::new(Place::mariadb(), &[BIRD]);
    let flyway = || {
        let mut command = whimbrel("whimbrel-migrate");
        let (url, login) = shop.place.jdbc();
        let (user, password) = login.expect("MariaDB has logins");
        command.arg0("flyway").env("FLYWAY_URL", url);
        command.env("FLYWAY_USER", user).env("FLYWAY_PASSWORD", password).arg("migrate");
        command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
        command
    };
    let own = |id: u32| format!("START TRANSACTION;\nINSERT INTO bird VALUES ({id}, 'a');\nCOMMIT;\n");
    shop.write("V2__own.sql", &own(1));
    run(&mut flyway(), MINUTE).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
    shop.write("V3__own87.sql", &own(2));
    let url = shop.place.url().to_owned();
    let holder = std::thread::spawn(move || {
        engines::ask(&url, "LOCK TABLES whimbrel_script_progress READ; SELECT SLEEP(3), 'held87'")
    });
    at_work("held87");
    let mut runner = Running::start(&mut flyway());
    at_work("INTO%whimbrel_script_progress%own87");
    runner.signal(Signal::KILL);
    runner.wait(MINUTE);
    holder.join().expect("no panic");
    let done = run(&mut flyway(), MINUTE).expect_code(0);
    assert!(!done.says("could not write its row"), "{}", done.said());
    assert_eq!(shop.ask("SELECT group_concat(id ORDER BY id) FROM bird"), "1,2");
    assert_eq!(shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
}

#[test]
fn row_88_a_connection_that_is_killed_takes_its_lock_along_and_the_next_run_goes_on() {
    let shop = Shop::new(Place::mariadb(), &[BIRD]);
    shop.write(
        "V2__slow.sql",
        "CREATE TABLE one (i int);\nINSERT INTO one VALUES (1);\nSELECT SLEEP(30), 'row88';\n",
    );
    let runner = Running::start(&mut shop.command("migrate"));
    let id = at_work("row88");
    engines::ask(&whimbrel_tests::testbed::mariadb(), &format!("KILL CONNECTION {id}"));
    let ended = runner.wait(MINUTE);
    assert!(matches!(ended.code, Some(4 | 8 | 69)), "{}", ended.said());
    assert!(!ended.stderr.contains("nothing of it was kept"), "{}", ended.said());
    shop.write(
        "V2__slow.sql",
        "CREATE TABLE one (i int);\nINSERT INTO one VALUES (1);\nSELECT SLEEP(0), 'row88';\n",
    );
    // Another text is another script: what the first one left is in the way, and is named.
    let other = shop.run("migrate", &[]).expect_code(7);
    assert!(other.stderr.contains("already exists"), "{}", other.said());
}

#[test]
fn row_88_another_sql_mode_changes_how_scripts_are_read_and_nothing_of_ours() {
    let shop = Shop::new(Place::mariadb(), &[]);
    shop.write("V1__it's.sql", "CREATE TABLE \"bird\" (\"id\" int);\nINSERT INTO bird VALUES (1);\n");
    let url =
        format!("{}?sessionVariables=sql_mode=%27ANSI_QUOTES,NO_BACKSLASH_ESCAPES%27", shop.place.url());
    for verb in ["migrate", "migrate", "validate", "info"] {
        run(shop.command(verb).env("APP_DATABASE_URL", &url), MINUTE).expect_code(0);
    }
    assert_eq!(shop.ask("SELECT script FROM flyway_schema_history"), "V1__it's.sql");
}

#[test]
fn row_89_a_file_that_is_busy_is_waited_for_and_not_for_ever() {
    let shop = Shop::new(Place::sqlite(), &[BIRD]);
    shop.run("migrate", &[]).expect_code(0);
    shop.write("V2__more.sql", "-- whimbrel: lock_retries=0\nINSERT INTO bird VALUES (1, 'a');\n");
    let busy = format!("{}?busy_timeout=200", shop.place.url());
    // A long write: SQLite has one writer.
    let writer = engines::hold(shop.place.url(), "BEGIN IMMEDIATE", Duration::from_secs(3));
    let refused = run(shop.command("migrate").env("APP_DATABASE_URL", &busy), MINUTE);
    assert!(refused.stderr.contains("database is locked"), "{}", refused.said());
    assert_ne!(refused.code, Some(0));
    shop.run("migrate", &[]).expect_code(0);
    writer.join().expect("no panic");
    assert_eq!(shop.ask("SELECT count(*) FROM bird"), "1");
}

#[test]
fn row_89_killed_with_a_write_ahead_log_nothing_is_half_done() {
    let shop = Shop::new(Place::sqlite(), &[BIRD]);
    let url = format!("{}?journal_mode=WAL", shop.place.url());
    let command = |verb: &str| {
        let mut command = shop.command(verb);
        command.env("APP_DATABASE_URL", &url);
        command
    };
    shop.write(
        "V2__many.sql",
        "CREATE TABLE many (i int);\nINSERT INTO many WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         LIMIT 300000) SELECT i FROM n;\nINSERT INTO many SELECT i FROM many;\nINSERT INTO bird VALUES (1, 'a');\n",
    );
    for pause in [30, 60, 120] {
        let mut runner = Running::start(&mut command("migrate"));
        runner.line_with("applying V2__many.sql", MINUTE);
        std::thread::sleep(Duration::from_millis(pause));
        runner.signal(Signal::KILL);
        runner.wait(MINUTE);
    }
    run(&mut command("migrate"), MINUTE).expect_code(0);
    assert_eq!(shop.ask("SELECT (SELECT count(*) FROM many), (SELECT count(*) FROM bird)"), "600000|1");
    assert_eq!(shop.ask("SELECT count(*), min(success) FROM flyway_schema_history"), "2|1");
    assert_eq!(shop.ask("PRAGMA integrity_check"), "ok");
}

#[test]
fn row_89_a_full_disk_keeps_nothing() {
    let shop = Shop::new(Place::sqlite(), &[BIRD]);
    shop.run("migrate", &[]).expect_code(0);
    shop.write(
        "V2__many.sql",
        "CREATE TABLE many (i int);\nINSERT INTO many WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         LIMIT 300000) SELECT i FROM n;\n",
    );
    // Files of this shell's children end at 200 kB, and writing beyond that is an error.
    let program = shop.command("migrate").get_program().to_owned();
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""]).arg(program).arg("migrate");
    limited.current_dir(shop.project.path()).env("APP_DATABASE_URL", shop.place.url());
    let failed = run(&mut limited, MINUTE).expect_code(7);
    assert!(failed.stderr.contains("nothing of it was kept"), "{}", failed.said());
    assert_eq!(shop.ask("SELECT count(*) FROM sqlite_master WHERE name = 'many'"), "0");
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(shop.ask("SELECT count(*) FROM many"), "300000");
}

#[test]
fn row_89_a_file_that_may_only_be_read_is_not_written() {
    let shop = Shop::new(Place::sqlite(), &[BIRD]);
    shop.run("migrate", &[]).expect_code(0);
    shop.write("V2__more.sql", "INSERT INTO bird VALUES (1, 'a');\n");
    let url = format!("{}?mode=ro", shop.place.url());
    run(shop.command("info").env("APP_DATABASE_URL", &url), MINUTE).expect_code(0);
    let refused = run(shop.command("migrate").env("APP_DATABASE_URL", &url), MINUTE);
    assert!(refused.stderr.contains("read-only"), "{}", refused.said());
    assert_ne!(refused.code, Some(0));
}

#[test]
fn row_89_foreign_keys_are_switched_outside_of_a_transaction() {
    let shop = Shop::new(Place::sqlite(), &[BIRD]);
    shop.write(
        "V2__rebuild.sql",
        "CREATE TABLE child (bird int REFERENCES bird (id));\nINSERT INTO bird VALUES (1, 'a');\nINSERT INTO child VALUES (1);\n",
    );
    shop.write(
        "V3__swap.sql",
        "PRAGMA foreign_keys = ON;\nCREATE TABLE probe AS SELECT foreign_keys AS fk FROM pragma_foreign_keys;\n\
         PRAGMA foreign_keys = OFF;\nDELETE FROM bird;\n",
    );
    let refused = shop.run("migrate", &[]);
    assert_ne!(refused.code, Some(0), "mixed statements are refused: {}", refused.said());
    shop.run("migrate", &["--mixed"]).expect_code(0);
    assert_eq!(shop.ask("SELECT fk FROM probe"), "1");
    assert_eq!(shop.ask("SELECT count(*) FROM child"), "1");
}
