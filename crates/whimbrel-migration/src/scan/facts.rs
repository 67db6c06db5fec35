//! What a whole script means for the way it runs.

use super::{Effect, Piece, Place, ScanError, Scanner, Statement};
use crate::dialect::Dialect;
use crate::statement::{looks_back, runs_program};

/// A statement of some kind, and where the first of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its first token.
    pub place: Place,
    /// What it is, for example `VACUUM`.
    pub what: &'static str,
}

/// The first statement that is of another kind than those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindChange {
    /// Its first token.
    pub place: Place,
    /// Its text, as far as it helps to recognise it.
    pub statement: String,
    /// Whether it is the one that cannot run in a transaction.
    pub non_transactional: bool,
}

/// What is known about a script after one pass over its statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanFacts {
    /// How many statements there are.
    pub statements: u64,
    /// The first statement that may run in a transaction.
    pub transactional: Option<Place>,
    /// The first statement that cannot run in a transaction.
    pub non_transactional: Option<Seen>,
    /// Where transactional and non-transactional statements meet.
    pub kind_change: Option<KindChange>,
    /// The first statement that begins or ends a transaction.
    pub transaction_control: Option<Seen>,
    /// The first statement that commits the transaction around it (MySQL, MariaDB): what came before it, and
    /// itself, cannot be rolled back any more.
    pub implicit_commit: Option<Seen>,
    /// Whether a savepoint is set. On SQLite the outermost one begins a transaction where there is none.
    pub savepoints: bool,
    /// Whether tables are locked (MySQL, MariaDB): until they are unlocked, no other table can be written.
    pub locks_tables: bool,
    /// Whether there is COPY data.
    pub copies: bool,
    /// The first statement that makes the server run a program.
    pub program: Option<Place>,
    /// Whether a statement may look at what the server keeps about the one before it (MySQL, MariaDB).
    pub looks_back: bool,
}

const SHOWN_STATEMENT: usize = 200;

impl ScanFacts {
    /// Adds a statement.
    pub fn add(&mut self, statement: &Statement<'_>) {
        self.statements += 1;
        let place = statement.place;
        let non_transactional = match statement.effect {
            Effect::NonTransactional(what) => {
                self.non_transactional.get_or_insert(Seen { place, what });
                true
            }
            Effect::TransactionControl(what) => {
                self.transaction_control.get_or_insert(Seen { place, what });
                false
            }
            Effect::ImplicitCommit(what) => {
                self.locks_tables |= what == "LOCK TABLES";
                self.implicit_commit.get_or_insert(Seen { place, what });
                false
            }
            Effect::CopyFromStdin => {
                self.copies = true;
                false
            }
            Effect::Transactional => false,
        };
        self.savepoints |= begins_with("SAVEPOINT", statement);
        if begins_with("COPY", statement) && runs_program(Dialect::PostgreSql, statement.text) {
            self.program.get_or_insert(place);
        }
        if !non_transactional {
            self.transactional.get_or_insert(place);
        }
        let both = self.transactional.is_some() && self.non_transactional.is_some();
        if both && self.kind_change.is_none() {
            let shown = statement.text.floor_char_boundary(SHOWN_STATEMENT);
            let statement = statement.text[..shown].to_owned();
            self.kind_change = Some(KindChange { place, statement, non_transactional });
        }
    }
}

/// Most statements need no closer look.
fn begins_with(word: &str, statement: &Statement<'_>) -> bool {
    let comments = usize::try_from(statement.place.offset - statement.text_place.offset).unwrap_or_default();
    let text = statement.text.as_bytes().get(comments..).unwrap_or_default();
    text.get(..word.len()).is_some_and(|first| first.eq_ignore_ascii_case(word.as_bytes()))
}

/// The facts about a script in memory.
///
/// # Errors
/// As [`Scanner::next_piece`].
pub fn facts(dialect: Dialect, bytes: &[u8]) -> Result<ScanFacts, ScanError> {
    let mut reader = FactsReader::new(dialect);
    for piece in bytes.chunks(64 * 1024) {
        reader.feed(piece)?;
    }
    reader.finish()
}

/// The facts about a script that arrives in pieces, cut anywhere.
#[derive(Debug, Clone)]
pub struct FactsReader {
    dialect: Dialect,
    scanner: Scanner,
    facts: ScanFacts,
}

impl FactsReader {
    /// Nothing has come yet.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, scanner: Scanner::new(dialect), facts: ScanFacts::default() }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As [`Scanner::next_piece`].
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ScanError> {
        self.scanner.feed(piece);
        self.drain()
    }

    /// What is known, once all pieces were fed.
    ///
    /// # Errors
    /// As [`Scanner::next_piece`].
    pub fn finish(mut self) -> Result<ScanFacts, ScanError> {
        self.scanner.finish();
        self.drain()?;
        Ok(self.facts)
    }

    fn drain(&mut self) -> Result<(), ScanError> {
        while let Some(piece) = self.scanner.next_piece()? {
            if let Piece::Statement(statement) = piece {
                self.facts.add(&statement);
                self.facts.looks_back |=
                    self.dialect.is_mysql_like() && looks_back(self.dialect, statement.text);
            }
        }
        Ok(())
    }
}
