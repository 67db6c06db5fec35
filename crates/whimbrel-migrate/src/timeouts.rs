//! How long a script's statements wait for a lock and run, and how often a script that lost a lock is tried again.
//!
//! A script that may run in a transaction waits 5 s for a lock unless somebody said otherwise: while an ALTER TABLE
//! waits behind a long SELECT, everybody else queues behind the ALTER TABLE. It is rolled back, lets the others pass,
//! and comes again after a pause. A script that cannot run in a transaction gets no limit by itself: what it did is
//! not rolled back, a limit would kill CREATE INDEX CONCURRENTLY while it waits for old snapshots, and that waits
//! without standing in anybody's way.

use std::time::Duration;

use whimbrel_database::StatementLimits;
use whimbrel_migration::directive::Directives;

/// How long a transactional script waits for a lock where neither the settings nor the server say it.
pub const USUAL_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a transactional script is tried again after it lost a lock: with the pauses, some three minutes.
pub const USUAL_LOCK_RETRIES: u32 = 10;

/// The pause before the second attempt, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The limits of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// For locks, as asked for; zero: for ever.
    pub lock: Option<Duration>,
    /// For locks of transactional scripts, where neither we nor the server were told anything.
    pub usual_lock: Option<Duration>,
    /// For statements, as asked for; zero: for ever.
    pub statement: Option<Duration>,
    /// How often a transactional script that lost a lock is tried again.
    pub lock_retries: u32,
}

impl Timeouts {
    /// What holds where nobody asked for anything. Flyway has none of it: [`Timeouts::default`].
    pub fn usual() -> Self {
        Self { usual_lock: Some(USUAL_LOCK_TIMEOUT), lock_retries: USUAL_LOCK_RETRIES, ..Self::default() }
    }

    /// With what a script says about itself, which wins.
    #[must_use]
    pub fn of_script(&self, directives: &Directives) -> Self {
        Self {
            lock: directives.lock_timeout.or(self.lock),
            usual_lock: self.usual_lock,
            statement: directives.statement_timeout.or(self.statement),
            lock_retries: directives.lock_retries.unwrap_or(self.lock_retries),
        }
    }

    /// The limits of a script that runs in a transaction.
    pub fn in_transaction(&self) -> StatementLimits {
        StatementLimits { lock: self.lock, usual_lock: self.usual_lock, statement: self.statement }
    }

    /// The limits of a script that runs outside of one: only what was asked for.
    pub fn outside(&self) -> StatementLimits {
        StatementLimits { usual_lock: None, ..self.in_transaction() }
    }
}

/// The pause after a failed attempt, counted from 1: doubled each time, and between a half and the whole of it, so that
/// two who collided do not collide again.
pub fn pause_after(attempt: u32, random: u64) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let half = whole / 2;
    let span = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_millis(random % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_are_never_the_same_for_all() {
        for (attempt, whole) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (40, 30)] {
            let whole = Duration::from_secs(whole);
            for random in [0, 1, 499, u64::MAX] {
                let pause = pause_after(attempt, random);
                assert!(pause >= whole / 2 && pause <= whole, "{attempt} {random} {pause:?}");
            }
            assert_ne!(pause_after(attempt, 0), pause_after(attempt, 250));
        }
    }

    #[test]
    fn the_script_wins_over_the_run_and_the_usual_limit_is_for_transactions_only() {
        let run = Timeouts { lock: Some(Duration::from_secs(9)), ..Timeouts::usual() };
        let directives = Directives { lock_timeout: Some(Duration::from_secs(1)), ..Directives::default() };
        assert_eq!(run.of_script(&directives).lock, Some(Duration::from_secs(1)));
        assert_eq!(run.of_script(&Directives::default()).lock, Some(Duration::from_secs(9)));
        assert_eq!(Timeouts::usual().in_transaction().usual_lock, Some(USUAL_LOCK_TIMEOUT));
        assert_eq!(Timeouts::usual().outside(), StatementLimits::default());
    }
}
