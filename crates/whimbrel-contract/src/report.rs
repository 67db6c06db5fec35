//! The answer to a whole check.

use serde::Serialize;

use crate::{Finding, Place, Severity, Unknown};

/// How one database fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseStatus {
    /// Nothing to say.
    Ok,
    /// Usable, with warnings.
    Warning,
    /// The secret is missing or cannot be used.
    Unusable,
    /// We could not find out.
    Unknown,
}

/// One database of a report.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseReport {
    /// The database.
    pub database: String,
    /// Its secret.
    pub secret: String,
    /// The names of its keys.
    pub keys: Vec<String>,
    /// How it fared.
    pub status: DatabaseStatus,
}

/// What a check means as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Every secret can be used.
    Clean,
    /// At least one secret is missing or unusable, whatever is unknown besides.
    Unusable,
    /// No secret is known to be unusable, but of some we could not find out.
    Unknown,
}

/// All problems of all databases.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the secrets were looked for.
    pub place: Place,
    /// The databases in the order of the contract.
    pub databases: Vec<DatabaseReport>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What could not be found out.
    pub unknown: Vec<Unknown>,
}

impl Report {
    /// What the report means as a whole. A definite answer outranks an open question.
    pub fn conclusion(&self) -> Conclusion {
        if self.errors().next().is_some() {
            Conclusion::Unusable
        } else if self.unknown.is_empty() {
            Conclusion::Clean
        } else {
            Conclusion::Unknown
        }
    }

    /// The findings that make a secret unusable.
    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }
}
