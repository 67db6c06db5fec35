//! What a statement does to others while it runs: which lock it takes on which table, who waits for it, and
//! whether the table is read through or written anew.
//!
//! Pure tables of rules from the engines' manuals, named at each [`Impact`]. How long others wait depends on
//! the size of the tables, which only a server knows: [`Impact::level`] takes it as an argument.
//!
//! ```
//! use whimbrel_migration::{dialect::Dialect, risk::{self, Level, TableSize, Work}};
//!
//! let script = "ALTER TABLE bird ADD COLUMN seen timestamptz DEFAULT clock_timestamp();";
//! let impacts = risk::assess(Dialect::PostgreSql, script.as_bytes())?;
//! let impact = &impacts[0];
//! assert_eq!(impact.lock.name, "ACCESS EXCLUSIVE");
//! assert!(impact.lock.reads_wait && impact.lock.writes_wait);
//! assert_eq!(impact.work, Work::Rewrite);
//! assert_eq!(impact.level(TableSize::Unknown), Level::High);
//! assert_eq!(impact.level(TableSize::Bytes(8192)), Level::Low);
//! # Ok::<(), whimbrel_migration::scan::ScanError>(())
//! ```

mod alter_table;
mod lock;
mod mysql;
mod postgres;
mod rows;
mod sqlite;

use serde::Serialize;

pub use self::lock::Lock;
use crate::{
    dialect::Dialect,
    scan::{Piece, Place, ScanError, Scanner},
    statement::{Cursor, ObjectName, tokens},
};

/// What is done to the table itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Only the catalogue changes: a moment, once the lock is there.
    Catalog,
    /// Some rows; how many, only the server knows.
    Rows,
    /// Every row is changed.
    EveryRow,
    /// The whole table is read.
    Scan,
    /// The whole table is read, and an index is written.
    BuildIndex,
    /// The whole table and its indexes are written anew.
    Rewrite,
}

impl Work {
    /// Whether it takes longer the bigger the table is.
    pub fn grows_with_table(self) -> bool {
        !matches!(self, Self::Catalog | Self::Rows)
    }
}

/// Whether the statement can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversal {
    /// Nothing is lost by it: [`crate::inverse`] may know how.
    Possible,
    /// Data is gone afterwards; only a backup brings it back.
    LosesData,
    /// A definition is gone afterwards; it is in an earlier script or nowhere.
    LosesDefinition,
    /// The engine has no way back.
    Never,
}

/// How big a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableSize {
    /// Nobody asked.
    Unknown,
    /// It is not there yet.
    Missing,
    /// Bytes of the table with its indexes.
    Bytes(u64),
}

/// Up to this size (bytes) a table is read or rewritten in less than a second on any server: 16 MiB.
const SMALL_TABLE: u64 = 16 << 20;

/// How much others will notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nobody.
    None,
    /// Others wait for a moment, or only those who change the same rows or the same definition.
    Low,
    /// Nobody waits long for the work itself, but the lock has to wait for every transaction that uses the
    /// table, and everybody queues behind it; or it works long without being in the way.
    Medium,
    /// Others wait as long as the work takes, and it takes the longer the bigger the table is.
    High,
}

impl std::fmt::Display for Level {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

/// A word that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown level {0} (known: none, low, medium, high)")]
pub struct UnknownLevel(pub String);

impl std::str::FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(word: &str) -> Result<Self, UnknownLevel> {
        match word.to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "low" => Ok(Self::Low),
            "medium" => Ok(Self::Medium),
            "high" => Ok(Self::High),
            _ => Err(UnknownLevel(word.to_owned())),
        }
    }
}

/// What one statement (one action of it) does to one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// Where the statement begins; of several that change rows of one table, the first.
    pub place: Place,
    /// How many statements it stands for.
    pub statements: u64,
    /// What it is, for example `ALTER TABLE … ADD COLUMN`.
    pub what: &'static str,
    /// The table (view, index) it works on; none where the statement does not say.
    pub table: Option<ObjectName>,
    /// The lock it takes.
    pub lock: Lock,
    /// What it does to the table.
    pub work: Work,
    /// Whether it can be taken back.
    pub reversal: Reversal,
    /// The table was made by the same script: nobody else can be waiting for it.
    pub on_new_table: bool,
    /// Why, and what would be gentler.
    pub advice: Option<&'static str>,
    /// The manual's page that says so.
    pub source: &'static str,
}

impl Impact {
    pub(crate) fn new(what: &'static str, lock: Lock, work: Work, source: &'static str) -> Self {
        Self {
            place: Place { offset: 0, line: 1, column: 1 },
            statements: 1,
            what,
            table: None,
            lock,
            work,
            reversal: Reversal::Possible,
            on_new_table: false,
            advice: None,
            source,
        }
    }

    pub(crate) fn on(mut self, table: Option<ObjectName>) -> Self {
        self.table = table;
        self
    }

    pub(crate) fn reversal(mut self, reversal: Reversal) -> Self {
        self.reversal = reversal;
        self
    }

    pub(crate) fn advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    /// How much others will notice, for a table of this size. An unknown size counts as a big one.
    pub fn level(&self, size: TableSize) -> Level {
        if self.on_new_table || !(self.lock.reads_wait || self.lock.writes_wait || self.lock.is_taken()) {
            return Level::None;
        }
        let small = match size {
            TableSize::Missing => return Level::None,
            TableSize::Bytes(bytes) => bytes <= SMALL_TABLE,
            TableSize::Unknown => false,
        };
        let others_wait = self.lock.reads_wait || self.lock.writes_wait;
        match (others_wait, self.work.grows_with_table(), small) {
            (true, true, false) => Level::High,
            (true, _, true) => Level::Low,
            (true, false, false) => Level::Medium,
            (false, true, false) => Level::Medium,
            (false, ..) => Level::Low,
        }
    }
}

/// The impacts of all statements of a script, in their order. Statements that nobody can be in the way of
/// (CREATE TABLE, SELECT, …) have none.
///
/// # Errors
/// As [`crate::scan::Scanner::next_piece`].
pub fn assess(dialect: Dialect, script: &[u8]) -> Result<Vec<Impact>, ScanError> {
    let mut assessment = Assessment::new(dialect);
    assessment.feed(script)?;
    assessment.finish()
}

/// Assesses a script that comes in pieces, cut anywhere: only the statement at hand is held.
#[derive(Debug)]
pub struct Assessment {
    scanner: Scanner,
    found: Found,
}

impl Assessment {
    /// The beginning of a script.
    pub fn new(dialect: Dialect) -> Self {
        let found = Found { dialect, made: Vec::new(), impacts: Vec::new() };
        Self { scanner: Scanner::new(dialect), found }
    }

    /// The next piece.
    ///
    /// # Errors
    /// As [`crate::scan::Scanner::next_piece`].
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ScanError> {
        self.scanner.feed(piece);
        self.take()
    }

    /// The impacts of all statements, in their order.
    ///
    /// # Errors
    /// As [`crate::scan::Scanner::next_piece`].
    pub fn finish(mut self) -> Result<Vec<Impact>, ScanError> {
        self.scanner.finish();
        self.take()?;
        Ok(self.found.impacts)
    }

    fn take(&mut self) -> Result<(), ScanError> {
        while let Some(piece) = self.scanner.next_piece()? {
            if let Piece::Statement(statement) = piece {
                self.found.add(statement.text, statement.place);
            }
        }
        Ok(())
    }
}

/// What was found in the statements so far.
#[derive(Debug)]
struct Found {
    dialect: Dialect,
    made: Vec<ObjectName>,
    impacts: Vec<Impact>,
}

impl Found {
    /// Adds a statement and where it begins.
    fn add(&mut self, statement: &str, place: Place) {
        let words = tokens(self.dialect, statement);
        let cursor = Cursor::new(self.dialect, &words);
        let impacts = match self.dialect {
            Dialect::PostgreSql => postgres::impacts(cursor),
            Dialect::MySql | Dialect::MariaDb => mysql::impacts(cursor),
            Dialect::Sqlite => sqlite::impacts(cursor),
        };
        for mut impact in impacts {
            impact.place = place;
            impact.on_new_table =
                impact.table.as_ref().is_some_and(|table| self.made.iter().any(|made| made.may_be(table)));
            self.take(impact);
        }
        self.made.extend(made_table(cursor));
    }

    /// A dump has as many statements as rows: what changes rows in the same way is told once.
    fn take(&mut self, impact: Impact) {
        // The words for what it is decide about all but the table.
        let is_same = |there: &&mut Impact| {
            (there.what, there.on_new_table) == (impact.what, impact.on_new_table)
                && there.table == impact.table
        };
        let same = (impact.work == Work::Rows).then(|| self.impacts.iter_mut().find(is_same)).flatten();
        match same {
            Some(there) => there.statements += 1,
            None => self.impacts.push(impact),
        }
    }
}

/// The table that a statement makes, if it is sure to be new.
fn made_table(mut cursor: Cursor<'_, '_>) -> Option<ObjectName> {
    if !cursor.eat("CREATE") {
        return None;
    }
    cursor.eat_any(&["GLOBAL", "LOCAL", "TEMPORARY", "TEMP", "UNLOGGED", "MATERIALIZED"]);
    if !(cursor.eat("TABLE") || cursor.eat("VIEW")) || cursor.is("IF NOT EXISTS") {
        return None;
    }
    cursor.name()
}
