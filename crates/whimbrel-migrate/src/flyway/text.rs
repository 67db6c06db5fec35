//! Flyway's lines while something happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;
use whimbrel_cli::printer::counted;

use super::answer::{history_missing, migrated, named, time};
use super::console::{Console, Saying};
use super::place::Place;
use crate::cli::Verb;
use crate::report::Listener;
use crate::settings::RunSettings;

/// For `-h`, `-v` and no verb at all.
pub(super) const USAGE: &str = "Usage: flyway [-key=value...] verb...\n\
    Verbs: migrate, info, validate, repair, baseline, clean, undo\n\
    Example: flyway -url=jdbc:postgresql://localhost/db -user=u -locations=filesystem:sql migrate\n\
    This is Whimbrel, in the place of Flyway; `whimbrel-migrate --help` shows its own command line.";

const NAMING: &str =
    "Set 'validateMigrationNaming' to true to fail fast and see a list of the invalid file names.";

const NOT_BASELINED: &str = "All configured schemas are empty; baseline operation skipped. A baseline or migration script \
    with a lower version than the baseline version may execute if available. Check the Schemas parameter if this is not \
    intended.";

const GROUP: &str = "Enabling the 'group' parameter is recommended only for databases that support DDL transactions. \
    Using this parameter with";

/// The callbacks that Flyway runs when it has said what a verb came to.
const AFTER_THE_ANSWER: [(Verb, &str); 4] = [
    (Verb::Repair, "afterRepair"),
    (Verb::Baseline, "afterBaseline"),
    (Verb::Validate, "afterValidate"),
    (Verb::Clean, "afterClean"),
];

/// Findings that Flyway has lines of its own for: those come with the plan, or with the answer.
const TOLD_WITH_THE_PLAN: [&str; 4] =
    ["location-missing", "out-of-order-active", "future-version", "dropping"];

/// Says what happens while it happens.
pub(super) struct Lines {
    console: Console,
    verb: Verb,
    place: RefCell<Place>,
    out_of_order: bool,
    group: bool,
    baseline_on_migrate: bool,
    /// `-migrationIds`: nothing but them.
    shows_ids_only: bool,
    /// The version of a baseline row.
    baseline: String,
    /// Whether a migrate found no history table.
    lacks_history: Cell<bool>,
    /// How many scripts were applied, and the version of the last of them that has one.
    applied: RefCell<(usize, Option<String>)>,
    began: Instant,
    /// What is said again after each script: the database is ahead of the files.
    future: RefCell<Vec<Saying>>,
    /// What has been said and is not to be said again.
    said: RefCell<BTreeSet<&'static str>>,
}

/// What out-of-order mode is warned about, in lines and in documents.
pub(super) fn out_of_order(place: &Place) -> String {
    format!("outOfOrder mode is active. Migration of schema {} may not be reproducible.", place.schema())
}

impl Lines {
    pub(super) fn new(console: Console, settings: &RunSettings, place: Place, shows_ids_only: bool) -> Self {
        let migration = &settings.databases[0].migration;
        Self {
            console,
            verb: settings.verb,
            place: RefCell::new(place),
            shows_ids_only,
            out_of_order: migration.out_of_order,
            group: migration.group,
            baseline_on_migrate: migration.baseline_on_migrate,
            baseline: migration.baseline_version.as_str().to_owned(),
            lacks_history: Cell::default(),
            applied: RefCell::default(),
            began: Instant::now(),
            future: RefCell::default(),
            said: RefCell::default(),
        }
    }

    fn schema(&self) -> String {
        self.place.borrow().schema()
    }

    /// Whether this is said for the first time.
    fn is_new(&self, what: &'static str) -> bool {
        self.said.borrow_mut().insert(what)
    }

    fn connected(&self, line: &Value) {
        self.place.borrow_mut().see(line);
        if self.shows_ids_only {
            return;
        }
        let url = self.place.borrow().url.clone();
        self.console.line(format!("Database: {url} ({})", line["product"].as_str().unwrap_or_default()));
    }

    fn files(&self, line: &Value) {
        for pair in line["below"].as_array().into_iter().flatten() {
            let name = |index: usize| pair[index].as_str().unwrap_or_default();
            if name(0) == name(1) {
                self.console.warning(&format!("Discarding duplicate location 'filesystem:{}'", name(0)));
                continue;
            }
            self.console.warning(&format!(
                "Discarding location 'filesystem:{}' as it is a sub-location of 'filesystem:{}'",
                name(0),
                name(1)
            ));
        }
        for path in line["missing"].as_array().into_iter().flatten() {
            let path = path.as_str().unwrap_or_default();
            self.console.error(&format!("Skipping filesystem location: {path} (not found)\n"));
        }
        if let Some(count) = line["invalid"].as_u64().filter(|count| *count > 0) {
            let why = "were detected but not run because they did not follow the filename convention.";
            self.console.line(format!("{count} SQL migrations {why}\n{NAMING}"));
        }
    }

    fn validated(&self, line: &Value) {
        if !self.is_new("validated") {
            return;
        }
        if self.lacks_history.get() {
            self.console.line(history_missing(&self.place.borrow()));
        }
        let count = usize::try_from(line["validated"].as_u64().unwrap_or_default()).unwrap_or_default();
        let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
        self.console.line(format!(
            "Successfully validated {} (execution time {})",
            counted(count, "migration"),
            time(took)
        ));
        if count == 0 {
            self.console.warning("No migrations found. Are your locations set up correctly?");
        }
    }

    fn planned(&self, line: &Value) {
        let dialect = self.place.borrow().dialect();
        if self.group && !dialect.transactional_ddl() && self.is_new("group") {
            let product = dialect.name();
            let text = format!("{GROUP} {product} may cause undefined behavior in Flyway");
            self.console.later(Saying::Warning(text));
        }
        if !self.is_new("version") {
            return;
        }
        let schema = self.schema();
        let before = match line["before"].as_str() {
            Some(version) => version,
            // There are rows, and none of them has a version.
            None if line["has_rows"] == true => "null",
            None => "<< Empty Schema >>",
        };
        let later = |saying| self.console.later(saying);
        later(Saying::Line(format!("Current version of schema {schema}: {before}")));
        if self.verb == Verb::Undo {
            return;
        }
        if self.out_of_order {
            later(Saying::Warning(out_of_order(&self.place.borrow())));
        }
        let future = of_the_future(line, &schema, before);
        future.iter().cloned().for_each(later);
        self.future.replace(future);
    }

    fn begins(&self, line: &Value) {
        self.console.flush();
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        self.console.note_mode(if line["non_transactional"] == true { " [non-transactional]" } else { "" });
        let mode = self.console.mode();
        let order = if line["out_of_order"] == true { " [out of order]" } else { "" };
        let (schema, description) = (self.schema(), text("description"));
        self.console.line(match line["version"].as_str() {
            Some(version) if self.verb == Verb::Undo => {
                format!("Undoing migration of schema {schema} to version {}", named(version, description))
            }
            Some(version) => {
                format!(
                    "Migrating schema {schema} to version \"{}\"{order}{mode}",
                    named(version, description)
                )
            }
            None => format!("Migrating schema {schema} with repeatable migration \"{description}\"{mode}"),
        });
    }

    /// What has its place before a callback of this event.
    fn before_callback(&self, event: &str) {
        const BEFORE_THE_PLAN: [&str; 8] = [
            "afterConnect",
            "beforeValidate",
            "afterValidate",
            "createSchema",
            "beforeCreateSchema",
            "beforeBaseline",
            "afterBaseline",
            "beforeMigrate",
        ];
        if !BEFORE_THE_PLAN.contains(&event) {
            self.console.flush();
        }
        if matches!(event, "afterMigrateApplied" | "afterMigrate") && self.console.sums_up() {
            let (count, last) = &*self.applied.borrow();
            let took = u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
            migrated(&self.console, &self.place.borrow(), (*count, last.as_deref()), took);
        }
    }

    fn makes_table(&self, line: &Value, table: &str) {
        let with_baseline = line["with_baseline"] == true;
        if self.verb == Verb::Migrate && self.baseline_on_migrate && !with_baseline {
            self.console.line(NOT_BASELINED);
        }
        let how = if with_baseline { " with baseline" } else { "" };
        self.console.line(format!("Creating Schema History table {table}{how} ..."));
        if self.verb == Verb::Migrate && with_baseline {
            self.console.line(format!("Successfully baselined schema with version: {}", self.baseline));
        }
    }

    fn notice(&self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        let (message, code) = (text("message"), line["code"].as_i64().unwrap_or_default());
        if let Some(schema) = line["makes_schema"].as_str() {
            // Where there was no schema, there was nothing to validate.
            self.is_new("validated");
            self.console.line(format!("Creating schema {schema} ..."));
        } else if let Some(table) = line["makes_table"].as_str() {
            self.makes_table(line, table);
        } else if line["script"].is_string() {
            // To Flyway a condition with a name is a warning, whatever the server calls it.
            match text("sqlstate") {
                "" | "00000" if code == 0 => self.console.line(format!("DB: {message}")),
                state => {
                    let condition = format!("SQL State: {state} - Error Code: {code}");
                    self.console.warning(&format!("DB: {message} ({condition})"));
                }
            }
        } else if text("level") == "warn" && !TOLD_WITH_THE_PLAN.contains(&text("slug")) {
            self.console.warning(text("message"));
        }
    }
}

/// What is said of a database that is ahead of the files.
fn of_the_future(line: &Value, schema: &str, before: &str) -> Vec<Saying> {
    let mut sayings = Vec::new();
    if line["future"] == true && line["set_empty"] == true {
        sayings.push(Saying::Error(format!(
            "Schema {schema} has version {before}, but no migration could be resolved in the configured locations !"
        )));
    } else if let Some(latest) = line["latest"].as_str().filter(|_| line["future"] == true) {
        sayings.push(Saying::Warning(format!(
            "Schema {schema} has a version ({before}) that is newer than the latest available migration ({latest}) !"
        )));
    }
    if let Some(failed) = line["failed_future"].as_str() {
        sayings.push(Saying::Warning(format!(
            "Schema {schema} contains a failed future migration to version {failed} !"
        )));
    }
    sayings
}

impl Listener for Lines {
    fn line(&self, line: &Value) {
        let text = |name: &str| line[name].as_str().unwrap_or_default();
        self.console.debug(|| {
            let script = line["script"].as_str().map(|script| format!(" {script}")).unwrap_or_default();
            format!("{}{script}: {}", text("event"), text("message"))
        });
        match text("event") {
            "connected" => self.connected(line),
            "files-listed" => self.files(line),
            // Others say nothing of it, or in their own places.
            "history-missing" if matches!(self.verb, Verb::Info | Verb::Clean) && self.is_new("missing") => {
                self.console.line(history_missing(&self.place.borrow()));
            }
            "history-missing" if self.verb == Verb::Migrate => self.lacks_history.set(true),
            "validated" => self.validated(line),
            "planned" => self.planned(line),
            "script-started" => self.begins(line),
            "script-applied" => {
                let (count, last) = self.applied.take();
                let version = line["version"].as_str().map(str::to_owned);
                self.applied.replace((count + 1, version.or(last)));
                // Flyway plans anew after each script, and after a group when nothing is left to do.
                if !self.group {
                    self.future.borrow().iter().cloned().for_each(|saying| self.console.later(saying));
                }
            }
            "callback-started" => {
                let (callback, description) = (text("callback"), text("description"));
                self.before_callback(callback);
                if AFTER_THE_ANSWER.contains(&(self.verb, callback)) {
                    self.console.hold();
                }
                self.console.line(format!("Executing SQL callback: {callback} - {description}"));
            }
            "notice" => self.notice(line),
            "waiting" if text("level") == "warn" => self.console.warning(text("message")),
            "waiting" => self.console.line(text("message")),
            _ => {}
        }
    }
}
