//! What secrets a database needs, compared with what was observed.
//!
//! A [`DatabaseContract`] names a secret and the keys that it must hold. A source (Kubernetes, a
//! folder, a dotenv file, the environment) answers with [`Observations`]; [`check`] compares the
//! two and answers with a [`Report`]; [`resolve`] turns the values of one secret into
//! [`Credentials`]; [`generate`] makes values that keep the contract.
//!
//! This crate reads nothing and waits for nothing: values, seeds and names come as arguments. No
//! type here can print a value: neither `Debug`, `Display` nor JSON tells a value, its length or
//! a part of it.
//!
//! ```
//! use whimbrel_contract::{DatabaseContract, Keys, Place, Values, resolve};
//!
//! let contract = DatabaseContract::try_new("platform", "platform-db", Keys::environment("platform"))?;
//! let values = Values::from_iter([("PLATFORM_DATABASE_URL", "postgres://app:s3cret@db:5432/platform")]);
//! let credentials = resolve(&contract, &values, &Place::Environment)?;
//! assert_eq!(credentials.host(), "db");
//! assert!(!format!("{credentials:?} {values:?}").contains("s3cret"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod check;
mod connection;
mod contract;
mod finding;
pub mod generate;
mod observation;
mod report;
mod text;

pub use check::{Unusable, check, resolve};
pub use connection::{ConnectionUrl, Credentials, DEFAULT_PORT, Parameters, UrlProblem, parse_url};
pub use contract::{ContractError, DatabaseContract, KeyRole, Keys, environment_prefix};
pub use finding::{CauseNote, Finding, Severity, Slug};
pub use observation::{
    Cause, Observation, Observations, Place, SecretValue, StoreState, Unknown, UnknownReason, Values,
};
pub use report::{Conclusion, DatabaseReport, DatabaseStatus, Report};
