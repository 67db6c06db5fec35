//! Connections that break, and servers that are not there yet: a COMMIT without an answer, a crash, a restart, a late
//! start, a server in recovery. Numbers are those of docs/faults.md.

mod common;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Shop, assert_each_once, count, counting_shop};
use rustix::process::Signal;
use whimbrel_tests::eventually;
use whimbrel_tests::messages::{Act, Message, MessageProxy};
use whimbrel_tests::postgres::{Database, host_and_port};
use whimbrel_tests::program::{Ended, Running, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::server::Server;

const MINUTE: Duration = Duration::from_secs(60);

/// The runner on a server that the test has for itself.
fn on(server: &Server, project: &Project, options: &[&str]) -> Command {
    let mut command = project.tool("whimbrel-migrate");
    command.arg("migrate").args(options).env("APP_DATABASE_URL", server.url("postgres"));
    command
}

/// Says what to do with the messages that follow the row of `script`.
fn after_the_row_of(
    script: &'static str,
    act: impl Fn(&Message<'_>) -> Act + Send + 'static,
) -> impl FnMut(&Message<'_>) -> Act + Send + 'static {
    let mut written = false;
    move |message| {
        if written {
            return act(message);
        }
        written = message.is_query_with(script);
        Act::Pass
    }
}

fn through(proxy: &MessageProxy, database: &Database, shop: &Shop) -> Command {
    let mut command = shop.command("migrate");
    command.env("APP_DATABASE_URL", format!("{}?sslmode=disable", database.url_at(&proxy.address)));
    command
}

#[test]
fn row_4_killed_before_the_answer_to_commit_the_next_run_sees_the_row() {
    let shop = counting_shop(3);
    let proxy = MessageProxy::to(&host_and_port());
    proxy.rule(after_the_row_of("V2__t.sql", |message| match message.completes("COMMIT") {
        true => Act::Hold,
        false => Act::Pass,
    }));
    let mut running = Running::start(&mut through(&proxy, &shop.database, &shop));
    assert!(proxy.is_held_within(MINUTE), "{}", running.so_far());
    running.signal(Signal::KILL);
    running.wait(MINUTE);
    proxy.release();
    assert_eq!(shop.database.version().as_deref(), Some("2"));
    shop.migrate(&[]).expect_code(0);
    assert_each_once(|sql| shop.database.ask(sql), 3);
}

fn run_cut(rule: impl FnMut(&Message<'_>) -> Act + Send + 'static) -> (Shop, Ended) {
    let shop = counting_shop(3);
    let proxy = MessageProxy::to(&host_and_port());
    proxy.rule(rule);
    let ended = run(&mut through(&proxy, &shop.database, &shop), MINUTE);
    (shop, ended)
}

#[test]
fn row_5_a_commit_whose_answer_is_lost_is_asked_for_and_the_run_goes_on() {
    let (shop, ended) = run_cut(after_the_row_of("V2__t.sql", |message| match message.completes("COMMIT") {
        true => Act::Cut,
        false => Act::Pass,
    }));
    let ended = ended.expect_code(0);
    assert!(ended.says("V2__t.sql: the COMMIT had gone through"), "{}", ended.said());
    assert_each_once(|sql| shop.database.ask(sql), 3);
}

#[test]
fn row_5_a_commit_that_never_arrived_is_told_as_rolled_back() {
    // The row and COMMIT are one message.
    let (shop, ended) = run_cut(|message| match message.is_query_with("V2__t.sql") {
        true => Act::Cut,
        false => Act::Pass,
    });
    let ended = ended.expect_code(7);
    for part in ["V2__t.sql", "nothing of it was kept", "the server says that it was rolled back"] {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    assert_eq!(shop.database.ask("SELECT to_regclass('t2') IS NULL"), "t");
    shop.migrate(&[]).expect_code(0);
    assert_each_once(|sql| shop.database.ask(sql), 3);
}

#[test]
fn row_7_a_crash_of_the_server_keeps_nothing_and_its_recovery_is_waited_for() {
    let server = Server::start_new(&[]);
    let project = Project::small();
    count(&project, 2);
    project.write("sql/V3__slow.sql", "INSERT INTO runs VALUES (3);\nSELECT pg_sleep(60), 'row7';\n");
    let asleep = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%row7%' AND pid <> pg_backend_pid()";
    // First somebody else's backend is killed, which ends all of them; then the runner's own.
    for own in [false, true] {
        let mut running = Running::start(&mut on(&server, &project, &["--wait", "30s"]));
        running.line_with("applying V3__slow.sql", MINUTE);
        let ours = eventually("it sleeps", MINUTE, || Some(server.ask(asleep)).filter(|pid| !pid.is_empty()));
        let victim = if own {
            ours
        } else {
            server.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        };
        server.kill_backend(&victim);
        let ended = running.wait(MINUTE).expect_code(7);
        assert!(ended.says("nothing of it was kept"), "{}", ended.said());
        let reason = if own { "the connection to the database was lost" } else { "57P02" };
        assert!(ended.says(reason), "{}", ended.said());
    }
    project.write("sql/V3__slow.sql", "CREATE TABLE t3 (id int);\nINSERT INTO runs VALUES (3);\n");
    run(&mut on(&server, &project, &["--wait", "30s"]), MINUTE).expect_code(0);
    assert_each_once(|sql| server.ask(sql), 3);
}

#[test]
fn row_9_a_restart_between_two_scripts_loses_nothing_and_the_next_run_goes_on_there() {
    let server = Server::start_new(&[]);
    let project = Project::small();
    count(&project, 3);
    let proxy = MessageProxy::to(&server.host_and_port());
    // The first question behind the COMMIT is held back: the run is between two scripts.
    let is_committed = AtomicBool::new(false);
    proxy.rule(after_the_row_of("V1__runs.sql", move |message| {
        if message.completes("COMMIT") {
            is_committed.store(true, Ordering::SeqCst);
        }
        let asks_more = message.tag == b'Q' && is_committed.load(Ordering::SeqCst);
        if asks_more { Act::Hold } else { Act::Pass }
    }));
    let url = server.url("postgres").replace(&server.host_and_port(), &proxy.address);
    let mut command = on(&server, &project, &[]);
    command.env("APP_DATABASE_URL", format!("{url}?sslmode=disable"));
    let running = Running::start(&mut command);
    assert!(proxy.is_held_within(MINUTE), "{}", running.so_far());
    server.stop("fast");
    server.start(&[]);
    proxy.release();
    let ended = running.wait(MINUTE).expect_code(7);
    assert!(ended.says("nothing of it was kept"), "{}", ended.said());
    assert_eq!(server.ask("SELECT max(version) FROM flyway_schema_history"), "1");
    run(&mut on(&server, &project, &[]), MINUTE).expect_code(0);
    assert_each_once(|sql| server.ask(sql), 3);
}

#[test]
fn row_10_a_server_that_starts_late_is_waited_for_and_not_for_ever() {
    let server = Server::prepare(&[]);
    let project = Project::small();
    count(&project, 1);
    for (options, code) in [(&["--wait", "1s"][..], 4), (&["--wait", "30s", "--deadline", "1s"], 124)] {
        let began = Instant::now();
        let ended = run(&mut on(&server, &project, options), MINUTE).expect_code(code);
        assert!(began.elapsed() < Duration::from_secs(5), "{options:?} {}", ended.said());
    }
    let mut running = Running::start(&mut on(&server, &project, &["--wait", "30s"]));
    let waiting = running.line_with("waiting for", MINUTE);
    assert!(waiting.contains(&server.host_and_port()), "{waiting}");
    server.start(&[]);
    running.wait(MINUTE).expect_code(0);
    assert_each_once(|sql| server.ask(sql), 1);
}

#[test]
fn row_11_a_server_in_recovery_is_waited_for() {
    let server = Server::prepare(&[]);
    // A standby that lets nobody in answers 57P03 until it is promoted.
    server.give("standby.signal", b"");
    server.start_without_waiting(&["hot_standby=off", "restore_command=false"]);
    let project = Project::small();
    count(&project, 1);
    let mut running = Running::start(&mut on(&server, &project, &["--wait", "30s"]));
    running.line_with("57P03", MINUTE);
    eventually("it is a standby", MINUTE, || server.log().contains("entering standby mode").then_some(()));
    server.promote();
    running.wait(MINUTE).expect_code(0);
    assert_each_once(|sql| server.ask(sql), 1);
}
