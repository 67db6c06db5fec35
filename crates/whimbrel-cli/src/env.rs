//! The environment variables of our own, each named in one place, and a seam to read them from a map in tests.

use std::collections::BTreeMap;

/// `--format`.
pub const FORMAT: &str = "WHIMBREL_FORMAT";
/// `--config`.
pub const CONFIG: &str = "WHIMBREL_CONFIG";
/// Which databases are on, separated by commas; unset means all that the project enables.
pub const DATABASES: &str = "WHIMBREL_DATABASES";
/// Prefix of placeholders; the rest of the name, in lower case, names the placeholder.
pub const PLACEHOLDER_PREFIX: &str = "WHIMBREL_PLACEHOLDER_";
/// The id that a run takes instead of making one.
pub const RUN_ID: &str = "WHIMBREL_RUN_ID";
/// The digest of the image that the program runs from.
pub const IMAGE_DIGEST: &str = "WHIMBREL_IMAGE_DIGEST";
/// Where the run record is left for Kubernetes.
pub const TERMINATION_LOG: &str = "WHIMBREL_TERMINATION_LOG";
/// A filter for tracing, in the syntax of `RUST_LOG`.
pub const LOG: &str = "WHIMBREL_LOG";

/// `--jobs` of the runner.
pub const JOBS: &str = "WHIMBREL_JOBS";
/// `--keep-going` of the runner.
pub const KEEP_GOING: &str = "WHIMBREL_KEEP_GOING";
/// `--wait` of the runner.
pub const WAIT: &str = "WHIMBREL_WAIT";
/// `--lock-wait` of the runner.
pub const LOCK_WAIT: &str = "WHIMBREL_LOCK_WAIT";
/// `--deadline` of the runner.
pub const DEADLINE: &str = "WHIMBREL_DEADLINE";
/// `--grace` of the runner.
pub const GRACE: &str = "WHIMBREL_GRACE";
/// `--lock-timeout` of the runner.
pub const LOCK_TIMEOUT: &str = "WHIMBREL_LOCK_TIMEOUT";
/// `--statement-timeout` of the runner.
pub const STATEMENT_TIMEOUT: &str = "WHIMBREL_STATEMENT_TIMEOUT";
/// `--lock-retries` of the runner.
pub const LOCK_RETRIES: &str = "WHIMBREL_LOCK_RETRIES";
/// `--target` of the runner.
pub const TARGET: &str = "WHIMBREL_TARGET";
/// `--out-of-order` of the runner.
pub const OUT_OF_ORDER: &str = "WHIMBREL_OUT_OF_ORDER";
/// `--max-risk` of the runner.
pub const MAX_RISK: &str = "WHIMBREL_MAX_RISK";
/// `--baseline-on-migrate` of the runner.
pub const BASELINE_ON_MIGRATE: &str = "WHIMBREL_BASELINE_ON_MIGRATE";
/// `--secrets` of the runner.
pub const SECRETS: &str = "WHIMBREL_SECRETS";

/// Where variables come from.
pub trait Environment {
    /// The value of this variable, if it is set and is text.
    fn get(&self, name: &str) -> Option<String>;
    /// All variables that are text, in the order of their names.
    fn all(&self) -> BTreeMap<String, String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn all(&self) -> BTreeMap<String, String> {
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        Self::get(self, name).cloned()
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.clone()
    }
}

/// The placeholders that the environment sets.
pub fn placeholders(environment: &impl Environment) -> BTreeMap<String, String> {
    let named = environment.all().into_iter();
    named
        .filter_map(|(name, value)| {
            let placeholder = name.strip_prefix(PLACEHOLDER_PREFIX)?;
            (!placeholder.is_empty()).then(|| (placeholder.to_ascii_lowercase(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::placeholders;

    #[test]
    fn placeholders_are_named_in_lower_case() {
        let map =
            [("WHIMBREL_PLACEHOLDER_SEED_DEMO_DATA", "true"), ("WHIMBREL_PLACEHOLDER_", "x"), ("PATH", "/")];
        let map: BTreeMap<String, String> =
            map.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let expected = BTreeMap::from([("seed_demo_data".to_owned(), "true".to_owned())]);
        assert_eq!(placeholders(&map), expected);
    }
}
