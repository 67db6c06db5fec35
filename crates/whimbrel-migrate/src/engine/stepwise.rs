//! A script that cannot run in a transaction: statement by statement, with a record of how far it came.
//!
//! | found | done |
//! |---|---|
//! | nothing | the script starts; a record is written before its first statement |
//! | a record and a failed row (somebody saw it fail) | goes on with the statement that failed |
//! | a record without a row, for the next rank (we were killed) | goes on with the statement that was under way |
//! | a record that fits neither | void: `repair` took the row away, or the script changed; it starts anew |
//!
//! A statement that can run in a transaction is committed together with the record, so that it is known for certain
//! whether it was done. For the others the record says what to look for: an index that was not there before.

use std::time::Instant;

use whimbrel_database::{DatabaseError, IndexState, Progress};
use whimbrel_migration::name;
use whimbrel_migration::plan::RunMode;
use whimbrel_migration::scan::Effect;
use whimbrel_migration::script::ScriptId;

use super::Engine;
use super::failing::{FailedStatement, Interruption};
use super::running::{Part, Work};
use super::transactional::millis;
use crate::failure::{Failure, Kept};
use crate::report::{Event, Level};
use crate::settings::DatabaseSettings;

impl Engine<'_> {
    /// Runs a script outside of a transaction.
    pub(super) async fn run_stepwise(
        &mut self,
        work: &Work<'_>,
        resumes: Option<Progress>,
    ) -> Result<u64, Failure> {
        let started = Instant::now();
        self.limit_session().await?;
        let parts = self.parts_of(work.id)?;
        let mut progress = match resumes {
            Some(progress) => progress,
            None => self.interrupted(work, parts.len()).await?,
        };
        self.say_goes_on(&progress);
        self.begin_each(work).await?;
        let resumed_at = progress.statements_done;
        self.repeat_settings(work.id, &parts[..resumed_at.min(parts.len())]).await?;
        for (index, part) in parts.iter().enumerate().skip(resumed_at) {
            let was_under_way = index == resumed_at && progress.new_index.is_some();
            let ran = self.run_part_hooked(work, part, &mut progress, was_under_way).await;
            if let Err(interruption) = ran {
                return Err(self.stopped_midway(work, &progress, interruption, millis(started)).await);
            }
            progress.statements_done = index + 1;
            progress.new_index = None;
        }
        if work.step.is_some() {
            self.fire_between(name::Event::AfterEachMigrate).await?;
        }
        self.session.reset().await.map_err(Failure::database("reset the session"))?;
        let millis = millis(started);
        let recorded =
            self.session.record_success(&self.table, &work.applied(millis), &progress.script).await;
        recorded.map_err(Failure::database("write the history row of a script that was applied"))?;
        Ok(millis)
    }

    fn say_goes_on(&self, progress: &Progress) {
        if progress.statements_done > 0 || progress.new_index.is_some() {
            let (next, total) = (progress.statements_done + 1, progress.statements);
            let message = format!("{} goes on with statement {next} of {total}", progress.script);
            self.say(Level::Warn, Event::Notice, &message);
        }
    }

    /// Runs one statement with its callbacks, which are no part of what is done for it.
    async fn run_part_hooked(
        &mut self,
        work: &Work<'_>,
        part: &Part,
        progress: &mut Progress,
        was_under_way: bool,
    ) -> Result<(), Interruption> {
        if work.step.is_none() {
            return self.run_part(work.id, part, progress, was_under_way).await;
        }
        let before = self.fire_between(name::Event::BeforeEachMigrateStatement).await;
        before.map_err(Interruption::Ours)?;
        self.run_part(work.id, part, progress, was_under_way).await?;
        self.fire_between(name::Event::AfterEachMigrateStatement).await.map_err(Interruption::Ours)
    }

    /// What was SET by statements that are done belongs to the session that did it: it is set again.
    async fn repeat_settings(&mut self, id: ScriptId, done: &[Part]) -> Result<(), Failure> {
        for part in done.iter().filter(|part| is_session_setting(&part.place.text)) {
            if let Err(Interruption::Statement(failed)) = self.run_statement(id, &part.place, None).await {
                return Err(self.script_failure(id, RunMode::StatementByStatement, *failed, Kept::Nothing));
            }
        }
        Ok(())
    }

    /// Runs one statement, with the record written before it, or together with it where a transaction can hold both.
    async fn run_part(
        &mut self,
        id: ScriptId,
        part: &Part,
        progress: &mut Progress,
        was_under_way: bool,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        if !matches!(part.effect, Effect::NonTransactional(_)) {
            return self.run_with_record(id, part, progress).await;
        }
        let index = new_index(&part.place.text);
        if let Some(index) = &index {
            let state = self.session.index_state(&index.name).await.map_err(ours("look for the index"))?;
            match state {
                IndexState::Valid if was_under_way => return Ok(()),
                IndexState::Invalid if was_under_way => {
                    let message =
                        format!("dropping the INVALID index {} that our last attempt left", index.name);
                    self.say(Level::Warn, Event::Notice, &message);
                    let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", index.name);
                    self.session.query(&drop).await.map_err(ours("drop the INVALID index"))?;
                }
                IndexState::Invalid => return Err(invalid_index(part, &index.name, &self.settings)),
                IndexState::Valid | IndexState::Absent => {}
            }
            progress.new_index = (was_under_way || state == IndexState::Absent).then(|| index.name.clone());
        }
        self.session.write_progress(&self.table, progress).await.map_err(ours("write the progress"))?;
        let ran = self.run_statement(id, &part.place, part.data.as_deref()).await;
        self.explain(part, index.as_ref(), ran).await
    }

    /// The statement and the record in one transaction.
    async fn run_with_record(
        &mut self,
        id: ScriptId,
        part: &Part,
        progress: &mut Progress,
    ) -> Result<(), Interruption> {
        let ours = |what| move |error| Interruption::Ours(Failure::database(what)(error));
        // The table is made here, outside of the statement's transaction.
        self.session.write_progress(&self.table, progress).await.map_err(ours("write the progress"))?;
        self.session.begin().await.map_err(ours("begin a transaction"))?;
        let ran = self.run_statement(id, &part.place, part.data.as_deref()).await;
        match ran {
            Ok(()) => {}
            Err(Interruption::Statement(failed)) if needs_no_transaction(&failed.error) => {
                self.session.rollback().await.map_err(ours("roll back"))?;
                return self.run_statement(id, &part.place, part.data.as_deref()).await;
            }
            Err(interruption) => {
                if let Err(error) = self.session.rollback().await {
                    tracing::debug!(target: "whimbrel", "no rollback was needed: {error}");
                }
                return Err(interruption);
            }
        }
        let done = Progress { statements_done: progress.statements_done + 1, ..progress.clone() };
        self.session.write_progress(&self.table, &done).await.map_err(ours("write the progress"))?;
        match self.session.commit().await {
            Ok(()) => Ok(()),
            Err(error) => Err(Interruption::Statement(Box::new(FailedStatement::new(
                &part.place,
                error,
                &self.settings,
            )))),
        }
    }

    /// Adds what the catalogue says after a failure, and finds the one success that is none.
    async fn explain(
        &mut self,
        part: &Part,
        index: Option<&NewIndex>,
        ran: Result<(), Interruption>,
    ) -> Result<(), Interruption> {
        match ran {
            Ok(()) => {
                // IF NOT EXISTS is content with an INVALID index.
                let Some(index) = index.filter(|index| index.if_not_exists) else { return Ok(()) };
                let state = self.session.index_state(&index.name).await;
                match state {
                    Ok(IndexState::Invalid) => Err(invalid_index(part, &index.name, &self.settings)),
                    _ => Ok(()),
                }
            }
            Err(Interruption::Statement(mut failed)) => {
                if !failed.error.is_connection_lost() {
                    failed.notes.extend(self.notes_after_failure(index, &failed.error).await);
                }
                Err(Interruption::Statement(failed))
            }
            Err(interruption) => Err(interruption),
        }
    }

    async fn notes_after_failure(&mut self, index: Option<&NewIndex>, error: &DatabaseError) -> Vec<String> {
        let mut notes = Vec::new();
        if index.is_some() {
            for name in self.session.invalid_indexes().await.unwrap_or_default() {
                notes.push(format!(
                    "index {name} is INVALID: it slows down every write and serves no query; DROP INDEX CONCURRENTLY \
                     {name} removes it, and the next migrate does so by itself where this script left it"
                ));
            }
        }
        if matches!(error.sqlstate(), Some("55P03" | "57014")) {
            let waiting = self.session.oldest_transactions().await.unwrap_or_default();
            notes.extend(waiting.into_iter().map(|who| format!("it may have waited for {who}")));
        }
        notes
    }

    /// The record of an earlier run that was killed while it ran this script, or a fresh one.
    pub(super) async fn interrupted(&mut self, work: &Work<'_>, total: usize) -> Result<Progress, Failure> {
        let fresh = self.fresh(work.id, work.rank(), total);
        let found = self.session.read_progress(&self.table, &fresh.script).await;
        let found = found.map_err(Failure::database("read the progress of a script"))?;
        let Some(found) = found else { return Ok(fresh) };
        // The failed row of a migration has been looked at before; an undo has none.
        let fits = (!found.failed || work.step.is_none())
            && found.installed_rank == fresh.installed_rank
            && found.checksum == fresh.checksum
            && found.statements == total;
        if fits {
            return Ok(found);
        }
        let deleted = self.session.delete_progress(&self.table, &fresh.script).await;
        deleted.map_err(Failure::database("forget the progress of a script"))?;
        Ok(fresh)
    }

    fn fresh(&self, id: ScriptId, rank: i32, total: usize) -> Progress {
        let script = self.set.script(id);
        Progress {
            installed_rank: rank,
            script: script.stored_script(),
            checksum: script.checksum(),
            statements_done: 0,
            statements: total,
            failed: false,
            new_index: None,
        }
    }

    /// Writes down where it ended, and says what was kept.
    async fn stopped_midway(
        &mut self,
        work: &Work<'_>,
        progress: &Progress,
        interruption: Interruption,
        millis: u64,
    ) -> Failure {
        // Where we were asked to stop, the record stands, and the next run goes on by itself.
        let mut failed = match self.statement_of(work.id, interruption) {
            Ok(failed) => failed,
            Err(failure) => return failure,
        };
        let kept = match progress.statements_done {
            0 => self.kept_index(progress).await,
            done => Kept::Statements { done, total: progress.statements },
        };
        // After a lost connection the record stands too; the next run finds out what became of the statement.
        if !failed.error.is_connection_lost()
            && let Err(failure) = self.record_failure(work, progress, millis).await
        {
            failed.notes.push(format!("the failure could not be written into the history: {failure}"));
        }
        self.script_failure(work.id, work.run, failed, kept)
    }

    /// A first statement that failed can leave an INVALID index behind.
    async fn kept_index(&mut self, progress: &Progress) -> Kept {
        let Some(name) = &progress.new_index else { return Kept::Nothing };
        match self.session.index_state(name).await {
            Ok(IndexState::Absent) => Kept::Nothing,
            _ => Kept::Statements { done: 0, total: progress.statements },
        }
    }

    /// Records the failure; of an undo only how far it came.
    pub(super) async fn record_failure(
        &mut self,
        work: &Work<'_>,
        progress: &Progress,
        millis: u64,
    ) -> Result<(), Failure> {
        let write = "write the failed row";
        self.session.reset().await.map_err(Failure::database(write))?;
        let written = match work.failed(millis) {
            Some(row) => self.session.record_failure(&self.table, &row, progress).await,
            None => {
                let progress = Progress { failed: true, ..progress.clone() };
                self.session.write_progress(&self.table, &progress).await
            }
        };
        written.map_err(Failure::database(write))
    }
}

/// A procedure that commits, or a statement that the scanner took for a harmless one.
fn needs_no_transaction(error: &DatabaseError) -> bool {
    // SQLite has words only: "cannot VACUUM from within a transaction", "… inside a transaction".
    matches!(error.sqlstate(), Some("2D000" | "25001"))
        || error.server().is_some_and(|error| {
            error.sqlstate.is_empty()
                && (error.message.contains("within a transaction")
                    || error.message.contains("inside a transaction"))
        })
}

fn invalid_index(part: &Part, name: &str, settings: &DatabaseSettings) -> Interruption {
    let error = whimbrel_database::ServerError {
        severity: "ERROR",
        sqlstate: "55000".to_owned(),
        code: 0,
        message: format!("index {name} exists already and is INVALID"),
        detail: None,
        hint: Some(format!("DROP INDEX CONCURRENTLY {name}, then run migrate again")),
        position: None,
        context: None,
        constraint: None,
    };
    Interruption::Statement(Box::new(FailedStatement::new(
        &part.place,
        DatabaseError::Server(error),
        settings,
    )))
}

fn is_session_setting(statement: &str) -> bool {
    let words = words(statement);
    let is =
        |index: usize, word: &str| words.get(index).is_some_and(|found| found.eq_ignore_ascii_case(word));
    // A pragma is SQLite's SET.
    is(0, "pragma") || is(0, "set") && !["local", "transaction", "constraints"].iter().any(|word| is(1, word))
}

/// The index that a CREATE INDEX CONCURRENTLY makes.
#[derive(Debug, PartialEq, Eq)]
struct NewIndex {
    /// As SQL finds it: qualified where the table is.
    name: String,
    if_not_exists: bool,
}

/// `CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name ON [ONLY] [schema.]table …`; none where the server
/// chooses the name.
fn new_index(statement: &str) -> Option<NewIndex> {
    let words = words(statement);
    let mut words = words.iter().map(String::as_str).peekable();
    let mut keyword = |word: &str| words.next_if(|next| next.eq_ignore_ascii_case(word)).is_some();
    if !keyword("create") {
        return None;
    }
    keyword("unique");
    if !(keyword("index") && keyword("concurrently")) {
        return None;
    }
    let if_not_exists = keyword("if") && keyword("not") && keyword("exists");
    let name = words.next().filter(|name| !name.eq_ignore_ascii_case("on"))?.to_owned();
    if !words.next()?.eq_ignore_ascii_case("on") {
        return None;
    }
    let mut table = words.next()?;
    if table.eq_ignore_ascii_case("only") {
        table = words.next()?;
    }
    // `schema`, `.`, `table`: the index is made in the table's schema.
    let name = match words.next() {
        Some(".") => format!("{table}.{name}"),
        _ => name,
    };
    Some(NewIndex { name, if_not_exists })
}

/// The first words of a statement, quoted names whole, without comments.
pub(super) fn words(statement: &str) -> Vec<String> {
    const ENOUGH: usize = 16;
    let mut words = Vec::new();
    let mut rest = statement;
    while words.len() < ENOUGH {
        rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            rest = after_comment(rest);
        } else if rest.starts_with('"') {
            let mut end = 1;
            while let Some(quote) = rest[end..].find('"') {
                end += quote + 1;
                if !rest[end..].starts_with('"') {
                    break;
                }
                end += 1;
            }
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
            let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
            if end == 0 {
                break;
            }
            words.push(rest[..end].to_owned());
            rest = &rest[end..];
        }
    }
    words
}

/// What follows a comment, which may hold others.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return &text[at..];
            }
        } else {
            at += 1;
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(statement: &str) -> Option<String> {
        new_index(statement).map(|index| index.name)
    }

    #[test]
    fn the_name_of_a_new_index_is_read_with_its_schema() {
        assert_eq!(name("CREATE INDEX CONCURRENTLY i ON t (a)").as_deref(), Some("i"));
        assert_eq!(
            name("create unique index concurrently \"I \"\"x\" on only s.t (a)").as_deref(),
            Some("s.\"I \"\"x\"")
        );
        assert_eq!(
            name("-- a\n/* b /* c */ */ CREATE INDEX CONCURRENTLY i ON \"S\" . t(a)").as_deref(),
            Some("\"S\".i")
        );
        assert_eq!(name("CREATE INDEX CONCURRENTLY ON t (a)"), None);
        assert_eq!(name("CREATE INDEX i ON t (a)"), None);
        assert_eq!(name("VACUUM t"), None);
    }

    #[test]
    fn if_not_exists_is_seen() {
        let index = new_index("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)").unwrap();
        assert!(index.if_not_exists && index.name == "i");
    }
}
