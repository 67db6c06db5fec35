//! What a run has to know, put together once: flags over environment over project file over defaults.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::{self, Environment};
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::project::{Database, Engine, Migrate, Project};
use whimbrel_database::{EngineKind, Target};
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::pick::Pick;
use whimbrel_migration::settings::IgnorePattern;
use whimbrel_migration::version::Version;

use crate::cli::{Options, Task, Verb};
use crate::credentials::{self, CredentialsError};
use crate::parameters::layers;
use crate::request::Request;
use crate::settings::{
    CommonSettings, DatabaseSettings, GRACE, LOCK_WAIT, RunSettings, UNDO_PREFIX, VERSION_WAIT,
};

/// Where Kubernetes reads the last words of a container from.
const TERMINATION_LOG: &str = "/dev/termination-log";

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
pub fn run(
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
        .map(|(name, database)| {
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
    let settings = |(name, database): (String, &Database)| {
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

/// The databases that were named, here or in the environment, else all that are enabled.
fn chosen<'project>(
    project: &'project Project,
    names: &[String],
    environment: &impl Environment,
) -> Result<Vec<(String, &'project Database)>, CommandError> {
    let from_environment = environment.get(env::DATABASES).map(|list| {
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    let names = match (names, from_environment) {
        ([], Some(names)) => names,
        ([], None) => project.enabled().map(|(name, _)| name.to_owned()).collect(),
        (names, _) => names.to_vec(),
    };
    let mut unique: Vec<(String, &Database)> = Vec::with_capacity(names.len());
    for name in names {
        let Some(database) = project.file.databases.get(&name) else {
            let known: Vec<&str> = project.file.databases.keys().map(String::as_str).collect();
            return Err(CommandError::usage(format!(
                "there is no database \"{name}\" in {}",
                project.path.display()
            ))
            .hinted(format!("known databases: {}", known.join(", "))));
        };
        if !unique.iter().any(|(there, _)| *there == name) {
            unique.push((name, database));
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
    if !options.cherry_pick.is_empty() {
        migration.cherry_pick = options.cherry_pick.iter().map(|pick| Pick::new(pick)).collect();
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
