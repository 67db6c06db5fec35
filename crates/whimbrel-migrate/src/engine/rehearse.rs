//! A dry run that really runs everything in one transaction, and rolls it back.

use std::time::Instant;

use serde::Serialize;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::plan::{RunMode, Step};

use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::transactional::millis;
use crate::failure::Failure;
use crate::report::{Event, Level};

/// What a rehearsal came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rehearsal {
    /// Scripts that ran and were rolled back, with their milliseconds.
    pub ran: Vec<(String, u64)>,
    /// Scripts that cannot be rolled back and were left out.
    pub left_out: Vec<String>,
    /// What a rehearsal cannot tell, or cannot take back.
    pub limits: Vec<String>,
}

impl Engine<'_> {
    /// Runs the steps in one transaction under the lock, and rolls back whatever comes.
    pub(super) async fn rehearse(&mut self, steps: &[Step]) -> Result<Rehearsal, Failure> {
        if !self.session.capabilities().rehearses {
            let engine = self.session.dialect().name();
            let message = format!("{engine} cannot be rehearsed: not everything can be rolled back there");
            return Err(Finding::error("rehearsal-not-supported", message)
                .next_step("use --dry-run, or a copy of the database")
                .into());
        }
        if steps.is_empty() {
            return Ok(Rehearsal::default());
        }
        self.prepare_session().await?;
        self.lock().await?;
        let rehearsed = self.rehearse_locked(steps).await;
        let back = self.session.rollback().await;
        self.unlock_quietly().await;
        let rehearsed = rehearsed?;
        back.map_err(Failure::database("roll the rehearsal back"))?;
        self.say(Level::Info, Event::Notice, "the rehearsal was rolled back");
        Ok(rehearsed)
    }

    async fn rehearse_locked(&mut self, steps: &[Step]) -> Result<Rehearsal, Failure> {
        let mut rehearsal = Rehearsal { limits: limits(), ..Rehearsal::default() };
        self.session.begin().await.map_err(Failure::database("begin a transaction"))?;
        for step in steps {
            let path = self.set.script(step.id).script.clone();
            if step.run != RunMode::InTransaction {
                rehearsal.left_out.push(path);
                continue;
            }
            self.take_limits(step.id)?;
            let limits = self.timeouts.in_transaction();
            self.session
                .limit_statements(&limits)
                .await
                .map_err(Failure::database("limit the statements"))?;
            let started = Instant::now();
            let ran = self.rehearse_script(step).await;
            let millis = millis(started);
            if let Err(mut failure) = ran {
                if let (Failure::Script(failed), false) = (&mut failure, rehearsal.left_out.is_empty()) {
                    let left_out = rehearsal.left_out.join(", ");
                    failed.notes.push(format!("the rehearsal left out what it cannot roll back: {left_out}"));
                }
                self.say_failed(&path, &failure, millis);
                return Err(failure);
            }
            let message = format!("rehearsed {path} in {millis} ms");
            self.reporter
                .line(Level::Info, Event::Notice)
                .database(&self.settings.name)
                .script(&path)
                .with("millis", millis)
                .say(&message);
            rehearsal.ran.push((path, millis));
        }
        Ok(rehearsal)
    }

    /// One script, its deferred constraints, and the session as the next one finds it.
    async fn rehearse_script(&mut self, step: &Step) -> Result<(), Failure> {
        let source = self.set.source(step.id)?;
        let (ran, lines) = self.run_source(step.id, source).await;
        if let Err(interruption) = ran {
            return Err(self.roll_back(step.id, interruption).await);
        }
        if let Err(error) = self.session.query("SET CONSTRAINTS ALL IMMEDIATE").await {
            let note = "this came up at the end of the script, when deferred constraints were checked";
            let failed = FailedStatement::at_line(lines, error, note);
            let failed = Interruption::Statement(Box::new(failed));
            return Err(self.roll_back(step.id, failed).await);
        }
        let between = "SET CONSTRAINTS ALL DEFERRED";
        self.session.query(between).await.map_err(Failure::database("go on to the next script"))?;
        self.session.reset().await.map_err(Failure::database("reset the session"))
    }
}

fn limits() -> Vec<String> {
    [
        "sequences keep the numbers that were drawn from them",
        "the locks of all scripts were held together until the rollback: others may have waited",
        "what reaches outside of the transaction is not taken back: dblink, COPY TO PROGRAM, files, untrusted code",
        "what only shows at a COMMIT of its own is not seen: a new enum value that the next script uses",
    ]
    .map(str::to_owned)
    .to_vec()
}
