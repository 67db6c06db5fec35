//! Expected bad answers as data.
//!
//! A finding is an answer and no error: it has a stable name for programs, words for people, a place, and what to do next.
//!
//! ```
//! use whimbrel_migration::{
//!     check::{self, CheckRules, File}, finding::Severity, name::NamingRules, settings::Settings,
//! };
//!
//! let files = [File { path: "V1_birds.sql", contents: b"CREATE TABLE bird (id int);" }];
//! let (naming, settings) = (NamingRules::default(), Settings::default());
//! let report = check::check(&files, &CheckRules::new(&naming, None, &settings));
//!
//! let finding = &report.findings[0];
//! assert_eq!((finding.slug, finding.severity), ("invalid-name", Severity::Error));
//! assert_eq!(finding.next_step.as_deref(), Some("name it V1__birds.sql"));
//! ```

use std::fmt;

use serde::Serialize;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something that is probably not meant, but does not stop anything.
    Warning,
    /// The answer is no.
    Error,
}

/// Flyway's own error code, for those who compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are Flyway's and say what they mean")]
pub enum FlywayCode {
    Fault,
    Error,
    Configuration,
    DbConnection,
    DuplicateVersionedMigration,
    DuplicateRepeatableMigration,
    DuplicateUndoMigration,
    DuplicateDeletedMigration,
    NonEmptySchemaWithoutSchemaHistoryTable,
    ValidateError,
    SchemaDoesNotExist,
    FailedRepeatableMigration,
    FailedVersionedMigration,
    AppliedRepeatableMigrationNotResolved,
    AppliedVersionedMigrationNotResolved,
    ResolvedRepeatableMigrationNotApplied,
    ResolvedVersionedMigrationNotApplied,
    OutdatedRepeatableMigration,
    TypeMismatch,
    ChecksumMismatch,
    DescriptionMismatch,
}

impl FlywayCode {
    /// The code as Flyway spells it, for example `CHECKSUM_MISMATCH`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fault => "FAULT",
            Self::Error => "ERROR",
            Self::Configuration => "CONFIGURATION",
            Self::DbConnection => "DB_CONNECTION",
            Self::DuplicateVersionedMigration => "DUPLICATE_VERSIONED_MIGRATION",
            Self::DuplicateRepeatableMigration => "DUPLICATE_REPEATABLE_MIGRATION",
            Self::DuplicateUndoMigration => "DUPLICATE_UNDO_MIGRATION",
            Self::DuplicateDeletedMigration => "DUPLICATE_DELETED_MIGRATION",
            Self::NonEmptySchemaWithoutSchemaHistoryTable => "NON_EMPTY_SCHEMA_WITHOUT_SCHEMA_HISTORY_TABLE",
            Self::ValidateError => "VALIDATE_ERROR",
            Self::SchemaDoesNotExist => "SCHEMA_DOES_NOT_EXIST",
            Self::FailedRepeatableMigration => "FAILED_REPEATABLE_MIGRATION",
            Self::FailedVersionedMigration => "FAILED_VERSIONED_MIGRATION",
            Self::AppliedRepeatableMigrationNotResolved => "APPLIED_REPEATABLE_MIGRATION_NOT_RESOLVED",
            Self::AppliedVersionedMigrationNotResolved => "APPLIED_VERSIONED_MIGRATION_NOT_RESOLVED",
            Self::ResolvedRepeatableMigrationNotApplied => "RESOLVED_REPEATABLE_MIGRATION_NOT_APPLIED",
            Self::ResolvedVersionedMigrationNotApplied => "RESOLVED_VERSIONED_MIGRATION_NOT_APPLIED",
            Self::OutdatedRepeatableMigration => "OUTDATED_REPEATABLE_MIGRATION",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::ChecksumMismatch => "CHECKSUM_MISMATCH",
            Self::DescriptionMismatch => "DESCRIPTION_MISMATCH",
        }
    }
}

/// One expected bad answer: what, where, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable kebab-case name of the kind of finding.
    pub slug: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// Flyway's error code for the same thing, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<FlywayCode>,
    /// What is wrong; may have several lines.
    pub message: String,
    /// The script (path below its location, or of the history row) that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The version that it is about, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The description that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Line in the script, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Column in the line in bytes, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

impl Finding {
    /// A finding of any severity.
    pub fn new(severity: Severity, slug: &'static str, message: impl Into<String>) -> Self {
        Self {
            slug,
            severity,
            code: None,
            message: message.into(),
            script: None,
            version: None,
            description: None,
            line: None,
            column: None,
            next_step: None,
        }
    }

    /// A finding that means no.
    pub fn error(slug: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, slug, message)
    }

    /// A finding that does not stop anything.
    pub fn warning(slug: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, slug, message)
    }

    /// Adds Flyway's code.
    #[must_use]
    pub fn coded(mut self, code: FlywayCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Names the script.
    #[must_use]
    pub fn in_script(mut self, script: impl Into<String>) -> Self {
        self.script = Some(script.into());
        self
    }

    /// Names the version.
    #[must_use]
    pub fn of_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Names the description.
    #[must_use]
    pub fn of_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Names the place in the script.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn next_step(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = Some(next_step.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(script) = &self.script {
            write!(formatter, "{script}")?;
            if let (Some(line), Some(column)) = (self.line, self.column) {
                write!(formatter, ":{line}:{column}")?;
            }
            write!(formatter, ": ")?;
        }
        write!(formatter, "{}", self.message)
    }
}
