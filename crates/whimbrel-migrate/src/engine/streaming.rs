//! The statements of a transactional script, on their way while the script is still being read.
//!
//! Several statements are under way at once: the server works them off in order, and inside a transaction one that
//! fails takes the effect from those behind it. So a round trip is paid for many of them, and an error still belongs to
//! the statement whose answer it is. COPY data goes on as it is read.

use std::collections::VecDeque;

use whimbrel_database::{DatabaseError, ExecuteError, Executed, ServerError};
use whimbrel_migration::scan::Effect;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::statement::changes_rows;

use super::Engine;
use super::failing::{FailedStatement, Interruption, StatementPlace};
use super::statements::{Part, Statements};
use super::waiting::is_about_waiting;
use crate::patience::{Ended, Stopped};
use crate::source::Source;

/// At most so much is under way: far less than what the sockets on both sides hold, and enough to be worth it.
const STATEMENTS_AHEAD: usize = 64;
const BYTES_AHEAD: usize = 48 * 1024;

/// Statements whose answers are to come.
#[derive(Default)]
pub(super) struct Ahead {
    places: VecDeque<StatementPlace>,
    bytes: usize,
}

impl Engine<'_> {
    /// Runs the statements of a script inside the transaction that was begun. Gives its last line as well.
    pub(super) async fn run_source(
        &mut self,
        id: ScriptId,
        source: Source,
    ) -> (Result<(), Interruption>, u64) {
        let mut statements = self.statements(id, source);
        let ran = if self.fires_at_statements(id) {
            self.run_one_by_one(id, &mut statements).await
        } else {
            self.run_ahead(id, &mut statements).await
        };
        (ran, statements.last_line())
    }

    /// Whether there are callbacks around each statement: then one is done before the next is sent.
    fn fires_at_statements(&self, id: ScriptId) -> bool {
        let each = self.each(id);
        let around = [each.before_statement, each.after_statement];
        !self.set.is_callback(id) && around.iter().any(|event| !self.set.callbacks(*event).is_empty())
    }

    /// Whether a statement may be sent within an open transaction before those that were sent before it are answered, of a
    /// script whose other statements may not.
    pub(super) fn may_go_ahead(&self, id: ScriptId, part: &Part) -> bool {
        !self.fires_at_statements(id) && changes_rows(self.settings.migration.dialect, &part.place.text)
    }

    async fn run_ahead(&mut self, id: ScriptId, statements: &mut Statements) -> Result<(), Interruption> {
        let mut ahead = Ahead::default();
        self.send_statements(id, statements, &mut ahead).await?;
        self.fetch_answers(id, &mut ahead).await
    }

    /// Sends all statements. Those that are still ahead are to be fetched.
    pub(super) async fn send_statements(
        &mut self,
        id: ScriptId,
        statements: &mut Statements,
        ahead: &mut Ahead,
    ) -> Result<(), Interruption> {
        while let Some(part) = statements.next_statement()? {
            if part.effect == Effect::CopyFromStdin {
                self.fetch_answers(id, ahead).await?;
                self.copy(id, &part.place, statements).await?;
            } else {
                self.send_ahead(id, part.place, ahead).await?;
            }
        }
        Ok(())
    }

    /// Runs the statements one after the other, each with its callbacks.
    pub(super) async fn run_one_by_one(
        &mut self,
        id: ScriptId,
        statements: &mut Statements,
    ) -> Result<(), Interruption> {
        while let Some(part) = statements.next_statement()? {
            self.run_hooked(id, &part, statements).await?;
        }
        Ok(())
    }

    /// One statement, with its data if it is a COPY.
    pub(super) async fn run_part(
        &mut self,
        id: ScriptId,
        part: &Part,
        statements: &mut Statements,
    ) -> Result<(), Interruption> {
        match part.effect {
            Effect::CopyFromStdin => self.copy(id, &part.place, statements).await,
            _ => self.run_statement(id, &part.place).await,
        }
    }

    /// A COPY, whose data goes on as it is read.
    async fn copy(
        &mut self,
        id: ScriptId,
        place: &StatementPlace,
        statements: &mut Statements,
    ) -> Result<(), Interruption> {
        self.begin_copy(id, place).await?;
        while let Some(data) = statements.next_data()? {
            self.copy_data(place, &data).await?;
        }
        self.finish_copy(id, place).await
    }

    /// Sends a statement whose answer is to be fetched.
    pub(super) async fn send_ahead(
        &mut self,
        id: ScriptId,
        place: StatementPlace,
        ahead: &mut Ahead,
    ) -> Result<(), Interruption> {
        if !self.session.capabilities().sends_ahead {
            return self.run_statement(id, &place).await;
        }
        let bytes = place.text.len();
        if ahead.places.len() >= STATEMENTS_AHEAD || ahead.bytes + bytes > BYTES_AHEAD {
            self.fetch_answers(id, ahead).await?;
        }
        self.patience.check().map_err(Interruption::Stopped)?;
        let canceller = self.session.canceller();
        let sent = self.patience.let_end(&canceller, self.session.send(&place.text, place.warnings)).await;
        match sent {
            Ended::With(Ok(())) => {
                ahead.places.push_back(place);
                ahead.bytes += bytes;
                Ok(())
            }
            Ended::With(Err(error)) => Err(self.failed(&place, error, &[])),
            Ended::Never => Err(self.stopped()),
        }
    }

    /// Waits until everything that is under way is answered.
    pub(super) async fn fetch_answers(
        &mut self,
        id: ScriptId,
        ahead: &mut Ahead,
    ) -> Result<(), Interruption> {
        while let Some(place) = ahead.places.pop_front() {
            let canceller = self.session.canceller();
            let watch = self.lock_watch();
            let answer = self.patience.let_end(&canceller, watch.during(self.session.answer())).await;
            let seen = watch.seen();
            self.judge(id, &place, answer, &seen)?;
        }
        ahead.bytes = 0;
        Ok(())
    }

    async fn begin_copy(&mut self, id: ScriptId, place: &StatementPlace) -> Result<(), Interruption> {
        self.patience.check().map_err(Interruption::Stopped)?;
        let canceller = self.session.canceller();
        let watch = self.lock_watch();
        let work = watch.during(self.session.begin_copy(&place.text));
        let begun = match self.patience.let_end(&canceller, work).await {
            Ended::With(begun) => Ended::With(begun.map(|()| Executed::default())),
            Ended::Never => Ended::Never,
        };
        let seen = watch.seen();
        self.judge(id, place, begun, &seen)
    }

    async fn copy_data(&mut self, place: &StatementPlace, data: &[u8]) -> Result<(), Interruption> {
        self.patience.check().map_err(Interruption::Stopped)?;
        let canceller = self.session.canceller();
        match self.patience.let_end(&canceller, self.session.copy_data(data)).await {
            Ended::With(Ok(())) => Ok(()),
            Ended::With(Err(error)) => Err(self.failed(place, error, &[])),
            Ended::Never => Err(self.stopped()),
        }
    }

    async fn finish_copy(&mut self, id: ScriptId, place: &StatementPlace) -> Result<(), Interruption> {
        let canceller = self.session.canceller();
        let answer = self.patience.let_end(&canceller, self.session.finish_copy()).await;
        self.judge(id, place, answer, &[])
    }

    /// What a statement's answer means; `seen` are those who kept it waiting.
    pub(super) fn judge(
        &self,
        id: ScriptId,
        place: &StatementPlace,
        answer: Ended<Result<Executed, ExecuteError>>,
        seen: &[String],
    ) -> Result<(), Interruption> {
        match answer {
            Ended::With(Ok(Executed { notices, .. })) => {
                self.say_notices(id, &notices);
                Ok(())
            }
            Ended::With(Err(ExecuteError { error, notices })) => {
                self.say_notices(id, &notices);
                Err(self.failed(place, error, seen))
            }
            Ended::Never => Err(self.stopped()),
        }
    }

    fn failed(&self, place: &StatementPlace, error: DatabaseError, seen: &[String]) -> Interruption {
        if self.is_our_cancel(&error) {
            return self.stopped();
        }
        let mut failed = FailedStatement::new(place, error, &self.settings);
        if is_about_waiting(&failed.error) {
            failed.notes.extend(seen.iter().map(|who| format!("it waited for {who}")));
        }
        Interruption::Statement(Box::new(failed))
    }

    /// Whether this is what a statement says that we cancelled.
    pub(super) fn is_our_cancel(&self, error: &DatabaseError) -> bool {
        error.server().is_some_and(ServerError::is_cancelled) && self.patience.check().is_err()
    }

    /// We were asked to stop, and did.
    pub(super) fn stopped(&self) -> Interruption {
        Interruption::Stopped(self.patience.check().err().unwrap_or(Stopped::Deadline))
    }
}
