//! Passing quickly over what cannot end a statement.
//!
//! Most bytes of a dump are inside of parentheses, where words mean nothing: only quotes, comments and
//! parentheses have to be looked at there.

use super::{Lexer, bytes::continues_word};
use crate::dialect::Dialect;

/// The bytes at which the quick way ends.
type Stops = [bool; 256];

const fn stops(bytes: &[u8]) -> Stops {
    let mut stops = [false; 256];
    let mut index = 0;
    while index < bytes.len() {
        stops[bytes[index] as usize] = true;
        index += 1;
    }
    stops
}

static POSTGRES: Stops = stops(b"'\"$();-/\\");
static MYSQL: Stops = stops(b"'\"`();-/#*");
static SQLITE: Stops = stops(b"'\"`[();-/");

impl Lexer {
    /// Whether the words at hand mean nothing.
    pub(super) fn only_delimiters_matter(&self) -> bool {
        if self.depth == 0 {
            // For MySQL the command DELIMITER may stand where it must not.
            return self.head.is_full() && !self.routine && !self.dialect.is_mysql_like();
        }
        let words_matter = self.dialect == Dialect::PostgreSql && self.head.is_reindex();
        !self.mysql.has_own_delimiter && !words_matter
    }

    /// Goes to the next byte that may matter. A word that such a byte may belong to (`E'…'`, `a$b`), or that
    /// may go on in the next piece, is left for those who read words.
    pub(super) fn skip_plain(&mut self) {
        let stops = match self.dialect {
            Dialect::PostgreSql => &POSTGRES,
            Dialect::MySql | Dialect::MariaDb => &MYSQL,
            Dialect::Sqlite => &SQLITE,
        };
        let from = self.at;
        let rest = &self.buffer[from..];
        let found = rest.iter().position(|byte| stops[*byte as usize]);
        let passed = &rest[..found.unwrap_or(rest.len())];
        let keeps_word = match found {
            None => true,
            Some(index) if self.dialect == Dialect::PostgreSql => match rest[index] {
                b'$' => true,
                b'\'' => matches!(passed.last(), Some(b'e' | b'E')),
                _ => false,
            },
            Some(_) => false,
        };
        let word = if keeps_word {
            passed.iter().rev().take_while(|byte| is_part_of_word(**byte)).count()
        } else {
            0
        };
        self.at = from + passed.len() - word;
    }
}

/// Whether a byte may belong to a word or number, the second half of a no-break space included: a little too
/// much is read again, too little never.
fn is_part_of_word(byte: u8) -> bool {
    continues_word(byte) || byte == 0xC2 || byte == b'.'
}
