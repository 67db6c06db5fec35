//! Secrets in files: a folder with a folder per secret and a file per key, or one dotenv file; and
//! the seed that local values are made from.

mod dotenv;
mod folder;
mod seed;
mod write;

pub use dotenv::{DotenvError, observe_dotenv, parse_dotenv};
pub use folder::observe_folder;
pub use seed::{SeedError, find_seed, load_or_create_seed};
pub use write::{Existing, WriteError, WrittenKey, write_folder, write_new_file};

/// What stood in the way, as far as a contract tells it apart.
fn unknown(error: &std::io::Error) -> whimbrel_contract::Observation {
    let reason = match error.kind() {
        std::io::ErrorKind::PermissionDenied => whimbrel_contract::UnknownReason::NoRight,
        _ => whimbrel_contract::UnknownReason::Refused,
    };
    whimbrel_contract::Observation::Unknown { reason, message: error.to_string() }
}
