//! A script that failed: where, why, and what of it was kept.

use std::path::PathBuf;

use thiserror::Error;
use whimbrel_database::DatabaseError;
use whimbrel_migration::plan::RunMode;

use super::advice::server_hint;
use super::redacted;

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

impl ScriptFailure {
    /// The place in the form that editors and terminals recognise.
    pub fn place(&self) -> String {
        format!("{}:{}:{}", self.path.display(), self.line, self.column)
    }

    /// What was kept, in words.
    pub fn kept_in_words(&self) -> String {
        match self.kept {
            Kept::Nothing => "nothing of it was kept".to_owned(),
            Kept::Statements { done: 0, .. } => {
                "no statement of it is done, but the first one left something behind".to_owned()
            }
            Kept::Statements { done, total } => {
                format!("{done} of its {total} statements are done and were kept")
            }
            Kept::ItsOwn => "what it committed itself was kept".to_owned(),
        }
    }

    pub(super) fn callback_hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = self.error.server().and_then(server_hint).into_iter().collect();
        hints.push("correct the callback and run the command again".to_owned());
        hints
    }

    pub(super) fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = self.error.server().and_then(server_hint).into_iter().collect();
        hints.push(if self.undoes { self.undo_hint() } else { self.migrate_hint() }.to_owned());
        hints
    }

    fn migrate_hint(&self) -> &'static str {
        match self.kept {
            Kept::Nothing if self.run != RunMode::InTransaction => {
                "correct what stopped it and run migrate again; or run repair, then change the script"
            }
            Kept::Nothing if self.error.is_connection_lost() => {
                "look after the server, then run migrate again: it begins with this script"
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
            Kept::Nothing if self.error.is_connection_lost() => "look after the server, then run undo again",
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

#[cfg(test)]
mod tests {
    use whimbrel_database::ServerError;

    use super::*;
    use crate::failure::Failure;

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
}
