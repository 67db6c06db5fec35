//! Why a database's turn ended without success, with the exit code and what to do next.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use whimbrel_cli::error::ErrorKind;
use whimbrel_cli::exit::ExitCode;
use whimbrel_database::{
    Condition, ConnectError, ConnectErrorKind, DatabaseError, EngineKind, LockHolder, ServerError,
};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::risk::Level;
use whimbrel_migration::version::Version;

use crate::cli::Verb;
use crate::engine::ScriptRisk;
use crate::files::FilesError;
use crate::patience::Stopped;
use crate::set::SetError;

/// What ended the work on one database.
#[derive(Debug, Error)]
pub enum Failure {
    /// No session.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Our own SQL failed.
    #[error("cannot {what}")]
    Database {
        /// What was being done.
        what: &'static str,
        /// What came instead.
        #[source]
        error: DatabaseError,
    },
    /// The files.
    #[error(transparent)]
    Set(#[from] SetError),
    /// Files and history disagree, or a script must not run.
    #[error("{}", findings(.0))]
    Refused(Vec<Finding>),
    /// Somebody else holds the lock.
    #[error("another runner holds the lock of {table}{}", held_by(.holder.as_ref()))]
    Locked {
        /// What kind of server it is.
        engine: EngineKind,
        /// The quoted history table.
        table: String,
        /// Who holds it.
        holder: Option<LockHolder>,
        /// How long we waited.
        waited: Duration,
    },
    /// Between us and the server is somebody who hands out other backends.
    #[error("the connection changed its backend in the middle of the work")]
    Pooler {
        /// What kind of server it is.
        engine: EngineKind,
    },
    /// A script failed.
    #[error(transparent)]
    Script(Box<ScriptFailure>),
    /// A callback failed; what the command did before stays as it is.
    #[error("error while executing {} callback: {failure}", .event.as_str())]
    Callback {
        /// What it was called for.
        event: whimbrel_migration::name::Event,
        /// Why it failed.
        #[source]
        failure: Box<ScriptFailure>,
    },
    /// `clean` without permission.
    #[error("clean is disabled: it would drop everything in schema {schema}")]
    CleanDisabled {
        /// The schema.
        schema: String,
    },
    /// The server does not tell what became of a COMMIT.
    #[error(
        "the connection was lost during COMMIT of {script}, and what became of it could not be found out"
    )]
    CommitUnknown {
        /// The script.
        script: String,
        /// Why not.
        #[source]
        source: Box<Failure>,
    },
    /// Rows without a run, and nobody said yes.
    #[error("{} {version} writes rows and runs nothing:{}", .verb.name(), listed(.dangers))]
    Unconfirmed {
        /// `skip` or `stamp`.
        verb: Verb,
        /// The version.
        version: Version,
        /// What may go wrong.
        dangers: Vec<String>,
    },
    /// Others would notice more than was allowed.
    #[error("{}", too_risky(*.limit, .risks))]
    TooRisky {
        /// What was allowed.
        limit: Level,
        /// The scripts above it.
        risks: Vec<ScriptRisk>,
    },
    /// The database did not reach the version in time.
    #[error("the database is at {}, not at {wanted}, after {} s", crate::render::version(.version.as_ref().map(Version::as_str)), .waited.as_secs())]
    NotYet {
        /// What was waited for.
        wanted: Version,
        /// What there is.
        version: Option<Version>,
        /// For how long.
        waited: Duration,
    },
    /// Signal or deadline.
    #[error("{}", stopped(*.0))]
    Stopped(Stopped),
}

/// A script and everything that helps to understand why it failed.
#[derive(Debug, Error)]
#[error("{}", headline(self))]
pub struct ScriptFailure {
    /// Its path below the location.
    pub script: String,
    /// Its file.
    pub path: PathBuf,
    /// Its version.
    pub version: Option<String>,
    /// Its description.
    pub description: String,
    /// How it ran.
    pub run: RunMode,
    /// Whether it takes a version back.
    pub undoes: bool,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Where the statement begins.
    pub statement_line: u64,
    /// The beginning of the statement, without secrets.
    pub statement: String,
    /// What was kept.
    pub kept: Kept,
    /// More to know, a line each.
    pub notes: Vec<String>,
    /// What the server said.
    #[source]
    pub error: DatabaseError,
}

/// What a failed script left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// These statements from its beginning.
    Statements {
        /// How many are done.
        done: usize,
        /// How many it has.
        total: usize,
    },
    /// What it committed itself.
    ItsOwn,
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<FilesError> for Failure {
    fn from(error: FilesError) -> Self {
        Self::Set(error.into())
    }
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        Self::Refused(vec![finding])
    }
}

impl Failure {
    /// Our own SQL failed while doing `what`.
    pub fn database(what: &'static str) -> impl FnOnce(DatabaseError) -> Self {
        move |error| Self::Database { what, error }
    }

    /// The kind, and with it the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect(error) if error.kind == ConnectErrorKind::Tls => ErrorKind::DatabaseUnreachable,
            Self::Connect(_) => ErrorKind::DatabaseUnreachable,
            Self::Database { error, .. } if error.is_connection_lost() => ErrorKind::DatabaseUnreachable,
            Self::Database { .. } => ErrorKind::No,
            Self::Set(SetError::Refused(finding)) => kind_of(std::slice::from_ref(finding)),
            Self::Set(_) => ErrorKind::Usage,
            Self::Refused(findings) => kind_of(findings),
            Self::Locked { .. } => ErrorKind::Locked,
            Self::Pooler { .. } => ErrorKind::Usage,
            Self::Script(failure) | Self::Callback { failure, .. } if failure.kept == Kept::Nothing => {
                ErrorKind::ScriptFailed
            }
            Self::Script(_) | Self::Callback { .. } | Self::CommitUnknown { .. } => {
                ErrorKind::ScriptPartlyKept
            }
            Self::CleanDisabled { .. } | Self::Unconfirmed { .. } | Self::TooRisky { .. } => {
                ErrorKind::Refused
            }
            Self::NotYet { .. } => ErrorKind::Deadline,
            Self::Stopped(Stopped::Signal(cause)) => cause.error_kind(),
            Self::Stopped(Stopped::Deadline) => ErrorKind::Deadline,
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        self.kind().exit_code()
    }

    /// What to do next.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Connect(error) => connect_hint(error.kind).into_iter().map(str::to_owned).collect(),
            Self::Database { error, .. } => error.server().and_then(server_hint).into_iter().collect(),
            Self::Set(SetError::Refused(finding)) => finding.next_step.clone().into_iter().collect(),
            Self::Refused(findings) => next_steps(findings),
            Self::Locked { engine, holder, .. } => vec![lock_hint(*engine, holder.as_ref())],
            Self::Pooler { engine } => {
                let server = engine.dialect().name();
                vec![format!(
                    "connect to {server} itself, or to a pool in session mode: the lock belongs to a session"
                )]
            }
            Self::Script(failure) => failure.hints(),
            Self::Callback { failure, .. } => failure.callback_hints(),
            Self::Unconfirmed { .. } => {
                vec!["--yes accepts that; --dry-run shows the rows".to_owned()]
            }
            Self::TooRisky { risks, .. } => advice(risks),
            Self::NotYet { .. } => vec!["--wait says how long to wait".to_owned()],
            Self::CleanDisabled { .. } => vec!["--clean-enabled allows it".to_owned()],
            Self::CommitUnknown { .. } => {
                vec!["run migrate again: it finds out from the history what was kept".to_owned()]
            }
            Self::Set(_) | Self::Stopped(_) => Vec::new(),
        }
    }
}

impl ScriptFailure {
    /// The place in the form that editors and terminals recognise.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.path.display(), self.line, self.column)
    }

    /// What was kept, in words.
    pub fn kept_in_words(&self) -> String {
        match self.kept {
            Kept::Nothing => "nothing of it was kept".to_owned(),
            Kept::Statements { done, total } => {
                format!("{done} of its {total} statements are done and were kept")
            }
            Kept::ItsOwn => "what it committed itself was kept".to_owned(),
        }
    }

    fn callback_hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = self.error.server().and_then(server_hint).into_iter().collect();
        hints.push("correct the callback and run the command again".to_owned());
        hints
    }

    fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = self.error.server().and_then(server_hint).into_iter().collect();
        hints.push(if self.undoes { self.undo_hint() } else { self.migrate_hint() }.to_owned());
        hints
    }

    fn migrate_hint(&self) -> &'static str {
        match self.kept {
            Kept::Nothing if self.run != RunMode::InTransaction => {
                "correct what stopped it and run migrate again; or run repair, then change the script"
            }
            Kept::Nothing => "correct the script and run migrate again",
            Kept::Statements { .. } => {
                "correct what stopped it and run migrate again: it goes on with this statement; to change the script \
                 instead, undo by hand what was kept and run repair first"
            }
            Kept::ItsOwn => "undo by hand what was kept, run repair, then run migrate again",
        }
    }

    /// A version that is half taken back still counts as applied.
    fn undo_hint(&self) -> &'static str {
        match self.kept {
            Kept::Nothing => "correct the script and run undo again",
            Kept::Statements { .. } => {
                "correct what stopped it and run undo again: it goes on with this statement; a script that was changed \
                 starts anew"
            }
            Kept::ItsOwn => "make good by hand what was kept, then run undo again",
        }
    }
}

/// Everything about it but the cause and the hints.
fn headline(failure: &ScriptFailure) -> String {
    let mut text = format!("script {} failed: {}", failure.script, failure.kept_in_words());
    text.push_str(&format!("\n  at {}", failure.place()));
    if failure.error.server().is_none() {
        text.push_str(&format!("\n  {}", with_causes(&failure.error)));
    }
    if let Some(error) = failure.error.server() {
        text.push_str(&format!("\n  {}: {}", error.severity, redacted(&error.message)));
        if !error.sqlstate.is_empty() {
            text.push_str(&format!("\n  SQLSTATE: {}", error.sqlstate));
        }
        if error.code != 0 {
            text.push_str(&format!("\n  error code: {}", error.code));
        }
        for (name, value) in [("detail", &error.detail), ("hint", &error.hint), ("context", &error.context)] {
            if let Some(value) = value {
                text.push_str(&format!("\n  {name}: {}", redacted(value).replace('\n', "\n    ")));
            }
        }
    }
    if !failure.statement.is_empty() {
        text.push_str("\n  statement:");
        for line in failure.statement.lines() {
            text.push_str(&format!("\n    {line}"));
        }
    }
    for note in &failure.notes {
        text.push_str(&format!("\n  note: {note}"));
    }
    text
}

/// An error and its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {}", redacted(&cause.to_string())))
}

/// Without anything that looks like a secret.
pub fn redacted(text: &str) -> String {
    whimbrel_migration::redact::redact(text).into_owned()
}

fn findings(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Each on a line of its own.
fn listed(dangers: &[String]) -> String {
    dangers.iter().map(|danger| format!("\n  - {danger}")).collect()
}

fn too_risky(limit: Level, risks: &[ScriptRisk]) -> String {
    let mut text = format!("others would notice more than the level {limit} that is allowed:");
    for risk in risks {
        text.push_str(&format!("\n  {}: {}", risk.script, risk.level));
        for impact in risk.impacts.iter().filter(|impact| impact.level > limit) {
            text.push_str(&format!("\n    {impact}"));
        }
    }
    text
}

fn advice(risks: &[ScriptRisk]) -> Vec<String> {
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

fn next_steps(findings: &[Finding]) -> Vec<String> {
    let mut steps = Vec::new();
    for step in findings.iter().filter_map(|finding| finding.next_step.as_ref()) {
        if !steps.contains(step) {
            steps.push(step.clone());
        }
    }
    steps
}

fn held_by(holder: Option<&LockHolder>) -> String {
    holder.map(|holder| format!(": {holder}")).unwrap_or_default()
}

fn stopped(stopped: Stopped) -> &'static str {
    match stopped {
        Stopped::Signal(_) => "stopped as asked by a signal",
        Stopped::Deadline => "the deadline of this run has passed",
    }
}

/// Findings about history and files have a code of their own, those about settings too.
fn kind_of(findings: &[Finding]) -> ErrorKind {
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
                    | "callback-twice"
                    | "no-schema"
            )
    };
    if findings.iter().any(is_setting) { ErrorKind::Usage } else { ErrorKind::No }
}

fn connect_hint(kind: ConnectErrorKind) -> Option<&'static str> {
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
fn lock_hint(engine: EngineKind, holder: Option<&LockHolder>) -> String {
    let number = holder.map_or_else(|| "N".to_owned(), |holder| holder.backend.to_string());
    let end = match engine {
        EngineKind::PostgreSql => format!("end that backend with SELECT pg_terminate_backend({number})"),
        EngineKind::MySql => format!("end that connection with KILL {number}"),
        EngineKind::Sqlite => "end the other program: it has locked the folder of the file".to_owned(),
    };
    format!("wait for it, or {end}; --lock-wait says how long we wait")
}

fn server_hint(error: &ServerError) -> Option<String> {
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
        Condition::UndefinedTable | Condition::Other => return None,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(kept: Kept) -> ScriptFailure {
        ScriptFailure {
            script: "V2__b.sql".to_owned(),
            path: "/sql/V2__b.sql".into(),
            version: Some("2".to_owned()),
            description: "b".to_owned(),
            run: RunMode::InTransaction,
            undoes: false,
            line: 4,
            column: 13,
            statement_line: 3,
            statement: "SELECT *\nFROM nope".to_owned(),
            kept,
            notes: vec!["a note".to_owned()],
            error: DatabaseError::Server(ServerError {
                position: Some(13),
                ..ServerError::new("42P01", 0, "relation \"nope\" does not exist")
            }),
        }
    }

    #[test]
    fn a_failed_script_tells_place_state_message_and_statement() {
        let text = failure(Kept::Nothing).to_string();
        for part in [
            "script V2__b.sql failed: nothing of it was kept",
            "at /sql/V2__b.sql:4:13",
            "ERROR: relation \"nope\" does not exist",
            "SQLSTATE: 42P01",
            "    FROM nope",
            "note: a note",
        ] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }

    #[test]
    fn what_was_kept_decides_the_code() {
        let code = |kept| Failure::Script(Box::new(failure(kept))).exit_code().code();
        assert_eq!(code(Kept::Nothing), 7);
        assert_eq!(code(Kept::Statements { done: 1, total: 3 }), 8);
        assert_eq!(code(Kept::ItsOwn), 8);
    }

    #[test]
    fn a_disagreement_wins_over_other_findings() {
        let findings =
            vec![Finding::error("own-transaction-control", "x"), Finding::error("checksum-mismatch", "y")];
        assert_eq!(Failure::Refused(findings).exit_code().code(), 6);
        assert_eq!(Failure::from(Finding::error("own-transaction-control", "x")).exit_code().code(), 1);
        assert_eq!(Failure::from(Finding::error("placeholder-missing", "x")).exit_code().code(), 2);
    }
}
