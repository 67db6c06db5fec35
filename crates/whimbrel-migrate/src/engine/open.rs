//! Connecting, and finding out where in the database we are.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use whimbrel_database::{DatabaseError, ServerError, Session, SessionFacts};
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::history::History;
use whimbrel_migration::name::Event;
use whimbrel_migration::settings::Settings;
use whimbrel_migration::sql::TableName;
use whimbrel_migration::state::Overview;

use super::Engine;
use super::connecting::{SAY_AGAIN, begin_with_init_sql, connect};
use super::facts::Facts;
use super::locking::Turns;
use crate::failure::Failure;
use crate::files::FilesError;
use crate::patience::Patience;
use crate::report::{self, Level, Reporter};
use crate::set::{BuiltIns, ScriptSet, SetError};
use crate::settings::{CommonSettings, DatabaseSettings};

/// A database that was not opened.
pub struct Unopened {
    /// Why not.
    pub failure: Failure,
    /// Its version, where that could still be asked.
    pub seen: Option<SeenVersion>,
}

/// The version of a database as a history tells it; none, where there is none.
pub type SeenVersion = Option<String>;

impl Unopened {
    fn unseen(failure: Failure) -> Self {
        Self { failure, seen: None }
    }
}

impl<'a> Engine<'a> {
    /// Connects, with the patience that was asked for, and reads the scripts.
    pub async fn open(
        settings: &'a DatabaseSettings,
        common: &'a CommonSettings,
        reporter: &'a Reporter,
        mut patience: Patience,
    ) -> Result<Self, Unopened> {
        for warning in &settings.warnings {
            reporter.line(Level::Warn, report::Event::Notice).database(&settings.name).say(warning);
        }
        // While the server makes a session, which takes it longer.
        let reading = tokio::task::spawn_blocking({
            let settings = settings.clone();
            move || ScriptSet::read(&settings)
        });
        let mut session =
            connect(settings, common, reporter, &mut patience).await.map_err(Unopened::unseen)?;
        let (settings, table, set) = match with_scripts(reading, &mut session, settings, reporter).await {
            Ok(found) => found,
            Err((failure, table)) => {
                let seen = match table {
                    Some(table) => version_in(&mut session, &table, &settings.migration).await,
                    None => None,
                };
                session.close().await;
                return Err(Unopened { failure, seen });
            }
        };
        let mut engine = Self {
            settings: Rc::new(settings),
            common,
            reporter,
            patience,
            session,
            table,
            set,
            facts: Facts::default(),
            timeouts: common.timeouts,
            attempts: Default::default(),
            turns: Turns::new(),
            kept: None,
            alarm: Default::default(),
            read_ahead: None,
            ran: Vec::new(),
            recorded_ranks: Vec::new(),
            version: None,
            before: None,
            intended: Vec::new(),
            repeatables_begun: false,
        };
        engine.session.prefer_schema(&engine.table.schema);
        engine.session.sign_as(engine.settings.installed_by.clone());
        engine.tell_about_files();
        engine.warn_about(&engine.set.warnings);
        if let Err(failure) = engine.fire(Event::AfterConnect).await {
            let seen = engine.look_up_version().await;
            engine.close().await;
            return Err(Unopened { failure, seen });
        }
        Ok(engine)
    }

    /// The database's version as its history has it now, for a run that ended before it came to know it. None where
    /// that cannot be found out.
    pub async fn look_up_version(&mut self) -> Option<SeenVersion> {
        version_in(&mut self.session, &self.table, &self.settings.migration).await
    }

    /// What about the files has words of its own where somebody else shows the lines.
    fn tell_about_files(&self) {
        let invalid = self.set.warnings.iter().filter(|warning| warning.slug == "invalid-name").count();
        let line = self.reporter.line(Level::Info, report::Event::FilesListed);
        line.with("missing", &self.set.missing)
            .with("below", &self.set.below)
            .with("invalid", invalid)
            .with("set_empty", self.set.scripts().is_empty())
            .tell();
    }

    /// A new session in the place of a lost one.
    pub(super) async fn reconnect(&mut self) -> Result<(), Failure> {
        let wait = self.common.wait.max(Duration::from_secs(30));
        self.say(
            Level::Warn,
            report::Event::Waiting,
            &format!("the connection was lost; connecting again for up to {wait:?}"),
        );
        let mut session = self.patience.wait_for(self.session.reconnect(wait)).await??;
        begin_with_init_sql(&mut session, &self.settings).await?;
        session.prefer_schema(&self.table.schema);
        session.sign_as(self.settings.installed_by.clone());
        self.session = session;
        self.prepare_session().await
    }

    /// Before anything is written: whether that can be done here at all, and a session that is fit for it.
    pub(super) async fn prepare_to_write(&mut self) -> Result<(), Failure> {
        if self.common.dry_run {
            return Ok(());
        }
        if self.session.facts().read_only {
            let engine = self.session.target().engine;
            let error = DatabaseError::Server(ServerError::read_only(engine));
            return Err(Failure::database("write to the database")(error));
        }
        self.refuse_pooler().await?;
        self.prepare_session().await
    }

    /// What a session needs before scripts run in it.
    pub(super) async fn prepare_session(&mut self) -> Result<(), Failure> {
        let prepare = Failure::database("prepare the session");
        self.session.watch_client().await.map_err(prepare)?;
        self.session.reset().await.map_err(Failure::database("prepare the session"))
    }
}

/// Where the history is, and the scripts that were being read; after a failure the history alone, once it is known where it is.
async fn with_scripts(
    reading: JoinHandle<Result<ScriptSet, SetError>>,
    session: &mut Session,
    settings: &DatabaseSettings,
    reporter: &Reporter,
) -> Result<(DatabaseSettings, TableName, ScriptSet), (Failure, Option<TableName>)> {
    begin_with_init_sql(session, settings).await.map_err(|failure| (failure, None))?;
    let facts = session.facts().clone();
    let dialect = facts.dialect;
    let product = format!("{} {}", dialect.name(), short_version(&facts.server_version));
    let schema = settings.schema.clone().or_else(|| facts.schema.clone()).or_else(|| only_schema(&facts));
    reporter
        .line(Level::Info, report::Event::Connected)
        .with("product", product)
        .with("dialect", dialect)
        .with("schema", &schema)
        .tell();
    if let Some(warning) = settings.dialect.and_then(|said| other_dialect(said, dialect)) {
        reporter.line(Level::Warn, report::Event::Notice).database(&settings.name).say(&warning);
    }
    let Some(schema) = schema else {
        return Err((no_schema(&facts).into(), None));
    };
    if let Some(finding) = no_such_file(session, &schema).await {
        return Err((finding.into(), None));
    }
    let table = TableName::new(dialect, schema.clone(), settings.table.clone());
    let built_ins =
        BuiltIns { schema, user: facts.user, database: facts.database, table: settings.table.clone() };
    let mut settings = settings.clone();
    settings.migration.dialect = dialect;
    let read = reading.await.map_err(|error| SetError::from(FilesError::from(io::Error::from(error))));
    match read.flatten().and_then(|set| set.with(&settings, &built_ins)) {
        Ok(set) => Ok((settings, table, set)),
        Err(error) => Err((error.into(), Some(table))),
    }
}

/// The project says MySQL, and the server is MariaDB, or the other way round: only the server could tell. Scripts are run
/// as the server reads them, so that nothing is done wrongly; but they were checked by other rules.
fn other_dialect(said: Dialect, found: Dialect) -> Option<String> {
    (said != found).then(|| {
        format!(
            "whimbrel.toml says that the scripts are in the SQL of {0}, and the server is {1}: they are run as {1} reads \
             them, but check and watch read them as {0} does; correct engine in whimbrel.toml",
            said.name(),
            found.name()
        )
    })
}

/// What the history says now, as far as it can be read at once.
async fn version_in(session: &mut Session, table: &TableName, settings: &Settings) -> Option<SeenVersion> {
    let settings = Settings { dialect: table.dialect, ..settings.clone() };
    let rows = tokio::time::timeout(SAY_AGAIN, session.read_history(table)).await.ok()?.ok()?;
    // A version that is done in part is none that the database is at.
    let rows = rows.unwrap_or_default().into_iter().filter(|row| row.success).collect();
    let history = History::read(rows).ok()?;
    let overview = Overview::build(&[], &history, &settings).ok()?;
    Some(overview.current_version().map(|version| version.as_str().to_owned()))
}

/// SQLite's schemas are files; one that nothing attached is none.
async fn no_such_file(session: &mut Session, schema: &str) -> Option<Finding> {
    if session.dialect() != Dialect::Sqlite {
        return None;
    }
    let files = session.query("PRAGMA database_list").await.ok()?;
    let is_there = files.iter().any(|file| {
        file.get(1).and_then(Option::as_deref).is_some_and(|name| name.eq_ignore_ascii_case(schema))
    });
    let message =
        format!("SQLite has the schema main, and others where a file is attached: {schema} is none of them");
    let finding = Finding::error("no-schema", message);
    (!is_there)
        .then(|| finding.next_step("leave out schema, schemas and defaultSchema; or ATTACH it in initSql"))
}

/// The first two numbers of a server's version, such as 15.18 or 10.11.
fn short_version(version: &str) -> String {
    let numbers = version.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty());
    numbers.take(2).collect::<Vec<_>>().join(".")
}

/// The one schema that the search path of PostgreSQL names, which is not there yet (`currentSchema` of a URL).
fn only_schema(facts: &SessionFacts) -> Option<String> {
    let path = facts.search_path.trim();
    let name = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => path.to_owned(),
    };
    let is_one = !name.is_empty() && !name.starts_with('$') && !path.contains(',');
    (facts.dialect == Dialect::PostgreSql && is_one).then_some(name)
}

/// Nothing says where the history belongs.
fn no_schema(facts: &SessionFacts) -> Finding {
    match facts.dialect {
        Dialect::MySql | Dialect::MariaDb => {
            Finding::error("no-schema", "the URL names no database, and no setting does")
                .next_step("write it into the URL: mysql://host/database")
        }
        _ => Finding::error(
            "no-schema",
            format!("no schema of the search path ({}) exists", facts.search_path),
        )
        .next_step("name one: schema = \"…\" in whimbrel.toml, or create it"),
    }
}
