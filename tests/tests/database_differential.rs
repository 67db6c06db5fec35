//! Real Flyway 10 and 11 beside ours on generated histories.
//!
//! The seed is printed, and `WHIMBREL_TEST_SEED` gives it back. `WHIMBREL_TEST_DIFFERENTIAL_SECONDS` is the time for each
//! version (usually 30): a long run by hand is `WHIMBREL_TEST_DIFFERENTIAL_SECONDS=3600 cargo test -p whimbrel-tests
//! --test database_differential`.

use std::time::Duration;

use whimbrel_tests::golden;
use whimbrel_tests::random::Random;

#[expect(clippy::print_stdout, reason = "how much was played belongs into the log of the tests")]
fn differ(version: &str) {
    let seconds = std::env::var("WHIMBREL_TEST_DIFFERENTIAL_SECONDS").ok();
    let seconds = seconds.map_or(30, |text| text.parse().expect("a number of seconds"));
    let seed = Random::seeded_by_environment().seed();
    match golden::differ(version, Duration::from_secs(seconds), seed) {
        Ok((scenarios, steps)) => println!("Flyway {version}: {scenarios} scenarios agree, {steps} steps"),
        Err(difference) => panic!("seed {seed}: {difference}"),
    }
}

#[test]
fn flyway_11_and_ours_take_turns_on_generated_histories() {
    differ("11");
}

#[test]
fn flyway_10_and_ours_take_turns_on_generated_histories() {
    differ("10");
}
