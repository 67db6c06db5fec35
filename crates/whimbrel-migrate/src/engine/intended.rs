//! What a dry run would have sent to the server, in its order, for those who hand it on as a script.

use std::path::PathBuf;

use whimbrel_migration::history::NewRow;
use whimbrel_migration::name::Event;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::sql;

use super::Engine;
use crate::failure::Failure;
use crate::set::ShownSql;

/// One piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intended {
    /// A part of the run begins: a verb, or one script of it (`migrate -> v3`).
    Part(String),
    /// A script or a callback, after its placeholders and without what is secret.
    Script {
        /// Its file.
        path: PathBuf,
        /// Its text.
        sql: ShownSql,
    },
    /// A statement of ours.
    Statement(String),
    /// What cannot be shown at its place.
    Note(String),
}

impl Engine<'_> {
    /// Runs statements of ours in one transaction; in a dry run they are kept.
    pub(super) async fn execute(
        &mut self,
        what: &'static str,
        statements: Vec<String>,
    ) -> Result<(), Failure> {
        if self.common.dry_run {
            self.intended.extend(statements.into_iter().map(Intended::Statement));
            return Ok(());
        }
        self.session.transaction(&statements).await.map_err(Failure::database(what))
    }

    /// A part of a dry run begins.
    pub(super) fn intend_part(&mut self, part: impl Into<String>) {
        if self.common.dry_run {
            self.intended.push(Intended::Part(part.into()));
        }
    }

    /// What a session is brought into before its first script.
    pub(super) fn intend_session(&mut self) {
        let beginning = self.settings.init_sql.as_ref().map(|sql| super::failing::shown(sql, &self.settings));
        let schema = sql::use_schema(self.table.dialect, &self.table.schema);
        self.intended.extend(beginning.into_iter().chain(schema).map(Intended::Statement));
    }

    /// The callbacks of an event, which do not run in a dry run.
    pub(super) fn intend_callbacks(&mut self, event: Event) -> Result<(), Failure> {
        for id in self.set.callbacks(event).to_vec() {
            let sql = self.shown_sql(id)?;
            self.intend_script(id, sql);
        }
        Ok(())
    }

    /// A script, or a callback, that would run.
    pub(super) fn intend_script(&mut self, id: ScriptId, sql: ShownSql) {
        let path = self.set.path(id).clone();
        self.intended.push(Intended::Script { path, sql });
    }

    /// The row of a script that would run, and those callbacks whose places are inside it.
    pub(super) fn intend_row(&mut self, id: ScriptId, row: &NewRow) {
        let each = self.each(id);
        for event in [each.before_statement, each.after_statement] {
            if !self.set.callbacks(event).is_empty() {
                let note =
                    format!("{} runs at each statement of {}", event.as_str(), self.set.script(id).script);
                self.intended.push(Intended::Note(note));
            }
        }
        let statement = sql::insert_row(&self.table, row, self.settings.installed_by.as_deref());
        self.intended.push(Intended::Statement(statement));
    }
}
