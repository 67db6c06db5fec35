//! `config`: every setting with its origin.

use serde::Serialize;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::{self, Environment, ProcessEnvironment};
use whimbrel_cli::error::CommandError;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_cli::settings::{NamedSetting, Origin};
use whimbrel_migration::redact::names_a_secret;

/// Variables of ours that change what the tools do, and the settings they stand for.
const VARIABLES: [(&str, &str); 4] = [
    (env::FORMAT, "format"),
    (env::DATABASES, "run.databases"),
    (env::LOG, "log"),
    ("WHIMBREL_POSTGRES", "up.postgres"),
];

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    project: String,
    settings: &'a [NamedSetting],
}

pub(crate) fn show(global: &GlobalArgs, printer: &Printer) -> Result<ExitCode, CommandError> {
    let project = Project::find_from_here(global.config.as_deref())?;
    let mut settings = collect(&project, &ProcessEnvironment);
    lay_over(&mut settings, whimbrel_migrate::parameters::layers::shown(&project, &ProcessEnvironment)?);
    if printer.is_json() {
        let project = project.path.display().to_string();
        printer.json(&Document { schema: 1, project, settings: &settings });
        return Ok(ExitCode::Done);
    }
    let name_width = settings.iter().map(|setting| setting.name.len()).max().unwrap_or(0);
    let value_width = settings.iter().map(|setting| setting.value.chars().count()).max().unwrap_or(0).min(60);
    for NamedSetting { name, value, origin } in &settings {
        printer.line(format!("{name:name_width$}  {value:value_width$}  {origin}"));
    }
    Ok(ExitCode::Done)
}

/// Adds settings of other sources, each in its place between those that are there.
fn lay_over(settings: &mut Vec<NamedSetting>, others: Vec<NamedSetting>) {
    for other in others {
        let there = settings.iter_mut().find(|setting| setting.name == other.name);
        match there {
            Some(there) if there.origin.strength() > other.origin.strength() => {}
            Some(there) => *there = other,
            None => settings.push(other),
        }
    }
    settings.sort_by(|a, b| a.name.cmp(&b.name));
}

/// The project's settings, then those of the environment. Secrets are in neither: they have sources of their own.
fn collect(project: &Project, environment: &impl Environment) -> Vec<NamedSetting> {
    let mut settings = project.settings();
    for (name, value) in env::placeholders(environment) {
        let origin = Origin::Environment(format!("{}{}", env::PLACEHOLDER_PREFIX, name.to_ascii_uppercase()));
        settings.retain(|setting| setting.name != format!("placeholders.{name}"));
        settings.push(NamedSetting { name: format!("placeholders.{name}"), value, origin });
    }
    let variables = VARIABLES.iter().filter_map(|(variable, name)| {
        let value = environment.get(variable)?;
        let origin = Origin::Environment((*variable).to_owned());
        Some(NamedSetting { name: (*name).to_owned(), value, origin })
    });
    settings.extend(variables);
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    for setting in &mut settings {
        // Placeholders are named by the project, as it likes.
        if setting.name.rsplit_once("placeholders.").is_some_and(|(_, name)| names_a_secret(name)) {
            setting.value = "***".to_owned();
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn flyways_files_are_beneath_the_project_file_and_secrets_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whimbrel.toml");
        fs_err::write(&path, "[flyway]\ntable = \"t\"\n[databases.a]\nlocations = [\"a\"]\n").unwrap();
        let conf = "flyway.table=old\nflyway.mixed=true\nflyway.placeholders.api_token=canary\n";
        fs_err::write(folder.path().join("flyway.conf"), conf).unwrap();
        let project = Project::load(&path).unwrap();
        let environment = BTreeMap::new();
        let mut settings = collect(&project, &environment);
        lay_over(&mut settings, whimbrel_migrate::parameters::layers::shown(&project, &environment).unwrap());
        let value =
            |name: &str| settings.iter().find(|setting| setting.name == name).map(|it| it.value.as_str());
        assert_eq!((value("flyway.table"), value("flyway.mixed")), (Some("t"), Some("true")));
        assert_eq!(value("flyway.placeholders.api_token"), Some("***"));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whimbrel.toml");
        let text = "[placeholders]\nseed = \"false\"\n[databases.a]\nlocations = [\"a\"]\n";
        fs_err::write(&path, text).unwrap();
        let project = Project::load(&path).unwrap();
        let environment = BTreeMap::from([("WHIMBREL_PLACEHOLDER_SEED".to_owned(), "true".to_owned())]);
        let settings = collect(&project, &environment);
        let seed: Vec<_> = settings.iter().filter(|setting| setting.name == "placeholders.seed").collect();
        assert_eq!(seed.len(), 1);
        assert_eq!(seed[0].value, "true");
        assert_eq!(seed[0].origin.to_string(), "$WHIMBREL_PLACEHOLDER_SEED");
    }
}
