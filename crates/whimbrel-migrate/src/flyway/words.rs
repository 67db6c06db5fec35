//! What went wrong, in Flyway's words where they are known.

use whimbrel_database::{ConnectError, ConnectErrorKind, ServerError};
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::finding::Finding;

use super::place::Place;
use crate::failure::{Failure, ScriptFailure};
use crate::set::SetError;

/// The last line of a failed validation.
pub(super) const LEARN_MORE: &str =
    "\nNeed more flexibility with validation rules? Learn more: https://rd.gt/3AbJUZE";

const USE_X: &str = "Run Flyway with -X option to see the actual statement causing the problem";

const SHOULD_EXECUTE: &str = "Upgrade required: shouldExecute is not supported by OSS. Download Redgate Edition for free: \
    https://rd.gt/3GGIXhh. Once you have installed Redgate Edition, you can start a free Enterprise trial by running \
    auth -startEnterpriseTrial -IAgreeToTheEula.";

/// Whether these are findings of a validation, and not of something else that was looked at before a run.
pub(super) fn is_validation(findings: &[Finding]) -> bool {
    let of_validation = |message: &str| {
        ["Migration checksum", "Migration description", "Migration type", "Detected "]
            .iter()
            .any(|start| message.starts_with(start))
    };
    findings.iter().any(|finding| of_validation(&finding.message) && finding.slug != "mixed-statements")
}

/// Whether an old failed row stands in the way of a run that did not validate.
pub(super) fn is_old_failure(findings: &[Finding]) -> bool {
    !is_validation(findings) && findings.first().is_some_and(|finding| finding.slug == "failed-migration")
}

/// The same in Flyway's words, which name the schema and the first of such rows.
pub(super) fn old_failure(place: &Place, findings: &[Finding]) -> String {
    let schema = place.schema();
    let lines = findings.iter().take(1).map(|finding| match &finding.version {
        Some(version) => format!("Schema {schema} contains a failed migration to version {version} !"),
        None => format!(
            "Schema {schema} contains a failed repeatable migration ({}) !",
            finding.description.as_deref().unwrap_or_default()
        ),
    });
    lines.collect()
}

/// Whether Flyway ends with its code for what an edition lacks.
pub(super) fn is_about_edition(failure: &Failure) -> bool {
    matches!(failure, Failure::Set(SetError::Refused(finding)) if finding.message.starts_with("shouldExecute "))
}

/// What went wrong.
pub(super) fn message(place: &Place, failure: &Failure) -> String {
    match failure {
        Failure::Script(script) => block(place, script),
        Failure::Callback { event, failure } => {
            format!("Error while executing {} callback: {}", event.as_str(), block(place, failure))
        }
        Failure::Refused(findings) if is_old_failure(findings) => old_failure(place, findings),
        Failure::Refused(findings) => {
            let text = findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>().join("\n");
            let has_baseline =
                |finding: &Finding| matches!(finding.slug, "baseline-has-history" | "baseline-differs");
            if findings.iter().any(has_baseline) {
                format!("{text}\nNeed to reset your baseline? Learn more: https://rd.gt/3CdwkXD")
            } else if is_validation(findings) {
                format!("Validate failed: Migrations have failed validation\n{text}{LEARN_MORE}")
            } else {
                text
            }
        }
        failure if is_about_edition(failure) => SHOULD_EXECUTE.to_owned(),
        Failure::Set(SetError::NoLocation(missing)) => {
            // Flyway goes through the locations in their order and stops at the first.
            let first = missing.iter().min().map(|path| path.display().to_string()).unwrap_or_default();
            format!("Failed to find filesystem location: {first} (not found)")
        }
        Failure::Locked { .. } => format!(
            "Number of retries exceeded while attempting to acquire PostgreSQL advisory lock. Configure \
             the number of retries with the 'lockRetryCount' configuration option: https://rd.gt/3A57jfk\n{failure}"
        ),
        Failure::CleanDisabled { .. } => {
            "Unable to execute clean as it has been disabled with the 'flyway.cleanDisabled' property."
                .to_owned()
        }
        Failure::Connect(error) => connect(place, error),
        Failure::Database { what, error } => match error.server() {
            Some(server) => sql_block(&format!("Unable to {what}"), server),
            None => chain(failure),
        },
        other => chain(other),
    }
}

/// What Flyway says when SQL of its own failed.
fn sql_block(headline: &str, error: &ServerError) -> String {
    format!(
        "{headline}\n{}\nSQL State  : {}\nError Code : {}\nMessage    : {}\n",
        "-".repeat(headline.chars().count()),
        state(error).unwrap_or("null"),
        error.code,
        server_message(error),
    )
}

fn connect(place: &Place, error: &ConnectError) -> String {
    let user = place.user.as_ref().map(|user| format!(" for user '{user}'")).unwrap_or_default();
    let cause = connect_cause(place, error);
    let headline = format!("Unable to obtain connection from database ({}){user}: {cause}", place.url);
    format!(
        "{headline}\n{}\nSQL State  : {}\nError Code : 0\nMessage    : {cause}\n",
        "-".repeat(headline.chars().count()),
        connect_state(error),
    )
}

/// What the driver of Java says where nothing listens; otherwise what the server or the system said.
pub(super) fn connect_cause(place: &Place, error: &ConnectError) -> String {
    let cause = error.cause.to_string();
    if error.kind == ConnectErrorKind::Unreachable
        && place.dialect() == Dialect::PostgreSql
        && cause.contains("refused")
    {
        let at = error.target.split('/').next().unwrap_or_default();
        return format!(
            "Connection to {at} refused. Check that the hostname and port are correct and that the \
             postmaster is accepting TCP/IP connections."
        );
    }
    cause
}

fn chain(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A failed script.
pub(super) fn block(place: &Place, script: &ScriptFailure) -> String {
    let name = script.script.rsplit('/').next().unwrap_or_default();
    let headline = format!("Failed to execute script {name}");
    let (state, code, message) = match script.error.server() {
        Some(error) => (state(error).unwrap_or("null"), error.code, server_message(error)),
        None => ("08006", 0, script.error.to_string()),
    };
    format!(
        "{headline}\n{}\nSQL State  : {state}\nError Code : {code}\nMessage    : {message}\nLocation   : \
         {path} ({path})\nLine       : {}\nStatement  : {}\n",
        "-".repeat(headline.chars().count()),
        script.statement_line,
        if place.shows_statements { &script.statement } else { USE_X },
        path = script.path.display(),
    )
}

/// SQLite has no such states.
pub(super) fn state(error: &ServerError) -> Option<&str> {
    Some(error.sqlstate.as_str()).filter(|state| !state.is_empty())
}

/// The condition's five characters, as far as the class of the failure tells it.
pub(super) fn connect_state(error: &ConnectError) -> &'static str {
    match error.kind {
        ConnectErrorKind::Unreachable => "08001",
        ConnectErrorKind::NotReady => "57P03",
        ConnectErrorKind::LoginRefused => "28P01",
        ConnectErrorKind::NoDatabase => "3D000",
        _ => "08006",
    }
}

/// What a driver makes of a server's error; that of MySQL has no word before the message.
pub(super) fn server_message(error: &ServerError) -> String {
    let position = error.position.map(|at| at.to_string());
    let more = [
        ("Detail", &error.detail),
        ("Hint", &error.hint),
        ("Position", &position),
        ("Where", &error.context),
    ];
    let more: String =
        more.iter().filter_map(|(name, text)| Some(format!("\n  {name}: {}", text.as_ref()?))).collect();
    let message = &error.message;
    match (state(error), error.code) {
        (None, code) => {
            let (name, meaning) = sqlite_words(code);
            format!("[{name}] {meaning} ({message})")
        }
        (Some(_), 0) => format!("{}: {message}{more}", error.severity),
        (Some(_), _) => format!("{message}{more}"),
    }
}

/// The names of SQLite's result codes, and what they mean, as its driver for Java says it.
fn sqlite_words(code: i32) -> (&'static str, &'static str) {
    match code {
        2 => ("SQLITE_INTERNAL", "Internal logic error in SQLite"),
        3 => ("SQLITE_PERM", "Access permission denied"),
        4 => ("SQLITE_ABORT", "Callback routine requested an abort"),
        5 => ("SQLITE_BUSY", "The database file is locked"),
        517 => ("SQLITE_BUSY_SNAPSHOT", "Another database connection has already written to the database"),
        6 => ("SQLITE_LOCKED", "A table in the database is locked"),
        8 => ("SQLITE_READONLY", "Attempt to write a readonly database"),
        9 => ("SQLITE_INTERRUPT", "Operation terminated by sqlite3_interrupt()"),
        10 => ("SQLITE_IOERR", "Some kind of disk I/O error occurred"),
        11 => ("SQLITE_CORRUPT", "The database disk image is malformed"),
        13 => ("SQLITE_FULL", "Insertion failed because database is full"),
        14 => ("SQLITE_CANTOPEN", "Unable to open the database file"),
        19 => ("SQLITE_CONSTRAINT", "Abort due to constraint violation"),
        275 => ("SQLITE_CONSTRAINT_CHECK", "A CHECK constraint failed"),
        787 => ("SQLITE_CONSTRAINT_FOREIGNKEY", "A foreign key constraint failed"),
        1299 => ("SQLITE_CONSTRAINT_NOTNULL", "A NOT NULL constraint failed"),
        1555 => ("SQLITE_CONSTRAINT_PRIMARYKEY", "A PRIMARY KEY constraint failed"),
        1811 => (
            "SQLITE_CONSTRAINT_TRIGGER",
            "A RAISE function within a trigger fired, causing the SQL statement to abort",
        ),
        2067 => ("SQLITE_CONSTRAINT_UNIQUE", "A UNIQUE constraint failed"),
        20 => ("SQLITE_MISMATCH", "Data type mismatch"),
        26 => ("SQLITE_NOTADB", "File opened that is not a database file"),
        _ => ("SQLITE_ERROR", "SQL error or missing database"),
    }
}
