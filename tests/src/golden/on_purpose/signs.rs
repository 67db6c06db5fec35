//! By what the reasons to differ are recognised: what a case holds, and how it differs.

use serde_json::Value;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::encoding::Encoding;
use whimbrel_migration::scan::{self, ScanFacts};
use whimbrel_migration::settings::{IgnorePattern, Target};
use whimbrel_migration::version::Version;

use crate::golden::compare::{Difference, text};

/// Which answers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::golden) enum Column {
    /// The program called `flyway`.
    Flyway,
    /// Whimbrel's own verbs.
    Own,
    /// The library.
    Vector,
}

/// What a reason looks at.
pub(in crate::golden) struct Situation<'a> {
    pub(in crate::golden) case: &'a Value,
    /// Where it was recorded.
    pub(in crate::golden) engine: &'a str,
    /// The script or the name of a vector.
    pub(in crate::golden) content: &'a str,
    pub(in crate::golden) column: Column,
}

impl Situation<'_> {
    /// The names of the case's files, or the one that a vector is about.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let steps = self.case["steps"].as_array().into_iter().flatten();
        let parts = std::iter::once(self.case).chain(steps);
        let files = parts.filter_map(|part| part["files"].as_object()).flatten();
        let names = files.map(|(name, _)| name.rsplit('/').next().unwrap_or_default());
        names.chain((self.column == Column::Vector).then_some(self.content))
    }
}

impl Situation<'_> {
    /// All settings of the case and its steps.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        let steps = self.case["steps"].as_array().into_iter().flatten();
        let parts = std::iter::once(self.case).chain(steps);
        let settings = parts.filter_map(|part| part["settings"].as_object()).flatten();
        settings.map(|(name, value)| (name.as_str(), text(value)))
    }

    /// Whether this is a call of the command line with this parameter.
    pub(super) fn calls_with(&self, name: &str) -> bool {
        let parameters = self.content.split(' ').filter_map(|word| word.strip_prefix('-')?.split_once('='));
        self.column == Column::Vector && parameters.into_iter().any(|(parameter, _)| parameter == name)
    }

    /// The contents of the files whose names begin with one of these.
    pub(super) fn contents(&self, beginnings: &[&str]) -> Vec<&str> {
        let steps = self.case["steps"].as_array().into_iter().flatten();
        let parts = std::iter::once(self.case).chain(steps);
        let files = parts.filter_map(|part| part["files"].as_object()).flatten();
        let named = files.filter(|(name, _)| {
            let name = name.rsplit('/').next().unwrap_or_default();
            beginnings.iter().any(|beginning| name.starts_with(beginning))
        });
        named.map(|(_, content)| text(content)).collect()
    }

    /// Whether a script begins or ends transactions itself.
    pub(super) fn has_own_transactions(&self) -> bool {
        self.has_script(|facts| facts.transaction_control.is_some())
    }

    /// Whether a script has statements of both kinds.
    pub(super) fn has_mixed(&self) -> bool {
        self.has_script(|facts| facts.kind_change.is_some())
    }

    fn has_script(&self, is_such: impl Fn(ScanFacts) -> bool) -> bool {
        let dialect = match self.engine {
            "mariadb" => Dialect::MariaDb,
            "sqlite" => Dialect::Sqlite,
            _ => Dialect::PostgreSql,
        };
        let scripts = self.contents(&["V", "R", "B"]);
        scripts.iter().any(|content| scan::facts(dialect, content.as_bytes()).is_ok_and(&is_such))
    }

    /// Whether a script or callback asks for a placeholder that nobody gave a value.
    pub(super) fn lacks_a_value(&self) -> bool {
        let is_given = |wanted: &str| {
            let wanted = wanted.to_lowercase();
            wanted.starts_with("flyway:")
                || self.settings().any(|(name, _)| name.to_lowercase() == format!("placeholders.{wanted}"))
        };
        let scripts = self.contents(&[""]);
        let wanted = scripts.iter().flat_map(|script| script.split("${").skip(1));
        wanted.filter_map(|rest| rest.split_once('}')).any(|(wanted, _)| !is_given(wanted))
    }

    /// Whether all that we have more is what the callbacks of an error wrote or made.
    pub(super) fn is_work_of_error_callbacks(&self, difference: &Difference) -> bool {
        let (Some(expected), Some(got)) = (difference.expected.as_array(), difference.got.as_array()) else {
            return false;
        };
        let callbacks = self.contents(&["afterEachMigrateError", "afterEachMigrateStatementError"]);
        let is_theirs = |made: &Value| {
            let made = if made.is_array() { text(&made[0]) } else { text(made) };
            let made = made.rsplit('.').next().unwrap_or_default();
            !made.is_empty() && callbacks.iter().any(|callback| callback.contains(made))
        };
        let mut rest = expected.iter().peekable();
        got.iter().all(|made| rest.next_if_eq(&made).is_some() || is_theirs(made)) && rest.next().is_none()
    }

    /// Whether there are two scripts and a baseline script of one version.
    pub(super) fn is_hidden_duplicate(&self) -> bool {
        let names: Vec<&str> = self.names().collect();
        let of = |prefix: char| {
            let named = names.iter().filter(move |name| name.starts_with(prefix));
            named.filter_map(|name| Version::parse(version_of(name)).ok())
        };
        of('B').any(|baseline| of('V').filter(|version| *version == baseline).count() > 1)
    }

    /// Whether Flyway failed with these words, in the step where the first difference is.
    pub(super) fn fails_with(&self, differences: &[Difference], words: &str) -> bool {
        self.expected_at(differences)["error"].to_string().contains(words)
    }

    /// Whether Flyway failed there at all.
    pub(super) fn fails(&self, differences: &[Difference]) -> bool {
        !self.expected_at(differences)["error"].is_null()
    }

    fn expected_at(&self, differences: &[Difference]) -> &Value {
        match differences.first().and_then(|difference| difference.step) {
            Some(step) => &self.case["expect"]["steps"][step - 1],
            None => &self.case["expect"],
        }
    }
}

pub(super) fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().map(text)
}

pub(super) fn answers_agree(differences: &[Difference]) -> bool {
    differences.iter().all(|difference| difference.what != "answer" && difference.what != "outcome")
}

/// What differs in the first step where something does.
pub(super) fn at_first(differences: &[Difference]) -> &[Difference] {
    let step = differences.first().and_then(|difference| difference.step);
    &differences[..differences.iter().take_while(|difference| difference.step == step).count()]
}

/// Whether this is that they have a history table more.
pub(super) fn has_only_no_history(difference: &Difference) -> bool {
    let (Some(expected), Some(got)) = (difference.expected.as_array(), difference.got.as_array()) else {
        return false;
    };
    let made = |table: &&Value| !got.contains(table);
    difference.what == "tables"
        && expected.len() > got.len()
        && expected.iter().filter(made).all(|table| text(table).ends_with(".flyway_schema_history"))
}

/// Whether ours said this where it differs.
pub(super) fn said(differences: &[Difference], words: &str) -> bool {
    differences.iter().any(|difference| difference.got.to_string().contains(words))
}

/// Whether nothing but a refusal came, in words of our own.
pub(super) fn refuses(differences: &[Difference]) -> bool {
    differences.iter().all(|difference| match difference.what.as_str() {
        "exit code" => difference.got["code"] == 1 && text(&difference.got["said"]).contains("is refused"),
        what => what.starts_with("std") || what == "/error/message" || what.starts_with("keys of /"),
    })
}

/// What a dry run does not do: make the history table, and what it says besides.
pub(super) fn is_of_a_dry_run(difference: &Difference) -> bool {
    match difference.what.as_str() {
        "stdout lacks" => difference.got["lines"].as_array().into_iter().flatten().all(|line| {
            ["Creating ", "Executing SQL callback"].iter().any(|start| text(line).starts_with(start))
        }),
        what => what.starts_with("/warnings"),
    }
}

/// Lines of a connection that could not be made: what the driver, or the system, has to say.
pub(super) fn is_about_a_connection(lines: &Value) -> bool {
    let lines = lines.to_string();
    ["Unable to obtain connection", "Message :", "SQL State"].iter().any(|words| lines.contains(words))
}

pub(super) fn is_wrong(name: &str, value: &str) -> bool {
    match name {
        "ignoreMigrationPatterns" => {
            !value.is_empty()
                && value.split(',').any(|pattern| pattern.trim().parse::<IgnorePattern>().is_err())
        }
        "baselineVersion" => Version::parse(value).is_err(),
        "target" => value.parse::<Target>().is_err(),
        "encoding" => value.parse::<Encoding>().is_err(),
        _ => false,
    }
}

/// Whether they made the table, or schemas with rows that say so, and we did not.
pub(super) fn has_only_more_markers(expected: &Value, got: &Value) -> bool {
    let empty = Vec::new();
    let (Some(expected), got) = (expected.as_array(), got.as_array().unwrap_or(&empty)) else { return false };
    expected.starts_with(got) && expected[got.len()..].iter().all(|row| row["type"] == "SCHEMA")
}

pub(super) fn has_one_failed_row_more(expected: &Value, got: &Value) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    got.len() == expected.len() + 1
        && got.starts_with(expected)
        && got.last().is_some_and(|row| row["success"] == Value::Bool(false))
}

/// Whether the same statements came out, and we take some out of the transaction that Flyway runs in one and the server
/// refuses there, or passes over (`PRAGMA`).
pub(super) fn is_run_outside(difference: &Difference) -> bool {
    let words =
        ["CONCURRENTLY", "VACUUM", "CLUSTER", "FOREIGN_KEYS", "TABLESPACE", "PUBLICATION", "PREPARED"];
    let (Some(expected), Some(got)) = (difference.expected.as_array(), difference.got.as_array()) else {
        return false;
    };
    let is_taken_out = |(theirs, ours): (&Value, &Value)| {
        let statement = text(&theirs[2]).to_uppercase();
        (&theirs[0], &theirs[2], &theirs[3]) == (&ours[0], &ours[2], &ours[3])
            && (theirs[1] == ours[1]
                || theirs[1] == Value::Bool(true) && words.iter().any(|word| statement.contains(word)))
    };
    expected.len() == got.len() && expected.iter().zip(got).all(is_taken_out)
}

/// Whether we found something that has no end, which Flyway reads to the end of the file.
pub(super) fn never_ends(difference: &Difference) -> bool {
    let ends = ["unterminated", "never closed", "never ended", "has no end"];
    difference.got.as_str().is_some_and(|error| ends.iter().any(|words| error.contains(words)))
}

/// Whether both sides have the same text and cut it at other places, or one of them cannot cut it at all.
pub(super) fn is_cut_elsewhere(difference: &Difference) -> bool {
    let text_of = |statements: &Value| {
        let all = statements.as_array().into_iter().flatten().map(|statement| text(&statement[2]));
        all.flat_map(str::chars)
            .filter(|letter| !letter.is_whitespace() && *letter != ';')
            .collect::<String>()
    };
    let (expected, got) = (&difference.expected, &difference.got);
    difference.what == "statements"
        && (!expected.is_array()
            || !got.is_array()
            || text_of(expected) == text_of(got)
            || expected.as_array().map(Vec::len) < got.as_array().map(Vec::len))
}

pub(super) fn is_cut_otherwise(script: &str) -> bool {
    let upper = script.to_uppercase();
    let pair = |first: u8, second: fn(&u8) -> bool| {
        script.as_bytes().windows(2).any(|pair| pair[0] == first && second(&pair[1]))
    };
    let comment = script
        .match_indices("--")
        .any(|(at, _)| script[at + 2..].starts_with(|next: char| next.is_ascii_digit()));
    let two_words = |line: &str| {
        let line = line.to_uppercase();
        line.strip_prefix("DELIMITER ")
            .is_some_and(|delimiter| delimiter.trim().contains(char::is_whitespace))
    };
    script.lines().any(two_words)
        || ["/*!", "/*M!", " OR REPLACE ", "DEFINER=", " E'"].iter().any(|mark| upper.contains(mark))
        || comment
        || pair(b'$', u8::is_ascii_digit)
        || pair(b'[', u8::is_ascii_alphabetic)
        || upper.matches("/*").count() > upper.matches("*/").count()
        || upper.split("*/").any(|part| part.matches("/*").count() > 1)
        || upper.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == "END")
        || script.matches('\'').count() % 2 == 1
}

pub(super) fn has_long_description(rows: &Value) -> bool {
    let mut rows = rows.as_array().into_iter().flatten();
    rows.any(|row| text(&row["description"]).chars().count() > 200)
}

/// Flyway runs such a script again and again: its row has the shortened description, and is never found to be its.
pub(super) fn is_long_repeatable(name: &str) -> bool {
    let description = name.strip_prefix("R__").and_then(|rest| rest.split('.').next());
    description.is_some_and(|description| description.encode_utf16().count() > 200)
}

pub(super) fn version_of(name: &str) -> &str {
    let Some(rest) = name.strip_prefix(['V', 'B']) else { return "" };
    let end = rest.find("__").or_else(|| rest.rfind('.')).unwrap_or(rest.len());
    &rest[..end]
}

pub(super) fn is_reserved(name: &str) -> bool {
    let version = version_of(name);
    version == "9223372036854775807"
        || ["latest", "current", "next"].iter().any(|word| version.eq_ignore_ascii_case(word))
}

pub(super) fn is_program(name: &str) -> bool {
    let Some((_, suffix)) = name.rsplit_once('.') else { return name.starts_with(['V', 'R', 'B']) };
    ["sh", "bash", "ps1", "bat", "cmd", "py"].contains(&suffix)
}

/// Whether we applied more than they did, over a baseline script that was deleted.
pub(super) fn is_below_deleted(expected: &Value, got: &Value) -> bool {
    let (Some(expected), Some(got)) = (expected.as_array(), got.as_array()) else { return false };
    let of = |row_type: &'static str| expected.iter().filter(move |row| row["type"] == row_type);
    got.len() > expected.len()
        && of("SQL_BASELINE")
            .any(|baseline| of("DELETE").any(|delete| delete["version"] == baseline["version"]))
}
