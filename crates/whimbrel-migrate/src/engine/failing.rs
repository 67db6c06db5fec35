//! From a statement that failed to a failure that explains itself.

use whimbrel_database::{DatabaseError, Warnings};
use whimbrel_migration::name::ScriptKind;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::redact::{names_a_secret, redact_values};
use whimbrel_migration::scan::{Place, Statement};
use whimbrel_migration::script::ScriptId;

use super::Engine;
use crate::failure::{Failure, Kept, ScriptFailure};
use crate::patience::Stopped;
use crate::set::SetError;
use crate::settings::DatabaseSettings;

/// More lines of a statement than this are not shown.
const SHOWN_LINES: usize = 12;
/// Lines before and after the wrong one, where a statement is longer.
const LINES_AROUND: usize = 3;
/// A line is cut here.
const SHOWN_COLUMNS: usize = 160;

/// A failure that nobody will see in the history, and why.
pub(super) fn unrecorded(why: &Failure) -> String {
    format!("the failure could not be written into the history: {why}")
}

/// Why a script did not come to its end.
pub(super) enum Interruption {
    /// A statement failed.
    Statement(Box<FailedStatement>),
    /// We were asked to stop.
    Stopped(Stopped),
    /// Our own SQL around the script failed, or the script could not be read to its end.
    Ours(Failure),
}

impl From<SetError> for Interruption {
    fn from(error: SetError) -> Self {
        Self::Ours(error.into())
    }
}

/// A statement that failed.
pub(super) struct FailedStatement {
    /// Where the error is.
    pub(super) line: u64,
    pub(super) column: u64,
    /// Where the statement begins.
    pub(super) statement_line: u64,
    /// What to show of it.
    pub(super) excerpt: String,
    /// More to know.
    pub(super) notes: Vec<String>,
    pub(super) error: DatabaseError,
}

impl FailedStatement {
    pub(super) fn new(statement: &StatementPlace, error: DatabaseError, settings: &DatabaseSettings) -> Self {
        let position = error.server().and_then(|error| error.position);
        let (line, column) = match position {
            Some(position) => statement.locate(position),
            None => (statement.place.line, statement.place.column),
        };
        let excerpt = statement.excerpt(position.map(|_| line), settings);
        Self { line, column, statement_line: statement.place.line, excerpt, notes: Vec::new(), error }
    }

    /// What there is to say of a COMMIT that was not answered and turns out to have done nothing.
    pub(super) fn commit_lost(error: DatabaseError) -> Self {
        Self::at_line(
            1,
            error,
            "the connection was lost during COMMIT; the server says that it was rolled back",
        )
    }

    /// An error that belongs to no statement of the script.
    pub(super) fn at_line(line: u64, error: DatabaseError, note: &str) -> Self {
        Self {
            line,
            column: 1,
            statement_line: line,
            excerpt: String::new(),
            notes: vec![note.to_owned()],
            error,
        }
    }
}

/// A statement's text and where it is in its script.
#[derive(Clone)]
pub(super) struct StatementPlace {
    pub(super) text: String,
    pub(super) text_place: Place,
    pub(super) place: Place,
    /// What is done about its warnings.
    pub(super) warnings: Warnings,
}

impl StatementPlace {
    pub(super) fn of(statement: &Statement<'_>, warnings: Warnings) -> Self {
        Self {
            text: statement.text.to_owned(),
            text_place: statement.text_place,
            place: statement.place,
            warnings,
        }
    }

    /// The line in which the statement ends.
    pub(super) fn last_line(&self) -> u64 {
        self.text_place.line + self.text.bytes().filter(|byte| *byte == b'\n').count() as u64
    }

    /// Line and column in the script of a character of the statement, counted from 1 as the server does.
    fn locate(&self, position: usize) -> (u64, u64) {
        let (mut line, mut column) = (self.text_place.line, self.text_place.column);
        for character in self.text.chars().take(position.saturating_sub(1)) {
            if character == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        (line, column)
    }

    /// The lines of the statement, those around the wrong one where there are many, without secrets.
    fn excerpt(&self, wrong: Option<u64>, settings: &DatabaseSettings) -> String {
        let text = shown(&self.text, settings);
        let skipped = usize::try_from(self.place.line - self.text_place.line).unwrap_or_default();
        let lines: Vec<&str> = text.lines().skip(skipped).collect();
        let (from, to) = if lines.len() <= SHOWN_LINES {
            (0, lines.len())
        } else {
            let wrong = wrong.unwrap_or(self.place.line).saturating_sub(self.place.line);
            let wrong = usize::try_from(wrong).unwrap_or_default().min(lines.len() - 1);
            (wrong.saturating_sub(LINES_AROUND), (wrong + LINES_AROUND + 1).min(lines.len()))
        };
        let mut shown: Vec<String> = lines[from..to].iter().map(|line| cut(line)).collect();
        if from > 0 {
            shown.insert(0, "…".to_owned());
        }
        if to < lines.len() {
            shown.push("…".to_owned());
        }
        shown.join("\n")
    }
}

/// A text of a script or of the server, without secrets.
pub(super) fn shown(text: &str, settings: &DatabaseSettings) -> String {
    redact_values(text, secrets(settings)).into_owned()
}

/// The values of placeholders whose names say that they are secrets.
pub(super) fn secrets(settings: &DatabaseSettings) -> impl Iterator<Item = &str> {
    let named = settings.placeholders.iter().filter(|(name, _)| names_a_secret(name));
    named.map(|(_, value)| value.as_str())
}

/// What the server says may quote a value of the statement.
fn without_secrets(error: DatabaseError, settings: &DatabaseSettings) -> DatabaseError {
    let DatabaseError::Server(mut error) = error else { return error };
    error.message = shown(&error.message, settings);
    for text in [&mut error.detail, &mut error.hint, &mut error.context].into_iter().flatten() {
        *text = shown(text, settings);
    }
    DatabaseError::Server(error)
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(SHOWN_COLUMNS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

impl Engine<'_> {
    /// The statement that failed, or the failure that is no statement's.
    pub(super) fn statement_of(interruption: Interruption) -> Result<FailedStatement, Failure> {
        match interruption {
            Interruption::Statement(failed) => Ok(*failed),
            Interruption::Stopped(stopped) => Err(Failure::Stopped(stopped)),
            Interruption::Ours(failure) => Err(failure),
        }
    }

    /// The failure of a script.
    pub(super) fn script_failure(
        &self,
        id: ScriptId,
        run: RunMode,
        failed: FailedStatement,
        kept: Kept,
    ) -> Failure {
        let script = self.set.script(id);
        Failure::Script(Box::new(ScriptFailure {
            script: script.script.clone(),
            path: self.set.path(id).clone(),
            version: script.version().map(|version| version.as_str().to_owned()),
            description: script.name.description.clone(),
            run,
            undoes: script.name.kind == ScriptKind::Undo,
            line: failed.line,
            column: failed.column,
            statement_line: failed.statement_line,
            statement: failed.excerpt,
            kept,
            notes: failed.notes,
            error: without_secrets(failed.error, &self.settings),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, line: u64, column: u64) -> StatementPlace {
        let place = Place { offset: 0, line, column };
        StatementPlace { text: text.to_owned(), text_place: place, place, warnings: Warnings::Told }
    }

    fn settings() -> DatabaseSettings {
        let target = whimbrel_database::Target::from_parts("h", None, None);
        DatabaseSettings::new("app".to_owned(), target, Vec::new())
    }

    #[test]
    fn a_position_becomes_line_and_column_of_the_script() {
        let statement = place("SELECT é,\n  nope", 10, 5);
        assert_eq!(statement.locate(1), (10, 5));
        assert_eq!(statement.locate(9), (10, 13));
        assert_eq!(statement.locate(13), (11, 3));
    }

    #[test]
    fn a_long_statement_is_shown_around_the_wrong_line() {
        let text: Vec<String> = (1..=40).map(|line| format!("line {line}")).collect();
        let statement = place(&text.join("\n"), 1, 1);
        assert_eq!(statement.excerpt(Some(20), &settings()).lines().next(), Some("…"));
        assert!(
            statement.excerpt(Some(20), &settings()).contains("line 20")
                && !statement.excerpt(Some(20), &settings()).contains("line 30")
        );
        assert!(
            place("ALTER ROLE a PASSWORD 'canary'", 1, 1).excerpt(None, &settings()).contains("PASSWORD")
        );
        assert!(!place("ALTER ROLE a PASSWORD 'canary'", 1, 1).excerpt(None, &settings()).contains("canary"));
    }

    #[test]
    fn f6_a_secret_placeholder_is_shown_nowhere() {
        let mut settings = settings();
        settings.placeholders.insert("app_token".to_owned(), "canary".to_owned());
        settings.placeholders.insert("region".to_owned(), "europe".to_owned());
        let excerpt = place("SELECT f('canary', 'europe')", 1, 1).excerpt(None, &settings);
        assert_eq!(excerpt, "SELECT f('***', 'europe')");
    }
}
