//! Flyway's parameters: `-key=value` over `FLYWAY_KEY` over defaults.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use uuid::Uuid;
use whimbrel_cli::env::{self, Environment};
use whimbrel_database::Target;
use whimbrel_migration::settings::{IgnorePattern, OwnTransactions};
use whimbrel_migration::version::Version;

use crate::cli::Verb;
use crate::settings::{CommonSettings, DatabaseSettings, GRACE, RunSettings};
use crate::timeouts::Timeouts;

/// What the command line asks for.
#[derive(Debug)]
pub struct Invocation {
    /// The verbs, in their order.
    pub verbs: Vec<Verb>,
    /// The settings; none where only the usage was asked for.
    pub settings: Option<RunSettings>,
    /// `-outputType=json`.
    pub json: bool,
    /// `-q`.
    pub quiet: bool,
}

/// Parameters that are read; each also as `FLYWAY_…`.
const KNOWN: [&str; 41] = [
    "url",
    "user",
    "password",
    "locations",
    "schemas",
    "defaultSchema",
    "table",
    "target",
    "outOfOrder",
    "baselineVersion",
    "baselineDescription",
    "baselineOnMigrate",
    "validateOnMigrate",
    "validateMigrationNaming",
    "ignoreMigrationPatterns",
    "cleanDisabled",
    "createSchemas",
    "mixed",
    "executeInTransaction",
    "placeholderReplacement",
    "placeholderPrefix",
    "placeholderSuffix",
    "sqlMigrationPrefix",
    "repeatableSqlMigrationPrefix",
    "baselineMigrationPrefix",
    "sqlMigrationSeparator",
    "sqlMigrationSuffixes",
    "connectRetries",
    "connectRetriesInterval",
    "lockRetryCount",
    "failOnMissingLocations",
    "workingDirectory",
    "skipDefaultCallbacks",
    "encoding",
    "group",
    "skipExecutingMigrations",
    "detectEncoding",
    "outputType",
    "callbackLocations",
    "postgresql.transactional.lock",
    "cleanOnValidationError",
];

/// Parameters that change nothing about what is done here: how a JVM, a driver or a terminal is used.
const HARMLESS: [&str; 13] = [
    "driver",
    "jarDirs",
    "color",
    "loggers",
    "outputQueryResults",
    "stream",
    "batch",
    "skipCheckForUpdate",
    "communityFallback",
    "reportEnabled",
    "edition",
    "environment",
    "powershellExecutable",
];

/// Parameters that would change something and that are not there yet: `false` and nothing are their defaults.
const ONLY_DEFAULT: [&str; 5] =
    ["group", "skipExecutingMigrations", "detectEncoding", "callbackLocations", "cleanOnValidationError"];

/// Reads the command line and the environment.
pub fn parse(arguments: &[String], environment: &impl Environment) -> Result<Invocation, String> {
    let mut given = Given::default();
    let (mut verbs, mut quiet) = (Vec::new(), false);
    for argument in arguments {
        match argument.as_str() {
            "-q" => quiet = true,
            "-X" | "-skipCheckForUpdate" | "-communityFallback" => {}
            "-v" | "--version" | "-h" | "-?" | "--help" | "help" | "version" => {
                return Ok(Invocation { verbs: Vec::new(), settings: None, json: false, quiet });
            }
            word if word.starts_with('-') => given.add(&word[1..])?,
            word => verbs.push(verb(word)?),
        }
    }
    for name in KNOWN {
        if let Some(value) = environment.get(&variable(name)) {
            given.values.entry(name.to_owned()).or_insert(value);
        }
    }
    for (name, value) in environment.all() {
        if let Some(placeholder) = name.strip_prefix("FLYWAY_PLACEHOLDERS_") {
            given.placeholders.entry(placeholder.to_lowercase()).or_insert(value);
        }
    }
    let json = given.text("outputType").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let settings = if verbs.is_empty() { None } else { Some(given.settings(verbs[0], environment)?) };
    Ok(Invocation { verbs, settings, json, quiet })
}

fn verb(word: &str) -> Result<Verb, String> {
    Ok(match word {
        "migrate" => Verb::Migrate,
        "info" => Verb::Info,
        "validate" => Verb::Validate,
        "repair" => Verb::Repair,
        "baseline" => Verb::Baseline,
        "clean" => Verb::Clean,
        other => return Err(format!("Unknown command: {other}")),
    })
}

/// `baselineOnMigrate` is `FLYWAY_BASELINE_ON_MIGRATE` in the environment.
fn variable(name: &str) -> String {
    let mut variable = "FLYWAY_".to_owned();
    for character in name.chars() {
        if character.is_uppercase() {
            variable.push('_');
        }
        variable.push(if character == '.' { '_' } else { character.to_ascii_uppercase() });
    }
    variable
}

#[derive(Default)]
struct Given {
    values: BTreeMap<String, String>,
    placeholders: BTreeMap<String, String>,
}

impl Given {
    fn add(&mut self, argument: &str) -> Result<(), String> {
        let Some((name, value)) = argument.split_once('=') else {
            return Err(format!("Invalid flag: -{argument}"));
        };
        let name = name.strip_prefix("flyway.").unwrap_or(name);
        if let Some(placeholder) = name.strip_prefix("placeholders.") {
            self.placeholders.insert(placeholder.to_lowercase(), value.to_owned());
        } else if KNOWN.contains(&name) {
            if self.values.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(format!("Duplicate configuration parameter: -{name}"));
            }
        } else if !HARMLESS.contains(&name) {
            return Err(format!(
                "Failed to configure parameters:\n\tParameter: flyway.{name}\nWhimbrel does not know it, or does not have it yet"
            ));
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn boolean(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.text(name) {
            None | Some("") => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(format!("Invalid value for {name} (should be either true or false): {value}")),
        }
    }

    fn number(&self, name: &str, default: i64) -> Result<i64, String> {
        self.text(name).map_or(Ok(default), |value| {
            value.parse().map_err(|_| format!("Invalid value for {name} (should be an Integer): {value}"))
        })
    }

    fn settings(&self, verb: Verb, environment: &impl Environment) -> Result<RunSettings, String> {
        for name in ONLY_DEFAULT {
            if self.text(name).is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("false"))
            {
                return Err(format!("Whimbrel does not have the parameter flyway.{name} yet"));
            }
        }
        let (target, warnings) = self.target()?;
        let mut database =
            DatabaseSettings::new(target.database_name().to_owned(), target, self.locations()?);
        database.warnings = warnings;
        self.fill(&mut database)?;
        let retries = self.number("connectRetries", 0)?;
        let lock_retries = self.number("lockRetryCount", 50)?;
        let common = CommonSettings {
            run_id: environment.get(env::RUN_ID).unwrap_or_else(|| Uuid::now_v7().to_string()),
            image: environment.get(env::IMAGE_DIGEST),
            dry_run: false,
            keep_going: false,
            wait: retry_time(retries, self.number("connectRetriesInterval", 120)?),
            // Forever, as far as a process lives.
            lock_wait: u64::try_from(lock_retries)
                .map_or(Duration::from_secs(u64::from(u32::MAX)), Duration::from_secs),
            grace: GRACE,
            deadline: None,
            timeouts: Timeouts::default(),
            clean_enabled: !self.boolean("cleanDisabled", true)?,
            termination_log: environment.get(env::TERMINATION_LOG).map(PathBuf::from),
            report: None,
        };
        Ok(RunSettings { verb, databases: vec![database], common })
    }

    /// Where the database is, and what of its URL is not used.
    fn target(&self) -> Result<(Target, Vec<String>), String> {
        let Some(url) = self.text("url") else {
            return Err("Unable to connect to the database. Configure the url, user and password!".to_owned());
        };
        let (mut target, warnings) =
            Target::parse(&SecretString::from(url)).map_err(|error| error.to_string())?;
        if let Some(user) = self.text("user") {
            target = target.with_user(user);
        }
        if let Some(password) = self.text("password") {
            target = target.with_password(SecretString::from(password));
        }
        Ok((target, warnings.iter().map(ToString::to_string).collect()))
    }

    fn locations(&self) -> Result<Vec<PathBuf>, String> {
        let folder = self.text("workingDirectory").map_or_else(PathBuf::new, PathBuf::from);
        let named = self.list("locations");
        if named.is_empty() {
            let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join("sql")));
            let here = folder.join("sql");
            let used = if here.is_dir() { here } else { beside.filter(|path| path.is_dir()).unwrap_or(here) };
            return Ok(vec![used]);
        }
        named
            .iter()
            .map(|location| match location.split_once(':') {
                Some(("filesystem", path)) => Ok(normal(&folder.join(path))),
                Some(_) => Err(format!(
                    "Unknown prefix for location (should be filesystem: here, there is no class path): {location}"
                )),
                None => Ok(normal(&folder.join(location))),
            })
            .collect()
    }

    fn fill(&self, database: &mut DatabaseSettings) -> Result<(), String> {
        database.placeholders = self.placeholders.clone();
        database.replace_placeholders = self.boolean("placeholderReplacement", true)?;
        let mark = |name: &str, default: &str| self.text(name).unwrap_or(default).to_owned();
        database.placeholder_marks = (mark("placeholderPrefix", "${"), mark("placeholderSuffix", "}"));
        database.skip_callbacks = self.boolean("skipDefaultCallbacks", false)?;
        database.refuse_without_locations = false;
        if let Some(encoding) = self.text("encoding") {
            database.encoding = encoding.parse().map_err(|error| format!("{error}"))?;
        }
        database.validate_naming = self.boolean("validateMigrationNaming", false)?;
        database.fail_on_missing_locations = self.boolean("failOnMissingLocations", false)?;
        database.create_schemas = self.boolean("createSchemas", true)?;
        if let Some(table) = self.text("table") {
            table.clone_into(&mut database.table);
        }
        let schemas = self.list("schemas");
        database.schema = self.text("defaultSchema").map(str::to_owned).or_else(|| schemas.first().cloned());
        database.more_schemas =
            schemas.into_iter().filter(|schema| Some(schema) != database.schema.as_ref()).collect();
        let naming = &mut database.naming;
        naming.versioned_prefix = mark("sqlMigrationPrefix", "V");
        naming.repeatable_prefix = mark("repeatableSqlMigrationPrefix", "R");
        naming.baseline_prefix = mark("baselineMigrationPrefix", "B");
        naming.separator = mark("sqlMigrationSeparator", "__");
        let suffixes = self.list("sqlMigrationSuffixes");
        if !suffixes.is_empty() {
            naming.suffixes = suffixes;
        }
        self.fill_migration(database)
    }

    fn fill_migration(&self, database: &mut DatabaseSettings) -> Result<(), String> {
        let migration = &mut database.migration;
        // Flyway runs such a script as it is.
        migration.own_transactions = OwnTransactions::Allow;
        migration.out_of_order = self.boolean("outOfOrder", false)?;
        migration.mixed = self.boolean("mixed", false)?;
        migration.execute_in_transaction = self.boolean("executeInTransaction", true)?;
        migration.validate_on_migrate = self.boolean("validateOnMigrate", true)?;
        migration.baseline_on_migrate = self.boolean("baselineOnMigrate", false)?;
        if let Some(target) = self.text("target") {
            migration.target = target.parse().map_err(|error| format!("{error}"))?;
        }
        if let Some(version) = self.text("baselineVersion") {
            migration.baseline_version = Version::parse(version).map_err(|error| error.to_string())?;
        }
        if let Some(description) = self.text("baselineDescription") {
            description.clone_into(&mut migration.baseline_description);
        }
        if self.text("ignoreMigrationPatterns").is_some() {
            let patterns = self.list("ignoreMigrationPatterns");
            migration.ignore_patterns = patterns
                .iter()
                .map(|pattern| pattern.parse::<IgnorePattern>().map_err(|error| error.to_string()))
                .collect::<Result<_, _>>()?;
        }
        Ok(())
    }
}

/// The sum of the pauses 1, 2, 4, … seconds, none longer than the interval.
fn retry_time(retries: i64, interval: i64) -> Duration {
    let interval = u64::try_from(interval).unwrap_or_default();
    let pauses = (0..u32::try_from(retries).unwrap_or_default())
        .map(|retry| 2_u64.saturating_pow(retry).min(interval));
    Duration::from_secs(pauses.sum())
}

/// Without `.` and `..`, as Java's paths are.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let environment = environment(&[
            ("FLYWAY_URL", "jdbc:postgresql://h/env"),
            ("FLYWAY_BASELINE_ON_MIGRATE", "true"),
            ("FLYWAY_PLACEHOLDERS_A_B", "x"),
        ]);
        let line = arguments("-url=jdbc:postgresql://h/flag -placeholders.C=y -outputType=json migrate info");
        let invocation = parse(&line, &environment).unwrap();
        assert_eq!(invocation.verbs, [Verb::Migrate, Verb::Info]);
        assert!(invocation.json);
        let database = &invocation.settings.unwrap().databases[0];
        assert_eq!(database.target.database_name(), "flag");
        assert!(database.migration.baseline_on_migrate);
        assert_eq!(database.placeholders["a_b"], "x");
        assert_eq!(database.placeholders["c"], "y");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (line, part) in [
            ("-url=jdbc:postgresql://h/d -dryRunOutput=x migrate", "flyway.dryRunOutput"),
            ("-url=jdbc:postgresql://h/d -group=true migrate", "flyway.group"),
            ("-url=jdbc:postgresql://h/d undo", "undo"),
            ("-zzz migrate", "-zzz"),
            ("migrate", "url"),
            ("-url=jdbc:oracle:x migrate", "PostgreSQL"),
        ] {
            let error = parse(&arguments(line), &environment(&[])).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn retries_become_time() {
        assert_eq!(retry_time(0, 120), Duration::ZERO);
        assert_eq!(retry_time(3, 120), Duration::from_secs(7));
        assert_eq!(retry_time(10, 4), Duration::from_secs(1 + 2 + 4 * 8));
        assert_eq!(variable("baselineOnMigrate"), "FLYWAY_BASELINE_ON_MIGRATE");
    }
}
