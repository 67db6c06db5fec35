//! The URLs of SQLite: a file and some pragmas.

use super::url::decode;
use super::{Target, TargetError};

/// A database that lives as long as its connection.
pub(crate) const MEMORY: &str = ":memory:";

/// Pragmas that sqlite-jdbc takes from a URL and that a session can be given.
const PRAGMAS: [&str; 17] = [
    "auto_vacuum",
    "busy_timeout",
    "cache_size",
    "case_sensitive_like",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "mmap_size",
    "page_size",
    "recursive_triggers",
    "secure_delete",
    "synchronous",
    "temp_store",
    "legacy_alter_table",
];

/// `path`, `//path`, `file:path`, `:memory:`, or nothing, which is a database in memory too.
pub(super) fn parse_location(target: &mut Target, location: &str, jdbc: bool) -> Result<(), TargetError> {
    target.endpoints.clear();
    let path = location.strip_prefix("//").filter(|_| !jdbc).unwrap_or(location);
    let uri = path.strip_prefix("file:");
    // The driver of Java takes the path as it is written; a URI is encoded.
    let path = match uri {
        Some(uri) => decode(uri.strip_prefix("//").unwrap_or(uri))?,
        None if jdbc => path.to_owned(),
        None => decode(path)?,
    };
    target.database = Some(if path.is_empty() { MEMORY.to_owned() } else { path });
    Ok(())
}

/// Whether the parameter means something here.
pub(super) fn apply_parameter(target: &mut Target, name: &str, value: &str) -> Result<bool, TargetError> {
    let wrong = || TargetError::Parameter { parameter: name.to_owned() };
    match name {
        "mode" => match value {
            "ro" => target.read_only = true,
            "rw" | "rwc" => {}
            "memory" => target.database = Some(MEMORY.to_owned()),
            _ => return Err(wrong()),
        },
        "open_mode"
        | "cache"
        | "date_class"
        | "date_precision"
        | "date_string_format"
        | "transaction_mode"
        | "jdbc.explicit_readonly" => {}
        name if PRAGMAS.contains(&name) => {
            // The value becomes part of a statement.
            if value.is_empty() || !value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            {
                return Err(wrong());
            }
            target.settings.push((name.to_owned(), value.to_owned()));
        }
        _ => return Ok(false),
    }
    Ok(true)
}
