//! A script, its history row and nothing else in one transaction on one connection.

use std::time::{Duration, Instant};

use whimbrel_database::{Condition, DatabaseError, FinishError, TransactionFate, TransactionId};
use whimbrel_migration::history::NewRow;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::{FailedStatement, Interruption, StatementPlace, shown};
use super::running::Work;
use super::statements::{Part, Statements};
use super::waiting::is_about_waiting;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};
use crate::set::SetError;
use crate::source::Source;

/// How long a server may take to know what became of a transaction.
const FATE_PATIENCE: Duration = Duration::from_secs(30);

impl Engine<'_> {
    /// Runs a script in a transaction together with its row: afterwards all of it is there, or nothing.
    pub(super) async fn run_in_transaction(&mut self, work: &Work<'_>) -> Result<u64, Failure> {
        let id = work.id;
        let unreadable = |error| SetError::of_source(error, &self.set.script(id).script);
        let read = self.read_ahead.take().filter(|(ahead, _)| *ahead == id);
        let source = read.map_or_else(|| self.set.source(id), |(_, source)| Ok(source))?;
        let (_, source) = source.begin().map_err(unreadable)?;
        let started = Instant::now();
        let limits = self.timeouts.in_transaction();
        let begun = match self.session.begin_within(&limits).await {
            Ok(begun) => begun,
            // The one writer of SQLite is waited for here, and what the script wanted was a lock.
            Err(error) if error.condition() == Condition::LockTimeout => {
                let failed = FailedStatement::at_line(1, error, "it waited to begin: nothing of it was run");
                return Err(self.script_failure(id, RunMode::InTransaction, failed, Kept::Nothing));
            }
            Err(error) => return Err(Failure::database("begin a transaction")(error)),
        };
        if let Some(veto) = self.goes_at_once(id) {
            return self.run_at_once(work, &begun, source, veto).await;
        }
        let (ran, lines) = self.run_with_callbacks(work, source).await;
        let ran = match ran {
            Ok(()) => self.patience.check().map_err(Interruption::Stopped),
            Err(interruption) => Err(interruption),
        };
        if let Err(interruption) = ran {
            return Err(self.roll_back(id, interruption).await);
        }
        let millis = millis(started);
        self.end_with_row(work, &begun, lines, millis).await.map(|()| millis)
    }

    async fn end_with_row(
        &mut self,
        work: &Work<'_>,
        begun: &TransactionId,
        lines: u64,
        millis: u64,
    ) -> Result<(), Failure> {
        match self.session.commit_with_row(begun, &self.table, &work.applied(millis)).await {
            Ok(()) => Ok(()),
            Err(error) => self.not_finished(work, begun, lines, error).await,
        }
    }

    /// What it means that a script's transaction did not come to its end. Sometimes it did all the same.
    pub(super) async fn not_finished(
        &mut self,
        work: &Work<'_>,
        begun: &TransactionId,
        lines: u64,
        error: FinishError,
    ) -> Result<(), Failure> {
        let id = work.id;
        match error {
            FinishError::CommitLost(error) => {
                tracing::info!(target: "whimbrel", "the connection was lost during COMMIT: {error}");
                self.settle_commit(id, begun, &work.applied(0), FailedStatement::commit_lost(error)).await
            }
            FinishError::Vetoed => Err(self.roll_back(id, self.stopped()).await),
            FinishError::Rejected(error) | FinishError::RowRefused(error) if self.is_our_cancel(&error) => {
                Err(self.roll_back(id, self.stopped()).await)
            }
            FinishError::Rejected(error) => {
                let note = "this came up at the end of the script, when deferred constraints were checked";
                let failed = FailedStatement::at_line(lines, error, note);
                Err(self.roll_back(id, Interruption::Statement(Box::new(failed))).await)
            }
            FinishError::RowRefused(error) if error.is_undefined_table() => {
                let note = "the history table is gone: the script dropped or renamed it";
                let failed = FailedStatement::at_line(lines, error, note);
                Err(self.roll_back(id, Interruption::Statement(Box::new(failed))).await)
            }
            FinishError::RowRefused(error) => {
                if let Err(error) = self.session.rollback().await {
                    tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
                }
                let script = &self.set.script(id).script;
                let what = format!("write the history row of {script}, so that nothing of it was kept");
                Err(Failure::database(what)(error))
            }
            FinishError::NotOurs => {
                let error = DatabaseError::Protocol(FinishError::NotOurs.into());
                let failed = FailedStatement::at_line(lines, error, "no history row was written");
                Err(self.script_failure(id, RunMode::InTransaction, failed, Kept::ItsOwn))
            }
        }
    }

    /// The statements of a script, with the callbacks before and after it in the same transaction. Gives the script's last
    /// line as well.
    async fn run_with_callbacks(
        &mut self,
        work: &Work<'_>,
        source: Source,
    ) -> (Result<(), Interruption>, u64) {
        let each = self.each(work.id);
        if let Err(interruption) = self.fire_inside(each.before).await {
            return (Err(interruption), 1);
        }
        self.say_begun(work);
        let (ran, lines) = self.run_source(work.id, source).await;
        let ran = match ran {
            Ok(()) => self.fire_inside(each.after).await,
            failed => failed,
        };
        (ran, lines)
    }

    /// One statement with the callbacks before and after it; callbacks themselves have none.
    pub(super) async fn run_hooked(
        &mut self,
        id: ScriptId,
        part: &Part,
        statements: &mut Statements,
    ) -> Result<(), Interruption> {
        self.before_statement(id).await?;
        self.run_part(id, part, statements).await?;
        self.after_statement(id).await
    }

    pub(super) async fn before_statement(&mut self, id: ScriptId) -> Result<(), Interruption> {
        if self.set.is_callback(id) {
            return Ok(());
        }
        self.fire_inside(self.each(id).before_statement).await
    }

    pub(super) async fn after_statement(&mut self, id: ScriptId) -> Result<(), Interruption> {
        if self.set.is_callback(id) {
            return Ok(());
        }
        self.fire_inside(self.each(id).after_statement).await
    }

    /// Sends one statement; it may be cancelled when we are asked to stop.
    pub(super) async fn run_statement(
        &mut self,
        id: ScriptId,
        statement: &StatementPlace,
    ) -> Result<(), Interruption> {
        self.patience.check().map_err(Interruption::Stopped)?;
        let canceller = self.session.canceller();
        let watch = self.lock_watch();
        let work = watch.during(self.session.execute(&statement.text, statement.warnings));
        let answer = self.patience.let_end(&canceller, work).await;
        let seen = watch.seen();
        self.judge(id, statement, answer, &seen)
    }

    pub(super) fn say_notices(&self, id: ScriptId, notices: &[whimbrel_database::Notice]) {
        for notice in notices {
            let level = if notice.is_warning { Level::Warn } else { Level::Info };
            self.reporter
                .line(level, Event::Notice)
                .database(&self.settings.name)
                .script(&self.set.script(id).script)
                .with("sqlstate", &notice.sqlstate)
                .with("code", notice.code)
                .say(&shown(&notice.message, &self.settings));
        }
    }

    pub(super) async fn roll_back(&mut self, id: ScriptId, interruption: Interruption) -> Failure {
        // A connection that is gone has rolled back by itself.
        if let Err(error) = self.session.rollback().await {
            tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
        }
        let mut failed = match Self::statement_of(interruption) {
            Ok(failed) => failed,
            Err(failure) => return failure,
        };
        if is_about_waiting(&failed.error) && failed.notes.is_empty() {
            // Nobody was seen while it waited: those are left who may have been it.
            let waiting = self.session.oldest_transactions().await.unwrap_or_default();
            failed.notes.extend(waiting.into_iter().map(|who| format!("it may have waited for {who}")));
        }
        self.script_failure(id, RunMode::InTransaction, failed, Kept::Nothing)
    }

    /// The connection was lost when COMMIT may have been on its way: another session asks what became of it. `failed` is
    /// what there is to say if nothing did.
    pub(super) async fn settle_commit(
        &mut self,
        id: ScriptId,
        begun: &TransactionId,
        row: &NewRow,
        failed: FailedStatement,
    ) -> Result<(), Failure> {
        let script = self.set.script(id).script.clone();
        let unknown =
            |failure: Failure| Failure::CommitUnknown { script: script.clone(), source: Box::new(failure) };
        let before = self.session.facts().backend;
        self.reconnect().await.map_err(unknown)?;
        let started = Instant::now();
        let fate = loop {
            let ask = Failure::database("ask what became of the transaction");
            let fate = self.fate_of(begun, before).await.map_err(ask).map_err(unknown)?;
            if fate != TransactionFate::InProgress || started.elapsed() >= FATE_PATIENCE {
                break fate;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let is_committed = match fate {
            TransactionFate::Committed => true,
            TransactionFate::RolledBack => false,
            TransactionFate::InProgress => {
                let still = DatabaseError::ConnectionLost("the server still works on it".into());
                return Err(unknown(Failure::database("learn what became of the transaction")(still)));
            }
            TransactionFate::Unknown => {
                let rows = self.rows().await.map_err(unknown)?.unwrap_or_default();
                rows.iter()
                    .any(|there| there.installed_rank == row.installed_rank && there.script == row.script)
            }
        };
        if is_committed {
            self.say(Level::Warn, Event::Notice, &format!("{script}: the COMMIT had gone through"));
            return Ok(());
        }
        Err(self.script_failure(id, RunMode::InTransaction, failed, Kept::Nothing))
    }

    /// What became of a transaction of the session that was this backend. Its number may never have come to us: then it is
    /// not over as long as that session has the lock.
    async fn fate_of(
        &mut self,
        begun: &TransactionId,
        backend: i32,
    ) -> Result<TransactionFate, DatabaseError> {
        let fate = self.session.fate_of(begun).await?;
        if fate != TransactionFate::Unknown {
            return Ok(fate);
        }
        let holder = self.session.lock_holder(&self.table).await?;
        let lives = holder.is_some_and(|holder| holder.backend == backend);
        Ok(if lives { TransactionFate::InProgress } else { TransactionFate::Unknown })
    }
}

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
