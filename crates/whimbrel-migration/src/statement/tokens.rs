//! A statement as tokens.

use crate::dialect::Dialect;

/// Statements are read this far: what matters stands at their beginning, or they are long lists of values.
const MOST_TOKENS: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string, dollar quote or number.
    Literal,
    Symbol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    /// All of the statement, and where the token is in it.
    statement: &'a str,
    pub(crate) start: usize,
}

impl<'a> Token<'a> {
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(crate) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == TokenKind::Symbol && self.text.as_bytes() == [symbol]
    }

    pub(crate) fn is_name(&self) -> bool {
        matches!(self.kind, TokenKind::Word | TokenKind::Quoted)
    }

    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// The name as the server stores it.
    pub(crate) fn identifier(&self, dialect: Dialect) -> String {
        if self.kind != TokenKind::Quoted {
            return if dialect == Dialect::PostgreSql {
                self.text.to_lowercase()
            } else {
                self.text.to_owned()
            };
        }
        let inner = &self.text[1..self.text.len().max(2) - 1];
        match self.text.as_bytes()[0] {
            b'"' => inner.replace("\"\"", "\""),
            b'`' => inner.replace("``", "`"),
            _ => inner.to_owned(),
        }
    }
}

/// The text from one token to the end of another.
pub(super) fn between(first: &Token<'_>, last: &Token<'_>) -> String {
    first.statement[first.start..last.end()].to_owned()
}

/// Takes a statement apart; comments are left out.
pub(crate) fn tokens(dialect: Dialect, statement: &str) -> Vec<Token<'_>> {
    first_tokens(dialect, statement, MOST_TOKENS)
}

/// The first of them, if there is one.
pub(super) fn first_token(dialect: Dialect, statement: &str) -> Option<Token<'_>> {
    first_tokens(dialect, statement, 1).pop()
}

fn first_tokens(dialect: Dialect, statement: &str, most: usize) -> Vec<Token<'_>> {
    let bytes = statement.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() && tokens.len() < most {
        let rest = &bytes[at..];
        let (kind, length) = match rest[0] {
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if rest.get(1) == Some(&b'-') => {
                at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                continue;
            }
            b'#' if dialect.is_mysql_like() => {
                at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.get(1) == Some(&b'*') => {
                at += passed_comment(dialect, rest);
                continue;
            }
            b'*' if rest.get(1) == Some(&b'/') => {
                // The end of a version comment.
                at += 2;
                continue;
            }
            byte => token(dialect, rest, byte),
        };
        // Lengths end at ASCII bytes or at the end: never inside of a character.
        let Some(text) = statement.get(at..at + length) else { break };
        tokens.push(Token { kind, text, statement, start: at });
        at += length;
    }
    tokens
}

fn token(dialect: Dialect, rest: &[u8], byte: u8) -> (TokenKind, usize) {
    let backslashes = dialect.is_mysql_like();
    match byte {
        b'\'' => (TokenKind::Literal, quoted(rest, b'\'', backslashes)),
        b'"' if dialect.is_mysql_like() => (TokenKind::Literal, quoted(rest, b'"', true)),
        b'"' => (TokenKind::Quoted, quoted(rest, b'"', false)),
        b'`' => (TokenKind::Quoted, quoted(rest, b'`', false)),
        b'[' if dialect == Dialect::Sqlite => {
            (TokenKind::Quoted, memchr::memchr(b']', rest).map_or(rest.len(), |end| end + 1))
        }
        b'$' if dialect == Dialect::PostgreSql => (TokenKind::Literal, dollar_quoted(rest)),
        b'e' | b'E' if dialect == Dialect::PostgreSql && rest.get(1) == Some(&b'\'') => {
            (TokenKind::Literal, 1 + quoted(&rest[1..], b'\'', true))
        }
        b'0'..=b'9' => (TokenKind::Literal, word_length(rest)),
        byte if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => {
            (TokenKind::Word, word_length(rest))
        }
        _ => (TokenKind::Symbol, 1),
    }
}

fn word_length(rest: &[u8]) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'_' | b'$' | 0x80..);
    rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len())
}

/// Length of a quote with its quotes; a doubled one stands for itself.
fn quoted(rest: &[u8], quote: u8, backslashes: bool) -> usize {
    let mut index = 1;
    while let Some(&byte) = rest.get(index) {
        if backslashes && byte == b'\\' {
            index += 2;
        } else if byte != quote {
            index += 1;
        } else if rest.get(index + 1) == Some(&quote) {
            index += 2;
        } else {
            return index + 1;
        }
    }
    rest.len()
}

fn dollar_quoted(rest: &[u8]) -> usize {
    let tag = word_length_without_dollar(&rest[1..]);
    if rest.get(1 + tag) != Some(&b'$') {
        return 1 + tag;
    }
    let delimiter = &rest[..tag + 2];
    memchr::memmem::find(&rest[delimiter.len()..], delimiter)
        .map_or(rest.len(), |end| end + 2 * delimiter.len())
}

fn word_length_without_dollar(rest: &[u8]) -> usize {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(*byte, b'_' | 0x80..);
    rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len())
}

/// How much of a comment is passed over: all of it, or the mark of a version comment, whose text counts.
fn passed_comment(dialect: Dialect, rest: &[u8]) -> usize {
    let mark = match &rest[2..] {
        [b'!', ..] if dialect.is_mysql_like() => 3,
        [b'M', b'!', ..] if dialect == Dialect::MariaDb => 4,
        _ => 0,
    };
    if mark > 0 {
        return mark + rest[mark..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    }
    let nests = dialect == Dialect::PostgreSql;
    let mut depth = 0_u32;
    let mut index = 0;
    while let Some(pair) = rest.get(index..index + 2) {
        match pair {
            b"/*" if depth == 0 || nests => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(Dialect::PostgreSql, "ALTER /* /* ; */ */ TABLE a.\"B\"\"c\" -- x\n ADD \
                                      d", &["ALTER", "TABLE", "a", ".", "\"B\"\"c\"", "ADD", "d"])]
    #[test_case(Dialect::PostgreSql, "e'a\\'' $$;$$ $t$ $$ $t$ 1.5 \
                                      é$1", &["e'a\\''", "$$;$$", "$t$ $$ $t$", "1", ".", "5", "é$1"])]
    #[test_case(Dialect::MySql, "/*!50003 a */ `b``c` # x\n 'it\\'s' \"q\"", &["a", "`b``c`", "'it\\'s'", "\"q\""])]
    #[test_case(Dialect::Sqlite, "[a b].c 'unterminated", &["[a b]", ".", "c", "'unterminated"])]
    fn statements_are_taken_apart(dialect: Dialect, statement: &str, expected: &[&str]) {
        let found: Vec<&str> = tokens(dialect, statement).iter().map(|token| token.text).collect();
        assert_eq!(found, expected);
    }
}
