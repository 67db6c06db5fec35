//! PostgreSQL's syntax, statement by statement.
//!
//! The statements are cut by the scanner that the runner uses, after placeholders have been replaced; the data of
//! `COPY … FROM STDIN` is not SQL and is passed over. Positions are those of the file: what a placeholder's value
//! shifted is shifted back.
//!
//! A parser can be wrong about a server that is newer than it, or has extensions to the grammar. So a script may
//! opt out with a comment line, and a project with a setting.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squawk_syntax::SourceFile;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::scan::{Piece, Scanner};

/// A line of a script that lets it pass.
pub(super) const OPT_OUT: &str = "-- whimbrel: syntax-unchecked";
const SLUG: &str = "syntax";
/// More findings in one script than this help nobody.
const MOST: usize = 5;

/// What is wrong with the syntax of a script. A script that the scanner refuses has been reported by the check.
pub(super) fn check_syntax(text: &str, placeholders: Option<&Placeholders>) -> Vec<Finding> {
    if text.lines().any(|line| line.trim() == OPT_OUT) {
        return Vec::new();
    }
    let replaced = match placeholders.map(|placeholders| placeholders.replace(text)) {
        None => Cow::Borrowed(text),
        Some(Ok(replaced)) => replaced,
        Some(Err(_)) => return Vec::new(),
    };
    let mut scanner = Scanner::new(Dialect::PostgreSql);
    scanner.feed(replaced.as_bytes());
    scanner.finish();
    let mut findings = Vec::new();
    while let Ok(Some(piece)) = scanner.next_piece() {
        let Piece::Statement(statement) = piece else { continue };
        let Some((message, offset)) = first_error(statement.text) else { continue };
        let offset = usize::try_from(statement.start).unwrap_or(usize::MAX).saturating_add(offset);
        let original = original_offset(text, offset, placeholders.filter(|_| replaced != text));
        findings.push(finding(&message, text, original));
        if findings.len() == MOST {
            break;
        }
    }
    findings
}

fn finding(message: &str, text: &str, offset: usize) -> Finding {
    let (line, column) = place(text, offset);
    Finding::error(SLUG, message).at(line, column).next_step(format!(
        "correct the statement; if PostgreSQL accepts it, add the line `{OPT_OUT}` to the script, or set \
         `[check] syntax = false` in whimbrel.toml"
    ))
}

/// The first error of one statement, with its place in the text.
fn first_error(statement: &str) -> Option<(String, usize)> {
    // A parser that gives up on a script must not end the watch: then the server has the last word, as always.
    let errors = catch_unwind(AssertUnwindSafe(|| SourceFile::parse(statement).errors())).ok()?;
    let error = errors.first()?;
    let offset = usize::from(error.range().start()).min(statement.len());
    // The parser points behind the last token where it misses one: the reader wants the next one.
    let rest = statement.get(offset..).unwrap_or_default();
    let offset = offset + (rest.len() - rest.trim_start().len());
    Some((words(error.message(), statement.get(offset..).unwrap_or_default()), offset))
}

/// The server's words for the same thing, and the parser's.
fn words(message: &str, rest: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let token = match end {
        0 => rest.chars().next().map(String::from),
        _ => Some(rest[..end].chars().take(60).collect()),
    };
    match token {
        Some(token) => format!("syntax error at or near \"{token}\" ({message})"),
        None => format!("syntax error at the end of the statement ({message})"),
    }
}

fn place(text: &str, offset: usize) -> (u64, u64) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() as u64 + 1, before[line_start..].chars().count() as u64 + 1)
}

/// The place in the file of a place in the text after replacement; inside a value, that of its placeholder.
fn original_offset(text: &str, wanted: usize, placeholders: Option<&Placeholders>) -> usize {
    let Some(placeholders) = placeholders else { return wanted };
    let (mut read, mut written) = (0, 0);
    while read < text.len() && written < wanted {
        let rest = &text[read..];
        let Some(dollar) = rest.find('$') else { break };
        if written + dollar >= wanted {
            break;
        }
        (read, written) = (read + dollar, written + dollar);
        let rest = &text[read..];
        let replaced =
            rest.strip_prefix("${").and_then(|after| after.split_once('}')).and_then(|(name, _)| {
                let value = placeholders.get(name)?;
                Some((name.len() + 3, value.len()))
            });
        match replaced {
            Some((placeholder, value)) if written + value > wanted => return read.min(read + placeholder),
            Some((placeholder, value)) => (read, written) = (read + placeholder, written + value),
            None => {
                // A dollar and what follows it are passed over together, as replacement does.
                let passed = rest.chars().take(2).map(char::len_utf8).sum::<usize>();
                (read, written) = (read + passed, written + passed);
            }
        }
    }
    (read + wanted.saturating_sub(written)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        check_with(text, None)
    }

    fn check_with(text: &str, placeholders: Option<&Placeholders>) -> Vec<String> {
        check_syntax(text, placeholders)
            .into_iter()
            .map(|f| format!("{}:{} {}", f.line.unwrap(), f.column.unwrap(), f.message))
            .collect()
    }

    #[test]
    fn misspelt_statement_is_found_with_its_place() {
        let found = check("create table a (id int);\n\n  creat table b (id int);\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("3:3 syntax error at or near \"creat\" ("), "{found:?}");
    }

    #[test]
    fn missing_end_is_told_as_such() {
        let found = check("select 1;\ncreate table a (id int,\n");
        assert!(found.iter().all(|f| f.contains("syntax error")), "{found:?}");
        let found = check("create index on;");
        assert!(found[0].contains("at the end of the statement"), "{found:?}");
    }

    #[test]
    fn every_broken_statement_is_found_once() {
        let found = check("creat table a (id int);\nselect 1;\nselect from where;\n");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn copy_data_and_bodies_are_not_taken_for_statements() {
        let text = "copy t (a, b) from stdin;\ncreat\tnonsense ( ' \n\\.\n\
            create function f() returns int language plpgsql as $$ begin creat; end $$;\n\
            create index concurrently if not exists i on t (a);\n\
            insert into t values (E'it\\'s', $x$ ' $x$);\n";
        assert_eq!(check(text), Vec::<String>::new());
    }

    #[test]
    fn script_can_opt_out() {
        assert_eq!(check("-- whimbrel: syntax-unchecked\ncreat table x;"), Vec::<String>::new());
    }

    #[test]
    fn placeholders_are_replaced_and_places_are_those_of_the_file() {
        let mut placeholders = Placeholders::default();
        placeholders.set("schema", "a_very_long_schema_name");
        placeholders.set("flag", "t");
        let text = "select '$${x}', '${flag}' from ${schema}.t; creat ${schema};";
        let found = check_with(text, Some(&placeholders));
        assert_eq!(found.len(), 1, "{found:?}");
        let column = text.find("creat").unwrap() + 1;
        assert!(found[0].starts_with(&format!("1:{column} ")), "{found:?}");
    }
}
