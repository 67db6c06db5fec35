//! A line made fit for a terminal: no control characters, no escape sequences, no passwords in URLs.
//!
//! A log is foreign text. Escape sequences could rewrite the screen or set the clipboard, and a program's error can hold
//! the URL it was given.

use serde_json::{Map, Value};

/// What stands where a password stood.
pub const REDACTED: &str = "***";
/// The longest text that is shown of a line.
pub const TEXT_LIMIT: usize = 64 * 1024;

/// Cleans one raw line, of which `cut` more bytes were not kept.
pub fn clean(line: &[u8], cut: usize) -> String {
    let mut text = redact(&strip_controls(&String::from_utf8_lossy(line)));
    let shown = text.floor_char_boundary(TEXT_LIMIT);
    let hidden = cut + text.len() - shown;
    if hidden > 0 {
        text.truncate(shown);
        text.push_str(&format!(" … ({hidden} more bytes)"));
    }
    text
}

/// Cleans every text inside a JSON object. There, line ends are kept: they do no harm where they are escaped.
pub fn clean_fields(fields: Map<String, Value>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (strip_controls(&name), clean_value(value))).collect()
}

fn clean_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(
            text.split('\n').map(|line| redact(&strip_controls(line))).collect::<Vec<_>>().join("\n"),
        ),
        Value::Array(values) => values.into_iter().map(clean_value).collect(),
        Value::Object(fields) => Value::Object(clean_fields(fields)),
        other => other,
    }
}

/// Cleans text that did not come as a line, such as the message of an event.
pub fn clean_text(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    clean(one_line.as_bytes(), 0)
}

/// Removes escape sequences and control characters; a tab stays.
pub fn strip_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\u{9b}' => skip_control_sequence(&mut characters),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut characters),
            '\t' => clean.push('\t'),
            character if character.is_control() || is_direction(character) => {}
            character => clean.push(character),
        }
    }
    clean
}

/// Marks that reorder text on the screen can make a line read as something else.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(characters: &mut Characters<'_>) {
    match characters.next() {
        Some('[') => skip_control_sequence(characters),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_string(characters),
        // `ESC ( B` and its like: one more character.
        Some('(' | ')' | '*' | '+' | '#' | '%' | ' ') => {
            characters.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(characters: &mut Characters<'_>) {
    while let Some(character) = characters.peek() {
        let character = *character;
        if !(' '..='~').contains(&character) {
            return;
        }
        characters.next();
        if ('@'..='~').contains(&character) {
            return;
        }
    }
}

/// A string for the terminal ends with BEL, ST or the line.
fn skip_string(characters: &mut Characters<'_>) {
    while let Some(character) = characters.next() {
        match character {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if characters.peek() == Some(&'\\') => {
                characters.next();
                return;
            }
            _ => {}
        }
    }
}

/// Hides the password of every `scheme://user:password@` and the value of every `password=`.
pub fn redact(text: &str) -> String {
    redact_parameters(&redact_urls(text))
}

fn redact_urls(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        result.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"'`<>|".contains(c)).unwrap_or(after.len());
        let word = &after[..end];
        // Up to the last `@`: a password may hold one that nobody encoded. Rather too much is hidden than too little.
        let hidden = word.rfind('@').and_then(|at| {
            let colon = word[..at].find(':')?;
            Some(format!("{}:{REDACTED}{}", &word[..colon], &word[at..]))
        });
        match hidden {
            Some(hidden) => {
                result.push_str(&hidden);
                rest = &after[end..];
            }
            None => rest = after,
        }
    }
    result.push_str(rest);
    result
}

fn redact_parameters(text: &str) -> String {
    const NAME: &str = "password=";
    let lower = text.to_ascii_lowercase();
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = lower[from..].find(NAME) {
        let value = from + found + NAME.len();
        result.push_str(&text[from..value]);
        let end = value_end(&text[value..]);
        if end > 0 {
            result.push_str(REDACTED);
        }
        from = value + end;
    }
    result.push_str(&text[from..]);
    result
}

/// A value in quotes goes to the closing quote, any other to the next separator.
fn value_end(value: &str) -> usize {
    match value.chars().next() {
        Some(quote @ ('\'' | '"')) => value[1..].find(quote).map_or(value.len(), |at| at + 2),
        _ => value.find(|c: char| c.is_whitespace() || "&;,\"')}\\".contains(c)).unwrap_or(value.len()),
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("plain ä 🐦\ttext" => "plain ä 🐦\ttext"; "ordinary text stays")]
    #[test_case("\u{1b}[31mred\u{1b}[0m" => "red"; "colours")]
    #[test_case("\u{1b}]0;title\u{7}x" => "x"; "window title ended by bel")]
    #[test_case("\u{1b}]52;c;Y2xpcA==\u{1b}\\x" => "x"; "clipboard ended by st")]
    #[test_case("\u{1b}]8;;http://evil" => ""; "a string without an end")]
    #[test_case("10%\r20%\u{8}" => "10%20%"; "carriage returns and backspaces")]
    #[test_case("\u{9b}2Jx\u{0}y" => "xy"; "one byte control sequence and nul")]
    #[test_case("\u{1b}(Bx\u{1b}=y" => "xy"; "charset and keypad")]
    #[test_case("a\u{202e}b" => "ab"; "direction marks")]
    fn controls_are_stripped(text: &str) -> String {
        strip_controls(text)
    }

    #[test_case("at postgres://u:p@h/db now" => "at postgres://u:***@h/db now"; "a url")]
    #[test_case("jdbc:postgresql://u:p%40x@h:5432/db" => "jdbc:postgresql://u:***@h:5432/db"; "a jdbc url")]
    #[test_case("postgres://u:p@ss/w:rd@h/db" => "postgres://u:***@h/db"; "an unencoded password")]
    #[test_case("{\"url\":\"postgres://u:p@h\",\"x\":1}" => "{\"url\":\"postgres://u:***@h\",\"x\":1}"; "inside json")]
    #[test_case("http://h:80/a and postgres://u:p@h" => "http://h:80/a and postgres://u:***@h"; "two urls")]
    #[test_case("postgres://u@h/db" => "postgres://u@h/db"; "no password")]
    #[test_case("://:@" => "://:***@"; "nearly nothing")]
    #[test_case("h?user=u&password=geheim&x=1" => "h?user=u&password=***&x=1"; "a parameter")]
    #[test_case("PASSWORD='a b' host=x password=" => "PASSWORD=*** host=x password="; "keywords and an empty one")]
    fn passwords_are_hidden(text: &str) -> String {
        redact(text)
    }

    #[test]
    fn invalid_utf8_is_replaced_and_a_cut_is_told() {
        assert_eq!(clean(b"a\xff", 3), "a\u{fffd} … (3 more bytes)");
    }

    #[test]
    fn a_long_text_is_bounded_and_json_texts_are_cleaned_inside() {
        assert!(clean("ä".repeat(TEXT_LIMIT).as_bytes(), 0).ends_with(" … (65536 more bytes)"));
        let Value::Object(fields) =
            serde_json::json!({"a": ["x\u{1b}[1my\nz", {"b": "postgres://u:p@h"}], "n": 1})
        else {
            unreachable!()
        };
        let clean = Value::Object(clean_fields(fields));
        assert_eq!(clean, serde_json::json!({"a": ["xy\nz", {"b": "postgres://u:***@h"}], "n": 1}));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_moves_a_cursor_survives(text in "\\PC*|[\u{0}-\u{ff}]*") {
            let clean = strip_controls(&text);
            proptest::prop_assert!(clean.chars().all(|c| c == '\t' || !c.is_control()));
        }

        #[test]
        fn a_marked_password_never_survives(before in "[ -~]{0,20}", user in "[a-z]{1,5}", after in "[ -~]{0,20}") {
            let text = format!("{before}postgres://{user}:CANARY@h{after}");
            proptest::prop_assert!(!redact(&text).contains("CANARY"), "{}", redact(&text));
        }
    }
}
