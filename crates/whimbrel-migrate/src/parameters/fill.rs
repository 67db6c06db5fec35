//! From the values of Flyway's parameters to the settings of a database: the one way for every source of them.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use whimbrel_cli::env::Environment;
use whimbrel_cli::settings::Origin;
use whimbrel_database::{Target, TargetError};
use whimbrel_migration::pick::Pick;
use whimbrel_migration::settings::{IgnorePattern, OwnTransactions};
use whimbrel_migration::version::Version;

use super::values::Values;
use super::without_secrets;
use crate::settings::DatabaseSettings;

/// What differs from our own face without being a parameter.
pub fn as_flyway(database: &mut DatabaseSettings) {
    // Flyway runs a script with transactions of its own as it is.
    database.migration.own_transactions = OwnTransactions::Allow;
    database.refuse_without_locations = false;
}

/// Where the database is, and what its URL says that is left aside. The password file and certificates of PostgreSQL's
/// own clients fill in what neither says.
///
/// # Errors
/// When there is no URL, or it cannot be understood; no part of it is repeated.
pub fn target(values: &Values, environment: &impl Environment) -> Result<(Target, Vec<String>), String> {
    let Some(url) = values.filled("url") else {
        return Err("Unable to connect to the database. Configure the url, user and password!".to_owned());
    };
    let (mut target, warnings) = Target::parse(&SecretString::from(with_properties(url, values))).map_err(
        |error| match (matches!(error, TargetError::Scheme), scheme(url)) {
            (true, _) => format!(
                "No Flyway database plugin found to handle {}. See https://rd.gt/423f9a6 for troubleshooting",
                without_secrets(url)
            ),
            (false, Some(scheme)) => format!("{scheme}: {error}"),
            (false, None) => error.to_string(),
        },
    )?;
    if let Some(user) = values.filled("user") {
        target = target.with_user(user);
    }
    if let Some(password) = values.text("password") {
        target = target.with_password(SecretString::from(password));
    }
    let (target, warning) = crate::libpq::complete(target, environment);
    Ok((target, warnings.iter().map(ToString::to_string).chain(warning).collect()))
}

/// `jdbc:foo` of a URL that no part of it can be a secret of.
fn scheme(url: &str) -> Option<String> {
    let mut parts = url.split(':');
    let first = parts.next()?;
    let named = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match (first, parts.next()) {
        ("jdbc", Some(second)) if named(second) => Some(format!("jdbc:{second}")),
        (first, Some(_)) if named(first) => Some(first.to_owned()),
        _ => None,
    }
}

/// The URL with what `jdbcProperties.…` adds to it.
fn with_properties(url: &str, values: &Values) -> String {
    let mut url = url.to_owned();
    for (name, value) in values.below("jdbcProperties.") {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(name);
        url.push('=');
        url.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
    }
    url
}

/// The folder that relative locations start from.
pub fn folder(values: &Values, here: &Path) -> PathBuf {
    values.filled("workingDirectory").map_or_else(|| here.to_owned(), |folder| here.join(folder))
}

/// The sum of the pauses 1, 2, 4, … seconds between attempts to connect, none longer than the interval.
///
/// # Errors
/// When a number is none.
pub fn connect_wait(values: &Values) -> Result<Option<Duration>, String> {
    let Some(retries) = values.number("connectRetries")? else { return Ok(None) };
    let interval = values.number("connectRetriesInterval")?.unwrap_or(120);
    let negative = |name: &str, number| format!("Invalid number of {name} (must be 0 or greater): {number}");
    let interval = u64::try_from(interval).map_err(|_| negative("connectRetriesInterval", interval))?;
    let retries = u32::try_from(retries).map_err(|_| negative("connectRetries", retries))?;
    let pauses = (0..retries).map(|retry| 2_u64.saturating_pow(retry).min(interval));
    Ok(Some(Duration::from_secs(pauses.sum())))
}

/// One second a retry; for ever where the number is negative.
///
/// # Errors
/// When the number is none.
pub fn lock_wait(values: &Values) -> Result<Option<Duration>, String> {
    let for_ever = Duration::from_secs(u64::from(u32::MAX));
    let retries = values.number("lockRetryCount")?;
    Ok(retries.map(|retries| u64::try_from(retries).map_or(for_ever, Duration::from_secs)))
}

/// Sets what the values say; everything else stays. `folder` is what relative locations start from.
///
/// # Errors
/// In Flyway's words where it has some.
pub fn fill(values: &Values, folder: &Path, database: &mut DatabaseSettings) -> Result<(), String> {
    files(values, folder, database)?;
    file_rules(values, database)?;
    placeholders(values, database);
    history(values, database)?;
    decisions(values, database)
}

fn files(values: &Values, folder: &Path, database: &mut DatabaseSettings) -> Result<(), String> {
    let locations = |name: &str| -> Result<Option<Vec<PathBuf>>, String> {
        let named: Vec<PathBuf> =
            values.list(name).iter().map(|text| location(text, folder)).collect::<Result<_, _>>()?;
        // In a file, an empty one is as if it did not stand there.
        if named.is_empty() && matches!(values.origin(name), Some(Origin::Environment(_) | Origin::Flag(_))) {
            return Err(format!(
                "{name} is empty, which means all of Java's class path, and there is none here: write filesystem: and \
                 the folder's path"
            ));
        }
        Ok(Some(named).filter(|named| !named.is_empty()))
    };
    if let Some(locations) = locations("locations")? {
        database.locations = locations;
    }
    if let Some(locations) = locations("callbackLocations")? {
        database.callback_locations = locations;
    }
    set(&mut database.validate_naming, values.boolean("validateMigrationNaming")?);
    set(&mut database.fail_on_missing_locations, values.boolean("failOnMissingLocations")?);
    set(&mut database.skip_callbacks, values.boolean("skipDefaultCallbacks")?);
    set(&mut database.skip_scripts, values.boolean("skipDefaultResolvers")?);
    Ok(())
}

/// What the check before an image follows as well.
fn file_rules(values: &Values, database: &mut DatabaseSettings) -> Result<(), String> {
    let mut rules = database.file_rules();
    rules.set(&|name| values.text(name).map(str::to_owned))?;
    database.follow(rules);
    Ok(())
}

fn placeholders(values: &Values, database: &mut DatabaseSettings) {
    let named = values.below("placeholders.").map(|(name, value)| (name.to_owned(), value.to_owned()));
    database.placeholders.extend(named);
    set(&mut database.environment, values.filled("environment").map(str::to_owned));
    if let Some(folder) = values.filled("workingDirectory") {
        database.working_directory = Some(PathBuf::from(folder));
    }
}

fn history(values: &Values, database: &mut DatabaseSettings) -> Result<(), String> {
    let text = |name: &str| values.filled(name).map(str::to_owned);
    set(&mut database.table, text("table"));
    let schemas = values.list("schemas");
    if let Some(schema) = text("defaultSchema").or_else(|| schemas.first().cloned()) {
        database.schema = Some(schema);
    }
    if !schemas.is_empty() {
        database.schemas = schemas;
    }
    set(&mut database.create_schemas, values.boolean("createSchemas")?);
    for (field, name) in [
        (&mut database.tablespace, "tablespace"),
        (&mut database.init_sql, "initSql"),
        (&mut database.installed_by, "installedBy"),
    ] {
        if let Some(value) = text(name) {
            *field = Some(value);
        }
    }
    Ok(())
}

fn decisions(values: &Values, database: &mut DatabaseSettings) -> Result<(), String> {
    let migration = &mut database.migration;
    for (field, name) in [
        (&mut migration.out_of_order, "outOfOrder"),
        (&mut migration.mixed, "mixed"),
        (&mut migration.group, "group"),
        (&mut migration.skip_executing, "skipExecutingMigrations"),
        (&mut migration.execute_in_transaction, "executeInTransaction"),
        (&mut migration.validate_on_migrate, "validateOnMigrate"),
        (&mut migration.baseline_on_migrate, "baselineOnMigrate"),
    ] {
        set(field, values.boolean(name)?);
    }
    if let Some(target) = values.text("target") {
        migration.target = target.parse().map_err(|error| format!("{error}"))?;
    }
    if values.text("cherryPick").is_some() {
        migration.cherry_pick = values.list("cherryPick").iter().map(|pick| Pick::new(pick)).collect();
    }
    if let Some(version) = values.text("baselineVersion") {
        migration.baseline_version = self::version(version)?;
    }
    set(&mut migration.baseline_description, values.text("baselineDescription").map(str::to_owned));
    if let Some(patterns) = values.text("ignoreMigrationPatterns") {
        // As Java splits: nothing between two commas is a pattern that is none, nothing at the end is nothing.
        let patterns = patterns.trim_end_matches(',');
        let each = patterns.split(',').filter(|_| !patterns.is_empty());
        migration.ignore_patterns = each
            .map(|pattern| pattern.trim().parse::<IgnorePattern>().map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
    }
    Ok(())
}

/// A version of a parameter.
///
/// # Errors
/// In Flyway's words where it is none.
pub fn version(text: &str) -> Result<Version, String> {
    Version::parse(text).map_err(|error| error.to_string())
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// `filesystem:` and a path, which may hold wildcards.
fn location(text: &str, folder: &Path) -> Result<PathBuf, String> {
    match text.split_once(':') {
        // No folder has this name: it is missing, as any other that is not there.
        Some(("filesystem", "")) => Ok(PathBuf::new()),
        Some(("filesystem", path)) => Ok(normal(&folder.join(path))),
        None | Some(("classpath", _)) => {
            let path = text.trim_start_matches("classpath:");
            Err(format!(
                "the location {text} is on Java's class path, and there is none here: write filesystem: \
                 and the folder's path (in a Java project often filesystem:src/main/resources/{path})"
            ))
        }
        Some(_) => {
            Err(format!("Unknown prefix for location (should be one of classpath:, filesystem:): {text}"))
        }
    }
}

/// Without `.` and `..`, as Java's paths are.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use whimbrel_migration::settings;

    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set(name, *value, Origin::Flag((*name).to_owned()));
        }
        values
    }

    fn nothing() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn filled(pairs: &[(&str, &str)]) -> Result<DatabaseSettings, String> {
        let target = Target::from_parts("h", None, Some("d"));
        let mut database = DatabaseSettings::new("d", target, Vec::new());
        fill(&values(pairs), Path::new("/work"), &mut database)?;
        Ok(database)
    }

    #[test]
    fn what_is_set_is_filled_in_and_the_rest_stays() {
        let database = filled(&[
            ("locations", "filesystem:a/../b, filesystem:/c/*"),
            ("schemas", "app,audit"),
            ("defaultSchema", "audit"),
            ("group", "TRUE"),
            ("target", "next"),
            ("ignoreMigrationPatterns", ""),
            ("cherryPick", "3, create_view"),
        ])
        .unwrap();
        assert_eq!(database.locations, [PathBuf::from("/work/b"), PathBuf::from("/c/*")]);
        assert_eq!(filled(&[("locations", "filesystem:")]).unwrap().locations, [PathBuf::new()]);
        assert_eq!(
            (database.schema.as_deref(), database.all_schemas("audit")),
            (Some("audit"), vec!["app".to_owned(), "audit".to_owned()])
        );
        assert!(database.migration.group && !database.migration.mixed && database.create_schemas);
        assert_eq!(database.migration.target, settings::Target::Next);
        assert!(database.migration.ignore_patterns.is_empty());
        let picks: Vec<&str> = database.migration.cherry_pick.iter().map(Pick::as_str).collect();
        assert_eq!(picks, ["3", "create_view"]);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused() {
        for (name, value, part) in [
            ("locations", "db/migration", "src/main/resources/db/migration"),
            ("locations", "classpath:x", "filesystem:"),
            ("locations", "", "is empty"),
            ("callbackLocations", "", "is empty"),
            ("encoding", "", "unknown encoding"),
            ("locations", "ftp:/p", "Unknown prefix for location"),
            ("group", "yes", "should be either true or false"),
            ("target", "x", "x"),
            ("encoding", "KLINGON", "KLINGON"),
            ("ignoreMigrationPatterns", "missing", "Invalid pattern 'missing'"),
        ] {
            let error = filled(&[(name, value)]).unwrap_err();
            assert!(error.contains(part), "{name}={value}: {error}");
        }
    }

    #[test]
    fn properties_of_the_driver_join_the_url() {
        let url = ("url", "jdbc:postgresql://h/d?ssl=true");
        let (target, warnings) = super::target(
            &values(&[url, ("jdbcProperties.currentSchema", "a b"), ("jdbcProperties.odd", "1")]),
            &nothing(),
        )
        .unwrap();
        assert_eq!(target.search_path.as_deref(), Some("a b"));
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn a_url_that_is_not_understood_is_not_repeated() {
        let error = super::target(&values(&[("url", "jdbc:foo://u:canary@h")]), &nothing()).unwrap_err();
        assert!(error.contains("jdbc:foo") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn retries_become_time() {
        let wait = |retries, interval| {
            connect_wait(&values(&[("connectRetries", retries), ("connectRetriesInterval", interval)]))
                .unwrap()
        };
        for negative in [("connectRetries", "-3"), ("connectRetriesInterval", "-1")] {
            let both = [("connectRetries", "1"), negative];
            let refused = connect_wait(&values(&both)).unwrap_err();
            assert!(refused.contains(negative.0) && refused.contains("must be 0 or greater"), "{refused}");
        }
        assert_eq!(wait("3", "120"), Some(Duration::from_secs(7)));
        assert_eq!(wait("10", "4"), Some(Duration::from_secs(1 + 2 + 4 * 8)));
        assert!(
            lock_wait(&values(&[("lockRetryCount", "-1")])).unwrap() > Some(Duration::from_secs(1_000_000))
        );
    }
}
