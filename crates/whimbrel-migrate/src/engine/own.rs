//! A script that begins and ends transactions itself, and what of it stays.
//!
//! | the script | runs |
//! |---|---|
//! | says so itself (`executeInTransaction=false`), or must not be in a transaction | as it stands: what is in no transaction of its own counts for itself |
//! | is one of Flyway's, which takes any script | as in Flyway: whatever it ends, another transaction begins with the next statement, and the last one holds the history row |
//!
//! PostgreSQL tells after each statement whether a transaction is open; elsewhere the statements themselves tell.
//!
//! What such a script committed no rollback takes back, and its row comes later. So a record says how much of it is settled:
//! it is written into the script's own transaction, before the statement that commits it. One that a run left behind keeps the
//! next from doing all of it again (`taking_up`).

mod course;
mod stopping;
mod taking_up;

use std::time::Instant;

use whimbrel_database::TransactionId;
use whimbrel_migration::scan::Effect;
use whimbrel_migration::script::ScriptId;

pub(super) use self::course::Course;
use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::running::Work;
use super::statements::{Part, Statements};
use super::streaming::Ahead;
use super::transactional::millis;
use crate::failure::Failure;
use crate::report::{self, Level};

impl Engine<'_> {
    /// Runs a script that manages its own transactions; its row is written when it is through.
    pub(super) async fn run_as_it_stands(&mut self, work: &Work<'_>) -> Result<u64, Failure> {
        let started = Instant::now();
        let wraps = self.wraps(work.id)?;
        self.limit_session().await?;
        let total = self.statements_in(work.id)?;
        if let Some(left) = self.record_left_by(work, total).await? {
            return self.take_up(work, left, started).await;
        }
        let mut statements = self.compared_statements(work.id)?;
        self.warn_about_its_own(work)?;
        self.begin_each(work).await?;
        let mut course = Course::begun(false);
        if wraps {
            self.make_room_for_records().await;
        } else {
            // Its first statement may commit by itself.
            self.record_settled(work, &mut course).await?;
        }
        if let Err(interruption) = self.run_its_own(work, &mut statements, wraps, &mut course).await {
            return Err(self.stopped_on_its_own(work, &course, interruption, millis(started)).await);
        }
        if wraps {
            self.end_wrapped(work, &mut course, started).await?;
        } else {
            self.end_as_it_stands(work, &mut course, started).await?;
        }
        Ok(millis(started))
    }

    /// Whether the script gets a transaction wherever it has none of its own.
    pub(super) fn wraps(&mut self, id: ScriptId) -> Result<bool, Failure> {
        let facts = self.facts_of(id)?;
        let usual = facts.non_transactional.is_none() && self.settings.migration.execute_in_transaction;
        Ok(self.set.script(id).conf.execute_in_transaction.unwrap_or(usual))
    }

    fn warn_about_its_own(&mut self, work: &Work<'_>) -> Result<(), Failure> {
        let Some(control) = self.facts_of(work.id)?.transaction_control else { return Ok(()) };
        let script = &self.set.script(work.id).script;
        let (words, line) = (control.what, control.place.line);
        let message = format!(
            "{script} manages transactions itself ({words} in line {line}): what it commits stays, whatever comes after"
        );
        self.say(Level::Warn, report::Event::Notice, &message);
        Ok(())
    }

    /// The statements. Callbacks around them belong to the transaction that the script is in.
    async fn run_its_own(
        &mut self,
        work: &Work<'_>,
        statements: &mut Statements,
        wraps: bool,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        let mut ahead = Ahead::default();
        while let Some(part) = statements.next_statement()? {
            if course.open && self.may_go_ahead(work.id, &part) {
                course.pass(&part, None);
                self.send_ahead(work.id, part.place, &mut ahead).await?;
            } else {
                self.fetch_answers(work.id, &mut ahead).await?;
                self.run_one_of_its_own(work, &part, statements, wraps, course).await?;
            }
        }
        self.fetch_answers(work.id, &mut ahead).await
    }

    async fn run_one_of_its_own(
        &mut self,
        work: &Work<'_>,
        part: &Part,
        statements: &mut Statements,
        wraps: bool,
        course: &mut Course,
    ) -> Result<(), Interruption> {
        let begins_apart = part.effect == Effect::TransactionControl("XA START");
        if wraps && course.lacks_transaction() && !begins_apart {
            let begun = self.session.begin().await;
            begun.map_err(|error| Interruption::Ours(Failure::database("begin a transaction")(error)))?;
            course.open = true;
        }
        let before = course.last_line;
        let settles = course.settles(part.effect, self.settings.migration.dialect);
        if let Some(settled) = settles {
            // A statement that fails may have committed what came before it.
            course.recorded = self.record_ahead(work, course, settled).await?;
        }
        self.run_hooked(work.id, part, statements).await?;
        course.pass(part, self.session.in_transaction());
        if let Some(settled) = settles {
            course.settle(settled, if settled == course.done { course.last_line } else { before });
        }
        if course.lacks_transaction() && course.recorded != Some(course.settled_statements) {
            self.record_settled(work, course).await.map_err(Interruption::Ours)?;
        }
        Ok(())
    }

    /// The row goes with what the script did last.
    async fn end_wrapped(
        &mut self,
        work: &Work<'_>,
        course: &mut Course,
        started: Instant,
    ) -> Result<(), Failure> {
        if !course.open {
            self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        }
        if let Err(interruption) = self.fire_inside(self.each(work.id).after).await {
            return Err(self.stopped_on_its_own(work, course, interruption, millis(started)).await);
        }
        let row = work.applied(millis(started));
        let written = match self.session.reset_within().await {
            Ok(()) if course.recorded.is_some() => {
                let script = self.set.script(work.id).stored_script();
                self.session.record_success_here(&self.table, &row, Some(&script)).await
            }
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
                let failed = FailedStatement::commit_lost(error);
                self.settle_commit(work.id, &TransactionId::default(), &row, failed).await
            }
            Err(error) => {
                let note = "this came up at the end of the script, when its last transaction was committed";
                let failed = FailedStatement::at_line(course.last_line, error, note);
                let interruption = Interruption::Statement(Box::new(failed));
                Err(self.stopped_on_its_own(work, course, interruption, millis(started)).await)
            }
        }
    }

    async fn end_as_it_stands(
        &mut self,
        work: &Work<'_>,
        course: &mut Course,
        started: Instant,
    ) -> Result<(), Failure> {
        if course.open {
            let script = &self.set.script(work.id).script;
            let message = format!("{script} left a transaction open: what is in it is rolled back");
            self.say(Level::Warn, report::Event::Notice, &message);
        }
        self.session.rollback().await.map_err(Failure::database("end the script's transaction"))?;
        if course.open {
            course.settled_statements = course.done;
            self.record_settled(work, course).await?;
        }
        self.finish_as_it_stands(work, course.recorded.is_some(), started).await
    }

    /// What comes after the last statement: callbacks and the row.
    async fn finish_as_it_stands(
        &mut self,
        work: &Work<'_>,
        recorded: bool,
        started: Instant,
    ) -> Result<(), Failure> {
        self.fire_between(self.each(work.id).after).await?;
        self.session.reset().await.map_err(Failure::database("reset the session"))?;
        let row = work.applied(millis(started));
        let script = self.set.script(work.id).stored_script();
        let script = recorded.then_some(script.as_str());
        let recorded = self.session.record_success(&self.table, &row, script).await;
        recorded.map_err(self.no_row_for(work))
    }
}
