//! The secrets of a local run: made for the server that is ours, or taken from where the user says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use whimbrel_cli::project::Project;
use whimbrel_contract::generate::{local_name, password};
use whimbrel_contract::{
    Credentials, DatabaseContract, Observation, Observations, Values, environment_prefix, resolve,
};
use whimbrel_files::secrets::{Existing, load_or_create_seed, write_folder};
use whimbrel_postgres::Server;

use super::admin::LocalDatabase;
use crate::secrets::{LOCAL_FOLDER, SEED_FILE, SecretsError, local_secrets};

/// Writes the secrets of the server that is ours and says which databases they stand for.
pub(super) fn write_local_secrets(
    project: &Project,
    contracts: &[DatabaseContract],
    server: &Server,
) -> Result<Vec<LocalDatabase>, SecretsError> {
    let seed = load_or_create_seed(&project.state_path(SEED_FILE))?;
    let folder = secrets_folder(project);
    for secret in local_secrets(&seed, contracts, "127.0.0.1", server.port)? {
        write_folder(&folder, &secret.name, &secret.values, Existing::Replace)?;
    }
    let database = |contract: &DatabaseContract| LocalDatabase {
        database: contract.database().to_owned(),
        name: local_name(contract.database()),
        role: local_name(contract.database()),
        password: password(&seed, contract.database()),
        schema: project.file.databases.get(contract.database()).and_then(|entry| entry.schema.clone()),
    };
    Ok(contracts.iter().map(database).collect())
}

/// Where `up` keeps the secrets of its own server.
pub(super) fn secrets_folder(project: &Project) -> PathBuf {
    project.state_path(LOCAL_FOLDER)
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
    fn the_runner_gets_what_the_folder_holds() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("shop-db")).unwrap();
        let file = folder.path().join("shop-db/SHOP_DATABASE_URL");
        fs_err::write(file, "postgres://app:p%40ss@db:6000/shop").unwrap();
        let keys = whimbrel_contract::Keys { url: Some("SHOP_DATABASE_URL".into()), ..Default::default() };
        let contracts = [DatabaseContract::try_new("shop", "shop-db", keys).unwrap()];
        let observed = whimbrel_files::secrets::observe_folder(folder.path(), &contracts);
        let variables = runner_variables(&contracts, &observed);
        assert_eq!(variables["SHOP_DATABASE_USER"], "app");
        assert_eq!(variables["SHOP_DATABASE_PASSWORD"], "p@ss");
    }
}
