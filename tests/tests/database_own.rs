//! What Whimbrel's runner has of its own, on a real PostgreSQL: limits, and what comes after them.

mod common;

use std::time::Duration;

use common::Shop;
use whimbrel_tests::eventually;
use whimbrel_tests::postgres::psql;
use whimbrel_tests::program::{Running, clean};

const MINUTE: Duration = Duration::from_secs(60);

/// A session that holds what it took. Dropping it ends it, on the server as well.
struct Holding<'a>(&'a Shop, #[expect(dead_code, reason = "it lives as long as this value")] Running);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        // A server does not notice that the client of a sleeping statement is gone.
        self.0.database.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE application_name = 'a-long-report' AND datname = current_database()",
        );
    }
}

/// A session that runs this SQL and then holds what it took.
fn holding<'a>(shop: &'a Shop, sql: &str) -> Holding<'a> {
    let mut command = clean("psql");
    command.env("PGAPPNAME", "a-long-report").args(["-X", "-q", &shop.database.url(), "-c"]);
    command.arg(format!("BEGIN; {sql}; SELECT pg_sleep(600)"));
    let session = Running::start(&mut command);
    eventually("the other session holds its lock", MINUTE, || {
        let held = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a-long-report' \
                    AND datname = current_database() AND query LIKE '%pg_sleep%' AND wait_event = 'PgSleep'";
        (shop.database.number(held) > 0).then_some(())
    });
    Holding(shop, session)
}

fn birds() -> Shop {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE bird (id int);\nINSERT INTO bird VALUES (1);\n")]);
    shop.migrate(&[]).expect_code(0);
    shop
}

#[test]
fn row_41_a_script_that_waits_for_a_lock_gives_up_lets_others_pass_and_comes_again() {
    let shop = birds();
    let report = holding(&shop, "SELECT * FROM bird");
    shop.write("V2__b.sql", "CREATE TABLE b (id int);\nALTER TABLE bird ADD COLUMN name text;\n");
    let mut runner = Running::start(shop.command("migrate").args(["--lock-timeout", "1500ms"]));
    let said = runner.line_with("trying again in", MINUTE);
    for part in ["V2__b.sql at", "sql/V2__b.sql:2:1", "a-long-report", "SELECT * FROM bird", "(1 of 10)"] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }
    // Between two attempts nobody queues behind us, and the history's lock is free.
    assert_eq!(shop.database.ask("SELECT count(*) FROM bird"), "1");
    drop(report);
    let ended = runner.wait(MINUTE).expect_code(0);
    assert!(ended.says("2"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("2"));
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 2);
}

#[test]
fn after_the_last_attempt_the_error_names_who_stood_in_the_way() {
    let shop = birds();
    let _report = holding(&shop, "SELECT * FROM bird");
    shop.write(
        "V2__b.sql",
        "-- whimbrel: lock_timeout=1s lock_retries=1\nALTER TABLE bird ADD COLUMN name text;\n",
    );
    let ended = shop.migrate(&["--format", "json"]).expect_code(7);
    let lines = ended.json_lines();
    let again: Vec<_> = lines.iter().filter(|line| line["attempt"].is_number()).collect();
    assert_eq!(again.len(), 1, "{}", ended.said());
    assert_eq!((&again[0]["sqlstate"], &again[0]["attempt"]), (&"55P03".into(), &1.into()));
    let record = &lines.last().expect("a last line")["record"];
    let error = record["databases"][0]["error"].as_str().expect("an error");
    for part in
        ["nothing of it was kept", "55P03", "it waited for backend", "a-long-report", "SELECT * FROM bird"]
    {
        assert!(error.contains(part), "{part:?} is missing in {error}");
    }
    assert_eq!(record["databases"][0]["scripts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_lock_timeout_of_the_server_is_respected_and_a_script_sees_the_limits_of_its_own() {
    let shop =
        Shop::new(&[("V1__a.sql", "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS l;\n")]);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT l FROM seen"), "5s");
    let set = format!("ALTER ROLE \"{0}\" IN DATABASE \"{0}\" SET lock_timeout = '7s'", shop.database.user);
    shop.database.ask(&set);
    let insert = "INSERT INTO seen SELECT current_setting('lock_timeout');\n";
    shop.write("V2__b.sql", insert);
    shop.write("V3__c.sql", &format!("-- whimbrel: lock_timeout=0\n{insert}"));
    shop.write("V4__d.sql", insert);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(l, ' ') FROM seen"), "5s 7s 0 7s");
    // The project file, then the environment, then the command line.
    shop.project.replace(
        "whimbrel.toml",
        "[databases.app]",
        "[migrate]\nlock_timeout = \"1s\"\n\n[databases.app]",
    );
    shop.write("V5__e.sql", insert);
    shop.migrate(&[]).expect_code(0);
    shop.write("V6__f.sql", insert);
    let mut command = shop.command("migrate");
    command.env("WHIMBREL_LOCK_TIMEOUT", "2s");
    whimbrel_tests::program::run(&mut command, MINUTE).expect_code(0);
    shop.write("V7__g.sql", insert);
    shop.migrate(&["--lock-timeout", "3s"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(l, ' ') FROM seen"), "5s 7s 0 7s 1s 2s 3s");
}

#[test]
fn a_statement_that_runs_too_long_is_not_tried_again() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nSELECT pg_sleep(60);\n")]);
    let ended = shop.migrate(&["--statement-timeout", "200ms"]).expect_code(7);
    assert!(
        ended.says("57014") && ended.says("V1__a.sql:2:1") && !ended.says("trying again"),
        "{}",
        ended.said()
    );
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
}

#[test]
fn a_script_outside_of_a_transaction_has_no_usual_limit_and_no_second_attempt() {
    let shop = birds();
    let report = holding(&shop, "LOCK TABLE bird IN ACCESS EXCLUSIVE MODE");
    shop.write("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON bird (id);\n");
    let mut runner = Running::start(&mut shop.command("migrate"));
    let waits = runner.line_with("the statement waits for", MINUTE);
    assert!(waits.contains("a-long-report") && waits.contains("LOCK TABLE bird"), "{waits}");
    std::thread::sleep(Duration::from_millis(5500));
    assert!(runner.is_running(), "{}", runner.so_far());
    drop(report);
    runner.wait(MINUTE).expect_code(0);

    let _report = holding(&shop, "LOCK TABLE bird IN ACCESS EXCLUSIVE MODE");
    shop.write("V3__j.sql", "CREATE INDEX CONCURRENTLY j ON bird (id);\n");
    let ended = shop.migrate(&["--lock-timeout", "1s"]);
    assert!(matches!(ended.code, Some(7 | 8)), "{}", ended.said());
    let waited = ended.says("55P03") && ended.says("it waited for backend");
    assert!(waited && !ended.says("trying again"), "{}", ended.said());
    assert_eq!(
        psql(&shop.database.url(), "SELECT count(*) FROM flyway_schema_history WHERE NOT success"),
        "1"
    );
}

#[test]
fn a_setting_in_a_script_that_is_not_known_stops_it_with_its_line() {
    let shop = Shop::new(&[("V1__a.sql", "-- whimbrel: lock_timeuot=5s\nSELECT 1;\n")]);
    let ended = shop.migrate(&[]).expect_code(2);
    assert!(ended.says("V1__a.sql:1:1") && ended.says("lock_timeuot"), "{}", ended.said());
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 0);
}
