//! Scripts that begin and end transactions themselves: what stays of them, here and in real Flyway.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use common::{Shop, engines};
use rustix::process::Signal;
use whimbrel_tests::engines::Place;
use whimbrel_tests::eventually;
use whimbrel_tests::messages::{Act, MessageProxy};
use whimbrel_tests::postgres::host_and_port;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::random::Random;
use whimbrel_tests::sweep::kill_when_held;
use whimbrel_tests::testbed;

const TWO_MINUTES: Duration = Duration::from_secs(120);
const SEEN: &str = "SELECT (SELECT string_agg(i::text, ' ' ORDER BY i) FROM t) || '; ' || \
    (SELECT string_agg(version || ' ' || success, ', ' ORDER BY installed_rank) FROM flyway_schema_history)";

/// `flyway migrate`, by this program.
fn migrate(shop: &Shop, mut command: Command) -> Ended {
    let url = format!("jdbc:postgresql://{}/{}", host_and_port(), shop.database.user);
    command.env("FLYWAY_URL", url);
    command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    run(command.args(["-skipCheckForUpdate", "migrate"]), TWO_MINUTES)
}

fn ours(shop: &Shop) -> Command {
    let mut command = clean(shop.command("migrate").get_program());
    command.arg0("flyway");
    command
}

#[test]
fn as_flyway_a_script_with_its_own_transactions_leaves_what_flyway_leaves() {
    let table = ("V1__t.sql", "CREATE TABLE t (i int);\nINSERT INTO t VALUES (0);\n");
    let insert = "INSERT INTO t VALUES";
    for (scripts, code) in [
        (vec![format!("{insert} (1);\nCOMMIT;\n{insert} (2);\nSELECT 1/0;\n")], 1),
        (vec![format!("{insert} (1);\nCOMMIT AND CHAIN;\n{insert} (2);\nSELECT 1/0;\n")], 1),
        (vec![format!("{insert} (1);\nBEGIN;\n{insert} (2);\nSELECT 1/0;\n")], 1),
        (
            vec![
                format!("BEGIN;\n{insert} (1);\nCOMMIT;\nBEGIN;\n{insert} (2);\n"),
                format!("{insert} (3);\nROLLBACK;\n{insert} (4);\n"),
            ],
            0,
        ),
    ] {
        let shops = [Shop::new(&[table]), Shop::new(&[table])];
        for shop in &shops {
            for (number, text) in scripts.iter().enumerate() {
                shop.write(&format!("V{}__own.sql", number + 2), text);
            }
        }
        migrate(&shops[0], clean(testbed::variable("WHIMBREL_TEST_FLYWAY"))).expect_code(code);
        let ended = migrate(&shops[1], ours(&shops[1])).expect_code(code);
        assert!(ended.says("manages transactions itself"), "{}", ended.said());
        assert_eq!(shops[1].database.ask(SEEN), shops[0].database.ask(SEEN), "{scripts:?}");
        if code == 1 && scripts[0].contains("COMMIT") {
            assert!(ended.says("up to line 2 stays"), "{}", ended.said());
        }
    }
}

#[test]
fn what_a_script_kept_that_was_declared_to_manage_its_own_transactions_is_told_exactly() {
    let shop = Shop::new(&[
        ("V1__t.sql", "CREATE TABLE t (i int);\n"),
        (
            "V2__own.sql",
            "BEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;\nBEGIN;\nINSERT INTO t VALUES (2);\nSELECT 1/0;\n",
        ),
        ("V2__own.sql.conf", "executeInTransaction=false\n"),
    ]);
    let failed = shop.migrate(&[]).expect_code(8);
    for part in ["BEGIN in line 1", "up to line 3 stays", "V2__own.sql:6:"] {
        assert!(failed.says(part), "{part:?} is missing: {}", failed.said());
    }
    assert_eq!(shop.database.ask("SELECT string_agg(i::text, ' ') FROM t"), "1");
    shop.run("repair", &[]).expect_code(0);
    shop.write("V2__own.sql", "BEGIN;\nINSERT INTO t VALUES (2);\nSELECT 1/0;\nCOMMIT;\n");
    let failed = shop.migrate(&[]).expect_code(7);
    assert!(failed.says("nothing of it was kept"), "{}", failed.said());
    assert_eq!(shop.database.ask("SELECT string_agg(i::text, ' ') FROM t"), "1");
}

const OWN: &str = "BEGIN;\nINSERT INTO t VALUES (1);\nCOMMIT;\n";

/// A shop with a script of its own transactions; declared so where own verbs run it.
fn own_shop(own: &str, declared: bool) -> Shop {
    let shop = Shop::new(&[("V1__t.sql", "CREATE TABLE t (i int);\n"), ("V2__own.sql", own)]);
    if declared {
        shop.write("V2__own.sql.conf", "executeInTransaction=false\n");
    }
    shop
}

/// The runner by either name, on the shop's database at this address.
fn start(shop: &Shop, as_flyway: bool, address: &str) -> Running {
    let database = &shop.database;
    if !as_flyway {
        let url = format!("{}?sslmode=disable", database.url_at(address));
        return Running::start(shop.command("migrate").env("APP_DATABASE_URL", url));
    }
    let mut command = ours(shop);
    command.env("FLYWAY_URL", format!("jdbc:postgresql://{address}/{}?sslmode=disable", database.name));
    command.env("FLYWAY_USER", &database.user).env("FLYWAY_PASSWORD", &database.password);
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display())).arg("migrate");
    Running::start(&mut command)
}

fn again(shop: &Shop, as_flyway: bool, code: i32) -> Ended {
    if as_flyway { migrate(shop, ours(shop)) } else { shop.migrate(&[]) }.expect_code(code)
}

fn kill(mut running: Running, shop: &Shop) {
    running.signal(Signal::KILL);
    running.wait(TWO_MINUTES);
    eventually("the lock is free", TWO_MINUTES, || (shop.database.advisory_locks() == 0).then_some(()));
}

#[test]
fn a_script_with_its_own_transactions_that_was_killed_before_its_row_is_not_run_again() {
    for (declared, as_flyway) in [(true, false), (false, true), (true, true)] {
        let shop = own_shop(OWN, declared);
        let proxy = MessageProxy::to(&host_and_port());
        proxy.rule(|message| {
            let is_row = message.is_query_with("V2__own.sql")
                && message.is_query_with("INTO \"public\".\"flyway_schema_history\"");
            if is_row { Act::Hold } else { Act::Pass }
        });
        let running = start(&shop, as_flyway, &proxy.address);
        assert!(proxy.is_held_within(TWO_MINUTES), "{}", running.so_far());
        proxy.release();
        kill(running, &shop);
        assert_eq!(shop.database.ask(SEEN), "1; 1 true");
        let done = again(&shop, as_flyway, 0);
        assert!(done.says("all of V2__own.sql was applied by a run that could not"), "{}", done.said());
        assert_eq!(shop.database.ask(SEEN), "1; 1 true, 2 true", "{declared} {as_flyway}");
        assert_eq!(shop.database.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
        migrate(&shop, clean(testbed::variable("WHIMBREL_TEST_FLYWAY"))).expect_code(0);
    }
}

/// From its first statement to its row: what it committed is there once, whatever comes after. Some messages are tried, or
/// every one (`WHIMBREL_TEST_SWEEP=all`).
#[test]
fn one_that_is_killed_at_any_message_does_nothing_twice() {
    let step = if std::env::var("WHIMBREL_TEST_SWEEP").is_ok_and(|value| value == "all") { 1 } else { 6 };
    let mut random = Random::seeded_by_environment();
    for (as_flyway, text, whole) in [
        (true, "INSERT INTO t VALUES (1);\nCOMMIT;\nBEGIN;\nINSERT INTO t VALUES (2);\nEND;\n", "1 2"),
        (false, "BEGIN;\nINSERT INTO t VALUES (1);\nEND;\n", "1"),
    ] {
        let total = text.lines().count();
        let mut point = 1 + random.below(step);
        while let Some((shop, next)) = killed_at(point, text, as_flyway) {
            let rows = shop.database.ask("SELECT string_agg(i::text, ' ' ORDER BY i) FROM t");
            // A failed row stands for the part that was committed.
            let partly = next.says(&format!("of its {total} statements are done for certain"));
            assert_eq!(next.code, Some(i32::from(partly)), "{as_flyway} {point}: {}", next.said());
            let expected = if partly { whole.trim_end_matches('2').trim_end() } else { whole };
            assert!(rows == expected || partly && !as_flyway, "{as_flyway} {point}: {rows}\n{}", next.said());
            point += step;
        }
        assert!(point > 10, "only {point} messages");
    }
}

/// Kills the runner when this message of a script is to pass, and runs again; none where the run has no such message.
fn killed_at(point: u64, text: &str, as_flyway: bool) -> Option<(Shop, Ended)> {
    let shop = own_shop(text, !as_flyway);
    let proxy = MessageProxy::to(&host_and_port());
    let (mut passed, mut is_over) = (0, false);
    proxy.rule(move |message| {
        let is_row = message.is_query_with("INTO \"public\".\"flyway_schema_history\"");
        is_over |= passed > 0 && is_row;
        passed += u64::from(passed > 0 || message.is_query_with("INSERT INTO t VALUES"));
        if passed == point && (is_row || !is_over) { Act::Hold } else { Act::Pass }
    });
    let running = start(&shop, as_flyway, &proxy.address);
    let (ended, was_killed) = kill_when_held(&proxy, running, point);
    if !was_killed {
        ended.expect_code(0);
        return None;
    }
    proxy.release();
    eventually("the lock is free", TWO_MINUTES, || (shop.database.advisory_locks() == 0).then_some(()));
    let next = if as_flyway { migrate(&shop, ours(&shop)) } else { shop.migrate(&[]) };
    Some((shop, next))
}

#[test]
fn one_that_was_killed_midway_is_a_failed_row_for_everybody_and_is_not_begun_again() {
    for as_flyway in [false, true] {
        let text = format!("{OWN}SELECT pg_sleep(100);\nINSERT INTO t VALUES (2);\n");
        let shop = own_shop(&text, !as_flyway);
        let running = start(&shop, as_flyway, &host_and_port());
        let sleeps = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'SELECT pg_sleep%'",
            shop.database.name
        );
        eventually("it sleeps", TWO_MINUTES, || (shop.database.ask(&sleeps) == "1").then_some(()));
        kill(running, &shop);
        let refused = again(&shop, as_flyway, 1);
        assert!(refused.says("3 of its 5 statements are done for certain"), "{}", refused.said());
        assert_eq!(shop.database.ask(SEEN), "1; 1 true, 2 false");
        again(&shop, as_flyway, if as_flyway { 1 } else { 6 });
        migrate(&shop, clean(testbed::variable("WHIMBREL_TEST_FLYWAY"))).expect_code(1);
        // What is left is undone by hand; then it is a script as any other.
        shop.run("repair", &[]).expect_code(0);
        shop.database.ask("DELETE FROM t");
        shop.write("V2__own.sql", OWN);
        again(&shop, as_flyway, 0);
        assert_eq!(shop.database.ask(SEEN), "1; 1 true, 2 true");
    }
}

#[test]
fn one_that_fails_in_good_order_leaves_no_record_in_the_way() {
    let shop = own_shop(&format!("{OWN}SELECT 1/0;\n"), false);
    for round in ["1", "1 1"] {
        // As Flyway does it: what failed is rolled back, and all of the script comes again.
        migrate(&shop, ours(&shop)).expect_code(1);
        assert_eq!(shop.database.ask(SEEN), format!("{round}; 1 true"));
    }
    assert_eq!(shop.database.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
}

/// Real Flyway cannot write its row then, and cannot run the script a second time either.
#[test]
fn a_script_outside_of_a_transaction_that_makes_its_session_read_only_is_recorded_all_the_same() {
    let shop = Shop::new(&[
        ("V1__t.sql", "CREATE TABLE t (i int);\n"),
        (
            "V2__only.sql",
            "CREATE INDEX CONCURRENTLY t_i ON t (i);\nSET default_transaction_read_only = on;\nSELECT 1;\nSELECT 2;\n",
        ),
    ]);
    let ended = shop.migrate(&["--mixed"]).expect_code(0);
    assert!(ended.says("made its session read-only: that is taken back"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("2"));
    assert_eq!(shop.database.ask("SELECT count(*) FROM whimbrel_script_progress"), "0");
}

#[test]
fn a_group_on_sqlite_is_one_transaction() {
    let table = |name: &str| format!("CREATE TABLE {name} (i int);\nINSERT INTO {name} VALUES (1);\n");
    let shop = engines::Shop::new(Place::sqlite(), &[("V1__a.sql", &table("a")), ("V2__b.sql", &table("b"))]);
    shop.project.replace(
        "whimbrel.toml",
        "[databases.app]\n",
        "[databases.app]\nflyway = { group = true }\n",
    );
    shop.run("migrate", &[]).expect_code(0);
    assert_eq!(
        shop.ask("SELECT (SELECT i FROM a), (SELECT i FROM b), count(*) FROM flyway_schema_history"),
        "1|1|2"
    );
    shop.write("V3__c.sql", &table("c"));
    shop.write("V4__d.sql", "INSERT INTO nope VALUES (1);\n");
    shop.run("migrate", &[]).expect_code(7);
    assert_eq!(shop.ask("SELECT count(*) FROM sqlite_master WHERE name = 'c'"), "0");
    assert_eq!(shop.ask("SELECT count(*) FROM flyway_schema_history"), "2");
}

/// The server takes a backslash in a string for an escape where the scanner does not: what is a string here ends and begins
/// transactions there.
#[test]
fn an_end_of_the_transaction_that_nobody_saw_leaves_no_row() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let database = shop.database.ask("SELECT current_database()");
    shop.database.ask(&format!("ALTER DATABASE \"{database}\" SET standard_conforming_strings = off"));
    for hidden in ["ROLLBACK; BEGIN", "COMMIT; BEGIN", "COMMIT", "ROLLBACK AND CHAIN"] {
        let text = format!("SELECT 'x\\' || '; {hidden}; SELECT 1; --';\nCREATE TABLE b (id int);\n");
        shop.write("V2__b.sql", &text);
        let ended = shop.migrate(&[]).expect_code(8);
        assert!(ended.says("the script ended its transaction itself"), "{hidden}: {}", ended.said());
        let rows = shop.database.ask("SELECT string_agg(version, ',') FROM flyway_schema_history");
        assert_eq!(rows, "1", "{hidden}: {}", ended.said());
        shop.database.ask("DROP TABLE IF EXISTS b");
    }
    assert_eq!(shop.database.advisory_locks(), 0);
}

#[test]
fn a_script_that_gives_the_lock_away_is_told_of_and_the_run_goes_on() {
    let away = |table: &str| format!("SELECT pg_advisory_unlock_all();\nCREATE TABLE {table} (id int);\n");
    let last = "CREATE TABLE c (id int);\n";
    let shop = Shop::new(&[("V1__a.sql", &away("a")), ("V2__b.sql", &away("b")), ("V3__c.sql", last)]);
    let ended = shop.migrate(&[]).expect_code(0);
    assert!(ended.says("the script gave it away"), "{}", ended.said());
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history WHERE success"), 3);
    assert_eq!(shop.database.advisory_locks(), 0);
}
