//! SIGINT and SIGTERM as a value that can be watched.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::error::ErrorKind;

/// How urgently we were asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Nobody asked.
    #[default]
    GoOn,
    /// Finish what runs, start nothing new.
    Finish,
    /// Stop what runs as well.
    Now,
}

/// Which signal asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT: exit code 130.
    Interrupt,
    /// SIGTERM: exit code 143.
    Terminate,
}

impl Cause {
    /// The kind of error that this ends a command with.
    pub const fn error_kind(self) -> ErrorKind {
        match self {
            Self::Interrupt => ErrorKind::Interrupted,
            Self::Terminate => ErrorKind::Terminated,
        }
    }
}

/// What was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopRequest {
    /// How urgently.
    pub urgency: Urgency,
    /// By which signal, once one came.
    pub cause: Option<Cause>,
}

/// A cloneable view of the request to stop. The first signal asks to finish, the second to stop at once.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<StopRequest>);

impl Stop {
    /// Watches the signals of this process; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn watch() -> std::io::Result<Self> {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, receiver) = watch::channel(StopRequest::default());
        tokio::spawn(async move {
            loop {
                let cause = tokio::select! {
                    _ = interrupt.recv() => Cause::Interrupt,
                    _ = terminate.recv() => Cause::Terminate,
                };
                sender.send_modify(|request| {
                    request.urgency = if request.cause.is_none() { Urgency::Finish } else { Urgency::Now };
                    request.cause.get_or_insert(cause);
                });
            }
        });
        Ok(Self(receiver))
    }

    /// A view that is steered by hand, for tests and for flows that stop their own parts.
    pub fn by_hand() -> (watch::Sender<StopRequest>, Self) {
        let (sender, receiver) = watch::channel(StopRequest::default());
        (sender, Self(receiver))
    }

    /// What was asked so far.
    pub fn request(&self) -> StopRequest {
        *self.0.borrow()
    }

    /// Whether nothing new should be started.
    pub fn is_asked(&self) -> bool {
        self.request().urgency >= Urgency::Finish
    }

    /// Waits until we are asked at least this urgently. Never ends when nobody can ask any more.
    pub async fn asked(&mut self, urgency: Urgency) -> StopRequest {
        match self.0.wait_for(|request| request.urgency >= urgency).await {
            Ok(request) => *request,
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, Stop, StopRequest, Urgency};

    #[tokio::test]
    async fn a_request_reaches_everyone_who_waits() {
        let (sender, mut stop) = Stop::by_hand();
        assert!(!stop.is_asked());
        sender.send_replace(StopRequest { urgency: Urgency::Finish, cause: Some(Cause::Terminate) });
        assert_eq!(stop.asked(Urgency::Finish).await.cause, Some(Cause::Terminate));
        assert!(stop.is_asked());
    }
}
