//! Doing a step again while that can help and the deadline has not passed.

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

/// Runs `step` until it succeeds, fails for good, or the deadline passes.
pub(crate) async fn retry<T, F, Fut>(
    deadline: Instant,
    first_pause: Duration,
    mut on_failure: impl FnMut(Failure<'_>),
    mut step: F,
) -> Result<T, RegistryErrorKind>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, RegistryErrorKind>>,
{
    let mut pause = first_pause;
    let mut last = None;
    for attempt in 1.. {
        let limited = tokio::time::timeout_at(deadline.into(), step());
        let error = match limited.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => error,
            Err(_elapsed) => break,
        };
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
