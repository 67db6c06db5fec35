//! Where a database is and how to log in: from the environment, else from the folder of secrets.
//!
//! Each part is looked for by itself, strongest first: `<DATABASE>_DATABASE_URL` and its siblings (`…_JDBC`, `…_HOST`,
//! `…_PORT`, `…_NAME`, `…_USER`, `…_PASSWORD`), the file that `…_URL_FILE` names, and the key of the project file in
//! `<secrets>/<secret>/<key>`. A separate user or password wins over the URL's. Where all of them leave the password
//! open, PostgreSQL's own password file has the last word (`.pgpass`, `PGPASSFILE`).

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use whimbrel_cli::env::Environment;
use whimbrel_cli::project::Database;
use whimbrel_contract::environment_prefix;
use whimbrel_database::{Target, TargetError};

/// A target, and what of its URL is not used.
#[derive(Debug)]
pub struct Credentials {
    /// Where to connect, and as whom.
    pub target: Target,
    /// Parameters of the URL that mean nothing here.
    pub warnings: Vec<String>,
}

/// There is no usable target. Values are never part of it.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// Neither a URL nor a host.
    #[error("database {database}: there is neither a URL nor a host")]
    Missing {
        /// The database.
        database: String,
        /// The variable that would hold the URL.
        variable: String,
        /// The file that would hold it.
        file: PathBuf,
    },
    /// A host without the rest.
    #[error("database {database}: {part} is missing beside the host")]
    Part {
        /// The database.
        database: String,
        /// The missing part.
        part: &'static str,
    },
    /// A value is there and empty.
    #[error("database {database}: {part} is empty")]
    Empty {
        /// The database.
        database: String,
        /// The empty part.
        part: String,
    },
    /// A URL that is none.
    #[error("database {database}: the URL cannot be used")]
    Url {
        /// The database.
        database: String,
        /// Why.
        #[source]
        source: TargetError,
    },
    /// A port that is none.
    #[error("database {database}: the port is not a number from 1 to 65535")]
    Port {
        /// The database.
        database: String,
    },
    /// A file could not be read.
    #[error("database {database}: a secret's file cannot be read")]
    File {
        /// The database.
        database: String,
        /// The cause, which names the file.
        #[source]
        source: std::io::Error,
    },
}

/// Looks the parts up and puts them together.
pub fn resolve(
    name: &str,
    database: &Database,
    environment: &impl Environment,
    secrets: &Path,
) -> Result<Credentials, CredentialsError> {
    let lookup = Lookup { name, database, environment, secrets };
    let url = match lookup.part("URL")? {
        Some(url) => Some(url),
        None => lookup.part("JDBC")?,
    };
    let (mut target, mut warnings): (Target, Vec<String>) = match url {
        Some(url) => {
            let (target, warnings) = Target::parse(&url)
                .map_err(|source| CredentialsError::Url { database: name.to_owned(), source })?;
            (target, warnings.iter().map(ToString::to_string).collect())
        }
        None => (lookup.made_of_parts()?, Vec::new()),
    };
    if let Some(user) = lookup.part("USER")? {
        target = target.with_user(user.expose_secret());
    }
    if let Some(password) = lookup.part("PASSWORD")? {
        target = target.with_password(password);
    }
    let (target, warning) = crate::libpq::complete(target, environment);
    warnings.extend(warning);
    Ok(Credentials { target, warnings })
}

struct Lookup<'a, E> {
    name: &'a str,
    database: &'a Database,
    environment: &'a E,
    secrets: &'a Path,
}

impl<E: Environment> Lookup<'_, E> {
    fn made_of_parts(&self) -> Result<Target, CredentialsError> {
        let Some(host) = self.part("HOST")? else {
            return Err(CredentialsError::Missing {
                database: self.name.to_owned(),
                variable: self.variable("URL"),
                file: self.file("URL"),
            });
        };
        let port = match self.part("PORT")? {
            None => None,
            Some(port) => Some(
                port.expose_secret()
                    .parse::<u16>()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| CredentialsError::Port { database: self.name.to_owned() })?,
            ),
        };
        let Some(name) = self.part("NAME")? else {
            return Err(CredentialsError::Part {
                database: self.name.to_owned(),
                part: "the database's name",
            });
        };
        Ok(Target::from_parts(host.expose_secret(), port, Some(name.expose_secret())))
    }

    fn variable(&self, part: &str) -> String {
        format!("{}_{part}", environment_prefix(self.name))
    }

    fn file(&self, part: &str) -> PathBuf {
        let named =
            self.database.keys.named().find(|(named, _)| *named == part).map(|(_, key)| key.to_owned());
        self.secrets.join(&self.database.secret).join(named.unwrap_or_else(|| self.variable(part)))
    }

    fn part(&self, part: &str) -> Result<Option<SecretString>, CredentialsError> {
        let variable = self.variable(part);
        if let Some(value) = self.environment.get(&variable) {
            return self.checked(&variable, SecretString::from(value)).map(Some);
        }
        let named_file = self.environment.get(&format!("{variable}_FILE")).map(PathBuf::from);
        let must_exist = named_file.is_some();
        let path = match named_file {
            Some(path) => path,
            // Without a secret's name the folder itself would be asked.
            None if self.database.secret.is_empty() => return Ok(None),
            None => self.file(part),
        };
        match fs_err::read_to_string(&path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.trim_end_matches('\r'));
                self.checked(&path.display().to_string(), SecretString::from(text)).map(Some)
            }
            Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CredentialsError::File { database: self.name.to_owned(), source }),
        }
    }

    fn checked(&self, part: &str, value: SecretString) -> Result<SecretString, CredentialsError> {
        if value.expose_secret().is_empty() {
            return Err(CredentialsError::Empty { database: self.name.to_owned(), part: part.to_owned() });
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn database(keys: &str) -> Database {
        let file: whimbrel_cli::project::ProjectFile =
            toml::from_str(&format!("[databases.shop]\nlocations = []\nsecret = 's'\nkeys = {keys}"))
                .unwrap();
        file.databases["shop"].clone()
    }

    #[test]
    fn the_environment_wins_part_by_part() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("s")).unwrap();
        fs_err::write(folder.path().join("s/URL"), "postgres://u:p@h/db").unwrap();
        fs_err::write(folder.path().join("s/PW"), "from-file").unwrap();
        let database = database("{ url = 'URL', password = 'PW' }");
        let found = resolve("shop", &database, &environment(&[]), folder.path()).unwrap().target;
        assert_eq!(found.to_string(), "h:5432/db");
        assert_eq!(found.password.unwrap().expose_secret(), "from-file");
        let environment = environment(&[("SHOP_DATABASE_PASSWORD", "from-env")]);
        let found = resolve("shop", &database, &environment, folder.path()).unwrap().target;
        assert_eq!(found.password.unwrap().expose_secret(), "from-env");
    }

    #[test]
    fn parts_make_a_target() {
        let environment = environment(&[
            ("SHOP_DATABASE_HOST", "db"),
            ("SHOP_DATABASE_PORT", "6000"),
            ("SHOP_DATABASE_NAME", "shop"),
            ("SHOP_DATABASE_USER", "app"),
        ]);
        let found = resolve("shop", &database("{}"), &environment, Path::new("/none")).unwrap().target;
        assert_eq!((found.to_string().as_str(), found.user.as_deref()), ("db:6000/shop", Some("app")));
    }

    #[test]
    fn nothing_at_all_names_where_it_was_looked_for() {
        let error =
            resolve("shop", &database("{ url = 'URL' }"), &environment(&[]), Path::new("/none")).unwrap_err();
        let CredentialsError::Missing { variable, file, .. } = error else { panic!("{error}") };
        assert_eq!((variable.as_str(), file.as_path()), ("SHOP_DATABASE_URL", Path::new("/none/s/URL")));
    }

    #[test]
    fn no_error_tells_a_value() {
        for (name, value) in [("URL", "nope://u:canary@h/d"), ("PORT", "canary"), ("URL_FILE", "/none")] {
            let variables =
                environment(&[(&format!("SHOP_DATABASE_{name}"), value), ("SHOP_DATABASE_HOST", "h")]);
            let error = resolve("shop", &database("{}"), &variables, Path::new("/none")).unwrap_err();
            assert!(!format!("{error:?} {error}").contains("canary"));
        }
    }
}
