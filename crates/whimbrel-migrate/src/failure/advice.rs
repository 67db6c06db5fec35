//! What to do next, and what code a finding ends a run with.

use whimbrel_cli::error::ErrorKind;
use whimbrel_database::{Condition, ConnectErrorKind, EngineKind, LockHolder, ServerError};
use whimbrel_migration::finding::Finding;

use crate::risk::ScriptRisk;

/// Findings about history and files have a code of their own, those about settings too.
pub(super) fn kind_of(findings: &[Finding]) -> ErrorKind {
    let disagrees = |finding: &Finding| {
        matches!(
            finding.slug,
            "undo-missing"
                | "undo-baseline"
                | "stamp-below-baseline"
                | "checksum-mismatch"
                | "description-mismatch"
                | "type-mismatch"
                | "applied-migration-missing"
                | "migration-ignored"
                | "failed-migration"
                | "non-empty-schema"
        ) || finding.slug.starts_with("history-")
            || finding.slug.starts_with("baseline-")
    };
    if findings.iter().any(disagrees) {
        return ErrorKind::HistoryDisagrees;
    }
    let is_setting = |finding: &Finding| {
        finding.slug.starts_with("placeholder-")
            || matches!(
                finding.slug,
                "bad-directive"
                    | "limits-not-supported"
                    | "bad-script-conf"
                    | "target-unknown"
                    | "pick-unknown"
                    | "pick-and-target"
                    | "callback-twice"
                    | "no-schema"
            )
    };
    if findings.iter().any(is_setting) { ErrorKind::Usage } else { ErrorKind::No }
}

pub(super) fn connect_hint(kind: ConnectErrorKind) -> Option<&'static str> {
    match kind {
        ConnectErrorKind::Unreachable | ConnectErrorKind::NotReady => {
            Some("--wait 60s waits for a database that is still coming up")
        }
        ConnectErrorKind::LoginRefused => Some("look at user and password in the secret"),
        ConnectErrorKind::NoDatabase => Some("create the database, or correct its name in the secret"),
        ConnectErrorKind::Tls => {
            Some("look at sslmode and sslrootcert in the URL (MySQL: sslMode and serverSslCert)")
        }
        ConnectErrorKind::Other => None,
    }
}

/// What ends the one who has the lock, in the words of the engine.
pub(super) fn lock_hint(engine: EngineKind, holder: Option<&LockHolder>) -> String {
    let number = holder.map_or_else(|| "N".to_owned(), |holder| holder.backend.to_string());
    let end = match engine {
        EngineKind::PostgreSql => format!("end that backend with SELECT pg_terminate_backend({number})"),
        EngineKind::MySql => format!("end that connection with KILL {number}"),
        EngineKind::Sqlite => "end the other program: it has locked the folder of the file".to_owned(),
    };
    format!("wait for it, or {end}; --lock-wait says how long we wait")
}

pub(super) fn server_hint(error: &ServerError) -> Option<String> {
    let engine = error.engine();
    let hint = match error.condition() {
        Condition::LockTimeout => return Some(waited_hint(engine)),
        Condition::Ended if error.sqlstate == "57014" => return Some(waited_hint(engine)),
        Condition::Ended => "somebody ended the statement, or --statement-timeout did",
        Condition::Deadlock => "a deadlock with another session: run migrate again",
        Condition::ReadOnly => match engine {
            EngineKind::PostgreSql => {
                "the database is read-only: a replica, or default_transaction_read_only; connect to the primary"
            }
            EngineKind::MySql => "the server is read-only: a replica, perhaps; connect to the primary",
            EngineKind::Sqlite => "the file or its folder may only be read",
        },
        Condition::NoRight => match engine {
            EngineKind::PostgreSql => {
                "this role lacks a right: GRANT it, or run as the owner (for the history: GRANT USAGE, CREATE ON \
                 SCHEMA … and SELECT, INSERT, UPDATE, DELETE on its table)"
            }
            _ => "this user lacks a right: GRANT it, or use the owner's",
        },
        Condition::NotInTransaction => {
            "this statement cannot run in a transaction: put executeInTransaction=false into the script's .conf file"
        }
        Condition::EnumTooNew => {
            "a new enum value can be used by the next script only, not by the one that adds it"
        }
        Condition::DiskFull => "the disk is full",
        Condition::CannotOpen => "look at the path, and whether its folder may be written",
        Condition::UndefinedTable | Condition::UndefinedColumn | Condition::Other => return None,
    };
    Some(hint.to_owned())
}

/// Where to look for the one who was waited for.
fn waited_hint(engine: EngineKind) -> String {
    let look = match engine {
        EngineKind::PostgreSql => {
            "look at pg_stat_activity and pg_locks; --lock-timeout and --statement-timeout say how long is too long"
        }
        EngineKind::MySql => {
            "look at SHOW PROCESSLIST and information_schema.innodb_trx; --lock-timeout says how long is too long"
        }
        EngineKind::Sqlite => {
            "another program writes into the file; --lock-timeout, or busy_timeout in the URL, says how long is too long"
        }
    };
    format!("somebody else held a lock for too long: {look}")
}

pub(super) fn advice(risks: &[ScriptRisk]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for impact in risks.iter().flat_map(|risk| &risk.impacts) {
        let Some(advice) = impact.impact.advice.map(str::to_owned) else { continue };
        if !steps.contains(&advice) {
            steps.push(advice);
        }
    }
    steps.push("change the script, choose a quiet hour, or raise --max-risk".to_owned());
    steps
}

pub(super) fn next_steps(findings: &[Finding]) -> Vec<String> {
    let mut steps = Vec::new();
    for step in findings.iter().filter_map(|finding| finding.next_step.as_ref()) {
        if !steps.contains(step) {
            steps.push(step.clone());
        }
    }
    steps
}
