//! PostgreSQL's syntax, statement by statement.
//!
//! The statements are cut by the scanner that the runner uses, after placeholders have been replaced; the data of
//! `COPY … FROM STDIN` is not SQL and is passed over. Positions are those of the file: what a placeholder's value
//! shifted is shifted back.
//!
//! A parser can be wrong about a server that is newer than it, or has extensions to the grammar. So a script may
//! opt out with a comment line, and a project with a setting.
//!
//! Parsing is the dear part of a round. So a text that was found right is not parsed again, and the others are
//! parsed on all processors. What was right is remembered in the project's state, as digests of texts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use whimbrel_image::Digest;

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

/// A script's text, and the placeholders that are replaced in it before it runs.
pub(super) struct SqlText<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) placeholders: Option<&'a Placeholders>,
}

/// The texts that were found right in the last round, as they are after replacement.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KnownTexts {
    right: HashSet<Digest>,
}

/// The parser of another version may think otherwise.
const WRITTEN_BY: &str = concat!("whimbrel ", env!("CARGO_PKG_VERSION"));

impl KnownTexts {
    /// What an earlier process remembered. A file that is not there, or not ours, is no memory and no error.
    pub(super) fn read(path: &Path) -> Self {
        let text = fs_err::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let is_ours = lines.next() == Some(WRITTEN_BY);
        Self { right: lines.filter(|_| is_ours).filter_map(|line| line.parse().ok()).collect() }
    }

    /// Remembers for later processes. Where that cannot be written they parse once more, and that is all.
    pub(super) fn write(&self, path: &Path) {
        let mut digests: Vec<&str> = self.right.iter().map(Digest::as_str).collect();
        digests.sort_unstable();
        let text = format!("{WRITTEN_BY}\n{}\n", digests.join("\n"));
        let written = path.parent().map_or(Ok(()), fs_err::create_dir_all);
        if let Err(error) = written.and_then(|()| fs_err::write(path, text)) {
            tracing::debug!(target: "whimbrel", "what was checked is not remembered: {error}");
        }
    }

    /// What is wrong with the syntax of each of these scripts, in their order.
    pub(super) fn check(&mut self, scripts: &[SqlText<'_>]) -> Vec<Vec<Finding>> {
        let texts: Vec<Option<Prepared<'_>>> = scripts.iter().map(Prepared::new).collect();
        let unknown: Vec<usize> = (0..texts.len())
            .filter(|&index| texts[index].as_ref().is_some_and(|text| !self.right.contains(&text.digest)))
            .collect();
        let mut findings = vec![Vec::new(); texts.len()];
        for (index, found) in on_all_processors(&unknown, |index| texts[index].as_ref().map(Prepared::check))
        {
            findings[index] = found.unwrap_or_default();
        }
        // What is gone from the set is forgotten with it.
        let right = texts.iter().zip(&findings).filter(|(_, findings)| findings.is_empty());
        self.right = right.filter_map(|(text, _)| Some(text.as_ref()?.digest.clone())).collect();
        findings
    }
}

/// Deep expressions make the parser recurse; its threads have room for them.
const STACK: usize = 64 * 1024 * 1024;

/// Does the work for each item, in no order, with as many threads as there are processors.
fn on_all_processors<T: Send>(items: &[usize], work: impl Fn(usize) -> T + Sync) -> Vec<(usize, T)> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let take_all = || {
        while let Some(&item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((item, result));
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    thread::scope(|scope| {
        for _ in 0..threads {
            let builder = thread::Builder::new().name("syntax".to_owned()).stack_size(STACK);
            // Those that could be started do the work of those that could not.
            let _ = builder.spawn_scoped(scope, take_all);
        }
    });
    // No room for a single thread: the usual stack serves for all but absurd scripts.
    take_all();
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A script that is to be parsed.
struct Prepared<'a> {
    text: &'a str,
    replaced: Cow<'a, str>,
    placeholders: Option<&'a Placeholders>,
    digest: Digest,
}

impl<'a> Prepared<'a> {
    /// Nothing where the script opts out. One whose placeholders cannot be replaced has been reported by the check.
    fn new(script: &'a SqlText<'a>) -> Option<Self> {
        let (text, placeholders) = (script.text.as_ref(), script.placeholders);
        if text.lines().any(|line| line.trim() == OPT_OUT) {
            return None;
        }
        let replaced = match placeholders.map(|placeholders| placeholders.replace(text)) {
            None => Cow::Borrowed(text),
            Some(replaced) => replaced.ok()?,
        };
        let digest = Digest::of(replaced.as_bytes());
        Some(Self { text, replaced, placeholders, digest })
    }

    /// One that the scanner refuses has been reported by the check.
    fn check(&self) -> Vec<Finding> {
        let shifted = self.placeholders.filter(|_| self.replaced != self.text);
        let mut scanner = Scanner::new(Dialect::PostgreSql);
        scanner.feed(self.replaced.as_bytes());
        scanner.finish();
        let mut findings = Vec::new();
        while let Ok(Some(piece)) = scanner.next_piece() {
            let Piece::Statement(statement) = piece else { continue };
            let Some((message, offset)) = first_error(statement.text) else { continue };
            let offset = usize::try_from(statement.start).unwrap_or(usize::MAX).saturating_add(offset);
            let original =
                shifted.map_or(offset, |placeholders| placeholders.original_offset(self.text, offset));
            findings.push(finding(&message, self.text, original));
            if findings.len() == MOST {
                break;
            }
        }
        findings
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        check_with(text, None)
    }

    fn check_with(text: &str, placeholders: Option<&Placeholders>) -> Vec<String> {
        let mut found = KnownTexts::default().check(&[SqlText { text: text.into(), placeholders }]);
        found
            .remove(0)
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

    #[test]
    fn text_that_was_right_stays_right_and_a_wrong_one_is_found_again() {
        let texts = ["select 1;", "creat table x();", "select 2;"];
        let scripts = texts.map(|text| SqlText { text: text.into(), placeholders: None });
        let mut known = KnownTexts::default();
        for _ in 0..2 {
            let found = known.check(&scripts);
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
            assert_eq!(
                known.right,
                HashSet::from(["select 1;", "select 2;"].map(|text| Digest::of(text.as_bytes())))
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/checked");
        known.write(&path);
        assert_eq!(KnownTexts::read(&path), known);
        known.check(&scripts[..1]);
        assert_eq!(known.right.len(), 1, "what is gone is forgotten");
    }
}
