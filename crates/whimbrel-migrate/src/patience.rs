//! When to stop: signals, the time a container has left, and our own deadline.

use std::time::{Duration, Instant};

use whimbrel_cli::signals::{Cause, Stop, Urgency};
use whimbrel_database::Canceller;

/// How long before the end of the grace period a running statement is cancelled.
const BEFORE_THE_END: Duration = Duration::from_secs(5);

/// How often a statement that does not end is cancelled again, and when we give up on it.
const CANCEL_AGAIN: Duration = Duration::from_secs(2);
const CANCEL_ATTEMPTS: u32 = 5;

/// Why a run ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By a signal.
    Signal(Cause),
    /// By our own deadline.
    Deadline,
}

/// Watches for reasons to stop.
#[derive(Clone, Debug)]
pub struct Patience {
    stop: Stop,
    grace: Duration,
    deadline: Option<Instant>,
}

/// What came of work that may be cancelled.
pub enum Ended<T> {
    /// It ended, by itself or cancelled.
    With(T),
    /// It did not end although it was cancelled.
    Never,
}

impl Patience {
    /// The signals of this process, a grace period and a deadline from now.
    pub fn new(stop: Stop, grace: Duration, deadline: Option<Duration>) -> Self {
        Self { stop, grace, deadline: deadline.map(|deadline| Instant::now() + deadline) }
    }

    /// Whether something new may be started.
    pub fn check(&self) -> Result<(), Stopped> {
        let request = self.stop.request();
        if request.urgency >= Urgency::Finish {
            return Err(Stopped::Signal(request.cause.unwrap_or(Cause::Terminate)));
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Stopped::Deadline),
            _ => Ok(()),
        }
    }

    /// Until a signal asks us to stop.
    pub async fn asked(mut self) {
        self.stop.asked(Urgency::Finish).await;
    }

    /// Sleeps, unless there is a reason to stop.
    pub async fn sleep(&mut self, time: Duration) -> Result<(), Stopped> {
        let time = match self.deadline {
            Some(deadline) => time.min(deadline.saturating_duration_since(Instant::now())),
            None => time,
        };
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = self.stop.asked(Urgency::Finish) => {}
        }
        self.check()
    }

    /// Waits for something that can simply be dropped, unless there is a reason to stop.
    pub async fn wait_for<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut stop = self.stop.clone();
        tokio::select! {
            result = work => return Ok(result),
            _ = stop.asked(Urgency::Finish) => {}
            () = until(self.deadline) => {}
        }
        Err(self.check().err().unwrap_or(Stopped::Deadline))
    }

    /// Lets a statement run to its end; cancels it when a second signal comes, the grace period is nearly over, or the
    /// deadline has passed.
    pub async fn let_end<T>(&mut self, canceller: &Canceller, work: impl Future<Output = T>) -> Ended<T> {
        tokio::pin!(work);
        tokio::select! {
            result = &mut work => return Ended::With(result),
            () = self.must_cancel() => {}
        }
        for _ in 0..CANCEL_ATTEMPTS {
            if let Err(error) = canceller.cancel().await {
                tracing::warn!(target: "whimbrel", "{error}");
            }
            tokio::select! {
                result = &mut work => return Ended::With(result),
                () = tokio::time::sleep(CANCEL_AGAIN) => {}
            }
        }
        Ended::Never
    }

    async fn must_cancel(&mut self) {
        let (mut first, mut second) = (self.stop.clone(), self.stop.clone());
        let grace = self.grace.saturating_sub(BEFORE_THE_END);
        let nearly_over = async move {
            first.asked(Urgency::Finish).await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            _ = second.asked(Urgency::Now) => {}
            () = nearly_over => {}
            () = until(self.deadline) => {}
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
