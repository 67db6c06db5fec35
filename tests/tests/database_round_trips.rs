//! How often a run waits for the server, counted on the wire: what costs time where the server is far away.

mod common;

use std::time::Duration;

use common::{Shop, counting_shop};
use whimbrel_tests::messages::{Act, MessageProxy};
use whimbrel_tests::postgres::host_and_port;
use whimbrel_tests::program::run;

const MINUTE: Duration = Duration::from_secs(60);

/// Round trips of a run behind its login.
#[track_caller]
fn round_trips(shop: &Shop) -> u64 {
    let proxy = MessageProxy::to(&host_and_port());
    proxy.rule(|_| Act::Pass);
    let mut command = shop.command("migrate");
    let url = format!("{}?sslmode=disable", shop.database.url_at(&proxy.address));
    run(command.env("APP_DATABASE_URL", url), MINUTE).expect_code(0);
    proxy.round_trips()
}

#[test]
fn a_run_with_nothing_to_do_asks_three_times_however_many_scripts_there_are() {
    for scripts in [1, 200] {
        let shop = counting_shop(scripts);
        shop.migrate(&[]).expect_code(0);
        let trips = round_trips(&shop);
        assert!((1..=3).contains(&trips), "{scripts} scripts, {trips} round trips");
    }
}

#[test]
fn a_small_script_costs_one_round_trip_and_each_further_statement_none() {
    let shop = counting_shop(1);
    shop.migrate(&[]).expect_code(0);
    // What a run costs that applies something, before its first script: found by two runs that differ in ten scripts.
    shop.write("V2__a.sql", "CREATE TABLE a (id int);\n");
    let one = round_trips(&shop);
    // With the second login that looks for a pooler, the lock, and the record of the run.
    assert!(one <= 18, "{one} round trips");
    for number in 3..=13 {
        shop.write(&format!("V{number}__t.sql"), &format!("CREATE TABLE t{number} (id int);\n"));
    }
    let eleven = round_trips(&shop);
    // And once a second a look whether somebody waits for the lock.
    assert!((9..=13).contains(&(eleven - one)), "{one} round trips for one script, {eleven} for eleven");
    let eight: String = (1..=8).map(|number| format!("INSERT INTO a VALUES ({number});\n")).collect();
    shop.write("V14__eight.sql", &eight);
    let of_eight = round_trips(&shop);
    assert!(of_eight <= one, "{one} round trips for one statement, {of_eight} for eight");
    assert_eq!(shop.database.number("SELECT count(*) FROM a"), 8);
}
