//! The runner when things break: killed, cut off, too early, not let in, and many at once.

mod common;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{Shop, assert_each_once, counting_shop};
use rustix::process::Signal;
use whimbrel_tests::eventually;
use whimbrel_tests::postgres::host_and_port;
use whimbrel_tests::program::{Running, clean, run};
use whimbrel_tests::proxy::Proxy;

const MINUTE: Duration = Duration::from_secs(60);

fn many_at_once(runners: usize, scripts: usize) {
    let shop = counting_shop(scripts);
    let started: Vec<Running> = (0..runners).map(|_| Running::start(&mut shop.command("migrate"))).collect();
    for runner in started {
        runner.wait(MINUTE * 2).expect_code(0);
    }
    assert_each_once(|sql| shop.database.ask(sql), scripts);
}

#[test]
fn row_15_four_runners_at_once_on_an_empty_database() {
    many_at_once(4, 25);
}

#[test]
fn row_16_sixteen_runners_at_once_on_an_empty_database() {
    many_at_once(16, 25);
}

#[test]
fn row_1_and_2_killed_in_the_middle_of_a_statement_the_next_run_goes_through() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\nSELECT pg_sleep(3);\nINSERT INTO a VALUES (2);\n"),
    ]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V2__b.sql", MINUTE);
    std::thread::sleep(Duration::from_millis(300));
    running.signal(Signal::KILL);
    let began = Instant::now();
    shop.migrate(&[]).expect_code(0);
    // The server notices that the client is gone, and does not sleep to the end first: 0.5 s, and 3 s of the second run.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(shop.database.number("SELECT count(*) FROM a"), 1);
    assert_eq!(shop.database.version().as_deref(), Some("2"));
}

#[test]
fn row_32_killed_while_it_makes_an_index_concurrently_the_next_run_heals_it() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a SELECT generate_series(1, 1000);\n"),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\nVACUUM a;\n"),
    ]);
    shop.migrate(&["--target", "1"]).expect_code(0);
    // An old transaction holds the index back until we let it go.
    let old =
        Running::start(&mut holder(&shop, "BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE; SELECT pg_sleep(60)"));
    wait_until_locked(&shop);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V2__i.sql", MINUTE);
    eventually("the statement is under way", MINUTE, || {
        let waiting = shop.database.number(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE \
            INDEX CONC%' AND datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'",
        );
        (waiting == 1).then_some(())
    });
    running.signal(Signal::KILL);
    drop(running);
    drop(old);
    shop.database.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE \
                       '%pg_sleep(60)%' AND pid <> pg_backend_pid() AND datname = current_database()",
    );
    let healed = shop.migrate(&[]).expect_code(0);
    assert!(healed.says("goes on with statement 1 of 2"), "{}", healed.said());
    assert_eq!(shop.database.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
    assert_eq!(
        shop.database.ask("SELECT version, success FROM flyway_schema_history ORDER BY 1"),
        "1|t\n2|t"
    );
}

/// `psql` in the background, with one statement list.
fn holder(shop: &Shop, sql: &str) -> std::process::Command {
    let mut command = whimbrel_tests::program::clean("psql");
    command.env("PGPASSWORD", &shop.database.password);
    let url = shop.database.url().replace(&format!(":{}@", shop.database.password), "@");
    command.args(["-X", "-q", "-c", sql]).arg(url);
    command
}

fn wait_until_locked(shop: &Shop) {
    eventually("the table is locked", MINUTE, || {
        let locks = shop.database.number(
            "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass AND \
            mode = 'RowExclusiveLock' AND granted",
        );
        (locks > 0).then_some(())
    });
}

#[test]
fn row_6_a_terminated_backend_keeps_nothing_and_the_next_run_goes_through() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\nSELECT pg_sleep(2);\n"),
    ]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V2__b.sql", MINUTE);
    eventually("it sleeps", MINUTE, || {
        let ended = shop.database.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query \
                                       LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid() AND datname = current_database()");
        (ended == "t").then_some(())
    });
    let ended = running.wait(MINUTE).expect_code(7);
    assert!(ended.says("57P01") && ended.says("nothing of it was kept"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t");
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn row_5_a_connection_cut_at_any_time_leaves_nothing_half_done() {
    let shop = counting_shop(40);
    let proxy = Proxy::to(&host_and_port());
    let mut rounds = 0;
    loop {
        rounds += 1;
        assert!(rounds < 200, "it never came to an end");
        let mut command = shop.command("migrate");
        command.env("APP_DATABASE_URL", shop.database.url_at(&proxy.address));
        let mut running = Running::start(&mut command);
        std::thread::sleep(Duration::from_millis(40 + rounds * 7));
        proxy.cut();
        // A commit that was cut off is looked after in a new session, so it may still end well.
        eventually("the runner ends", MINUTE, || (!running.is_running()).then_some(()));
        if running.wait(MINUTE).code == Some(0) {
            break;
        }
    }
    assert_each_once(|sql| shop.database.ask(sql), 40);
}

#[test]
fn row_13_and_14_wrong_password_and_missing_database_end_at_once_without_telling_the_password() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let good = shop.database.url();
    let wrong_password = good.replace(&shop.database.password, "canary-7f3a");
    let no_database =
        good.strip_suffix(&shop.database.name).map(|before| format!("{before}nowhere")).expect("its name");
    let unreachable = good.replace(&host_and_port(), "127.0.0.1:9");
    let no_host = good.replace(&host_and_port(), "no-such-host.invalid:5432");
    let bad_scheme = wrong_password.replace("postgres://", "oracle://");
    for (url, code, part) in [
        (&wrong_password, 4, "28P01"),
        (&no_database, 4, "3D000"),
        (&unreachable, 4, "127.0.0.1:9"),
        (&no_host, 4, "no-such-host.invalid"),
        (&bad_scheme, 3, "postgres://"),
    ] {
        for options in
            [&["--wait", "2s"][..], &["--wait", "2s", "-vv"], &["--wait", "2s", "--format", "json"]]
        {
            let began = Instant::now();
            let ended = run(shop.command("migrate").env("APP_DATABASE_URL", url).args(options), MINUTE)
                .expect_code(code);
            assert!(ended.says(part), "{part}: {}", ended.said());
            for secret in ["canary", shop.database.password.as_str()] {
                assert!(!ended.says(secret), "{}", ended.said());
            }
            if part == "28P01" || part == "3D000" {
                assert!(began.elapsed() < Duration::from_secs(2), "it waited");
            }
        }
    }
    let missing = run(shop.command("migrate").env_remove("APP_DATABASE_URL"), MINUTE).expect_code(3);
    assert!(missing.says("APP_DATABASE_URL"), "{}", missing.said());
}

/// The runner with a table of hosts of its own, and with a server of names that is not there.
fn with_own_hosts(shop: &Shop, hosts: &Path) -> Command {
    let names = shop.project.file("resolv.conf");
    fs_err::write(&names, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").expect("there is room");
    let program = shop.command("migrate").get_program().to_owned();
    let script = format!(
        "mount --bind '{}' /etc/hosts && mount --bind '{}' \"$(readlink -f /etc/resolv.conf)\" && exec \"$@\"",
        hosts.display(),
        names.display()
    );
    let mut command = clean("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"]).arg(program);
    command.args(["migrate", "--wait", "60s"]).current_dir(shop.project.path());
    command
}

#[test]
fn row_14_a_host_name_that_comes_late_and_moves_is_looked_up_each_time() {
    let shop = counting_shop(1);
    let hosts = shop.project.file("hosts");
    fs_err::write(&hosts, "127.0.0.1 localhost\n").expect("there is room");
    let (host, port) =
        host_and_port().split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).expect("both");
    let url = shop.database.url_at(&format!("late.invalid:{port}"));
    let mut runner = Running::start(with_own_hosts(&shop, &hosts).env("APP_DATABASE_URL", url));
    let waits = runner.line_with("waiting for late.invalid", MINUTE);
    assert!(!waits.contains("refused"), "{waits}");
    // A host where nobody listens; then the server.
    fs_err::write(&hosts, "127.0.0.9 late.invalid\n").expect("it is there");
    runner.line_with("refused", MINUTE);
    assert!(runner.is_running());
    fs_err::write(&hosts, format!("{host} late.invalid\n")).expect("it is there");
    runner.wait(MINUTE).expect_code(0);
    assert_each_once(|sql| shop.database.ask(sql), 1);
}

#[test]
fn row_17_a_lock_of_somebody_else_is_waited_for_and_its_holder_named() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    // Flyway's own key for "public"."flyway_schema_history".
    let hold = "SELECT pg_advisory_lock(77433833903597), pg_sleep(30)";
    let _holder = Running::start(&mut holder(&shop, hold));
    eventually("the lock is held", MINUTE, || {
        let held = shop.database.number(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = \
            l.database WHERE locktype = 'advisory' AND granted AND d.datname = current_database()",
        );
        (held == 1).then_some(())
    });
    let refused = shop.migrate(&["--lock-wait", "2s"]).expect_code(5);
    assert!(refused.says("psql") && refused.says("backend"), "{}", refused.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("waiting for the lock", MINUTE);
    shop.database.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE \
                       '%pg_sleep(30)%' AND pid <> pg_backend_pid() AND datname = current_database()",
    );
    running.wait(MINUTE).expect_code(0);
}

#[test]
fn f5_no_secret_of_a_statement_is_told() {
    let shop = Shop::new(&[(
        "V1__r.sql",
        "CREATE TABLE a (id int);\nALTER ROLE nobody_there PASSWORD 'canary-9c1d';\n",
    )]);
    for format in ["text", "json"] {
        let ended = shop.migrate(&["--format", format, "-vv"]).expect_code(7);
        assert!(!ended.says("canary"), "{}", ended.said());
    }
}
