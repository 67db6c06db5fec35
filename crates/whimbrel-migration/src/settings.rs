//! The settings that decide what is to be done, with Flyway's names and defaults.

use std::str::FromStr;

use crate::{
    dialect::Dialect,
    pick::Pick,
    version::{Version, VersionError},
};

/// How far `migrate` goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Everything.
    #[default]
    Latest,
    /// No versioned script: the version stays, repeatables run.
    Current,
    /// One script.
    Next,
    /// Up to and including a version.
    Version {
        /// The version.
        version: Version,
        /// Written without `?`: it has to be among the scripts or the history.
        must_exist: bool,
    },
}

impl FromStr for Target {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let (text, must_exist) = match text.strip_suffix('?') {
            Some(text) => (text, false),
            None => (text, true),
        };
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self::Latest);
        }
        if text.eq_ignore_ascii_case("current") {
            return Ok(Self::Current);
        }
        if text.eq_ignore_ascii_case("next") {
            return Ok(Self::Next);
        }
        Ok(Self::Version { version: Version::parse(text)?, must_exist })
    }
}

/// The left half of an ignore pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternType {
    /// `*`
    Any,
    /// `versioned`
    Versioned,
    /// `repeatable`
    Repeatable,
}

/// The right half of an ignore pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternState {
    /// `*`
    Any,
    /// `missing`
    Missing,
    /// `pending`
    Pending,
    /// `ignored`
    Ignored,
    /// `future`
    Future,
}

/// One entry of `ignoreMigrationPatterns`: `type:state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IgnorePattern {
    /// Which scripts.
    pub kind: PatternType,
    /// In which state.
    pub state: PatternState,
}

/// Why a text is not an ignore pattern; the words are Flyway's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not two parts.
    #[error(
        "Invalid pattern '{0}'. Pattern must be of the form <migration_type>:<migration_state> See \
         https://rd.gt/37m4hXD for full details"
    )]
    Form(String),
    /// An unknown left half.
    #[error("Invalid migration type '{0}'. Valid types are: [*, repeatable, versioned]")]
    Type(String),
    /// An unknown right half.
    #[error("Invalid migration state '{0}'. Valid states are: [*, missing, pending, ignored, future]")]
    State(String),
}

impl FromStr for IgnorePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (kind, state) = match text.split_once(':') {
            Some((kind, state)) if !state.contains(':') => (kind.trim(), state.trim()),
            _ => return Err(PatternError::Form(text.to_owned())),
        };
        let kind = match kind.to_ascii_lowercase().as_str() {
            "*" => PatternType::Any,
            "versioned" => PatternType::Versioned,
            "repeatable" => PatternType::Repeatable,
            _ => return Err(PatternError::Type(kind.to_owned())),
        };
        let state = match state.to_ascii_lowercase().as_str() {
            "*" => PatternState::Any,
            "missing" => PatternState::Missing,
            "pending" => PatternState::Pending,
            "ignored" => PatternState::Ignored,
            "future" => PatternState::Future,
            _ => return Err(PatternError::State(state.to_owned())),
        };
        Ok(Self { kind, state })
    }
}

/// What happens with a script that begins or ends transactions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnTransactions {
    /// It is refused with its line, unless its side file says `executeInTransaction=false`.
    #[default]
    Refuse,
    /// It runs as a script that manages its own transactions.
    Allow,
}

/// Default description (and script) of a baseline row.
pub const BASELINE_DESCRIPTION: &str = "<< Flyway Baseline >>";

/// Everything that decides between files and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The engine.
    pub dialect: Dialect,
    /// `target`.
    pub target: Target,
    /// `cherryPick`: what is considered, in this order; all of it where there is nothing here.
    pub cherry_pick: Vec<Pick>,
    /// `outOfOrder`: run scripts below the highest applied version.
    pub out_of_order: bool,
    /// `ignoreMigrationPatterns`, default `*:future`.
    pub ignore_patterns: Vec<IgnorePattern>,
    /// `group`: all pending scripts in one transaction.
    pub group: bool,
    /// `mixed`: allow statements of both kinds in one script (it then runs outside a transaction).
    pub mixed: bool,
    /// `executeInTransaction`.
    pub execute_in_transaction: bool,
    /// `validateOnMigrate`.
    pub validate_on_migrate: bool,
    /// `baselineOnMigrate`.
    pub baseline_on_migrate: bool,
    /// `baselineVersion`.
    pub baseline_version: Version,
    /// `baselineDescription`.
    pub baseline_description: String,
    /// `skipExecutingMigrations`: write rows, run nothing.
    pub skip_executing: bool,
    /// What happens with scripts that manage transactions themselves.
    pub own_transactions: OwnTransactions,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dialect: Dialect::PostgreSql,
            target: Target::Latest,
            cherry_pick: Vec::new(),
            out_of_order: false,
            ignore_patterns: vec![IgnorePattern { kind: PatternType::Any, state: PatternState::Future }],
            group: false,
            mixed: false,
            execute_in_transaction: true,
            validate_on_migrate: true,
            baseline_on_migrate: false,
            baseline_version: Version::parse("1").expect("1 is a version"),
            baseline_description: BASELINE_DESCRIPTION.to_owned(),
            skip_executing: false,
            own_transactions: OwnTransactions::Refuse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_words_or_versions() {
        assert_eq!("LATEST".parse(), Ok(Target::Latest));
        assert_eq!("next".parse(), Ok(Target::Next));
        assert!(matches!("1.2?".parse(), Ok(Target::Version { must_exist: false, .. })));
        assert!("x".parse::<Target>().is_err());
    }

    #[test]
    fn patterns_have_two_known_halves() {
        let pattern: IgnorePattern = " Versioned : MISSING ".parse().expect("blanks and case do not matter");
        assert_eq!(pattern, IgnorePattern { kind: PatternType::Versioned, state: PatternState::Missing });
        assert_eq!("missing".parse::<IgnorePattern>(), Err(PatternError::Form("missing".into())));
        assert_eq!("foo:missing".parse::<IgnorePattern>(), Err(PatternError::Type("foo".into())));
        assert_eq!("*:foo".parse::<IgnorePattern>(), Err(PatternError::State("foo".into())));
    }
}
