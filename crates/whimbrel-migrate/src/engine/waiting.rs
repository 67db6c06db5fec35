//! A look at who keeps a statement waiting, from a second connection, while it waits.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use whimbrel_database::{Blocker, Condition, DatabaseError, Session};

use super::Engine;
use super::connecting::beside;
use super::failing::shown;
use crate::report::{Event, Level, Reporter};
use crate::settings::{CommonSettings, DatabaseSettings};

/// A statement that is done before needs no look.
const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The longest pause between two looks at a statement that runs for long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// As much of another session's statement is shown.
const SHOWN_STATEMENT: usize = 80;

/// What is needed to look from outside, without the session that waits.
pub(super) struct LockWatch<'a> {
    settings: Rc<DatabaseSettings>,
    reporter: &'a Reporter,
    common: &'a CommonSettings,
    /// The session that waits; none where the engine does not tell whom it waits for.
    backend: Option<i32>,
    first_look: Duration,
    alarm: Alarm,
    seen: RefCell<Vec<String>>,
}

/// A timer that is set again and again: to set one later costs nothing, where each new one wakes up the runtime.
pub(super) type Alarm = Rc<Cell<Option<Pin<Box<Sleep>>>>>;

impl<'a> Engine<'a> {
    /// Prepares to watch a statement of the script at hand.
    pub(super) fn lock_watch(&self) -> LockWatch<'a> {
        // Before the wait is over, or nobody is there to be seen any more.
        let limit = self.timeouts.lock.or(self.timeouts.usual_lock);
        let before = limit.filter(|limit| !limit.is_zero()).map(|limit| limit / 2);
        let tells = self.session.capabilities().tells_blockers;
        LockWatch {
            settings: Rc::clone(&self.settings),
            reporter: self.reporter,
            common: self.common,
            backend: tells.then_some(self.session.facts().backend),
            alarm: Rc::clone(&self.alarm),
            first_look: before.map_or(FIRST_LOOK, |before| before.min(FIRST_LOOK)),
            seen: RefCell::default(),
        }
    }
}

impl LockWatch<'_> {
    /// Does the work, and looks now and then who keeps it waiting.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let Some(backend) = self.backend else { return work.await };
        tokio::pin!(work);
        let first_look = tokio::time::Instant::now() + self.first_look;
        let mut alarm = self.alarm.take().unwrap_or_else(|| Box::pin(tokio::time::sleep_until(first_look)));
        alarm.as_mut().reset(first_look);
        let done = tokio::select! {
            biased;
            result = &mut work => Some(result),
            () = alarm.as_mut() => None,
        };
        self.alarm.set(Some(alarm));
        if let Some(result) = done {
            return result;
        }
        tokio::select! {
            biased;
            result = &mut work => result,
            never = self.look_again_and_again(backend) => match never {},
        }
    }

    /// Who was seen last, a line each.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.borrow().clone()
    }

    async fn look_again_and_again(&self, backend: i32) -> std::convert::Infallible {
        let (started, mut said) = (Instant::now(), Vec::new());
        let connect = beside(self.common, "watch");
        // Best effort: a statement that waits must not fail because nobody could look.
        if let Ok(mut session) = Session::connect(&self.settings.target, &connect, |_| {}).await {
            while let Ok(blockers) = session.blockers_of(backend).await {
                let lines: Vec<String> = blockers.iter().map(|blocker| self.line(blocker)).collect();
                if !lines.is_empty() {
                    if lines != said {
                        self.say(&lines);
                        said.clone_from(&lines);
                    }
                    self.seen.replace(lines);
                }
                let pause = (started.elapsed() / 4).clamp(self.first_look, LONGEST_PAUSE);
                tokio::time::sleep(pause).await;
            }
        }
        std::future::pending().await
    }

    fn line(&self, blocker: &Blocker) -> String {
        let mut line = blocker.to_string();
        if let Some(statement) = &blocker.statement {
            let statement = shown(statement, &self.settings);
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            let end = statement.floor_char_boundary(SHOWN_STATEMENT);
            let dots = if end < statement.len() { "…" } else { "" };
            line.push_str(&format!(": {}{dots}", &statement[..end]));
        }
        line
    }

    fn say(&self, lines: &[String]) {
        self.reporter
            .line(Level::Info, Event::Waiting)
            .database(&self.settings.name)
            .with("blockers", lines)
            .say(&format!("the statement waits for {}", lines.join("; ")));
    }
}

/// Whether the statement was ended because it waited: for a lock, or for its own end.
pub(super) fn is_about_waiting(error: &DatabaseError) -> bool {
    matches!(error.condition(), Condition::LockTimeout | Condition::Ended | Condition::Deadlock)
}
