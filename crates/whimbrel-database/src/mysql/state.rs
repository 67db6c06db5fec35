//! The settings that a session has before a script has its hands on it.

use crate::target::Target;

/// The statement that gives a session the server's own mode, which the driver changes when it logs in (it asks for
/// `IGNORE_SPACE`), and the settings of its URL.
pub(super) fn settings(target: &Target) -> String {
    let of_url = target.settings.iter().map(|(name, value)| format!(", {name} = {value}"));
    format!("SET sql_mode = DEFAULT{}", of_url.collect::<String>())
}
