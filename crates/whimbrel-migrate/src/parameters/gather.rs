//! From all sources to one value for each parameter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use whimbrel_cli::env::Environment;
use whimbrel_cli::settings::Origin;

use super::parameter::{self, Effect};
use super::resolver::Resolver;
use super::sources::{self, Entries, Found, Surroundings};
use super::values::Values;
use super::without_secrets;

/// The environment of `flyway.toml` that is meant where none is named.
pub const DEFAULT_ENVIRONMENT: &str = "default";

/// The values of all parameters, and what should be said about some of them.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The values.
    pub values: Values,
    /// What is left aside, a line each.
    pub words: Vec<String>,
}

/// Reads all sources. `arguments` are the parameters of the command line; none for Whimbrel's own verbs.
///
/// # Errors
/// In Flyway's words where it has some: what is not known, cannot be read, or is refused.
pub fn gather<E: Environment>(
    arguments: Option<&BTreeMap<String, String>>,
    surroundings: &Surroundings<'_, E>,
) -> Result<Gathered, String> {
    let argument = |name: &str| arguments?.get(name).cloned();
    let found = sources::find(surroundings, &argument)?;
    let flags: Entries = arguments
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone(), Origin::Flag(name.clone())))
        .collect();
    let mut gathered = Gathered::default();
    let chosen = chosen_environment(&found, &flags)?;
    lay(&mut gathered.values, &[&found.files, &found.environment, &flags], &chosen, surroundings)?;
    gathered.values.set("environment", chosen, Origin::Default);
    gathered.words = missing_files(&found.missing);
    gathered.words.extend(judge(&gathered.values, arguments.is_some())?);
    gathered.words.extend(java(surroundings.environment));
    let url = argument("url").unwrap_or_default();
    if argument("password").is_some() || without_secrets(&url) != url {
        gathered.words.push(
            "a password on the command line can be seen by everyone on this machine: FLYWAY_PASSWORD is a better place"
                .to_owned(),
        );
    }
    Ok(gathered)
}

fn missing_files(paths: &[PathBuf]) -> Vec<String> {
    let shown = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    let words = format!("One or more specified configuration files could not be found: {shown}");
    if paths.is_empty() { Vec::new() } else { vec![words] }
}

/// The environment that is chosen; one that is not there is refused, unless a URL is given for whatever is chosen.
fn chosen_environment(found: &Found, flags: &Entries) -> Result<String, String> {
    let all = || found.files.iter().chain(&found.environment).chain(flags);
    let chosen = all().rfind(|(name, ..)| name == "environment");
    let Some((_, chosen, _)) = chosen.filter(|(_, value, _)| !value.is_empty()) else {
        return Ok(DEFAULT_ENVIRONMENT.to_owned());
    };
    let prefix = format!("environments.{chosen}.");
    if chosen != DEFAULT_ENVIRONMENT && !all().any(|(name, ..)| name == "url" || name.starts_with(&prefix)) {
        return Err(format!(
            "Environment '{chosen}' not found. Check that 'environments.{chosen}' exists in your configuration"
        ));
    }
    Ok(chosen.clone())
}

/// Lays one source over the other; within one, what belongs to the environment comes after what belongs to all.
fn lay<E: Environment>(
    values: &mut Values,
    layers: &[&Entries],
    environment: &str,
    surroundings: &Surroundings<'_, E>,
) -> Result<(), String> {
    let prefix = format!("environments.{environment}.");
    let mut own: Entries = Vec::new();
    for layer in layers {
        for (name, value, origin) in *layer {
            if !name.starts_with("environments.") {
                values.set(name, value, origin.clone());
            } else if let Some(key) = name.strip_prefix(&prefix) {
                own.push((key.to_owned(), value.clone(), origin.clone()));
            }
        }
        for (key, value, origin) in own.drain(..) {
            match key.strip_prefix("flyway.") {
                Some(name) => values.set(name, value, origin),
                None => connection(values, &key, &value, origin, surroundings)?,
            }
        }
    }
    Ok(())
}

/// A key of the environment itself: its value may be a reference.
fn connection<E: Environment>(
    values: &mut Values,
    key: &str,
    value: &str,
    origin: Origin,
    surroundings: &Surroundings<'_, E>,
) -> Result<(), String> {
    if let Some(resolver) = key.strip_prefix("resolvers.") {
        return Err(format!(
            "the resolver {resolver} of {origin} is refused: here there are env, file and flywayPlaceholder only"
        ));
    }
    if key == "provisioner" || key.starts_with("provisioners.") {
        return match value {
            "" | "none" => Ok(()),
            value => Err(format!(
                "the provisioner {value} of {origin} is refused: no database is provisioned here"
            )),
        };
    }
    if key == "displayName" {
        return Ok(());
    }
    let placeholder = |name: &str| values.text(&format!("placeholders.{name}")).map(str::to_owned);
    let resolver = Resolver { environment: surroundings.environment, placeholder: &placeholder };
    let resolved = resolver.resolve(value).map_err(|error| format!("{key}: {error}"))?;
    values.set(key, resolved, origin);
    Ok(())
}

/// Refuses what is not honoured, by the program called `flyway` or by Whimbrel's own verbs, and names what is left aside.
///
/// # Errors
/// The first parameter that is refused, with the reason.
pub fn judge(values: &Values, as_flyway: bool) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    for (name, setting) in values.iter() {
        let Some(parameter) = parameter::find(name) else { continue };
        match parameter.effect {
            Effect::Honoured => {}
            Effect::AsFlyway(own) if !as_flyway && !setting.value.is_empty() => {
                return Err(format!(
                    "flyway.{name} ({}) is refused: only the program called flyway takes it, here it is {own}",
                    setting.origin
                ));
            }
            Effect::AsFlyway(_) => {}
            Effect::WithoutEffect(_) if setting.value.is_empty() => {}
            Effect::WithoutEffect(_) if name == "provisionMode" => {
                refuse_provision_mode(&setting.value, values)?;
            }
            Effect::WithoutEffect(reason) => {
                words.push(format!("flyway.{name} ({}) is left aside: {reason}", setting.origin));
            }
            Effect::OnlyDefault(default, reason) => {
                if setting.value.is_empty() || setting.value.eq_ignore_ascii_case(default) {
                    continue;
                }
                return Err(if reason.starts_with(name) {
                    reason.to_owned()
                } else {
                    format!("flyway.{name} ({}) is refused: {reason}", setting.origin)
                });
            }
        }
    }
    Ok(words)
}

/// An environment without a provisioner is there already: nothing has to be done, and nothing can be done anew.
fn refuse_provision_mode(mode: &str, values: &Values) -> Result<(), String> {
    match mode.to_lowercase().as_str() {
        "skip" | "provision" => Ok(()),
        "reprovision" => {
            let environment = values.text("environment").unwrap_or(DEFAULT_ENVIRONMENT);
            Err(format!("Reprovisioning is not supported for `{environment}` environment"))
        }
        _ => Err(format!("Unknown provisioner mode: {mode}")),
    }
}

/// Variables that are for a Java that is not here.
fn java(environment: &impl Environment) -> Vec<String> {
    let variables = ["JAVA_ARGS", "FLYWAY_JAVA_CMD", "FLYWAY_NATIVE_CONNECTORS"];
    let set =
        variables.into_iter().filter(|name| environment.get(name).is_some_and(|value| !value.is_empty()));
    set.map(|name| format!("{name} is left aside: there is no Java here")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(
        toml: &str,
        variables: &[(&str, &str)],
        arguments: &[(&str, &str)],
    ) -> Result<Gathered, String> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("flyway.toml"), toml).unwrap();
        let pairs = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let environment = pairs(variables);
        let surroundings = Surroundings::within(folder.path().to_owned(), &environment);
        gather(Some(&pairs(arguments)), &surroundings)
    }

    const TWO: &str = "[flyway]\ntarget = \"1\"\ntable = \"t\"\n[flyway.placeholders]\nname = \"shop\"\n\
        [environments.default]\nurl = \"jdbc:postgresql://a/d\"\n\
        [environments.dev]\nurl = \"jdbc:postgresql://b/${flywayPlaceholder.name}\"\nuser = \"${env.WHO}\"\n\
        [environments.dev.flyway]\ntarget = \"2\"\n";

    #[test]
    fn the_chosen_environment_fills_in_and_wins_over_what_is_for_all() {
        let values = gathered(TWO, &[("WHO", "me")], &[("environment", "dev")]).unwrap().values;
        assert_eq!(values.text("url"), Some("jdbc:postgresql://b/shop"));
        assert_eq!((values.text("user"), values.text("target")), (Some("me"), Some("2")));
        let values = gathered(TWO, &[], &[]).unwrap().values;
        assert_eq!((values.text("url"), values.text("target")), (Some("jdbc:postgresql://a/d"), Some("1")));
    }

    #[test]
    fn variables_win_over_files_and_flags_over_variables() {
        let variables =
            [("FLYWAY_URL", "jdbc:postgresql://c/d"), ("FLYWAY_TARGET", "3"), ("FLYWAY_TABLE", "u")];
        let flags = [("target", "4"), ("environments.default.user", "f")];
        let values = gathered(TWO, &variables, &flags).unwrap().values;
        assert_eq!(values.text("url"), Some("jdbc:postgresql://c/d"));
        assert_eq!((values.text("target"), values.text("table")), (Some("4"), Some("u")));
        assert_eq!(values.text("user"), Some("f"));
        assert_eq!(values.origin("target"), Some(&Origin::Flag("target".into())));
    }

    #[test]
    fn nothing_is_accepted_and_ignored() {
        for (toml, flags, part) in [
            ("", vec![("environment", "prod")], "prod"),
            ("", vec![("errorOverrides", "S:1:E")], "flyway.errorOverrides"),
            ("", vec![("provisionMode", "x")], "Unknown provisioner mode: x"),
            ("", vec![("cleanOnValidationError", "true")], "cleanOnValidationError has been removed"),
            ("[environments.default.resolvers.vault]\nurl = \"x\"", vec![], "vault"),
            ("[environments.default]\nprovisioner = \"docker\"", vec![], "docker"),
            ("[environments.default]\nuser = \"${env.NOPE}\"", vec![], "NOPE"),
        ] {
            let error = gathered(toml, &[], &flags).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_left_aside_is_named() {
        let flags = [("driver", "x"), ("password", "canary"), ("cleanOnValidationError", "false")];
        let words = gathered("", &[("JAVA_ARGS", "-Xmx1g")], &flags).unwrap().words.join("\n");
        assert!(words.contains("flyway.driver") && words.contains("JAVA_ARGS") && words.contains("password"));
        assert!(!words.contains("canary"));
    }
}
