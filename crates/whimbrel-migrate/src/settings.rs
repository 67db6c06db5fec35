//! What a run has to know, put together once: flags over environment over project file over defaults.

pub mod layers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::{self, Environment};
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::project::{Engine, Migrate, Project};
use whimbrel_database::{EngineKind, Target};
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::encoding::{Encoding, Reading};
use whimbrel_migration::history::DEFAULT_TABLE;
use whimbrel_migration::name::NamingRules;
use whimbrel_migration::parameters::FileRules;
use whimbrel_migration::settings::{IgnorePattern, Settings};
use whimbrel_migration::version::Version;

use crate::cli::{Options, Task, Verb};
use crate::credentials::{self, CredentialsError};
use crate::reach::VERSION_WAIT;
use crate::request::Request;
use crate::timeouts::Timeouts;

/// Where Kubernetes reads the last words of a container from.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// How long another runner's lock is waited for: Flyway's own patience.
pub const LOCK_WAIT: Duration = Duration::from_secs(50);

/// What the name of an undo script begins with.
pub const UNDO_PREFIX: &str = "U";

/// How long a container usually has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(30);

/// One run over some databases.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// What is done.
    pub verb: Verb,
    /// Where, in this order.
    pub databases: Vec<DatabaseSettings>,
    /// Everything but the databases.
    pub common: CommonSettings,
}

/// What is the same for all databases of a run.
#[derive(Clone, Debug)]
pub struct CommonSettings {
    /// Id of the run.
    pub run_id: String,
    /// Digest of the image, if we are in one.
    pub image: Option<String>,
    /// Print the plan, write nothing.
    pub dry_run: bool,
    /// Go on after a failure.
    pub keep_going: bool,
    /// Patience with a database that is not there yet.
    pub wait: Duration,
    /// Patience with another runner.
    pub lock_wait: Duration,
    /// The time between the first signal and the end.
    pub grace: Duration,
    /// Our own deadline.
    pub deadline: Option<Duration>,
    /// How long statements wait and run.
    pub timeouts: Timeouts,
    /// What was asked for beyond Flyway's verbs.
    pub request: Request,
    /// Whether `clean` may do it.
    pub clean_enabled: bool,
    /// Where the run record goes for Kubernetes.
    pub termination_log: Option<PathBuf>,
    /// Where else the run record goes.
    pub report: Option<PathBuf>,
}

/// One database of a run.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Its name in the project.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// Whose SQL the project says that its scripts are in; none: it does not say.
    pub dialect: Option<Dialect>,
    /// What of its URL is not used: said once, when it is connected to.
    pub warnings: Vec<String>,
    /// The folders of its scripts.
    pub locations: Vec<PathBuf>,
    /// Values of placeholders. Those whose name says that they are secret are not shown.
    pub placeholders: BTreeMap<String, String>,
    /// Whether placeholders are replaced at all.
    pub replace_placeholders: bool,
    /// What a placeholder begins and ends with.
    pub placeholder_marks: (String, String),
    /// What stands between `flyway` and the rest of the name of a placeholder of Flyway's own.
    pub placeholder_separator: String,
    /// The folders of SQL callbacks; none: they lie beside the scripts.
    pub callback_locations: Vec<PathBuf>,
    /// SQL callbacks are passed over (`skipDefaultCallbacks`).
    pub skip_callbacks: bool,
    /// Scripts are passed over (`skipDefaultResolvers`): only callbacks are left.
    pub skip_scripts: bool,
    /// The schema of the history; none: the first of the search path.
    pub schema: Option<String>,
    /// More schemas that belong to the database's scripts.
    pub more_schemas: Vec<String>,
    /// The history table's name.
    pub table: String,
    /// The tablespace that the history table is made in; none: the database's.
    pub tablespace: Option<String>,
    /// SQL that every session begins with. Placeholders are replaced in it.
    pub init_sql: Option<String>,
    /// Who is named in the history; none: the database's user.
    pub installed_by: Option<String>,
    /// The name of the environment, which is a placeholder of Flyway's own.
    pub environment: String,
    /// The working directory as it was named, which is a placeholder of Flyway's own; none: that of the process.
    pub working_directory: Option<PathBuf>,
    /// How script names are read.
    pub naming: NamingRules,
    /// An invalid name is an error.
    pub validate_naming: bool,
    /// A missing location is an error.
    pub fail_on_missing_locations: bool,
    /// That all locations are missing is an error: probably the path is wrong.
    pub refuse_without_locations: bool,
    /// The encoding of scripts whose `.conf` names none.
    pub encoding: Encoding,
    /// The encoding of such a script is guessed from its bytes instead.
    pub detect_encoding: bool,
    /// A missing schema is made.
    pub create_schemas: bool,
    /// What decides between files and history.
    pub migration: Settings,
}

impl DatabaseSettings {
    /// How its files are read, as the check of a project's files asks it too.
    pub fn file_rules(&self) -> FileRules {
        FileRules {
            naming: self.naming.clone(),
            reading: Reading { encoding: self.encoding, detect: self.detect_encoding },
            replaces: self.replace_placeholders,
            marks: self.placeholder_marks.clone(),
            separator: self.placeholder_separator.clone(),
        }
    }

    /// Reads its files by these rules.
    pub fn follow(&mut self, rules: FileRules) {
        self.naming = rules.naming;
        self.encoding = rules.reading.encoding;
        self.detect_encoding = rules.reading.detect;
        self.replace_placeholders = rules.replaces;
        self.placeholder_marks = rules.marks;
        self.placeholder_separator = rules.separator;
    }

    /// A database with the usual settings.
    pub fn new(name: impl Into<String>, target: Target, locations: Vec<PathBuf>) -> Self {
        let migration = Settings { dialect: target.engine.dialect(), ..Settings::default() };
        Self {
            name: name.into(),
            target,
            dialect: None,
            warnings: Vec::new(),
            locations,
            placeholders: BTreeMap::new(),
            replace_placeholders: true,
            placeholder_marks: ("${".to_owned(), "}".to_owned()),
            placeholder_separator: ":".to_owned(),
            callback_locations: Vec::new(),
            skip_callbacks: false,
            skip_scripts: false,
            schema: None,
            more_schemas: Vec::new(),
            table: DEFAULT_TABLE.to_owned(),
            tablespace: None,
            init_sql: None,
            installed_by: None,
            environment: "default".to_owned(),
            working_directory: None,
            naming: NamingRules::default(),
            validate_naming: false,
            fail_on_missing_locations: false,
            refuse_without_locations: true,
            encoding: Encoding::default(),
            detect_encoding: false,
            create_schemas: true,
            migration,
        }
    }
}

/// A database's credentials were not found or cannot be used: exit code 3, with the places to look at.
fn credentials_error(error: CredentialsError) -> CommandError {
    let hint = match &error {
        CredentialsError::Missing { variable, file, .. } => {
            Some(format!("set {variable} (or {variable}_FILE), or write the URL to {}", file.display()))
        }
        CredentialsError::Url { .. } => Some(
            "postgres://user:password@host:port/database (or mysql://, mariadb://; sqlite:path/to/file)"
                .to_owned(),
        ),
        _ => None,
    };
    let error = CommandError::new(ErrorKind::Secret, error);
    match hint {
        Some(hint) => error.hinted(hint),
        None => error,
    }
}

/// Resolves the settings of a run.
pub fn resolve(
    verb: Verb,
    options: &Options,
    global: &GlobalArgs,
    environment: &impl Environment,
    folder: &Path,
) -> Result<RunSettings, CommandError> {
    let mut common = common_settings(options, environment);
    let (request, names) = Request::resolve(Task::Databases(verb), options)?;
    if verb == Verb::Wait && options.wait.is_none() {
        common.wait = VERSION_WAIT;
    }
    common.request = request;
    let project = match Project::find(global.config.as_deref(), folder) {
        Ok(project) => project,
        Err(error) => {
            return match layers::flyway_database(environment, folder)? {
                Some(database) => {
                    let databases = vec![with_options(verb, database, options, environment)?];
                    Ok(RunSettings { verb, databases, common })
                }
                None => Err(CommandError::usage(error)),
            };
        }
    };
    common.timeouts = options.timeouts(&project.file.migrate);
    let secrets = options.secrets.clone().unwrap_or_else(|| project.state_path("secrets"));
    let databases = chosen(&project, &names, environment)?
        .into_iter()
        .map(|name| {
            let database = &project.file.databases[&name];
            let found =
                credentials::resolve(&name, database, environment, &secrets).map_err(credentials_error)?;
            refuse_other_engine(&name, database.engine, &found.target)?;
            let mut settings = DatabaseSettings::new(&name, found.target, project.locations(database));
            settings.warnings = found.warnings;
            settings.dialect = database.engine.and_then(|engine| Dialect::named(engine.name()));
            layers::fill_project_database(&project, database, environment, &mut settings)?;
            with_options(verb, settings, options, environment)
        })
        .collect::<Result<_, CommandError>>()?;
    Ok(RunSettings { verb, databases, common })
}

/// The databases of the project for those who look at files and ask no server: their targets name an engine and no place.
///
/// # Errors
/// When there is no project, a database is not in it, or a setting means nothing.
pub(crate) fn without_server(
    options: &Options,
    names: &[String],
    global: &GlobalArgs,
    environment: &impl Environment,
    folder: &Path,
) -> Result<Vec<DatabaseSettings>, CommandError> {
    let project = Project::find(global.config.as_deref(), folder).map_err(CommandError::usage)?;
    let settings = |name: String| {
        let database = &project.file.databases[&name];
        let engine = match database.engine.unwrap_or_default() {
            Engine::PostgreSql => EngineKind::PostgreSql,
            Engine::MySql | Engine::MariaDb => EngineKind::MySql,
            Engine::Sqlite => EngineKind::Sqlite,
        };
        let target = Target { engine, ..Target::from_parts("", None, None) };
        let mut settings = DatabaseSettings::new(&name, target, project.locations(database));
        settings.dialect = database.engine.and_then(|engine| Dialect::named(engine.name()));
        settings.migration.dialect = settings.dialect.unwrap_or(settings.migration.dialect);
        layers::fill_project_database(&project, database, environment, &mut settings)?;
        with_options(Verb::Info, settings, options, environment)
    };
    chosen(&project, names, environment)?.into_iter().map(settings).collect()
}

/// Scripts that were checked as those of one engine do not run on another.
fn refuse_other_engine(name: &str, engine: Option<Engine>, target: &Target) -> Result<(), CommandError> {
    let Some(engine) = engine else { return Ok(()) };
    let fits = match target.engine {
        EngineKind::PostgreSql => engine == Engine::PostgreSql,
        // Which of the two it is, only the server knows.
        EngineKind::MySql => matches!(engine, Engine::MySql | Engine::MariaDb),
        EngineKind::Sqlite => engine == Engine::Sqlite,
    };
    if fits {
        return Ok(());
    }
    let there = target.engine.dialect().name();
    Err(CommandError::usage(format!(
        "[databases.{name}] has engine = \"{}\", and its URL is one of {there}",
        engine.name()
    ))
    .hinted("correct the one or the other"))
}

pub(crate) fn chosen(
    project: &Project,
    names: &[String],
    environment: &impl Environment,
) -> Result<Vec<String>, CommandError> {
    let from_environment = environment.get(env::DATABASES).map(|list| {
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    let names = match (names, from_environment) {
        ([], Some(names)) => names,
        ([], None) => project.enabled().map(|(name, _)| name.to_owned()).collect(),
        (names, _) => names.to_vec(),
    };
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !project.file.databases.contains_key(&name) {
            let known: Vec<&str> = project.file.databases.keys().map(String::as_str).collect();
            return Err(CommandError::usage(format!(
                "there is no database \"{name}\" in {}",
                project.path.display()
            ))
            .hinted(format!("known databases: {}", known.join(", "))));
        }
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    if unique.is_empty() {
        return Err(CommandError::usage(format!("no database is enabled in {}", project.path.display())));
    }
    Ok(unique)
}

fn common_settings(options: &Options, environment: &impl Environment) -> CommonSettings {
    let termination_log = environment
        .get(env::TERMINATION_LOG)
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(TERMINATION_LOG)).filter(|path| path.exists()));
    CommonSettings {
        run_id: environment.get(env::RUN_ID).unwrap_or_else(|| Uuid::now_v7().to_string()),
        image: environment.get(env::IMAGE_DIGEST).filter(|digest| !digest.is_empty()),
        dry_run: options.dry_run.is_some(),
        request: Request::default(),
        keep_going: options.keep_going,
        wait: options.wait.unwrap_or_default(),
        lock_wait: options.lock_wait.unwrap_or(LOCK_WAIT),
        grace: options.grace.unwrap_or(GRACE),
        deadline: options.deadline,
        timeouts: options.timeouts(&Migrate::default()),
        clean_enabled: options.clean_enabled,
        termination_log: termination_log.filter(|path| !path.as_os_str().is_empty()),
        report: options.report.clone(),
    }
}

fn with_options(
    verb: Verb,
    mut database: DatabaseSettings,
    options: &Options,
    environment: &impl Environment,
) -> Result<DatabaseSettings, CommandError> {
    database.placeholders.extend(env::placeholders(environment));
    database.placeholders.extend(options.placeholder.iter().cloned());
    // Undo scripts belong to the set; only `undo` runs them.
    database.naming.undo_prefix.get_or_insert_with(|| UNDO_PREFIX.to_owned());
    let migration = &mut database.migration;
    if let Some(target) = options.target.as_ref().filter(|_| verb != Verb::Undo) {
        migration.target = target.parse().map_err(CommandError::usage)?;
    }
    migration.out_of_order |= options.out_of_order;
    migration.mixed |= options.mixed;
    migration.baseline_on_migrate |= options.baseline_on_migrate;
    if let Some(version) = &options.baseline_version {
        migration.baseline_version = Version::parse(version).map_err(CommandError::usage)?;
    }
    if let Some(description) = &options.baseline_description {
        migration.baseline_description.clone_from(description);
    }
    if !options.ignore.is_empty() {
        migration.ignore_patterns = options
            .ignore
            .iter()
            .map(|pattern| pattern.parse::<IgnorePattern>().map_err(CommandError::usage))
            .collect::<Result<_, _>>()?;
    }
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_engine_than_the_projects_is_refused() {
        let target = |url: &str| Target::parse(&secrecy::SecretString::from(url)).unwrap().0;
        for (engine, url, fits) in [
            (Engine::PostgreSql, "postgres://h/d", true),
            (Engine::MySql, "postgres://u:canary@h/d", false),
            (Engine::MariaDb, "mysql://h/d", true),
            (Engine::MySql, "jdbc:mariadb://h/d", true),
            (Engine::PostgreSql, "sqlite:/x", false),
            (Engine::Sqlite, "sqlite:/x", true),
        ] {
            let answer = refuse_other_engine("shop", Some(engine), &target(url));
            assert_eq!(answer.is_ok(), fits, "{engine:?} {url}");
            if let Err(error) = answer {
                assert!(
                    error.to_string().contains("[databases.shop]") && !error.to_string().contains("canary")
                );
            }
        }
        assert!(refuse_other_engine("shop", None, &target("mysql://h/d")).is_ok());
    }
}
