//! A script that lost a lock comes again after a pause, if nothing of it was kept.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use whimbrel_database::{Condition, DatabaseError};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::script::ScriptId;

use super::Engine;
use crate::failure::{Failure, Kept};
use crate::patience::Stopped;
use crate::report::{Event, Level};
use crate::timeouts::pause_after;

/// How often the script at hand was tried, and may be tried again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts {
    pub(super) failed: u32,
    pub(super) retries: u32,
}

impl Engine<'_> {
    /// Takes the limits of a script: what it says itself, else those of the run.
    pub(super) fn take_limits(&mut self, id: ScriptId) -> Result<(), Failure> {
        let directives = self.directives_of(id)?;
        self.timeouts = self.common.timeouts.of_script(&directives);
        let asked = self.timeouts.statement.is_some_and(|limit| !limit.is_zero());
        if asked && !self.session.capabilities().limits_statements {
            let engine = self.session.dialect().name();
            return Err(Finding::error(
                "limits-not-supported",
                format!("{engine} has no limit for the time that a statement runs"),
            )
            .in_script(self.set.script(id).script.clone())
            .next_step("leave out statement_timeout; --deadline limits the whole run")
            .into());
        }
        self.attempts.retries = self.timeouts.lock_retries;
        Ok(())
    }

    /// Whether the script may be tried again after this failure: it waited for a lock in vain or was the victim of a
    /// deadlock, in a transaction of which nothing was kept.
    pub(super) fn may_try_again(&self, failure: &Failure) -> bool {
        let Failure::Script(script) = failure else { return false };
        script.run == RunMode::InTransaction
            && script.kept == Kept::Nothing
            && self.has_attempts_left(&script.error)
    }

    /// Whether this is an error after which a script may come again, and has not come too often.
    pub(super) fn has_attempts_left(&self, error: &DatabaseError) -> bool {
        lost_a_lock(error) && self.attempts.failed < self.attempts.retries
    }

    /// Tells the failure and waits; the lock of the history is not held meanwhile, so that others get their turn.
    pub(super) async fn pause_before_retry(&mut self, failure: &Failure) -> Result<(), Stopped> {
        self.attempts.failed += 1;
        let pause = pause_after(self.attempts.failed, RandomState::new().build_hasher().finish());
        self.say_again(failure, pause);
        self.patience.sleep(pause).await
    }

    fn say_again(&self, failure: &Failure, pause: Duration) {
        let Failure::Script(script) = failure else { return };
        let server = script.error.server();
        let message = server.map(|error| crate::failure::redacted(&error.message)).unwrap_or_default();
        let notes: String = script.notes.iter().map(|note| format!(" ({note})")).collect();
        self.reporter
            .line(Level::Warn, Event::Waiting)
            .database(&self.settings.name)
            .script(&script.script)
            .with("sqlstate", server.map(|error| error.sqlstate.as_str()))
            .with("attempt", self.attempts.failed)
            .with("pause_millis", u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
            .say(&format!(
                "{} at {}: {message}{notes}; nothing of it was kept, trying again in {:.1} s ({} of {})",
                script.script,
                script.place(),
                pause.as_secs_f32(),
                self.attempts.failed,
                self.attempts.retries
            ));
    }
}

/// Whether somebody else was in the way, who may be gone the next time.
pub(super) fn lost_a_lock(error: &DatabaseError) -> bool {
    matches!(error.condition(), Condition::LockTimeout | Condition::Deadlock)
}
