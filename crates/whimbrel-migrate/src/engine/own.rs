//! A script that begins and ends transactions itself: its statements go as they stand, and what it committed stays.

use std::time::Instant;

use whimbrel_migration::name::Event;

use super::Engine;
use super::failing::Interruption;
use super::running::Work;
use super::transactional::millis;
use crate::failure::{Failure, Kept};

impl Engine<'_> {
    /// Runs a script that manages its own transactions; its row is written when it is through.
    pub(super) async fn run_as_it_stands(&mut self, work: &Work<'_>) -> Result<u64, Failure> {
        let started = Instant::now();
        self.limit_session().await?;
        let parts = self.parts_of(work.id)?;
        self.begin_each(work).await?;
        for part in &parts {
            // Callbacks around a statement belong to the transaction that the script is in.
            let ran = self.run_hooked(work.id, &part.place, part.data.as_deref()).await;
            if let Err(interruption) = ran {
                return Err(self.stopped_on_its_own(work, interruption, millis(started)).await);
            }
        }
        // It may leave one open.
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        if work.step.is_some() {
            self.fire_between(Event::AfterEachMigrate).await?;
        }
        self.session.reset().await.map_err(Failure::database("reset the session"))?;
        let millis = millis(started);
        let recorded = self.session.append_history(&self.table, &work.applied(millis)).await;
        recorded.map_err(Failure::database("write the history row of a script that was applied"))?;
        Ok(millis)
    }

    async fn stopped_on_its_own(
        &mut self,
        work: &Work<'_>,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        let mut failed = match self.statement_of(work.id, interruption) {
            Ok(failed) => failed,
            Err(failure) => return failure,
        };
        if !failed.error.is_connection_lost()
            && let Err(failure) = self.record_its_failure(work, millis).await
        {
            failed.notes.push(format!("the failure could not be written into the history: {failure}"));
        }
        self.script_failure(work.id, work.run, failed, Kept::ItsOwn)
    }

    async fn record_its_failure(&mut self, work: &Work<'_>, millis: u64) -> Result<(), Failure> {
        let write = "write the failed row";
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        self.session.reset().await.map_err(Failure::database(write))?;
        let Some(row) = work.failed(millis) else { return Ok(()) };
        self.session.append_history(&self.table, &row).await.map_err(Failure::database(write))
    }
}
