//! The contract of a project.

use whimbrel_cli::project::{Database, Project};
use whimbrel_contract::{ContractError, DatabaseContract, Keys};

/// The project's settings make no contract.
#[derive(Debug, thiserror::Error)]
pub enum ContractsError {
    /// A database was asked for that the project does not have.
    #[error("the project has no database `{database}`; it has {}", .known.join(", "))]
    NoSuchDatabase {
        /// What was asked for.
        database: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The project has no enabled database.
    #[error("the project has no enabled database")]
    NoDatabase,
    /// No secret could keep what the settings ask for.
    #[error("the settings of a secret cannot be as they are")]
    Contract(#[from] ContractError),
}

/// The contracts of these databases, enabled or not; of all enabled ones when none is named.
///
/// # Errors
/// When a database does not exist, or no secret could keep what the settings ask for.
pub fn contracts(project: &Project, only: &[String]) -> Result<Vec<DatabaseContract>, ContractsError> {
    let databases = &project.file.databases;
    if let Some(database) = only.iter().find(|name| !databases.contains_key(*name)) {
        let known = databases.keys().cloned().collect();
        return Err(ContractsError::NoSuchDatabase { database: database.clone(), known });
    }
    let wanted = |name: &str, database: &Database| match only {
        [] => database.enabled,
        only => only.iter().any(|wanted| wanted == name),
    };
    let contracts: Vec<_> = databases
        .iter()
        .filter(|(name, database)| wanted(name, database))
        .map(|(name, database)| contract(name, database))
        .collect::<Result<_, _>>()?;
    if contracts.is_empty() { Err(ContractsError::NoDatabase) } else { Ok(contracts) }
}

/// The contracts of all enabled databases.
///
/// # Errors
/// See [`contracts`].
pub fn all_contracts(project: &Project) -> Result<Vec<DatabaseContract>, ContractsError> {
    contracts(project, &[])
}

/// A secret or keys that the project does not name follow from the database's name.
fn contract(name: &str, database: &Database) -> Result<DatabaseContract, ContractError> {
    let secret = match database.secret.as_str() {
        "" => format!("{}-db", name.replace('_', "-")),
        secret => secret.to_owned(),
    };
    if database.keys.is_empty() {
        return DatabaseContract::try_new(name, secret, Keys::conventional(name));
    }
    let keys = database.keys.clone();
    let keys = Keys {
        url: keys.url,
        jdbc: keys.jdbc,
        host: keys.host,
        port: keys.port,
        name: keys.name,
        user: keys.user,
        password: keys.password,
    };
    DatabaseContract::try_new(name, secret, keys)
}
