//! What `up` has to show at its end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use whimbrel_cli::exit::ExitCode;
use whimbrel_contract::{Conclusion, Report};
use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::record::{DatabaseOutcome, DatabaseRecord, RunRecord};
use whimbrel_migration::version::Version;

/// One line of the table at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseRow {
    /// The database.
    pub database: String,
    /// Its version before.
    pub before: Option<String>,
    /// Its version now.
    pub after: Option<String>,
    /// How it ended.
    pub outcome: DatabaseOutcome,
    /// How many scripts were applied.
    pub scripts: usize,
    /// How long they took.
    pub millis: u64,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<&DatabaseRecord> for DatabaseRow {
    fn from(record: &DatabaseRecord) -> Self {
        Self {
            database: record.database.clone(),
            before: record.before.clone(),
            after: record.after.clone(),
            outcome: record.outcome,
            scripts: record.scripts.len(),
            millis: record.scripts.iter().map(|script| script.millis).sum(),
            error: record.error.clone(),
        }
    }
}

/// How to look at a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The database in the project.
    pub database: String,
    /// The server's address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database's name on the server.
    pub name: String,
    /// The file that holds the password, for `PGPASSFILE`.
    pub password_file: PathBuf,
}

/// What a whole `up` did.
#[derive(Clone, Debug, Serialize)]
pub struct UpReport {
    /// The databases.
    pub databases: Vec<DatabaseRow>,
    /// How to look at those on the server that is ours.
    pub look: Vec<Look>,
    /// The exit code.
    pub exit_code: u8,
    /// How long all of it took.
    pub millis: u64,
}

/// How `up` ended.
#[derive(Debug)]
pub enum UpEnd {
    /// The Job ran.
    Finished(UpReport),
    /// A secret is missing or unusable.
    SecretsRefused(Box<Report>),
}

impl UpEnd {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Finished(report) => report.exit_code,
            Self::SecretsRefused(report) => match report.conclusion() {
                Conclusion::Clean => ExitCode::Done.code(),
                Conclusion::Unusable => ExitCode::Secret.code(),
                Conclusion::Unknown => ExitCode::Unavailable.code(),
            },
        }
    }
}

/// The table: what the run did, from the versions that the databases had.
pub(super) fn rows(
    record: Option<&RunRecord>,
    versions: &BTreeMap<String, Option<String>>,
) -> Vec<DatabaseRow> {
    let row = |record: &DatabaseRecord| DatabaseRow {
        // Of a database that was taken back, the run saw only what was left of it.
        before: versions.get(&record.database).unwrap_or(&record.before).clone(),
        ..DatabaseRow::from(record)
    };
    record.map(|record| record.databases.iter().map(row).collect()).unwrap_or_default()
}

/// The version that a history stands for.
pub(super) fn highest_version(rows: &[HistoryRow]) -> Option<String> {
    let versions = rows.iter().filter(|row| row.success).filter_map(|row| row.version.as_deref());
    versions.filter_map(|text| Version::parse(text).ok()).max().map(|version| version.as_str().to_owned())
}
