//! How a session comes about: with patience, as long as waiting helps.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::ConnectError;
use crate::session::Session;
use crate::target::Target;

/// How a session is opened.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// What the server's views show as our name; cut by the server at 63 bytes.
    pub application_name: String,
    /// How long transient failures are tried again; zero tries once.
    pub wait: Duration,
    /// How long one attempt may take, unless the target says so itself.
    pub attempt_timeout: Duration,
}

impl ConnectSettings {
    /// One attempt with the usual patience.
    pub fn once(application_name: impl Into<String>) -> Self {
        Self {
            application_name: application_name.into(),
            wait: Duration::ZERO,
            attempt_timeout: Duration::from_secs(10),
        }
    }
}

/// A failed attempt that will be followed by another one.
#[derive(Debug)]
pub struct ConnectRetry<'a> {
    /// Attempts so far.
    pub attempt: u32,
    /// Time since the first.
    pub waited: Duration,
    /// What this attempt met.
    pub error: &'a ConnectError,
}

impl Session {
    /// Opens a session; transient failures are tried again, with growing pauses, until the deadline.
    ///
    /// `on_retry` is told about each failed attempt that will be repeated.
    pub async fn connect(
        target: &Target,
        settings: &ConnectSettings,
        mut on_retry: impl FnMut(ConnectRetry<'_>),
    ) -> Result<Self, ConnectError> {
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let timeout = target.connect_timeout.unwrap_or(settings.attempt_timeout);
            let mut error = match attempt(target, settings, timeout).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            error.attempts = attempts;
            let waited = started.elapsed();
            if !error.kind.is_transient() || waited >= settings.wait {
                return Err(error);
            }
            on_retry(ConnectRetry { attempt: attempts, waited, error: &error });
            let pause = Duration::from_millis(100 << attempts.min(5)).min(Duration::from_secs(2));
            tokio::time::sleep(pause.min(settings.wait - waited)).await;
        }
    }

    /// Another session with the same database and name.
    pub async fn reconnect(&self, wait: Duration) -> Result<Self, ConnectError> {
        let settings = ConnectSettings { wait, ..ConnectSettings::once(self.application_name.clone()) };
        Self::connect(&self.target, &settings, |_| {}).await
    }
}

async fn attempt(
    target: &Target,
    settings: &ConnectSettings,
    timeout: Duration,
) -> Result<Session, ConnectError> {
    let name = &settings.application_name;
    match Engine::connect(target, name, timeout).await {
        Ok((engine, facts)) => Ok(Session {
            engine,
            target: target.clone(),
            application_name: name.clone(),
            facts,
            installed_by: None,
        }),
        Err((kind, cause)) => Err(ConnectError { kind, target: target.to_string(), attempts: 1, cause }),
    }
}
