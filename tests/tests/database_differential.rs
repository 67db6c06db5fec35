//! Real Flyway 10 and 11 beside ours on generated histories, on every engine that both know.
//!
//! The seed is printed, and `WHIMBREL_TEST_SEED` gives it back. `WHIMBREL_TEST_DIFFERENTIAL_SECONDS` is the time for each
//! test (usually 10): a long run by hand is `WHIMBREL_TEST_DIFFERENTIAL_SECONDS=3600 cargo test -p whimbrel-tests
//! --test database_differential mariadb`.

use std::time::Duration;

use whimbrel_tests::golden::{self, Engine};
use whimbrel_tests::random::Random;

#[expect(clippy::print_stdout, reason = "how much was played belongs into the log of the tests")]
fn differ(version: &str, engine: Engine) {
    let seconds = std::env::var("WHIMBREL_TEST_DIFFERENTIAL_SECONDS").ok();
    let seconds = seconds.map_or(10, |text| text.parse().expect("a number of seconds"));
    let seed = Random::seeded_by_environment().seed();
    match golden::differ(version, engine, Duration::from_secs(seconds), seed) {
        Ok(played) => println!("Flyway {version} on {engine}: {played:?}"),
        Err(difference) => panic!("seed {seed}: {difference}"),
    }
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_postgresql() {
    differ("11", Engine::PostgreSql);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_postgresql() {
    differ("10", Engine::PostgreSql);
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_mariadb() {
    differ("11", Engine::MariaDb);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_mariadb() {
    differ("10", Engine::MariaDb);
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories_of_sqlite() {
    differ("11", Engine::Sqlite);
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories_of_sqlite() {
    differ("10", Engine::Sqlite);
}
