//! The statement that takes another one back, where there is exactly one.
//!
//! A proposal for a `U__` script, to be read by someone before it runs. What has no exact inverse is named with
//! the reason: data that is gone, a definition that only an earlier script has, an `IF NOT EXISTS` that may
//! have done nothing.
//!
//! ```
//! use whimbrel_migration::{dialect::Dialect, inverse};
//!
//! let script = "CREATE TABLE app.bird (id int);\nALTER TABLE app.nest ADD COLUMN eggs int, RENAME TO home;\n";
//! let proposal = inverse::propose(Dialect::PostgreSql, script.as_bytes())?;
//! assert_eq!(
//!     proposal.script(),
//!     "ALTER TABLE app.home RENAME TO nest;\nALTER TABLE app.nest DROP COLUMN eggs;\nDROP TABLE app.bird;\n"
//! );
//! assert!(proposal.is_complete());
//!
//! let proposal = inverse::propose(Dialect::PostgreSql, b"DROP TABLE bird;")?;
//! assert_eq!(proposal.missing()[0].reason, "what was dropped is in an earlier script, its data nowhere");
//! # Ok::<(), whimbrel_migration::scan::ScanError>(())
//! ```

mod alter_table;
mod create;

use serde::Serialize;

use crate::{
    dialect::Dialect,
    scan::{Effect, Piece, Place, ScanError, Scanner},
    statement::{Cursor, tokens},
};

/// What takes one statement back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inverse {
    /// There is nothing to take back: it changed nothing that lasts.
    Nothing,
    /// These statements, in this order, without delimiters.
    Exact(Vec<String>),
    /// Nothing does exactly that; the words say why.
    None(&'static str),
}

/// A statement without an exact inverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Where it begins.
    pub place: Place,
    /// Its first words.
    pub statement: String,
    /// Why nothing takes it back.
    pub reason: &'static str,
}

/// A proposed undo script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// In the order of the script; those of later statements run first.
    inverses: Vec<Result<Vec<String>, Missing>>,
}

impl Proposal {
    /// Whether every statement has an exact inverse.
    pub fn is_complete(&self) -> bool {
        self.inverses.iter().all(Result::is_ok)
    }

    /// The statements that have none, in the order of the script.
    pub fn missing(&self) -> Vec<&Missing> {
        self.inverses.iter().filter_map(|inverse| inverse.as_ref().err()).collect()
    }

    /// The text of the undo script: the last statement is taken back first. What is missing stands in it as a
    /// comment, so that nobody overlooks it.
    pub fn script(&self) -> String {
        let mut script = String::new();
        for inverse in self.inverses.iter().rev() {
            match inverse {
                Ok(statements) => {
                    for statement in statements {
                        script.push_str(statement);
                        script.push_str(";\n");
                    }
                }
                Err(missing) => script.push_str(&format!(
                    "-- missing, for line {}: {}\n--   {}\n",
                    missing.place.line, missing.statement, missing.reason
                )),
            }
        }
        script
    }
}

/// Proposes the undo script of a script, or of one statement.
///
/// # Errors
/// As [`crate::scan::Scanner::next_piece`].
pub fn propose(dialect: Dialect, script: &[u8]) -> Result<Proposal, ScanError> {
    let mut scanner = Scanner::new(dialect);
    scanner.feed(script);
    scanner.finish();
    let mut proposal = Proposal { inverses: Vec::new() };
    while let Some(piece) = scanner.next_piece()? {
        let Piece::Statement(statement) = piece else { continue };
        let found = match statement.effect {
            Effect::TransactionControl(_) => Inverse::None("a script that manages its own transactions"),
            Effect::CopyFromStdin => Inverse::None(ROWS),
            _ => of_statement(dialect, statement.text),
        };
        match found {
            Inverse::Nothing => {}
            Inverse::Exact(statements) => proposal.inverses.push(Ok(statements)),
            Inverse::None(reason) => proposal.inverses.push(Err(Missing {
                place: statement.place,
                statement: first_words(dialect, statement.text),
                reason,
            })),
        }
    }
    Ok(proposal)
}

fn first_words(dialect: Dialect, statement: &str) -> String {
    let words = tokens(dialect, statement);
    words.iter().take(6).map(|token| token.text).collect::<Vec<_>>().join(" ").replace(['\n', '\r'], " ")
}

const ROWS: &str = "rows were changed: what they were before, only a backup knows";
const DROPPED: &str = "what was dropped is in an earlier script, its data nowhere";
const REPLACED: &str = "what was replaced is in an earlier script";
const BEFORE: &str = "what was set before is not in the statement";
pub(crate) const MAYBE: &str = "IF NOT EXISTS: it may have been there before";
pub(crate) const NO_NAME: &str = "without a name for it, the server chose one";

/// The inverse of one statement without its delimiter.
pub fn of_statement(dialect: Dialect, statement: &str) -> Inverse {
    let words = tokens(dialect, statement);
    let mut cursor = Cursor::new(dialect, &words);
    if cursor.eat("CREATE") {
        return create::inverse(cursor);
    }
    if cursor.eat("ALTER TABLE") {
        return alter_table::inverse(cursor);
    }
    if cursor.eat("ALTER") {
        return alter(cursor);
    }
    if cursor.eat("RENAME TABLE") || cursor.eat("RENAME TABLES") {
        return rename_tables(cursor);
    }
    if cursor.eat("GRANT") || cursor.eat("REVOKE") {
        return Inverse::None("what was granted before is not in the statement");
    }
    // search_path decides what the names after it stand for.
    if cursor.is("SET") && cursor.has("search_path") {
        return Inverse::None("names after it mean other things: write the undo script by hand");
    }
    if cursor.is("USE") {
        return Inverse::None("names after it mean other things: write the undo script by hand");
    }
    let reasons: [(&[&str], Option<&'static str>); 4] = [
        (
            &["SELECT", "SET", "RESET", "SHOW", "ANALYZE", "VACUUM", "REINDEX", "EXPLAIN", "LOCK", "PRAGMA"],
            None,
        ),
        (&["DROP", "TRUNCATE"], Some(DROPPED)),
        (&["INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "REPLACE", "LOAD", "WITH"], Some(ROWS)),
        (&["COMMENT"], Some(BEFORE)),
    ];
    for (words, reason) in reasons {
        if words.iter().any(|word| cursor.is(word)) {
            return reason.map_or(Inverse::Nothing, Inverse::None);
        }
    }
    Inverse::None("nobody here knows what takes it back")
}

/// ALTER of something that is no table: only its name can be given back.
fn alter(mut cursor: Cursor<'_, '_>) -> Inverse {
    const KINDS: [&str; 10] = [
        "INDEX",
        "VIEW",
        "MATERIALIZED VIEW",
        "SEQUENCE",
        "TYPE",
        "SCHEMA",
        "DOMAIN",
        "ROLE",
        "COLLATION",
        "TABLESPACE",
    ];
    let Some(kind) = KINDS.into_iter().find(|kind| cursor.eat(kind)) else { return Inverse::None(BEFORE) };
    cursor.eat("IF EXISTS");
    let Some(name) = cursor.name() else { return Inverse::None(BEFORE) };
    if cursor.is("ADD VALUE") {
        return Inverse::None("a value cannot be taken out of an enum");
    }
    if cursor.eat("RENAME TO") {
        let Some(new) = cursor.name() else { return Inverse::None(BEFORE) };
        let (there, old) = (name.beside(&new.written), name.last_written());
        return Inverse::Exact(vec![format!("ALTER {kind} {there} RENAME TO {old}")]);
    }
    for part in ["RENAME VALUE", "RENAME ATTRIBUTE"] {
        if cursor.eat(part) {
            let words = cursor.rest();
            if let [old, to, new, ..] = words
                && to.is_word("TO")
            {
                let (new, old, name) = (new.text, old.text, &name.written);
                return Inverse::Exact(vec![format!("ALTER {kind} {name} {part} {new} TO {old}")]);
            }
        }
    }
    Inverse::None(BEFORE)
}

/// MySQL: RENAME TABLE a TO b, c TO d
fn rename_tables(cursor: Cursor<'_, '_>) -> Inverse {
    let mut pairs = Vec::new();
    for mut part in cursor.split_at_commas() {
        let old = part.name();
        part.eat("TO");
        match (old, part.name()) {
            (Some(old), Some(new)) => pairs.push(format!("{} TO {}", new.written, old.written)),
            _ => return Inverse::None(BEFORE),
        }
    }
    pairs.reverse();
    Inverse::Exact(vec![format!("RENAME TABLE {}", pairs.join(", "))])
}
