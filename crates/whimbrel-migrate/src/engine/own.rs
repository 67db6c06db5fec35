//! A script that begins and ends transactions itself, and what of it stays.
//!
//! | the script | runs |
//! |---|---|
//! | says so itself (`executeInTransaction=false`), or must not be in a transaction | as it stands: what is in no transaction of its own counts for itself |
//! | is one of Flyway's, which takes any script | as in Flyway: whatever it ends, another transaction begins with the next statement, and the last one holds the history row |
//!
//! PostgreSQL tells after each statement whether a transaction is open; elsewhere the statements themselves tell.

use std::time::Instant;

use whimbrel_database::TransactionId;
use whimbrel_migration::name::Event;
use whimbrel_migration::scan::Effect;
use whimbrel_migration::settings::OwnTransactions;

use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::running::{Part, Work};
use super::transactional::millis;
use crate::failure::{Failure, Kept};
use crate::report::{self, Level};

/// How far a script came with its transactions.
#[derive(Default)]
struct Course {
    /// A transaction is open.
    open: bool,
    /// The last line of what no rollback of ours reaches.
    settled: Option<u64>,
}

impl Course {
    /// After a statement that went well.
    fn pass(&mut self, part: &Part, told: Option<bool>) {
        self.open = told.unwrap_or(match part.effect {
            Effect::TransactionControl(words) => words.starts_with("BEGIN") || words.starts_with("START"),
            Effect::ImplicitCommit(_) => false,
            _ => self.open,
        });
        if !self.open {
            self.settled = Some(part.place.last_line());
        }
    }

    fn kept(&self) -> Kept {
        if self.settled.is_some() { Kept::ItsOwn } else { Kept::Nothing }
    }

    /// What stayed, for the message about a failure.
    fn note(&self) -> Option<String> {
        let line = self.settled?;
        Some(format!(
            "what the script did up to line {line} stays as it left it there; what came after that was rolled back"
        ))
    }
}

impl Engine<'_> {
    /// Runs a script that manages its own transactions; its row is written when it is through.
    pub(super) async fn run_as_it_stands(&mut self, work: &Work<'_>) -> Result<u64, Failure> {
        let started = Instant::now();
        let wraps = self.wraps(work)?;
        self.limit_session().await?;
        let parts = self.parts_of(work.id)?;
        self.warn_about_its_own(work, &parts);
        self.begin_each(work).await?;
        let mut course = Course::default();
        for part in &parts {
            if let Err(interruption) = self.run_one_of_its_own(work, part, wraps, &mut course).await {
                return Err(self.stopped_on_its_own(work, &course, interruption, millis(started)).await);
            }
        }
        if wraps {
            self.end_wrapped(work, &mut course, &parts, started).await?;
        } else {
            self.end_as_it_stands(work, &course, started).await?;
        }
        Ok(millis(started))
    }

    /// Whether the script gets a transaction wherever it has none of its own.
    fn wraps(&mut self, work: &Work<'_>) -> Result<bool, Failure> {
        let facts = self.facts_of(work.id)?;
        let usual = facts.non_transactional.is_none() && self.settings.migration.execute_in_transaction;
        Ok(self.set.script(work.id).conf.execute_in_transaction.unwrap_or(usual))
    }

    fn warn_about_its_own(&self, work: &Work<'_>, parts: &[Part]) {
        let control = parts.iter().find_map(|part| match part.effect {
            Effect::TransactionControl(words) => Some((words, part.place.place.line)),
            _ => None,
        });
        let Some((words, line)) = control else { return };
        let script = &self.set.script(work.id).script;
        let message = format!(
            "{script} manages transactions itself ({words} in line {line}): what it commits stays, whatever comes after"
        );
        self.say(Level::Warn, report::Event::Notice, &message);
    }

    /// One statement. Callbacks around it belong to the transaction that the script is in.
    async fn run_one_of_its_own(
        &mut self,
        work: &Work<'_>,
        part: &Part,
        wraps: bool,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        if wraps && !course.open {
            let begun = self.session.begin().await;
            begun.map_err(|error| Interruption::Ours(Failure::database("begin a transaction")(error)))?;
            course.open = true;
        }
        self.run_hooked(work.id, &part.place, part.data.as_deref()).await?;
        course.pass(part, self.session.in_transaction());
        Ok(())
    }

    /// The row goes with what the script did last.
    async fn end_wrapped(
        &mut self,
        work: &Work<'_>,
        course: &mut Course,
        parts: &[Part],
        started: Instant,
    ) -> Result<(), Failure> {
        if !course.open {
            self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        }
        if work.step.is_some()
            && let Err(interruption) = self.fire_inside(Event::AfterEachMigrate).await
        {
            return Err(self.stopped_on_its_own(work, course, interruption, millis(started)).await);
        }
        let row = work.applied(millis(started));
        let written = match self.session.reset_within().await {
            Ok(()) => self.session.append_history(&self.table, &row).await,
            failed => failed,
        };
        let committed = match written {
            Ok(()) => self.session.commit().await,
            failed => failed,
        };
        match committed {
            Ok(()) => Ok(()),
            Err(error) if error.is_connection_lost() => {
                // Whose transaction it was is not known; the history tells.
                self.settle_commit(work.id, &TransactionId::default(), &row, error).await
            }
            Err(error) => {
                let line = parts.last().map_or(1, |part| part.place.last_line());
                let note = "this came up at the end of the script, when its last transaction was committed";
                let failed = FailedStatement::at_line(line, error, note);
                let interruption = Interruption::Statement(Box::new(failed));
                Err(self.stopped_on_its_own(work, course, interruption, millis(started)).await)
            }
        }
    }

    async fn end_as_it_stands(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        started: Instant,
    ) -> Result<(), Failure> {
        if course.open {
            let script = &self.set.script(work.id).script;
            let message = format!("{script} left a transaction open: what is in it is rolled back");
            self.say(Level::Warn, report::Event::Notice, &message);
        }
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        if work.step.is_some() {
            self.fire_between(Event::AfterEachMigrate).await?;
        }
        self.session.reset().await.map_err(Failure::database("reset the session"))?;
        let recorded = self.session.append_history(&self.table, &work.applied(millis(started))).await;
        recorded.map_err(Failure::database("write the history row of a script that was applied"))
    }

    async fn stopped_on_its_own(
        &mut self,
        work: &Work<'_>,
        course: &Course,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        let mut failed = match self.statement_of(work.id, interruption) {
            Ok(failed) => failed,
            Err(failure) => {
                if let Err(error) = self.session.rollback().await {
                    tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
                }
                return failure;
            }
        };
        match course.note() {
            // Flyway's words about a failure have no room for it.
            Some(note) if self.settings.migration.own_transactions == OwnTransactions::Allow => {
                self.say(Level::Warn, report::Event::Notice, &note);
            }
            note => failed.notes.extend(note),
        }
        if !failed.error.is_connection_lost()
            && let Err(failure) = self.record_its_failure(work, millis).await
        {
            failed.notes.push(format!("the failure could not be written into the history: {failure}"));
        }
        self.script_failure(work.id, work.run, failed, course.kept())
    }

    async fn record_its_failure(&mut self, work: &Work<'_>, millis: u64) -> Result<(), Failure> {
        let write = "write the failed row";
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        self.session.reset().await.map_err(Failure::database(write))?;
        if self.wraps(work)? && self.table.dialect.transactional_ddl() {
            // As Flyway does it: the transaction that failed was the script's.
            return Ok(());
        }
        let Some(row) = work.failed(millis) else { return Ok(()) };
        self.session.append_history(&self.table, &row).await.map_err(Failure::database(write))
    }
}
