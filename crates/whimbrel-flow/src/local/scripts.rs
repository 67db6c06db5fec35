//! The scripts of one database as the take-back compares them with the history.

use std::collections::BTreeMap;

use whimbrel_migration::checksum;
use whimbrel_migration::name::{NamingRules, ScriptKind};
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::script::ResolvedScript;
use whimbrel_migration::version::Version;

/// Flyway's own placeholders: their values depend on the run, and with them the checksum of a repeatable.
const BUILT_IN: &str = "${flyway:";

/// A script that is not text.
#[derive(Debug, thiserror::Error)]
#[error("{script} is not UTF-8")]
pub struct ScriptsError {
    /// The script.
    pub script: String,
    /// Where it is not.
    #[source]
    pub source: checksum::EncodingError,
}

/// One script.
#[derive(Clone, Debug)]
pub struct LocalScript {
    resolved: ResolvedScript,
    /// Whether its checksum is different in every run.
    volatile: bool,
}

impl LocalScript {
    /// The path below its location.
    pub fn path(&self) -> &str {
        &self.resolved.script
    }

    /// What it is for.
    pub fn kind(&self) -> ScriptKind {
        self.resolved.name.kind
    }

    /// Whether it runs again when it changes.
    pub fn is_repeatable(&self) -> bool {
        self.kind() == ScriptKind::Repeatable
    }

    /// The version, if it has one.
    pub fn version(&self) -> Option<&Version> {
        self.resolved.version()
    }

    /// The checksum that the history gets.
    pub fn checksum(&self) -> i32 {
        self.resolved.checksum()
    }

    /// Whether an applied script with this checksum is this one, unchanged as far as anybody can tell.
    pub fn stands_behind(&self, applied: Option<i32>) -> bool {
        self.volatile || self.resolved.checksum_matches(applied)
    }
}

/// Reads names and checksums; files that are no scripts are left out.
pub fn resolve_scripts<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    placeholders: &BTreeMap<String, String>,
) -> Result<Vec<LocalScript>, ScriptsError> {
    let rules = NamingRules::default();
    let mut values = Placeholders::default();
    placeholders.iter().for_each(|(name, value)| values.set(name, value.clone()));
    let mut scripts = Vec::new();
    for (path, bytes) in files {
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let Ok(name) = rules.parse(file_name) else { continue };
        let failed = |source| ScriptsError { script: path.to_owned(), source };
        let mut resolved = ResolvedScript::new(name, path, checksum::of_bytes(bytes).map_err(failed)?);
        let text = String::from_utf8_lossy(bytes);
        let volatile = resolved.name.kind == ScriptKind::Repeatable && text.contains(BUILT_IN);
        // A placeholder without a value is the runner's to complain about.
        if let Ok(replaced) = values.replace(&text) {
            let checksum = checksum::of_bytes(replaced.as_bytes()).map_err(failed)?;
            resolved = resolved.with_replaced_checksum(checksum);
        }
        scripts.push(LocalScript { resolved, volatile });
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(path: &str, text: &str, placeholders: &[(&str, &str)]) -> LocalScript {
        let placeholders =
            placeholders.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        resolve_scripts([(path, text.as_bytes())], &placeholders).unwrap().remove(0)
    }

    #[test]
    fn a_repeatables_checksum_follows_its_placeholders() {
        let off = script("R__seed.sql", "-- ${seed}", &[("seed", "false")]);
        let on = script("R__seed.sql", "-- ${seed}", &[("seed", "true")]);
        assert_ne!(off.checksum(), on.checksum());
        assert!(off.stands_behind(Some(off.checksum())) && !off.stands_behind(Some(on.checksum())));
    }

    #[test]
    fn a_repeatable_that_is_different_in_every_run_is_never_a_change() {
        assert!(script("R__stamp.sql", "-- ${flyway:timestamp}", &[]).stands_behind(Some(4711)));
        assert!(!script("V1__stamp.sql", "-- ${flyway:timestamp}", &[]).stands_behind(Some(4711)));
    }

    #[test]
    fn other_files_are_left_out() {
        let none = resolve_scripts([("README.md", &b"x"[..]), ("V__x.sql", b"x")], &BTreeMap::new()).unwrap();
        assert!(none.is_empty());
    }
}
