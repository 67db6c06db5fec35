//! Taking Flyway's lock with patience, and giving it back with a look whether it still was ours.

use std::time::{Duration, Instant};

use whimbrel_database::{Awaited, EngineKind, Unlocked};
use whimbrel_migration::history::HistoryRow;

use super::Engine;
use super::connecting::SAY_AGAIN;
use crate::failure::Failure;
use crate::report::{Event, Level};

/// Pauses between two tries: short at first, for a neighbour that applies small scripts.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often we look whether somebody waits, and how long the lock is then left alone: Flyway tries once a second.
const LOOK: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(1200);

/// How long sessions that we cannot see into are without a turn: short at first, for one that came before us, and never as long
/// as Flyway's patience, which is 50 tries.
const FIRST_UNSEEN: Duration = Duration::from_secs(5);
const LONGEST_UNSEEN: Duration = Duration::from_secs(40);

/// When others have had their last look in.
pub(super) struct Turns {
    /// When we last looked who waits, and when somebody last had a turn, or we began.
    looked: Instant,
    given: Instant,
    /// How long sessions that we cannot see into go without one.
    unseen: Duration,
}

impl Turns {
    /// Nobody has had one.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { looked: now, given: now, unseen: FIRST_UNSEEN }
    }

    fn is_look_due(&self, now: Instant) -> bool {
        now.duration_since(self.looked) >= LOOK
    }

    /// We looked, and saw this. Whether somebody has a turn now: who was seen to wait has it at once, who may be waiting
    /// has it now and then, ever more seldom, for mostly it is an application that has no need of it.
    fn give(&mut self, now: Instant, awaited: Awaited) -> bool {
        self.looked = now;
        let is_due = match awaited {
            Awaited::Seen => true,
            Awaited::Unseen => now.duration_since(self.given) >= self.unseen,
            Awaited::Not => false,
        };
        if is_due && awaited == Awaited::Unseen {
            self.unseen = (self.unseen * 2).min(LONGEST_UNSEEN);
        }
        if is_due {
            (self.looked, self.given) = (now + TURN, now + TURN);
        }
        is_due
    }
}

impl Engine<'_> {
    /// Takes the lock, or says who has it when our patience is over.
    pub(super) async fn lock(&mut self) -> Result<(), Failure> {
        self.lock_and_read(None).await.map(drop)
    }

    /// One try; under the lock the rows above this rank are read, if one is given.
    async fn try_lock(&mut self, above: Option<i32>) -> Result<Option<Vec<HistoryRow>>, Failure> {
        let taken = match above {
            Some(rank) => self.session.try_lock_and_read(&self.table, rank).await,
            None => self.session.try_lock(&self.table).await.map(|taken| taken.then(Vec::new)),
        };
        taken.map_err(Failure::database("take the lock"))
    }

    /// Takes the lock like [`Engine::lock`], and with it the rows above this rank.
    pub(super) async fn lock_and_read(&mut self, above: Option<i32>) -> Result<Vec<HistoryRow>, Failure> {
        let started = Instant::now();
        let mut said: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(rows) = self.try_lock(above).await? {
                if said.is_some() {
                    let waited = started.elapsed().as_secs_f32();
                    self.say(Level::Info, Event::Waiting, &format!("the lock is ours; waited {waited:.1} s"));
                }
                return Ok(rows);
            }
            let waited = started.elapsed();
            if waited >= self.common.lock_wait {
                let holder = self.session.lock_holder(&self.table).await.ok().flatten();
                let engine = self.session.target().engine;
                return Err(Failure::Locked { engine, table: self.table.quoted(), holder, waited });
            }
            // A neighbour that is done within a second is not worth a line.
            let is_news =
                waited >= Duration::from_secs(1) && said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
            if is_news {
                said = Some(Instant::now());
                self.say_waiting(waited).await;
            }
            self.patience.sleep(pause.min(self.common.lock_wait - waited)).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Does this under the lock. After a failure giving it back must not hide why.
    pub(super) async fn with_lock<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // A dry run writes nothing, and locks nobody out.
        if self.common.dry_run {
            return work(self).await;
        }
        self.lock().await?;
        let done = work(self).await;
        match &done {
            Ok(_) => self.unlock().await?,
            Err(_) => self.unlock_quietly().await,
        }
        done
    }

    async fn say_waiting(&mut self, waited: Duration) {
        let holder = self.session.lock_holder(&self.table).await.ok().flatten();
        let holder = holder.map_or_else(|| "another session".to_owned(), |holder| holder.to_string());
        let message = format!(
            "waiting for the lock of {}, held by {holder}; {} of {} s",
            self.table.quoted(),
            waited.as_secs(),
            self.common.lock_wait.as_secs()
        );
        self.say(Level::Info, Event::Waiting, &message);
    }

    /// Gives the lock back and cleans the session.
    pub(super) async fn unlock(&mut self) -> Result<(), Failure> {
        let unlocked = self.session.unlock_and_reset(&self.table).await;
        self.judge_unlocked(unlocked.map_err(Failure::database("give the lock back"))?)
    }

    fn judge_unlocked(&self, unlocked: Unlocked) -> Result<(), Failure> {
        match unlocked {
            Unlocked::Held => Ok(()),
            Unlocked::OtherBackend => Err(Failure::Pooler { engine: self.session.target().engine }),
            Unlocked::Lost => {
                let by = match self.session.target().engine {
                    EngineKind::PostgreSql => "DISCARD ALL or pg_advisory_unlock_all",
                    _ => "RELEASE_ALL_LOCKS",
                };
                let message = format!(
                    "the lock was not ours any more when the script was done: the script gave it away ({by})"
                );
                self.say(Level::Warn, Event::Notice, &message);
                Ok(())
            }
        }
    }

    /// Between two scripts: gives the lock back, cleans the session, and takes the lock like [`Engine::lock_and_read`]. It is
    /// left alone for a while if somebody else tries to get it: the moment between is too short to be met by chance. So it
    /// may as well be kept, for as long as nobody was looked for.
    pub(super) async fn relock_and_read(&mut self, above: Option<i32>) -> Result<Vec<HistoryRow>, Failure> {
        let may_go_on = self.patience.check();
        match self.kept.take() {
            // Nobody else had it meanwhile: what is known of the history is what is there.
            Some(Unlocked::Held) if may_go_on.is_ok() && !self.is_look_due() => return Ok(Vec::new()),
            Some(Unlocked::Held) | None => {}
            Some(lost) => {
                let judged = self.judge_unlocked(lost);
                self.unlock_quietly().await;
                judged?;
                may_go_on?;
                return self.lock_and_read(above).await;
            }
        }
        let awaited = if may_go_on.is_ok() { self.awaited().await? } else { Awaited::Not };
        let Some(rank) = above.filter(|_| may_go_on.is_ok() && awaited == Awaited::Not) else {
            self.unlock().await?;
            may_go_on?;
            let message = match awaited {
                Awaited::Seen => Some("another runner waits for the lock: it has its turn"),
                Awaited::Unseen => Some(
                    "sessions of other roles may wait for the lock, which we may not see: they have a turn",
                ),
                Awaited::Not => None,
            };
            if let Some(message) = message {
                self.say(Level::Info, Event::Waiting, message);
                self.patience.sleep(TURN).await?;
            }
            return self.lock_and_read(above).await;
        };
        let passed_on = self.session.pass_on(&self.table, rank).await;
        let (unlocked, rows) =
            passed_on.map_err(Failure::database("give the lock back and take it again"))?;
        if let Err(failure) = self.judge_unlocked(unlocked) {
            self.unlock_quietly().await;
            return Err(failure);
        }
        match rows {
            Some(rows) => Ok(rows),
            None => self.lock_and_read(above).await,
        }
    }

    /// Who has a turn now. Looked at once in a while.
    async fn awaited(&mut self) -> Result<Awaited, Failure> {
        if !self.is_look_due() {
            return Ok(Awaited::Not);
        }
        let awaited = self.session.awaited(&self.table).await;
        let awaited = awaited.map_err(Failure::database("look who waits for the lock"))?;
        Ok(if self.turns.give(Instant::now(), awaited) { awaited } else { Awaited::Not })
    }

    pub(super) fn is_look_due(&self) -> bool {
        self.turns.is_look_due(Instant::now())
    }

    /// Gives the lock back after a failure, which must not be hidden by another one.
    pub(super) async fn unlock_quietly(&mut self) {
        if let Err(error) = self.session.unlock_and_reset(&self.table).await {
            tracing::debug!(target: "whimbrel", "the lock goes with the session: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which there are turns, where one looks each second and sees this.
    fn turns(seconds: u64, awaited: impl Fn(u64) -> Awaited) -> Vec<u64> {
        let mut turns = Turns::new();
        let begin = turns.given;
        let mut given = Vec::new();
        for second in 1..seconds {
            let now = begin + Duration::from_secs(second);
            if turns.is_look_due(now) && turns.give(now, awaited(second)) {
                given.push(second);
            }
        }
        given
    }

    #[test]
    fn who_was_seen_has_a_turn_at_once_and_nobody_has_none() {
        assert_eq!(turns(60, |_| Awaited::Not), [0; 0]);
        assert_eq!(turns(9, |second| if second == 2 { Awaited::Seen } else { Awaited::Not }), [2]);
        // A turn takes a while, and after it there is nothing to look for during a second.
        assert_eq!(turns(9, |_| Awaited::Seen), [1, 4, 7]);
    }

    #[test]
    fn who_cannot_be_seen_has_one_now_and_then_and_before_flyway_gives_up() {
        assert_eq!(turns(200, |_| Awaited::Unseen), [5, 17, 39, 81, 123, 165]);
        // One that was seen had it for all of them.
        let seen = |second| if second == 4 { Awaited::Seen } else { Awaited::Unseen };
        assert_eq!(turns(20, seen), [4, 11]);
    }
}
