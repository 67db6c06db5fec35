//! Random numbers from a seed that is printed, so that a failure can be had again.

use std::fmt;

/// xorshift64*: enough to spread kills over time.
pub struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    /// The seed is `WHIMBREL_TEST_SEED`, else taken from the clock.
    #[expect(clippy::print_stdout, reason = "the seed belongs into the log of the tests")]
    pub fn seeded_by_environment() -> Self {
        let given = std::env::var("WHIMBREL_TEST_SEED").ok();
        let seed = match given {
            Some(text) => text.parse().unwrap_or_else(|_| panic!("WHIMBREL_TEST_SEED is no number: {text}")),
            None => {
                let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
                u64::from(now.subsec_nanos()) ^ now.as_secs()
            }
        };
        println!("seed {seed}");
        Self { seed, state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }
}

impl fmt::Display for Random {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "seed {}", self.seed)
    }
}
