//! Helpers of the tests that need real systems: where those are, how to start programs with a deadline, and
//! databases, namespaces and copies of the sample project that each test has for itself.
//!
//! Everything blocks and panics: a helper that cannot do its work fails the test that called it.

pub mod canary;
pub mod cluster;
pub mod engines;
pub mod golden;
pub mod messages;
pub mod pooler;
pub mod postgres;
pub mod program;
pub mod project;
pub mod proxy;
pub mod random;
pub mod registry;
pub mod release;
pub mod server;
pub mod sweep;
pub mod testbed;

use std::time::{Duration, Instant};

/// Asks again until there is an answer; panics with `what` when the deadline passes without one.
pub fn eventually<T>(what: &str, deadline: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
