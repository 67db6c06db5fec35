//! Flyway's parameters as a layer of our own settings: its files and variables, and `[flyway]` of the project file.
//!
//! | weakest first | |
//! |---|---|
//! | `flyway.conf`, `flyway.toml` | beside the project file |
//! | `whimbrel.toml` | `[flyway]`, then `[databases.<name>.flyway]`; `schema` and `placeholders` are among them |
//! | `FLYWAY_…` | |
//!
//! Our own options come after all of them. Where a project file names the databases, nothing of Flyway's says where
//! they are, where their scripts lie, or that `clean` may run.

use std::collections::BTreeMap;
use std::path::Path;

use whimbrel_cli::env::Environment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::project::{Database, FlywayValue, Project};
use whimbrel_cli::settings::{NamedSetting, Origin};

use super::gather::{self, Gathered};
use super::sources::{Surroundings, unknown};
use super::values::Values;
use super::{fill, parameter, surroundings};
use crate::settings::DatabaseSettings;

/// What the project file says in its own way.
const PROJECTS_OWN: [&str; 13] = [
    "callbackLocations",
    "cleanDisabled",
    "configFileEncoding",
    "configFiles",
    "connectRetries",
    "connectRetriesInterval",
    "environment",
    "locations",
    "lockRetryCount",
    "password",
    "url",
    "user",
    "workingDirectory",
];

/// Fills a database of the project file.
pub(crate) fn fill_project_database(
    project: &Project,
    database: &Database,
    environment: &impl Environment,
    settings: &mut DatabaseSettings,
) -> Result<(), CommandError> {
    let gathered = project_values(project, Some(database), environment)?;
    settings.warnings.extend(gathered.words);
    fill::fill(&gathered.values, &project.root, settings).map_err(CommandError::usage)
}

/// The values of Flyway's parameters that a project comes to, and what is left aside.
fn project_values(
    project: &Project,
    database: Option<&Database>,
    environment: &impl Environment,
) -> Result<Gathered, CommandError> {
    let around = Surroundings::within(project.root.clone(), environment);
    let Gathered { values: found, mut words } = gather::gather(None, &around).map_err(CommandError::usage)?;
    let mut values = Values::default();
    for (name, setting) in found.iter() {
        if setting.origin == Origin::Default {
            continue;
        }
        if PROJECTS_OWN.contains(&name) || name.starts_with("jdbcProperties.") {
            let origin = &setting.origin;
            words.push(format!("flyway.{name} ({origin}) is left aside: {} says it", project.path.display()));
            continue;
        }
        values.set(name, setting.value.clone(), setting.origin.clone());
    }
    let origin = Origin::ProjectFile(project.path.clone());
    set_all(&mut values, &project.file.flyway, &origin)?;
    for (name, value) in
        database.map_or_else(|| project.file.placeholders.clone(), |it| project.placeholders(it))
    {
        values.set(&format!("placeholders.{name}"), value, origin.clone());
    }
    if let Some(database) = database {
        set_all(&mut values, &database.flyway, &origin)?;
        if let Some(schema) = &database.schema {
            values.set("defaultSchema", schema.clone(), origin);
        }
    }
    gather::judge(&values, false).map_err(CommandError::usage)?;
    Ok(Gathered { values, words })
}

fn set_all(
    values: &mut Values,
    table: &BTreeMap<String, FlywayValue>,
    origin: &Origin,
) -> Result<(), CommandError> {
    for (name, value) in table {
        if parameter::find(name).is_none() {
            return Err(CommandError::usage(unknown(name, Some(Path::new(&origin.to_string())))));
        }
        if PROJECTS_OWN.contains(&name.as_str()) {
            return Err(CommandError::usage(format!("{origin}: flyway.{name} has no place here"))
                .hinted("databases, locations, secrets and options say it"));
        }
        values.set(name, value.text(), origin.clone());
    }
    Ok(())
}

/// Flyway's parameters that count for every database of a project, for `config`: those of its files and variables.
///
/// # Errors
/// When a file cannot be read, or something in it is refused.
pub fn shown(project: &Project, environment: &impl Environment) -> Result<Vec<NamedSetting>, CommandError> {
    let mut shown = project_values(project, None, environment)?.values.shown();
    shown.retain(|setting| !matches!(setting.origin, Origin::ProjectFile(_)));
    Ok(shown)
}

/// Without a project file: the one database that Flyway's files and variables name, if they do.
pub(crate) fn flyway_database(
    environment: &impl Environment,
    folder: &Path,
) -> Result<Option<DatabaseSettings>, CommandError> {
    let around = Surroundings { folder: folder.to_owned(), ..surroundings(environment) };
    let Gathered { values, words } = gather::gather(None, &around).map_err(CommandError::usage)?;
    if values.filled("url").is_none() {
        return Ok(None);
    }
    let (target, warnings) = fill::target(&values, environment)
        .map_err(|error| CommandError::new(ErrorKind::Secret, error).hinted("look at FLYWAY_URL"))?;
    let folder = fill::folder(&values, folder);
    let mut database =
        DatabaseSettings::new(target.database_name().to_owned(), target, vec![folder.join("sql")]);
    database.warnings = words.into_iter().chain(warnings).collect();
    fill::fill(&values, &folder, &mut database).map_err(CommandError::usage)?;
    Ok(Some(database))
}

#[cfg(test)]
mod tests {
    use whimbrel_database::Target;

    use super::*;

    fn filled(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<DatabaseSettings, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        let project =
            Project::load(&folder.path().join("whimbrel.toml")).map_err(|error| error.to_string())?;
        let environment: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let target = Target::from_parts("h", None, Some("d"));
        let mut settings = DatabaseSettings::new("shop", target, Vec::new());
        let database = &project.file.databases["shop"];
        fill_project_database(&project, database, &environment, &mut settings)
            .map_err(|error| error.to_string())?;
        Ok(settings)
    }

    const PROJECT: &str = "[flyway]\ntable = \"history\"\ngroup = true\n[placeholders]\ncolor = \"red\"\n\
        [databases.shop]\nlocations = [\"sql\"]\nschema = \"app\"\nflyway = { group = false, schemas = [\"app\", \"b\"] }\n";

    #[test]
    fn the_project_file_wins_over_flyways_files_and_variables_over_both() {
        let conf = "flyway.table=old\nflyway.outOfOrder=true\nflyway.placeholders.color=blue\nflyway.url=jdbc:postgresql://x/y\n";
        let files = [("whimbrel.toml", PROJECT), ("flyway.conf", conf)];
        let settings = filled(&files, &[("FLYWAY_PLACEHOLDERS_SIZE", "big")]).unwrap();
        assert_eq!((settings.table.as_str(), settings.schema.as_deref()), ("history", Some("app")));
        assert_eq!(settings.schemas, ["app", "b"]);
        assert!(settings.migration.out_of_order && !settings.migration.group);
        assert_eq!(
            (settings.placeholders["color"].as_str(), settings.placeholders["size"].as_str()),
            ("red", "big")
        );
        assert!(settings.warnings.iter().any(|warning| warning.contains("flyway.url")));
        let settings = filled(&files, &[("FLYWAY_TABLE", "new")]).unwrap();
        assert_eq!(settings.table, "new");
    }

    #[test]
    fn what_has_no_place_in_the_project_file_is_refused() {
        for (key, part) in [
            ("url = \"x\"", "flyway.url"),
            ("tarjet = 1", "flyway.tarjet"),
            ("errorOverrides = \"S:1:E\"", "errorOverrides"),
        ] {
            let project = format!("[flyway]\n{key}\n[databases.shop]\nlocations = [\"sql\"]\n");
            let error = filled(&[("whimbrel.toml", &project)], &[]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
