//! Secrets of a project: which contract it makes, where they are looked for, and local values.
//!
//! Nothing above this module asks on which side of the seam a secret is: a [`Source`] is chosen
//! once, and [`verify`] answers with the same report for a cluster, a folder and a dotenv file.

mod contracts;
mod error;
mod generate;
mod source;
mod verify;

pub use contracts::{ContractsError, all_contracts, contracts};
pub use error::SecretsError;
pub use generate::{LocalSecret, apply_missing, local_secrets, render_manifests};
pub use source::{Source, SourceChoice};
pub use verify::{Patience, Waiting, observe, verify, verify_until};

/// The folder below the state of a checkout where local secrets are.
pub const LOCAL_FOLDER: &str = "secrets";
/// The file below the state of a checkout that holds its seed.
pub const SEED_FILE: &str = "seed";
