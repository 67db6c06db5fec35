//! The secrets of a local run: made for the server that is ours, or taken from where the user says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use whimbrel_cli::project::Project;
use whimbrel_contract::generate::{local_credentials, password, values};
use whimbrel_contract::{
    ContractError, Credentials, DatabaseContract, Observation, Observations, Report, Values, check,
    environment_prefix, resolve,
};
use whimbrel_files::secrets::{
    Existing, SeedError, WriteError, load_or_create_seed, observe_dotenv, observe_folder, write_folder,
};
use whimbrel_postgres::Server;

use super::admin::LocalDatabase;

/// Where the secrets of somebody else's server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A folder with a folder per secret and a file per key.
    Folder(PathBuf),
    /// A file of `KEY=value` lines.
    Dotenv(PathBuf),
}

impl FromStr for SecretSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            Some(("dotenv", path)) if !path.is_empty() => Ok(Self::Dotenv(path.into())),
            _ => Err("write it as folder:PATH or dotenv:PATH".to_owned()),
        }
    }
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
            Self::Dotenv(path) => write!(f, "dotenv:{}", path.display()),
        }
    }
}

/// Local secrets could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LocalSecretsError {
    /// The project asks for something that no secret can hold.
    #[error("the project's secrets cannot be as they are described")]
    Contract(#[from] ContractError),
    /// No seed.
    #[error("the checkout has no seed")]
    Seed(#[from] SeedError),
    /// A value could not be written.
    #[error("a secret could not be written")]
    Write(#[from] WriteError),
}

/// The contracts of these databases.
pub(super) fn contracts(
    project: &Project,
    databases: &[String],
) -> Result<Vec<DatabaseContract>, ContractError> {
    let wanted = project.enabled().filter(|(name, _)| databases.iter().any(|wanted| wanted == name));
    wanted
        .map(|(name, database)| {
            let keys = database.keys.clone();
            let keys = whimbrel_contract::Keys {
                url: keys.url,
                jdbc: keys.jdbc,
                host: keys.host,
                port: keys.port,
                name: keys.name,
                user: keys.user,
                password: keys.password,
            };
            let keys =
                if database.keys.is_empty() { whimbrel_contract::Keys::conventional(name) } else { keys };
            let secret = match database.secret.as_str() {
                "" => format!("{}-db", name.replace('_', "-")),
                secret => secret.to_owned(),
            };
            DatabaseContract::try_new(name, secret, keys)
        })
        .collect()
}

/// Writes the secrets of the server that is ours and says which databases they stand for.
pub(super) fn write_local_secrets(
    project: &Project,
    contracts: &[DatabaseContract],
    server: &Server,
) -> Result<Vec<LocalDatabase>, LocalSecretsError> {
    let seed = load_or_create_seed(&project.state_path("seed"))?;
    let folder = secrets_folder(project);
    contracts
        .iter()
        .map(|contract| {
            let credentials = local_credentials(&seed, contract.database(), "127.0.0.1", server.port);
            write_folder(&folder, contract.secret(), &values(contract, &credentials), Existing::Replace)?;
            Ok(LocalDatabase {
                database: contract.database().to_owned(),
                name: credentials.name().to_owned(),
                role: credentials.user().to_owned(),
                password: password(&seed, contract.database()),
                schema: project
                    .file
                    .databases
                    .get(contract.database())
                    .and_then(|entry| entry.schema.clone()),
            })
        })
        .collect()
}

/// Where `up` keeps the secrets of its own server.
pub(super) fn secrets_folder(project: &Project) -> PathBuf {
    project.state_path("secrets")
}

/// Looks at the secrets and checks them.
pub(super) fn verify(source: &SecretSource, contracts: &[DatabaseContract]) -> (Observations, Report) {
    let observations = match source {
        SecretSource::Folder(folder) => observe_folder(folder, contracts),
        SecretSource::Dotenv(file) => observe_dotenv(file, contracts),
    };
    let report = check(contracts, &observations);
    (observations, report)
}

/// The variables that give the runner its credentials; nothing of them is in its arguments.
pub(super) fn runner_variables(
    contracts: &[DatabaseContract],
    observed: &Observations,
) -> BTreeMap<String, OsString> {
    let credentials = contracts.iter().filter_map(|contract| {
        let values = values_of(observed, contract)?;
        Some((contract, resolve(contract, values, &observed.place).ok()?))
    });
    credentials.flat_map(|(contract, credentials)| variables_of(contract.database(), &credentials)).collect()
}

fn values_of<'a>(observed: &'a Observations, contract: &DatabaseContract) -> Option<&'a Values> {
    match observed.secrets.get(contract.secret())? {
        Observation::Present { values, .. } => Some(values),
        _ => None,
    }
}

fn variables_of(database: &str, credentials: &Credentials) -> Vec<(String, OsString)> {
    let prefix = environment_prefix(database);
    let mut variables = vec![
        (format!("{prefix}_URL"), OsString::from(credentials.url().expose_secret())),
        (format!("{prefix}_USER"), OsString::from(credentials.user())),
    ];
    let password = credentials.password().map(|password| OsString::from(password.expose_secret()));
    variables.extend(password.map(|password| (format!("{prefix}_PASSWORD"), password)));
    variables
}

/// Writes the password file that makes the printed `psql` lines work.
pub(super) fn write_password_file(
    path: &Path,
    server: &Server,
    databases: &[LocalDatabase],
) -> std::io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt;
    use std::io::Write;
    let lines: Vec<SecretString> = databases
        .iter()
        .map(|database| server.pgpass_line(&database.name, &database.role, &database.password))
        .collect();
    let unfinished = path.with_extension("unfinished");
    let mut file =
        fs_err::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    for line in lines {
        file.write_all(line.expose_secret().as_bytes())?;
    }
    fs_err::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_written_with_their_kind() {
        assert_eq!("folder:a".parse(), Ok(SecretSource::Folder("a".into())));
        assert_eq!("dotenv:.env".parse(), Ok(SecretSource::Dotenv(".env".into())));
        assert!("folder:".parse::<SecretSource>().is_err());
        assert!("a".parse::<SecretSource>().is_err());
    }

    #[test]
    fn the_runner_gets_what_the_folder_holds() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("shop-db")).unwrap();
        let file = folder.path().join("shop-db/SHOP_DATABASE_URL");
        fs_err::write(file, "postgres://app:p%40ss@db:6000/shop").unwrap();
        let keys = whimbrel_contract::Keys { url: Some("SHOP_DATABASE_URL".into()), ..Default::default() };
        let contracts = [DatabaseContract::try_new("shop", "shop-db", keys).unwrap()];
        let (observed, report) = verify(&SecretSource::Folder(folder.path().to_owned()), &contracts);
        assert!(report.findings.is_empty());
        let variables = runner_variables(&contracts, &observed);
        assert_eq!(variables["SHOP_DATABASE_USER"], "app");
        assert_eq!(variables["SHOP_DATABASE_PASSWORD"], "p@ss");
    }
}
