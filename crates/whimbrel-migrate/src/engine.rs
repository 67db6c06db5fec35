//! The work on one database: open it, plan, apply, and tell.

mod at_once;
mod baseline;
mod beginning;
mod callbacks;
mod clean;
mod connecting;
mod dry;
mod explaining;
mod facts;
mod failing;
mod group;
mod info;
mod intended;
mod locking;
mod migrate;
mod open;
mod own;
mod planning;
mod pooler;
mod records;
mod rehearse;
mod repair;
mod retrying;
mod risks;
mod running;
mod segments;
mod stamp;
mod statements;
mod stepwise;
mod streaming;
mod telling;
mod transactional;
mod undo;
mod validate;
mod waiting;

use std::rc::Rc;

use whimbrel_database::Session;
use whimbrel_migration::directive::Directives;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::{History, HistoryRow};
use whimbrel_migration::record::ScriptRecord;
use whimbrel_migration::scan::ScanFacts;
use whimbrel_migration::script::ScriptId;
use whimbrel_migration::sql::TableName;
use whimbrel_migration::state::find_duplicates;

use self::facts::Facts;
use self::locking::Turns;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::report::{Event, Level, Reporter};
use crate::set::{ScriptSet, SetError};
use crate::settings::{CommonSettings, DatabaseSettings};
use crate::source::Source;
use crate::timeouts::Timeouts;

pub use baseline::BaselineReport;
pub use clean::CleanReport;
pub(crate) use connecting::{SAY_AGAIN, connect};
pub use info::{InfoReport, InfoRow};
pub use intended::Intended;
pub use migrate::{MigrateReport, PlannedScript};
pub use open::{SeenVersion, Unopened};
pub use rehearse::Rehearsal;
pub use repair::RepairReport;
pub use stamp::StampReport;
pub use undo::{UndoReport, UndoneVersion};
pub use validate::ValidateReport;

/// One database that is open.
pub struct Engine<'a> {
    settings: Rc<DatabaseSettings>,
    common: &'a CommonSettings,
    reporter: &'a Reporter,
    patience: Patience,
    session: Session,
    table: TableName,
    set: ScriptSet,
    /// What is known about the statements of scripts that were planned.
    facts: Facts,
    /// The limits of the script at hand, and how often it was tried.
    timeouts: Timeouts,
    attempts: retrying::Attempts,
    /// Who else had a look in at the lock, and when.
    turns: Turns,
    /// What became of the lock that was kept behind the last script.
    kept: Option<whimbrel_database::Unlocked>,
    /// Rings when it is time to look what a statement waits for.
    alarm: waiting::Alarm,
    /// The script that comes next, where it was read while the last one ran.
    read_ahead: Option<(ScriptId, Source)>,
    /// What was run so far, the failed one included.
    ran: Vec<ScriptRecord>,
    /// The ranks of the rows that were written.
    recorded_ranks: Vec<i32>,
    /// The database's version when it was last looked at.
    version: Option<String>,
    /// The database's version before anything was applied.
    before: Option<String>,
    /// What a dry run would have sent.
    intended: Vec<Intended>,
    /// The turn from versioned to repeatable scripts is over.
    repeatables_begun: bool,
}

impl Engine<'_> {
    /// The scripts that were run, in their order.
    pub fn ran(&self) -> &[ScriptRecord] {
        &self.ran
    }

    /// The version before anything was applied.
    pub fn before(&self) -> Option<&str> {
        self.before.as_deref()
    }

    /// The version when it was last looked at.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The session, for what the version of the server is.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The history table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Says goodbye to the server. What was known of the scripts stays, and what a dry run would have sent.
    pub async fn close(self) -> (ScriptSet, Vec<Intended>) {
        self.session.close().await;
        (self.set, self.intended)
    }

    fn say(&self, level: Level, event: Event, message: &str) {
        self.reporter.line(level, event).database(&self.settings.name).say(message);
    }

    fn warn_about(&self, findings: &[Finding]) {
        for finding in findings {
            self.reporter
                .line(Level::Warn, Event::Notice)
                .database(&self.settings.name)
                .with("slug", finding.slug)
                .say(&finding.to_string());
        }
    }

    /// The history as it is now; none where there is no table.
    async fn rows(&mut self) -> Result<Option<Vec<HistoryRow>>, Failure> {
        let rows = self.session.read_history(&self.table).await;
        let rows = rows.map_err(Failure::database("read the schema history"))?;
        if rows.is_none() {
            self.reporter.line(Level::Info, Event::HistoryMissing).tell();
        }
        Ok(rows)
    }

    /// The history, for a verb that compares it with the scripts: that two of these are one is told before that a row cannot
    /// be read.
    async fn compared_history(&mut self) -> Result<Option<History>, Failure> {
        let rows = self.rows().await?;
        rows.map(|rows| self.compared(rows)).transpose()
    }

    fn compared(&self, rows: Vec<HistoryRow>) -> Result<History, Failure> {
        History::read(rows).map_err(|unreadable| {
            find_duplicates(self.set.scripts()).into_iter().next().unwrap_or(unreadable).into()
        })
    }

    async fn history(&mut self) -> Result<Option<History>, Failure> {
        match self.rows().await? {
            None => Ok(None),
            Some(rows) => Ok(Some(History::read(rows)?)),
        }
    }

    /// What the statements of a script are.
    fn facts_of(&mut self, id: ScriptId) -> Result<ScanFacts, SetError> {
        self.look_at(id).map(|(facts, _)| facts.clone())
    }

    /// What a script says about how it wants to be run.
    fn directives_of(&mut self, id: ScriptId) -> Result<Directives, SetError> {
        self.look_at(id).map(|(_, directives)| *directives)
    }

    fn look_at(&mut self, id: ScriptId) -> Result<&(ScanFacts, Directives), SetError> {
        self.facts.of(&self.set, self.settings.migration.dialect, id)
    }
}
