//! The statements of a script, found while its bytes stream by.
//!
//! [`Scanner::feed`] takes pieces cut anywhere; [`Scanner::next_piece`] gives statements, and the data of
//! `COPY … FROM STDIN`, as soon as they are complete. Only the statement under way is held in memory. The
//! scanner follows the server's lexical rules and not Flyway's where they differ: `e'it\'s'` is one string,
//! `$1` is a parameter and no dollar quote, a blank before `\.` makes it data; for MySQL comments do not nest
//! and `1--1` is arithmetic; for SQLite `[a;b]` is a name.
//!
//! What no server can run is an error with its place: an unterminated quote or comment, an open parenthesis
//! or body at the end, a NUL, text that is not UTF-8, a psql command, a DELIMITER inside of a statement.
//!
//! ```
//! use whimbrel_migration::{dialect::Dialect, scan::{self, Piece, Scanner}};
//!
//! let script = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\nCREATE INDEX CONCURRENTLY i ON t (a);\n";
//! let mut scanner = Scanner::new(Dialect::PostgreSql);
//! scanner.feed(script.as_bytes());
//! scanner.finish();
//! let mut lines = Vec::new();
//! while let Some(piece) = scanner.next_piece()? {
//!     if let Piece::Statement(statement) = piece {
//!         lines.push(statement.place.line);
//!     }
//! }
//! assert_eq!(lines, [1, 2]);
//!
//! // What they are together: the second one cannot run in a transaction.
//! let facts = scan::facts(Dialect::PostgreSql, script.as_bytes())?;
//! assert_eq!(facts.statements, 2);
//! assert_eq!(facts.non_transactional.expect("it is seen").place.line, 2);
//! # Ok::<(), scan::ScanError>(())
//! ```

mod classify;
mod facts;
mod lexer;

pub use facts::{FactsReader, KindChange, ScanFacts, Seen, facts};

use crate::{
    dialect::Dialect,
    finding::{Finding, FlywayCode},
};

/// A place in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Its column in characters, from 1.
    pub column: u64,
}

/// What a statement means for the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It may run in a transaction.
    Transactional,
    /// The server refuses it in a transaction; the words say what it is.
    NonTransactional(&'static str),
    /// It begins or ends a transaction itself.
    TransactionControl(&'static str),
    /// The server commits the transaction around it, before and after (DDL of MySQL and MariaDB).
    ImplicitCommit(&'static str),
    /// The data follows: [`Piece::CopyData`] until [`Piece::CopyEnd`].
    CopyFromStdin,
}

/// One statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The text to send, without the delimiter; leading comments are part of it.
    pub text: &'a str,
    /// Bytes of the script before the text.
    pub start: u64,
    /// Bytes of the script up to the end of the text.
    pub end: u64,
    /// Where the text begins: what a server's error position counts from.
    pub text_place: Place,
    /// The first token that is not a comment: what people call the statement's line.
    pub place: Place,
    /// What it means for the transaction around it.
    pub effect: Effect,
}

/// What a script consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A statement.
    Statement(Statement<'a>),
    /// Some of the data of the COPY before, as it is in the script; line ends included.
    CopyData(&'a [u8]),
    /// The data is complete.
    CopyEnd,
}

/// What stops the scanner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanErrorKind {
    /// A string, quoted identifier or dollar quote without an end.
    #[error("unterminated {what}")]
    Unterminated {
        /// What it is.
        what: &'static str,
    },
    /// A `(` without its `)`.
    #[error("a parenthesis is never closed")]
    OpenParenthesis,
    /// The body of a routine, trigger or event without its END.
    #[error("a body is never ended: its END is missing")]
    OpenBlock,
    /// A NUL byte.
    #[error("a NUL byte, which no statement can hold")]
    Nul,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// A command for psql.
    #[error("\\{command} is a command of psql, which the server does not know")]
    PsqlCommand {
        /// Its name.
        command: String,
    },
    /// DELIMITER without a delimiter.
    #[error("DELIMITER without a delimiter")]
    DelimiterMissing,
    /// DELIMITER where a statement is not yet ended.
    #[error("DELIMITER inside of a statement")]
    DelimiterInStatement,
    /// Something after `COPY … FROM STDIN;` on the same line.
    #[error("text after COPY … FROM STDIN; on the same line")]
    TextAfterCopy,
    /// COPY data up to the end of the script.
    #[error("the data of COPY … FROM STDIN has no end: a line with \\. is missing")]
    CopyWithoutEnd,
}

impl ScanErrorKind {
    /// Stable kebab-case name.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Unterminated { .. } => "unterminated-quote",
            Self::OpenParenthesis => "open-parenthesis",
            Self::OpenBlock => "open-block",
            Self::Nul => "nul-byte",
            Self::Encoding => "not-utf8",
            Self::PsqlCommand { .. } => "psql-command",
            Self::DelimiterMissing => "delimiter-missing",
            Self::DelimiterInStatement => "delimiter-in-statement",
            Self::TextAfterCopy => "text-after-copy",
            Self::CopyWithoutEnd => "copy-without-end",
        }
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::Unterminated { .. } => "close the quote or comment that begins here",
            Self::OpenParenthesis => "close the parenthesis that opens here",
            Self::OpenBlock => "write END after the body that begins here",
            Self::Nul => "remove the byte; a file in UTF-16 has to be saved as UTF-8",
            Self::Encoding => "save the file as UTF-8",
            Self::PsqlCommand { .. } => {
                "write it in SQL; of psql's commands only \\restrict and \\unrestrict are passed over"
            }
            Self::DelimiterMissing => "write the delimiter behind it, for example DELIMITER $$",
            Self::DelimiterInStatement => "end the statement before it with the delimiter that holds there",
            Self::TextAfterCopy => "begin the data on the next line",
            Self::CopyWithoutEnd => "end the data with a line that holds only \\.",
        }
    }
}

/// What stops the scanner, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}", line = place.line, column = place.column)]
pub struct ScanError {
    /// What.
    pub kind: ScanErrorKind,
    /// Where it begins.
    pub place: Place,
}

impl ScanError {
    /// The same as a finding.
    pub fn to_finding(&self) -> Finding {
        Finding::error(self.kind.slug(), self.kind.to_string())
            .at(self.place.line, self.place.column)
            .coded(FlywayCode::Error)
            .next_step(self.kind.next_step())
    }
}

/// Cuts a script into its pieces.
///
/// ```
/// use whimbrel_migration::{dialect::Dialect, scan::{Piece, Scanner}};
///
/// let mut scanner = Scanner::new(Dialect::PostgreSql);
/// scanner.feed(b"SELECT 1; SELECT $$a;");
/// scanner.feed(b"b$$;");
/// scanner.finish();
/// let mut texts = Vec::new();
/// while let Some(piece) = scanner.next_piece()? {
///     if let Piece::Statement(statement) = piece {
///         texts.push(statement.text.to_owned());
///     }
/// }
/// assert_eq!(texts, ["SELECT 1", "SELECT $$a;b$$"]);
/// # Ok::<(), whimbrel_migration::scan::ScanError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scanner {
    lexer: lexer::Lexer,
}

impl Scanner {
    /// A scanner for scripts of a dialect.
    pub fn new(dialect: Dialect) -> Self {
        Self { lexer: lexer::Lexer::new(dialect) }
    }

    /// Says that the session has `standard_conforming_strings` off (or on again); a SET in the script does
    /// the same from there on.
    pub fn set_standard_conforming_strings(&mut self, on: bool) {
        self.lexer.set_standard_conforming_strings(on);
    }

    /// Says what the session's `sql_mode` is (MySQL, MariaDB); a SET in the script does the same from there
    /// on.
    pub fn set_sql_mode(&mut self, mode: &str) {
        self.lexer.set_sql_mode(mode);
    }

    /// Takes the next bytes of the script.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.lexer.feed(bytes);
    }

    /// Says that there are no more bytes.
    pub fn finish(&mut self) {
        self.lexer.finish();
    }

    /// The next complete piece; `None` when more bytes are needed, or when all was given out.
    ///
    /// # Errors
    /// [`ScanError`]: what no server can run, with its place; it is the last answer.
    pub fn next_piece(&mut self) -> Result<Option<Piece<'_>>, ScanError> {
        self.lexer.next_piece()
    }
}
