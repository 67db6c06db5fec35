//! Secrets in SQL and in messages, made unreadable before anything is shown.
//!
//! | found | shown |
//! |---|---|
//! | `PASSWORD 'x'`, `ENCRYPTED PASSWORD E'x'`, `PASSWORD $$x$$` | `PASSWORD '***'` |
//! | `IDENTIFIED BY 'x'`, `IDENTIFIED WITH p BY 'x'` | `IDENTIFIED BY '***'` |
//! | `postgres://user:x@host` | `postgres://***@host` |
//! | `password=x`, `"password": "x"` | `password=***` |
//!
//! It errs on the side of hiding too much.

mod pieces;

use std::borrow::Cow;
use std::ops::Range;

pub use pieces::Redacting;

const HIDDEN: &str = "***";

/// Whether something of this name, such as a placeholder, holds a secret.
pub fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["password", "passwd", "pwd", "passphrase", "secret", "token", "credential", "private_key"];
    let name = name.to_ascii_lowercase().replace(['-', '.'], "_");
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with("api_key")
}

/// The text without these values, and without what looks like a secret.
pub fn redact_values<'a>(text: &'a str, values: impl IntoIterator<Item = &'a str>) -> Cow<'a, str> {
    let mut ranges: Vec<_> = secrets(text).filter_map(|found| found.hidden(text.len())).collect();
    ranges.extend(values.into_iter().flat_map(|value| occurrences(text, value)));
    without(text, ranges)
}

/// The text with everything hidden that looks like a secret.
pub fn redact(text: &str) -> Cow<'_, str> {
    redact_values(text, [])
}

/// The text with these ranges hidden.
fn without(text: &str, mut ranges: Vec<Range<usize>>) -> Cow<'_, str> {
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_unstable_by_key(|range| range.start);
    let mut out = String::new();
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            out.push_str(&text[done..range.start]);
            out.push_str(HIDDEN);
        }
        done = done.max(range.end);
    }
    out.push_str(&text[done..]);
    Cow::Owned(out)
}

/// Where a value stands that is known to be a secret.
fn occurrences<'a>(text: &'a str, value: &'a str) -> impl Iterator<Item = Range<usize>> {
    // `true` and `1` are no secrets, and would be found everywhere.
    let is_one = value.len() >= 4 && !matches!(value, "true" | "false");
    let found = is_one.then(|| memchr::memmem::find_iter(text.as_bytes(), value));
    found.into_iter().flatten().map(|at| at..at + value.len())
}

/// A place that tells of a secret.
struct Found {
    /// Where its word, or its `://`, begins.
    at: usize,
    value: Value,
}

enum Value {
    /// What looked like one has none.
    None,
    At(Range<usize>),
    /// A statement is put together here: the value can be anywhere behind this place.
    Behind(usize),
}

impl Found {
    fn hidden(self, length: usize) -> Option<Range<usize>> {
        match self.value {
            Value::None => None,
            Value::At(range) => Some(range),
            Value::Behind(begin) => Some(begin..length),
        }
    }
}

impl From<Option<Range<usize>>> for Value {
    fn from(range: Option<Range<usize>>) -> Self {
        range.map_or(Self::None, Self::At)
    }
}

fn secrets(text: &str) -> impl Iterator<Item = Found> {
    userinfo(text).chain(Words { lower: text.to_ascii_lowercase(), from: 0 })
}

/// `scheme://userinfo@host`: the user goes too, it may be a token.
fn userinfo(text: &str) -> impl Iterator<Item = Found> {
    memchr::memmem::find_iter(text.as_bytes(), "://").map(|at| {
        let begin = at + 3;
        let after = &text[begin..];
        let end = after.find(|c: char| matches!(c, '/' | '?' | '#' | '"' | '\'') || c.is_whitespace());
        let authority = &after[..end.unwrap_or(after.len())];
        // A password may itself hold a slash or a question mark: the last @ before a blank counts.
        let wide_end = after.find(|c: char| matches!(c, '"' | '\'') || c.is_whitespace());
        let wide = &after[..wide_end.unwrap_or(after.len())];
        let sign = authority.rfind('@').or_else(|| {
            let sign = wide.rfind('@')?;
            wide[..sign].contains(':').then_some(sign)
        });
        Found { at, value: sign.map(|sign| begin..begin + sign).into() }
    })
}

/// Words that a secret may follow.
const WORDS: [&str; 5] = ["password", "passwd", "pwd", "identified", "passphrase"];

/// The words of a text in small letters; none is looked for in the value of another.
struct Words {
    lower: String,
    from: usize,
}

impl Iterator for Words {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let at = self.from + memchr::memchr2(b'p', b'i', self.lower.as_bytes().get(self.from..)?)?;
            let Some(word) = WORDS.iter().find(|word| self.lower[at..].starts_with(**word)) else {
                self.from = at + 1;
                continue;
            };
            let after = at + word.len();
            let value = if *word == "identified" {
                identified_value(&self.lower, after).into()
            } else {
                password_value(&self.lower, after)
            };
            self.from = match &value {
                Value::None => after,
                Value::At(range) => range.end,
                Value::Behind(_) => self.lower.len(),
            };
            return Some(Found { at, value });
        }
    }
}

/// After `password`: `= x`, `: x` or a literal.
fn password_value(text: &str, after: usize) -> Value {
    let rest = &text[after..];
    let name_ends = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let after = after + name_ends;
    let rest = text[after..].strip_prefix('"').unwrap_or(&text[after..]);
    let blanks = rest.len() - rest.trim_start().len();
    let after = text.len() - rest.len() + blanks;
    let rest = &text[after..];
    let assigned = [":=", "=>", "=", ":"].iter().find_map(|sign| rest.strip_prefix(sign));
    if let Some(assigned) = assigned {
        let value = assigned.trim_start_matches([' ', '\t']);
        let begin = text.len() - value.len();
        return literal(text, begin).or_else(|| bare(text, begin)).into();
    }
    if is_put_together(rest) {
        return Value::Behind(after);
    }
    // SET app.password TO 'x'
    let value = rest.strip_prefix("to ").map_or(rest, str::trim_start);
    literal(text, text.len() - value.len()).into()
}

/// Whether the word stood in a text from which a statement is made: `'… PASSWORD %L', 'x'` or `'… PASSWORD ' || 'x'`.
/// Where the value is can then be anywhere behind it.
fn is_put_together(rest: &str) -> bool {
    let rest = rest.trim_start_matches(['\'', '"']).trim_start();
    rest.starts_with('%') || rest.starts_with("||")
}

/// So long, in bytes, is the clause at most in which `identified` stands.
const CLAUSE: usize = 256;

/// After `identified`: `by 'x'`, `with plugin by 'x'`, `by password 'x'`.
fn identified_value(text: &str, after: usize) -> Option<Range<usize>> {
    let near = &text[after..text.floor_char_boundary(after + CLAUSE)];
    let statement = &near[..near.find(';').unwrap_or(near.len())];
    let by = statement.find(" by ").or_else(|| statement.find(" as "))?;
    let quote = near[by..].find(['\'', '"'])?;
    literal(text, after + by + quote)
}

/// A string literal that begins at `begin` (an `e`, `u&` or `n` before it allowed).
fn literal(text: &str, begin: usize) -> Option<Range<usize>> {
    let rest = text.get(begin..)?;
    let prefix = ["e'", "n'", "u&'"].iter().find(|prefix| rest.starts_with(**prefix));
    let open = prefix.map_or(0, |prefix| prefix.len() - 1);
    let body = &rest[open..];
    let quote = body.chars().next()?;
    match quote {
        '\'' | '"' => {
            let escapes = prefix.is_some_and(|prefix| prefix.starts_with('e'));
            let end = quoted_length(&body[1..], quote as u8, escapes);
            Some(begin + open..begin + open + 1 + end)
        }
        '$' => {
            let tag = body[1..].find(|c: char| !(c.is_alphanumeric() || c == '_'))? + 2;
            let delimiter = body.get(..tag).filter(|delimiter| delimiter.ends_with('$'))?;
            let end = body[tag..].find(delimiter).map_or(body.len(), |end| tag + end + tag);
            Some(begin..begin + end)
        }
        _ => None,
    }
}

/// Length up to and including the closing quote, or to the end.
fn quoted_length(body: &str, quote: u8, escapes: bool) -> usize {
    let bytes = body.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if escapes && bytes[index] == b'\\' {
            index += 2;
        } else if bytes[index] == quote {
            if bytes.get(index + 1) == Some(&quote) {
                index += 2;
            } else {
                return index + 1;
            }
        } else {
            index += 1;
        }
    }
    bytes.len()
}

/// A value without quotes.
fn bare(text: &str, begin: usize) -> Option<Range<usize>> {
    let rest = &text[begin..];
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '&' | ';' | ',' | ')' | '"' | '\''))
        .unwrap_or(rest.len());
    (end > 0).then_some(begin..begin + end)
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("CREATE ROLE a PASSWORD 's3cr''et' LOGIN" => "CREATE ROLE a PASSWORD *** LOGIN")]
    #[test_case("alter user a with encrypted password e's3\\'cret';" => "alter user a with encrypted password e***;")]
    #[test_case("ALTER USER a PASSWORD $x$s3cret$x$ VALID" => "ALTER USER a PASSWORD *** VALID")]
    #[test_case("CREATE USER a IDENTIFIED BY 's3cret'" => "CREATE USER a IDENTIFIED BY ***")]
    #[test_case("CREATE USER a IDENTIFIED WITH p BY \"s3cret\"" => "CREATE USER a IDENTIFIED WITH p BY ***")]
    #[test_case("postgres://u:s3cret@h/db?x=1" => "postgres://***@h/db?x=1")]
    #[test_case("url postgres://u:s3/cr?et@h:5432/db" => "url postgres://***@h:5432/db")]
    #[test_case("jdbc:postgresql://h/db?user=u&password=s3cret&ssl=true"
        => "jdbc:postgresql://h/db?user=u&password=***&ssl=true")]
    #[test_case("host=h password='s3 cret' user=u" => "host=h password=*** user=u")]
    #[test_case("{\"password\": \"s3cret\"}" => "{\"password\": ***}")]
    #[test_case("CREATE SUBSCRIPTION s CONNECTION 'host=h password=s3cret'" => "CREATE SUBSCRIPTION s \
        CONNECTION 'host=h password=***'")]
    #[test_case("SELECT login(password => 's3cret', user => 'u')" => "SELECT login(password => ***, user => 'u')")]
    #[test_case("SET app.password TO 's3cret'" => "SET app.password TO ***")]
    #[test_case("OPTIONS (user 'u', password 's3cret')" => "OPTIONS (user 'u', password ***)")]
    #[test_case("ALTER ROLE a PASSWORD NULL" => "ALTER ROLE a PASSWORD NULL")]
    #[test_case("EXECUTE format('ALTER ROLE a PASSWORD %L', 's3cret')" => "EXECUTE format('ALTER ROLE a PASSWORD ***")]
    #[test_case("EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal('s3cret')" => "EXECUTE 'ALTER ROLE a PASSWORD ***")]
    #[test_case("PASSWORD 's3cret" => "PASSWORD ***")]
    #[test_case("the password is wrong" => "the password is wrong")]
    #[test_case("https://example.org/a@b" => "https://example.org/a@b")]
    fn secrets_are_hidden(text: &str) -> String {
        redact(text).into_owned()
    }

    #[test]
    fn values_are_hidden_wherever_they_are() {
        let text = "SELECT f('s3cret', 'true', 'x')";
        assert_eq!(redact_values(text, ["s3cret", "true", "x", ""]), "SELECT f('***', 'true', 'x')");
    }

    #[test_case("app_password", true)]
    #[test_case("Vault-Token", true)]
    #[test_case("stripe.api-key", true)]
    #[test_case("primary_key", false)]
    #[test_case("seed_demo_data", false)]
    fn a_name_tells_whether_it_is_a_secret(name: &str, is: bool) {
        assert_eq!(names_a_secret(name), is);
    }
}
