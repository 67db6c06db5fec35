//! Flyway's parameters: where they are written, what they say, and what they change in our settings.
//!
//! | | |
//! |---|---|
//! | [`parameter`] | which there are |
//! | [`sources`] | files and variables, as they are written; references in them |
//! | [`gather`] | all of them in Flyway's order, each value with its origin |
//! | [`fill`] | from values to the settings of a database |
//! | [`layers`] | as a layer of our own settings, beneath and above the project file |

mod conf;
pub mod fill;
pub mod gather;
pub mod layers;
pub mod parameter;
mod resolver;
pub mod sources;
mod toml;
pub mod values;

use std::path::PathBuf;

use whimbrel_cli::env::Environment;

use sources::Surroundings;

/// The places around this process where parameters are found.
pub fn surroundings<E: Environment>(environment: &E) -> Surroundings<'_, E> {
    Surroundings {
        environment,
        // Without a working directory, relative paths are what they are.
        folder: std::env::current_dir().unwrap_or_default(),
        install: std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned())),
        home: environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
        stdin: &read_stdin,
    }
}

fn read_stdin() -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Passwords in a URL become stars, whatever the URL means.
pub(crate) fn without_secrets(url: &str) -> String {
    let (place, parameters) = url.split_once('?').map_or((url, None), |(place, rest)| (place, Some(rest)));
    let place = match place.split_once("//") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((login, host)) if login.contains(':') => {
                let user = login.split(':').next().unwrap_or_default();
                format!("{scheme}//{user}:********@{host}")
            }
            _ => place.to_owned(),
        },
        None => place.to_owned(),
    };
    let Some(parameters) = parameters else { return place };
    let shown = parameters.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if whimbrel_migration::redact::names_a_secret(name) => format!("{name}=********"),
        _ => parameter.to_owned(),
    });
    format!("{place}?{}", shown.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_of_a_url_is_shown() {
        for (url, shown) in [
            ("jdbc:postgresql://h/d?password=x&ssl=true", "jdbc:postgresql://h/d?password=********&ssl=true"),
            ("jdbc:foo://u:p@ss@h/d", "jdbc:foo://u:********@h/d"),
            ("jdbc:postgresql://h/d?sslpassword=x", "jdbc:postgresql://h/d?sslpassword=********"),
            ("jdbc:sqlite:/a@b:c.db", "jdbc:sqlite:/a@b:c.db"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
