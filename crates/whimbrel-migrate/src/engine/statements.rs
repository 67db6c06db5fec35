//! The statements of a script, one after the other, while its file is read: only the one at hand is held.

use whimbrel_database::Warnings;
use whimbrel_migration::scan::{Effect, Piece, Scanner};
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::StatementPlace;
use crate::set::SetError;
use crate::source::Source;

/// A statement of a script. Data of a COPY follows it in [`Statements::next_data`].
pub(super) struct Part {
    pub(super) place: StatementPlace,
    pub(super) effect: Effect,
}

/// A script on its way through the scanner.
pub(super) struct Statements {
    script: String,
    source: Source,
    scanner: Scanner,
    lines: Lines,
    is_read: bool,
    /// What is done about the warnings of its statements.
    warnings: Warnings,
}

enum Next {
    Statement(Part),
    CopyData(Vec<u8>),
    CopyEnd,
}

impl Statements {
    /// The next statement; data that nobody fetched is passed over.
    pub(super) fn next_statement(&mut self) -> Result<Option<Part>, SetError> {
        loop {
            match self.next()? {
                Some(Next::Statement(part)) => return Ok(Some(part)),
                Some(Next::CopyData(_) | Next::CopyEnd) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next data of the COPY that was the last statement; none at their end.
    pub(super) fn next_data(&mut self) -> Result<Option<Vec<u8>>, SetError> {
        match self.next()? {
            Some(Next::CopyData(data)) => Ok(Some(data)),
            // No statement comes before the end of the data.
            Some(Next::CopyEnd | Next::Statement(_)) | None => Ok(None),
        }
    }

    /// The last line that was read.
    pub(super) fn last_line(&self) -> u64 {
        self.lines.last()
    }

    fn next(&mut self) -> Result<Option<Next>, SetError> {
        loop {
            let piece = self.scanner.next_piece();
            match piece.map_err(|error| error.to_finding().in_script(self.script.clone()))? {
                Some(Piece::Statement(statement)) => {
                    let warnings = match statement.effect {
                        // Nobody looks back at what a DDL says of rows.
                        Effect::ImplicitCommit(_) => Warnings::Told,
                        // Between two statements of XA no question may come.
                        Effect::TransactionControl(_) => Warnings::Kept,
                        _ => self.warnings,
                    };
                    let place = StatementPlace::of(&statement, warnings);
                    return Ok(Some(Next::Statement(Part { place, effect: statement.effect })));
                }
                Some(Piece::CopyData(data)) => return Ok(Some(Next::CopyData(data.to_vec()))),
                Some(Piece::CopyEnd) => return Ok(Some(Next::CopyEnd)),
                None if self.is_read => return Ok(None),
                None => self.read()?,
            }
        }
    }

    fn read(&mut self) -> Result<(), SetError> {
        let text = self.source.next().map_err(|error| SetError::of_source(error, &self.script))?;
        match text {
            Some(text) => {
                self.lines.add(&text);
                self.scanner.feed(text.as_bytes());
            }
            None => {
                self.scanner.finish();
                self.is_read = true;
            }
        }
        Ok(())
    }
}

impl Engine<'_> {
    /// The statements of a text that was opened.
    pub(super) fn statements(&self, id: ScriptId, source: Source) -> Statements {
        Statements {
            script: self.set.script(id).script.clone(),
            source,
            scanner: Scanner::new(self.settings.migration.dialect),
            lines: Lines::default(),
            is_read: false,
            // Without a look at the whole script nobody knows whether it looks back itself.
            warnings: match self.facts.known(id) {
                Some(facts) if !facts.looks_back => Warnings::Told,
                _ => Warnings::Kept,
            },
        }
    }

    /// The statements of a script that nothing of can be taken back: all of it is compared with what was checksummed
    /// before the first of them.
    pub(super) fn compared_statements(&self, id: ScriptId) -> Result<Statements, SetError> {
        Ok(self.statements(id, self.set.compared_source(id)?))
    }
}

/// Counts the lines of a text that comes in pieces.
#[derive(Default)]
struct Lines {
    ended: u64,
    begun: bool,
}

impl Lines {
    fn add(&mut self, text: &str) {
        self.ended += text.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.begun = text.chars().next_back().map_or(self.begun, |last| last != '\n');
    }

    fn last(&self) -> u64 {
        (self.ended + u64::from(self.begun)).max(1)
    }
}
