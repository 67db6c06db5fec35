//! Real Flyway 10 and 11 beside ours on generated histories, on every engine that both know.
//!
//! Usually each test plays for ten seconds what its own seed makes, so that a red run is about the change at hand. What
//! has not been seen yet is looked for by hand: `WHIMBREL_TEST_SEED=$RANDOM WHIMBREL_TEST_DIFFERENTIAL_SECONDS=3600
//! cargo test -p whimbrel-tests --test database_differential mariadb`. The seed is printed.

use std::time::Duration;

use whimbrel_tests::golden::{self, Engine};

#[expect(clippy::print_stdout, reason = "how much was played belongs into the log of the tests")]
fn differ(version: &str, engine: Engine, usual_seed: u64) {
    let seconds = std::env::var("WHIMBREL_TEST_DIFFERENTIAL_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().expect("a number of seconds"));
    let seed = std::env::var("WHIMBREL_TEST_SEED").ok();
    let seed = seed.map_or(usual_seed, |text| text.parse().expect("a seed is a number"));
    println!("seed {seed}");
    match golden::differ(version, (engine, &engine.server()), Duration::from_secs(seconds), seed) {
        Ok(played) => println!("Flyway {version} on {engine}: {played:?}"),
        Err(difference) => panic!("seed {seed}: {difference}"),
    }
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_postgresql() {
    differ("11", Engine::PostgreSql, 61);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_postgresql() {
    differ("10", Engine::PostgreSql, 61);
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_mariadb() {
    differ("11", Engine::MariaDb, 51);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_mariadb() {
    differ("10", Engine::MariaDb, 71);
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_sqlite() {
    differ("11", Engine::Sqlite, 71);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_sqlite() {
    differ("10", Engine::Sqlite, 81);
}
