//! How a script runs: in a transaction with its history row, or statement by statement.

use serde::Serialize;

use super::{MigratePlan, Step};
use crate::{
    conf::ScriptConf,
    dialect::Dialect,
    finding::{Finding, FlywayCode},
    scan::{KindChange, ScanFacts, Seen},
    script::ResolvedScript,
    settings::{OwnTransactions, Settings},
};

/// How a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// All statements and the history row in one transaction; see [`Step::implicit_commits`] for engines whose
    /// DDL ends it on the way.
    InTransaction,
    /// Each statement for itself, outside a transaction; the history row afterwards.
    StatementByStatement,
    /// As [`RunMode::StatementByStatement`], but the script begins and ends transactions itself: when it is
    /// over, one may be open that has to be closed, and what was kept after a failure is up to the script.
    ManagesOwnTransactions,
}

/// A refusal that still has to be told which script it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRefusal(Box<Finding>);

impl RunRefusal {
    /// The finding, with its script named.
    pub fn in_script(self, script: &ResolvedScript) -> Box<Finding> {
        Box::new(self.0.in_script(script.script.clone()))
    }
}

/// How a script runs: its side file decides, else its statements and the settings.
///
/// # Errors
/// [`RunRefusal`]: statements of both kinds, or of a transaction of its own, where the settings do not allow them.
pub fn decide_run(facts: &ScanFacts, conf: &ScriptConf, settings: &Settings) -> Result<RunMode, RunRefusal> {
    let declared = conf.execute_in_transaction;
    if let Some(control) = &facts.transaction_control
        && !settings.skip_executing
    {
        let allowed = declared == Some(false)
            || !settings.execute_in_transaction
            || settings.own_transactions == OwnTransactions::Allow;
        if !allowed {
            return Err(RunRefusal(Box::new(own_transaction_finding(control))));
        }
        return Ok(RunMode::ManagesOwnTransactions);
    }
    if declared.is_none()
        && settings.execute_in_transaction
        && !settings.mixed
        && let Some(change) = &facts.kind_change
    {
        return Err(RunRefusal(Box::new(mixed_finding(change))));
    }
    let in_transaction =
        declared.unwrap_or(facts.non_transactional.is_none() && settings.execute_in_transaction);
    Ok(if in_transaction {
        RunMode::InTransaction
    } else if facts.savepoints && settings.dialect == Dialect::Sqlite {
        RunMode::ManagesOwnTransactions
    } else {
        RunMode::StatementByStatement
    })
}

fn own_transaction_finding(control: &Seen) -> Finding {
    Finding::error(
        "own-transaction-control",
        format!("{} would end the transaction that holds the script and its history row", control.what),
    )
    .at(control.place.line, control.place.column)
    .coded(FlywayCode::Error)
    .next_step(
        "remove it: scripts run in a transaction anyway; or declare that the script manages its own, with \
         executeInTransaction=false in its .conf file",
    )
}

fn mixed_finding(change: &KindChange) -> Finding {
    let mark = if change.non_transactional { " [non-transactional]" } else { "" };
    Finding::error(
        "mixed-statements",
        format!(
            "Detected both transactional and non-transactional statements within the same migration (even \
             though mixed is false). Offending statement found at line {}: {}{mark}",
            change.place.line, change.statement
        ),
    )
    .at(change.place.line, change.place.column)
    .coded(FlywayCode::Error)
    .next_step("put the statements that cannot run in a transaction into a script of their own, or set mixed")
}

/// In a group all scripts run the same way.
pub(super) fn unify_group(plan: &mut MigratePlan, scripts: &[ResolvedScript], settings: &Settings) {
    let Some(first) = plan.steps.first() else { return };
    let in_transaction = |step: &Step| step.run != RunMode::StatementByStatement;
    let first_in_transaction = in_transaction(first);
    let Some(other) = plan.steps.iter().find(|step| in_transaction(step) != first_in_transaction) else {
        return;
    };
    if settings.mixed {
        for step in plan.steps.iter_mut().filter(|step| step.run == RunMode::InTransaction) {
            step.run = RunMode::StatementByStatement;
        }
        return;
    }
    let script = &scripts[other.id.index()];
    let version = script.version().map(|version| format!("{version} ")).unwrap_or_default();
    let mark = if in_transaction(other) { "" } else { " [non-transactional]" };
    plan.refusals.push(
        Finding::error(
            "mixed-group",
            format!(
                "Detected both transactional and non-transactional migrations within the same migration \
                 group (even though mixed is false). First offending migration: \"{version}{}\"{mark}",
                script.name.description
            ),
        )
        .coded(FlywayCode::Error)
        .in_script(script.script.clone())
        .next_step("run them without group, or set mixed"),
    );
}
