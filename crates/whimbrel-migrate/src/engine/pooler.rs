//! A pooler in transaction mode is found before anything is done through it: there, the lock of a session belongs to
//! whoever gets the backend next.

use std::time::Duration;

use whimbrel_database::{ConnectSettings, Session};

use super::Engine;
use super::connecting::beside;
use crate::failure::Failure;

/// The look must not cost much where nobody answers.
const PATIENCE: Duration = Duration::from_secs(3);

impl Engine<'_> {
    /// Opens a second connection while ours stays open. Two connections to a server, or through a pool in session
    /// mode, always have two backends; a pool that hands backends out for a transaction gives the second connection
    /// the one that we have just used, or gives us another one while the second is in a transaction.
    pub(super) async fn refuse_pooler(&mut self) -> Result<(), Failure> {
        if !self.session.capabilities().tells_poolers {
            return Ok(());
        }
        let settings = ConnectSettings { attempt_timeout: PATIENCE, ..beside(self.common, "look") };
        // A server that lets us in only once cannot be asked so; the unlock still looks at the backend.
        let Ok(mut second) = Session::connect(&self.settings.target, &settings, |_| {}).await else {
            return Ok(());
        };
        let ours = self.session.facts().backend;
        let shares = second.facts().backend == ours || self.moves_beside(&mut second).await;
        second.close().await;
        if shares { Err(Failure::Pooler { engine: self.session.target().engine }) } else { Ok(()) }
    }

    async fn moves_beside(&mut self, second: &mut Session) -> bool {
        if let Err(error) = second.begin().await {
            // Statement pooling refuses transactions; a connection that is gone says nothing.
            return !error.is_connection_lost();
        }
        let beside = backend(second).await;
        let ours = backend(&mut self.session).await;
        let moved = ours.is_some_and(|ours| ours != self.session.facts().backend);
        let same = ours.is_some() && ours == beside;
        if let Err(error) = second.rollback().await {
            tracing::debug!(target: "whimbrel", "the second look ended early: {error}");
        }
        moved || same
    }
}

async fn backend(session: &mut Session) -> Option<i32> {
    let rows = session.query("SELECT pg_catalog.pg_backend_pid()").await.ok()?;
    rows.first()?.first()?.as_deref()?.parse().ok()
}
