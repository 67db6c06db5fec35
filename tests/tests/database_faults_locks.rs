//! Locks and limits: who waits for whom, what ends a wait, and what a limit of the role must not reach. Numbers are
//! those of docs/faults.md.

mod common;

use std::time::Duration;

use common::{Holding, Shop, assert_each_once, counting_shop};
use whimbrel_tests::program::Running;

const MINUTE: Duration = Duration::from_secs(60);

/// A transaction with an old snapshot of a table: CREATE INDEX CONCURRENTLY waits for its end.
const OLD_SNAPSHOT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM runs";

fn index_behind(scripts: usize) -> Shop {
    let shop = counting_shop(scripts);
    shop.migrate(&[]).expect_code(0);
    shop.write(&format!("V{}__i.sql", scripts + 1), "CREATE INDEX CONCURRENTLY i ON runs (script);\n");
    shop
}

#[test]
fn row_30_an_index_is_made_concurrently_while_a_second_runner_waits_for_the_lock() {
    let shop = index_behind(1);
    let old = Holding::start(&shop.database, "an-old-report", OLD_SNAPSHOT);
    let mut first = Running::start(&mut shop.command("migrate"));
    first.line_with("the statement waits for", MINUTE);
    let mut second = Running::start(&mut shop.command("migrate"));
    let waits = second.line_with("waiting for the lock", MINUTE);
    assert!(waits.contains("whimbrel-migrate/") && waits.contains("backend"), "{waits}");
    drop(old);
    for runner in [first, second] {
        let ended = runner.wait(MINUTE).expect_code(0);
        assert!(!ended.says("40P01"), "{}", ended.said());
    }
    assert_eq!(shop.database.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
    assert_eq!(shop.database.ask("SELECT count(*), bool_and(success) FROM flyway_schema_history"), "2|t");
}

#[test]
fn row_31_an_index_behind_an_old_snapshot_names_who_has_it_and_what_is_left() {
    for (option, sqlstate) in [("--lock-timeout", "55P03"), ("--statement-timeout", "57014")] {
        let shop = index_behind(1);
        let old = Holding::start(&shop.database, "an-old-report", OLD_SNAPSHOT);
        let holder = format!("backend {}", old.backend());
        let ended = shop.migrate(&[option, "1500ms"]).expect_code(8);
        for part in [sqlstate, &holder, "an-old-report", "public.i is INVALID"] {
            assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
        }
        // Neither can what is left be taken away, nor made anew, as long as the other one is there.
        let again = shop.migrate(&[option, "1500ms"]).expect_code(8);
        for part in [sqlstate, &holder, "an-old-report", "public.i is INVALID", "DROP INDEX CONCURRENTLY"] {
            assert!(again.says(part), "{part:?} is missing\n{}", again.said());
        }
        drop(old);
        let healed = shop.migrate(&[]).expect_code(0);
        assert!(healed.says("goes on with statement 1 of 1"), "{}", healed.said());
        assert_eq!(
            shop.database.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"),
            "t"
        );
    }
}

/// A runner that waits two seconds for the lock of the history, as a role with this setting.
fn waits_for_the_lock_in_spite_of(setting: &str) -> Shop {
    let shop = counting_shop(1);
    shop.database.ask(&format!("ALTER ROLE \"{}\" SET {setting}", shop.database.user));
    // Flyway's own key for "public"."flyway_schema_history".
    let holding = Holding::start(
        &shop.database,
        "another-runner",
        "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(77433833903597)",
    );
    let mut runner = Running::start(&mut shop.command("migrate"));
    let waits = runner.line_with("waiting for the lock", MINUTE);
    assert!(waits.contains("another-runner"), "{waits}");
    drop(holding);
    runner.wait(MINUTE).expect_code(0);
    assert_each_once(|sql| shop.database.ask(sql), 1);
    shop
}

#[test]
fn row_42_a_lock_timeout_of_the_role_does_not_end_the_wait_for_our_own_lock() {
    let shop = waits_for_the_lock_in_spite_of("lock_timeout = '100ms'");
    // It is there for the script, and is respected.
    let _report = Holding::start(&shop.database, "a-long-report", "SELECT * FROM runs");
    shop.write("V2__a.sql", "-- whimbrel: lock_retries=0\nALTER TABLE runs ADD COLUMN note text;\n");
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("55P03") && ended.says("a-long-report"), "{}", ended.said());
}

#[test]
fn row_43_a_statement_timeout_of_the_role_does_not_end_the_wait_for_our_own_lock() {
    let shop = waits_for_the_lock_in_spite_of("statement_timeout = '500ms'");
    shop.write("V2__slow.sql", "SELECT pg_sleep(1);\n");
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("57014") && ended.says("--statement-timeout"), "{}", ended.said());
    shop.write("V2__slow.sql", "-- whimbrel: statement_timeout=0\nSELECT pg_sleep(1);\n");
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn row_46_the_victim_of_a_deadlock_is_rolled_back_and_comes_again() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n")]);
    shop.migrate(&[]).expect_code(0);
    shop.write(
        "V2__both.sql",
        "LOCK TABLE a;\nSELECT pg_sleep(0.5);\nLOCK TABLE b;\nINSERT INTO a VALUES (1);\n",
    );
    // The application locks the other way round, once we have the first of the two.
    let application = "SET deadlock_timeout = '60s'; BEGIN; LOCK TABLE b; DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks \
        WHERE relation = 'a'::regclass AND mode = 'AccessExclusiveLock') LOOP PERFORM pg_sleep(0.02); END LOOP; END $$; \
        LOCK TABLE a; INSERT INTO b VALUES (1); COMMIT";
    std::thread::scope(|scope| {
        let application = scope.spawn(|| shop.database.ask(application));
        whimbrel_tests::eventually("it has the second table", MINUTE, || {
            let held = "SELECT count(*) FROM pg_locks WHERE relation = 'b'::regclass AND granted";
            (shop.database.number(held) > 0).then_some(())
        });
        let ended = shop.migrate(&[]).expect_code(0);
        assert!(ended.says("deadlock detected") && ended.says("(1 of 10)"), "{}", ended.said());
        application.join().expect("the application was not the victim");
    });
    assert_eq!(shop.database.ask("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"), "1|1");
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 2);
}

#[test]
fn row_50_a_table_of_another_role_stops_the_script_and_nothing_is_kept() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.database.ask("CREATE TABLE foreign_one (id int)");
    shop.database.ask(&format!("GRANT SELECT, INSERT ON foreign_one TO \"{}\"", shop.database.user));
    shop.run("baseline", &["--baseline-version", "0"]).expect_code(0);
    shop.write(
        "V2__b.sql",
        "CREATE TABLE b (id int);\nINSERT INTO foreign_one VALUES (1);\nALTER TABLE foreign_one ADD COLUMN name text;\n",
    );
    let ended = shop.migrate(&[]).expect_code(7);
    for part in
        ["42501", "must be owner of table foreign_one", "V2__b.sql:3:1", "nothing of it was kept", "GRANT"]
    {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL, count(*) FROM foreign_one"), "t|0");
    assert_eq!(shop.database.version().as_deref(), Some("1"));
}
