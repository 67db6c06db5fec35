//! The runner on PostgreSQL 17: the same as on 15, and what 17 brought. Numbers are those of docs/faults.md.

mod common;

use std::time::Duration;

use common::{Holding, Shop, assert_each_once, count};
use rustix::process::Signal;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Running, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(60);

fn shop(scripts: &[(&str, &str)]) -> Shop {
    let shop =
        Shop { project: Project::small(), database: Database::on(&testbed::postgres17(), "seventeen") };
    for (name, text) in scripts {
        shop.write(name, text);
    }
    shop
}

#[test]
fn everything_is_applied_once_and_every_verb_answers() {
    let shop = shop(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\nVACUUM a;\n"),
        ("V3__copy.sql", "COPY a FROM stdin;\n2\n\\.\n"),
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;\n"),
    ]);
    for verb in ["migrate", "migrate", "info", "validate", "repair"] {
        shop.run(verb, &[]).expect_code(0);
    }
    assert!(shop.run("ping", &[]).expect_code(0).says("17."));
    assert_eq!(shop.database.number("SELECT count(*) FROM v"), 2);
    assert_eq!(shop.database.ask("SELECT count(*), bool_and(success) FROM flyway_schema_history"), "4|t");
    shop.run("clean", &["--clean-enabled"]).expect_code(0);
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn four_runners_at_once_and_one_that_is_killed_do_nothing_twice() {
    let shop = shop(&[]);
    count(&shop.project, 20);
    let mut killed = Running::start(&mut shop.command("migrate"));
    killed.line_with("applied V3__t.sql", MINUTE);
    killed.signal(Signal::KILL);
    let runners: Vec<Running> = (0..4).map(|_| Running::start(&mut shop.command("migrate"))).collect();
    for runner in runners {
        runner.wait(MINUTE).expect_code(0);
    }
    assert_each_once(|sql| shop.database.ask(sql), 20);
}

#[test]
fn row_45_a_transaction_timeout_of_the_role_does_not_end_the_wait_for_our_own_lock() {
    let shop = shop(&[]);
    count(&shop.project, 1);
    shop.database.ask(&format!("ALTER ROLE \"{}\" SET transaction_timeout = '700ms'", shop.database.user));
    // Flyway's own key for "public"."flyway_schema_history".
    let holding = Holding::start(
        &shop.database,
        "another-runner",
        "SET LOCAL transaction_timeout = 0; SELECT pg_advisory_xact_lock(77433833903597)",
    );
    let mut runner = Running::start(&mut shop.command("migrate"));
    runner.line_with("waiting for the lock", MINUTE);
    drop(holding);
    runner.wait(MINUTE).expect_code(0);
    // A script is what it is for: the server ends the session, and nothing is kept.
    shop.write("V2__slow.sql", "CREATE TABLE b (id int);\nSELECT pg_sleep(3);\n");
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("25P04") && ended.says("nothing of it was kept"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t");
    shop.write(
        "V2__slow.sql",
        "SET transaction_timeout = 0;\nCREATE TABLE b (id int);\nSELECT pg_sleep(1);\n",
    );
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn a_role_with_the_right_to_maintain_runs_what_needs_no_more() {
    let shop = shop(&[]);
    shop.database.ask("CREATE TABLE theirs (id int PRIMARY KEY)");
    shop.database.ask(&format!("GRANT MAINTAIN ON theirs TO \"{}\"", shop.database.user));
    shop.run("baseline", &["--baseline-version", "0"]).expect_code(0);
    shop.write("V1__maintain.sql", "VACUUM theirs;\nREINDEX TABLE CONCURRENTLY theirs;\n");
    shop.migrate(&[]).expect_code(0);
    shop.write("V2__more.sql", "ALTER TABLE theirs ADD COLUMN name text;\n");
    let refused = shop.migrate(&[]).expect_code(7);
    assert!(refused.says("42501"), "{}", refused.said());
}

#[test]
fn recorded_cases_of_flyway_agree_there_too() {
    let mut command = clean(env!("CARGO_BIN_EXE_golden"));
    for name in ["WHIMBREL_BIN_DIR", "WHIMBREL_TEST_MARIADB"] {
        command.env(name, testbed::variable(name));
    }
    command.env("WHIMBREL_TEST_POSTGRES", testbed::postgres17());
    // Recorded on 15; what the servers themselves answer otherwise (REINDEX DATABASE without a name) is in other families.
    command.args(["--flyway-only", "--only=failures"]);
    command.arg(testbed::repository().join("tests/data/flyway/postgresql.jsonl"));
    let ended = run(&mut command, 3 * MINUTE).expect_code(0);
    let last = ended.stdout.lines().last().unwrap_or_default();
    assert!(last.ends_with("0 differ") && !last.starts_with("0 agreed"), "{}", ended.said());
}
