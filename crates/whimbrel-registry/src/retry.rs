//! Doing a step again while that can help and the deadline has not passed.
//!
//! A registry that cannot be connected to at all is given up earlier: it is down or misspelt, and a person waits.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::RegistryErrorKind;
use crate::error::Retry;

const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One failure that will be followed by another try.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) attempt: u32,
    pub(crate) pause: Duration,
    pub(crate) error: &'a RegistryErrorKind,
}

/// How long to go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) deadline: Instant,
    pub(crate) first_pause: Duration,
    /// With a registry to which no connection can be made.
    pub(crate) unreachable: Duration,
}

/// Runs `step` until it succeeds, fails for good, or patience ends.
pub(crate) async fn retry<T, F, Fut>(
    patience: Patience,
    mut on_failure: impl FnMut(Failure<'_>),
    mut step: F,
) -> Result<T, RegistryErrorKind>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, RegistryErrorKind>>,
{
    let deadline = patience.deadline;
    let mut pause = patience.first_pause;
    let mut unreachable_since = None;
    let mut last = None;
    for attempt in 1.. {
        let limited = tokio::time::timeout_at(deadline.into(), step());
        let error = match limited.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_elapsed) => break,
        };
        if error.is_unreachable() {
            if unreachable_since.get_or_insert_with(Instant::now).elapsed() >= patience.unreachable {
                return Err(error);
            }
        } else {
            unreachable_since = None;
        }
        let wait = match error.retry() {
            Retry::No => return Err(error),
            Retry::Later => pause,
            Retry::After(asked) => asked.max(pause),
        };
        if Instant::now() + wait >= deadline {
            last = Some(Box::new(error));
            break;
        }
        on_failure(Failure { attempt, pause: wait, error: &error });
        last = Some(Box::new(error));
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Err(RegistryErrorKind::Deadline { last })
}
