//! Script names: what a file is called says what it is.
//!
//! | name | kind |
//! |---|---|
//! | `V1_2__add_birds.sql` | versioned, version `1.2`, description `add birds` |
//! | `R__views.sql` | repeatable |
//! | `B7__all.sql` | baseline: stands for everything up to 7 on an empty database |
//! | `U1_2__…` | undo, only where an undo prefix is set |
//! | `beforeMigrate__x.sql` | callback |
//!
//! Prefixes match their letter case, the longest first, of two alike that of baselines, then of versioned scripts;
//! suffixes match any letter case; the first separator divides version and description.
//!
//! ```
//! use whimbrel_migration::name::{NamingRules, ScriptKind};
//!
//! let rules = NamingRules::default();
//! let name = rules.parse("V1_2__add_birds.sql")?;
//! assert_eq!(name.kind, ScriptKind::Versioned);
//! assert_eq!(name.version.expect("it has one").as_str(), "1.2");
//! assert_eq!(name.description, "add birds");
//! assert!(rules.parse("v1__add_birds.sql").is_err(), "prefixes are compared letter by letter");
//!
//! let rules = NamingRules { undo_prefix: Some("U".to_owned()), ..rules };
//! assert_eq!(rules.parse("U1_2__add_birds.sql")?.kind, ScriptKind::Undo);
//! # Ok::<(), whimbrel_migration::name::NameError>(())
//! ```

mod event;
mod odd;

pub use event::Event;
pub use odd::{no_extension, not_seen};

use crate::version::{Version, VersionError};

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptKind {
    /// Runs once, in the order of versions.
    Versioned,
    /// Runs again whenever it changes, after all versioned ones.
    Repeatable,
    /// Stands for all versioned scripts up to its version on a database without history.
    Baseline,
    /// Takes a versioned script back.
    Undo,
    /// Runs when something happens.
    Callback(Event),
}

/// A file name that follows the rules, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptName {
    /// What it is for.
    pub kind: ScriptKind,
    /// The version; none for repeatables and callbacks.
    pub version: Option<Version>,
    /// The description with `_` as blanks, not shortened.
    pub description: String,
    /// The prefix as written.
    pub prefix: String,
    /// The suffix as written, or nothing.
    pub suffix: String,
}

/// Prefixes, separator and suffixes; the default is Flyway's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamingRules {
    /// `V`.
    pub versioned_prefix: String,
    /// `R`.
    pub repeatable_prefix: String,
    /// `B`.
    pub baseline_prefix: String,
    /// None: Flyway's open-source edition does not know undo scripts, their names are unrecognised there.
    pub undo_prefix: Option<String>,
    /// `__`.
    pub separator: String,
    /// `.sql`.
    pub suffixes: Vec<String>,
}

impl Default for NamingRules {
    fn default() -> Self {
        Self {
            versioned_prefix: "V".into(),
            repeatable_prefix: "R".into(),
            baseline_prefix: "B".into(),
            undo_prefix: None,
            separator: "__".into(),
            suffixes: vec![".sql".into()],
        }
    }
}

/// Why a name does not follow the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No prefix fits.
    #[error("Unrecognised migration name format: {name}")]
    Unrecognised {
        /// The file name.
        name: String,
    },
    /// A versioned prefix and no version.
    #[error(
        "Invalid versioned migration name format: {name} (It must contain a version and should look like this: {example})"
    )]
    VersionMissing {
        /// The file name.
        name: String,
        /// How it could look.
        example: String,
    },
    /// A versioned prefix and something that is not a version.
    #[error("Invalid versioned migration name format: {name} (could not recognise version number {version})")]
    VersionMalformed {
        /// The file name.
        name: String,
        /// What stands where the version should be.
        version: String,
        /// Why it is none.
        source: VersionError,
    },
    /// A repeatable or callback with something between prefix and separator.
    #[error(
        "Invalid repeatable migration / callback name format: {name} (It cannot contain a version and \
         should look like this: {example})"
    )]
    VersionUnexpected {
        /// The file name.
        name: String,
        /// How it could look.
        example: String,
    },
}

impl NamingRules {
    /// Takes a file name (without folders) apart.
    ///
    /// # Errors
    /// [`NameError`]: the name does not follow the rules; its words are Flyway's.
    pub fn parse(&self, name: &str) -> Result<ScriptName, NameError> {
        let (stem, suffix) = self.split_suffix(name);
        let Some((prefix, kind)) = self.match_prefix(stem) else {
            return Err(NameError::Unrecognised { name: name.to_owned() });
        };
        let rest = &stem[prefix.len()..];
        let (version, description) = match rest.split_once(self.separator.as_str()) {
            Some(parts) if !self.separator.is_empty() => parts,
            _ => (rest, ""),
        };
        let version = match kind {
            ScriptKind::Repeatable | ScriptKind::Callback(_) => {
                self.no_version(name, prefix, version, description, suffix)?;
                None
            }
            ScriptKind::Versioned | ScriptKind::Baseline | ScriptKind::Undo => {
                Some(self.version(name, prefix, version, description, suffix)?)
            }
        };
        Ok(ScriptName {
            kind,
            version,
            description: description.replace('_', " "),
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        })
    }

    /// Whether a file of this name is looked at at all: it ends with a suffix and there is more to it.
    pub fn is_candidate(&self, name: &str) -> bool {
        let (stem, suffix) = self.split_suffix(name);
        !suffix.is_empty() && !stem.is_empty()
    }

    /// Whether it is named like a script (not like a callback) but without a suffix, as `V1__a`: Flyway would run it with
    /// the shell.
    pub fn looks_like_shell_script(&self, name: &str) -> bool {
        !name.contains('.')
            && name.contains(&self.separator)
            && self.parse(name).is_ok_and(|name| !matches!(name.kind, ScriptKind::Callback(_)))
    }

    /// Whether Flyway would see this well-formed name: a script's has to be longer than its prefix and suffix
    /// (`R.sql` is not), a callback's need not be.
    pub fn is_seen(&self, name: &ScriptName, file_name: &str) -> bool {
        matches!(name.kind, ScriptKind::Callback(_))
            || file_name.len() > name.prefix.len() + name.suffix.len()
    }

    fn split_suffix<'name>(&self, name: &'name str) -> (&'name str, &'name str) {
        for suffix in &self.suffixes {
            let Some(start) = name.len().checked_sub(suffix.len()) else { continue };
            if !name.is_char_boundary(start) {
                continue;
            }
            let (stem, end) = name.split_at(start);
            if end.eq_ignore_ascii_case(suffix) {
                return (stem, end);
            }
        }
        (name, "")
    }

    fn match_prefix<'name>(&self, stem: &'name str) -> Option<(&'name str, ScriptKind)> {
        let own = [
            (Some(self.baseline_prefix.as_str()), ScriptKind::Baseline),
            (Some(self.versioned_prefix.as_str()), ScriptKind::Versioned),
            (Some(self.repeatable_prefix.as_str()), ScriptKind::Repeatable),
            (self.undo_prefix.as_deref(), ScriptKind::Undo),
        ];
        let own = own.into_iter().filter_map(|(prefix, kind)| Some((prefix?, kind)));
        let events = Event::ALL.iter().map(|event| (event.as_str(), ScriptKind::Callback(*event)));
        // The first of the longest wins, as the order above says.
        let mut best: Option<(&str, ScriptKind)> = None;
        for (prefix, kind) in own.chain(events) {
            if stem.starts_with(prefix) && best.is_none_or(|(other, _)| prefix.len() > other.len()) {
                best = Some((&stem[..prefix.len()], kind));
            }
        }
        best
    }

    fn version(
        &self,
        name: &str,
        prefix: &str,
        version: &str,
        description: &str,
        suffix: &str,
    ) -> Result<Version, NameError> {
        if version.is_empty() {
            let description = if description.is_empty() { "description" } else { description };
            return Err(NameError::VersionMissing {
                name: name.to_owned(),
                example: format!("{prefix}1.2{}{description}{suffix}", self.separator),
            });
        }
        Version::parse(version).map_err(|source| NameError::VersionMalformed {
            name: name.to_owned(),
            version: version.to_owned(),
            source,
        })
    }

    fn no_version(
        &self,
        name: &str,
        prefix: &str,
        version: &str,
        description: &str,
        suffix: &str,
    ) -> Result<(), NameError> {
        if version.is_empty() {
            return Ok(());
        }
        let description = if description.is_empty() { "description" } else { description };
        Err(NameError::VersionUnexpected {
            name: name.to_owned(),
            example: format!("{prefix}{}{description}{suffix}", self.separator),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_prefixes_alike_that_of_baselines_wins() {
        let rules = NamingRules { baseline_prefix: "V".into(), ..NamingRules::default() };
        assert_eq!(rules.parse("V1__a.sql").map(|name| name.kind), Ok(ScriptKind::Baseline));
        let rules = NamingRules { repeatable_prefix: "V".into(), ..NamingRules::default() };
        assert_eq!(rules.parse("V1__a.sql").map(|name| name.kind), Ok(ScriptKind::Versioned));
    }
}
