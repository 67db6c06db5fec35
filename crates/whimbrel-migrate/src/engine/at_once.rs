//! A script whose row and COMMIT go along with its statements: one round trip for all of it, and for the lock that is
//! kept for the next one.
//!
//! The server works everything off in order, and behind an error nothing has an effect; so nothing has to be waited for.
//! But what was sent cannot be held back: where we are asked to stop before the script is through, another session
//! forbids that it is committed; and where the connection is lost, it has to be found out whether it was.

use std::convert::Infallible;
use std::time::Instant;

use whimbrel_database::{DatabaseError, FinishError, Finished, TransactionId, Veto};
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::Interruption;
use super::running::Work;
use super::streaming::Ahead;
use super::transactional::millis;
use crate::failure::Failure;
use crate::source::Source;

impl Engine<'_> {
    /// What is needed to send the end of a script ahead, if it may be: not where callbacks come in between.
    pub(super) fn goes_at_once(&self, id: ScriptId) -> Option<Veto> {
        let each = self.each(id);
        let between = [each.before, each.before_statement, each.after_statement, each.after];
        if between.iter().any(|event| !self.set.callbacks(*event).is_empty()) {
            return None;
        }
        self.session.veto()
    }

    /// Runs a script in the transaction that was begun, to its end. Gives its milliseconds.
    pub(super) async fn run_at_once(
        &mut self,
        work: &Work<'_>,
        begun: &TransactionId,
        source: Source,
        veto: Veto,
    ) -> Result<u64, Failure> {
        let started = Instant::now();
        self.say_begun(work);
        let (mut statements, mut ahead) = (self.statements(work.id, source), Ahead::default());
        let sent = self.send_statements(work.id, &mut statements, &mut ahead).await;
        if let Err(interruption) = sent.and_then(|()| self.patience.check().map_err(Interruption::Stopped)) {
            return Err(self.roll_back(work.id, interruption).await);
        }
        let keeps_lock = work.next.is_some() && !self.is_look_due();
        let forbidding = self.forbid_when_stopped(veto);
        let ended = match self.session.send_end(&self.table, &work.applied(0), keeps_lock).await {
            Ok(()) => {
                self.read_ahead(work.next);
                tokio::select! {
                    biased;
                    ended = self.fetch_all(work, &mut ahead) => ended,
                    never = forbidding => match never {},
                }
            }
            Err(error) => Ok(Err(FinishError::CommitLost(error))),
        };
        match ended {
            Ok(Ok(finished)) => {
                self.kept = finished.kept;
                Ok(finished.millis.unwrap_or_else(|| millis(started)))
            }
            Ok(Err(error)) => {
                let ended = self.not_finished(work, begun, statements.last_line(), error).await;
                ended.map(|()| millis(started))
            }
            Err(Interruption::Statement(mut failed)) if is_lost(&failed.error) => {
                failed.notes.push("the server says that it was rolled back".to_owned());
                let settled = self.settle_commit(work.id, begun, &work.applied(0), *failed).await;
                settled.map(|()| millis(started))
            }
            Err(interruption) => Err(self.roll_back(work.id, interruption).await),
        }
    }

    /// Reads the next script while the server works. What is wrong with it is told when its turn comes.
    fn read_ahead(&mut self, next: Option<ScriptId>) {
        self.read_ahead = next.and_then(|id| Some((id, self.set.source(id).ok()?)));
    }

    async fn fetch_all(
        &mut self,
        work: &Work<'_>,
        ahead: &mut Ahead,
    ) -> Result<Result<Finished, FinishError>, Interruption> {
        self.fetch_answers(work.id, ahead).await?;
        Ok(self.session.end().await)
    }

    /// Waits until we are asked to stop, and forbids then that what is on its way is committed. Never ends.
    fn forbid_when_stopped(&self, veto: Veto) -> impl Future<Output = Infallible> + use<> {
        let patience = self.patience.clone();
        async move {
            patience.asked().await;
            let held = veto.hold().await;
            if let Err(error) = &held {
                tracing::warn!(target: "whimbrel", "the script at hand may still be committed: {error}");
            }
            std::future::pending().await
        }
    }
}

/// Whether the server said nothing about the transaction any more.
fn is_lost(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::ConnectionLost(_))
}
