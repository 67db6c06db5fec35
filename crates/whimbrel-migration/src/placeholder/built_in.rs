//! Flyway's own placeholders.

use crate::finding::{Finding, FlywayCode};

/// What the names of Flyway's own placeholders begin with, before their separator.
pub const BUILT_IN_PREFIX: &str = "flyway";

/// Flyway's own placeholders, by what follows [`BUILT_IN_PREFIX`] and the separator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Flyway's and say what they mean")]
pub enum BuiltIn {
    DefaultSchema,
    User,
    Database,
    Timestamp,
    Filename,
    WorkingDirectory,
    Table,
    Environment,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::DefaultSchema,
        Self::User,
        Self::Database,
        Self::Timestamp,
        Self::Filename,
        Self::WorkingDirectory,
        Self::Table,
        Self::Environment,
    ];

    /// The end of its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultSchema => "defaultSchema",
            Self::User => "user",
            Self::Database => "database",
            Self::Timestamp => "timestamp",
            Self::Filename => "filename",
            Self::WorkingDirectory => "workingDirectory",
            Self::Table => "table",
            Self::Environment => "environment",
        }
    }

    /// Its whole name.
    pub fn name(self, separator: &str) -> String {
        format!("{BUILT_IN_PREFIX}{separator}{}", self.as_str())
    }
}

/// Whether a name that somebody gives a value to is kept for Flyway's own, and then the finding that says so.
pub fn reserved(name: &str, separator: &str) -> Option<Finding> {
    let reserved = format!("{BUILT_IN_PREFIX}{separator}");
    name.to_lowercase().starts_with(&reserved.to_lowercase()).then(|| {
        let message = format!("Invalid placeholder ('{reserved}' prefix is reserved): {name}");
        Finding::error("placeholder-reserved", message)
            .coded(FlywayCode::Error)
            .next_step("give it another name")
    })
}
