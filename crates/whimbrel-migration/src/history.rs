//! The rows of `flyway_schema_history` and what may be written there.

use serde::Serialize;

use crate::{
    finding::{Finding, FlywayCode},
    script::ResolvedScript,
    settings::Settings,
    version::Version,
};
pub use crate::{row_type::RowType, settings::BASELINE_DESCRIPTION};

/// Default name of the history table.
pub const DEFAULT_TABLE: &str = "flyway_schema_history";
/// Description of the row that says which schemas were made.
pub const SCHEMA_DESCRIPTION: &str = "<< Flyway Schema Creation >>";
/// What a stored description stands for that is nothing.
pub const NO_DESCRIPTION: &str = "<< no description >>";

/// The finding about a row whose script failed: nothing runs while it stands.
pub(crate) fn failed_migration(
    script: &str,
    version: Option<&Version>,
    message: impl Into<String>,
) -> Finding {
    let finding = Finding::error("failed-migration", message)
        .in_script(script)
        .next_step("undo by hand what the script left half done, then run repair");
    match version {
        Some(version) => finding.coded(FlywayCode::FailedVersionedMigration).of_version(version.as_str()),
        None => finding.coded(FlywayCode::FailedRepeatableMigration),
    }
}

/// A row as it is in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    /// The order of the rows.
    pub installed_rank: i32,
    /// The version as text; none for repeatables and markers.
    pub version: Option<String>,
    /// The description, at most 200 characters.
    pub description: String,
    /// The `type` column.
    #[serde(rename = "type")]
    pub row_type: RowType,
    /// The path below the location.
    pub script: String,
    /// The checksum, if there is one.
    pub checksum: Option<i32>,
    /// Who.
    pub installed_by: String,
    /// When, as the database printed it.
    pub installed_on: String,
    /// Milliseconds.
    pub execution_time: i32,
    /// Whether it went well.
    pub success: bool,
}

/// A row to be written; `installed_on` is left to the column's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewRow {
    /// The order of the rows.
    pub installed_rank: i32,
    /// The version as text.
    pub version: Option<String>,
    /// The description, already shortened.
    pub description: String,
    /// The `type` column.
    #[serde(rename = "type")]
    pub row_type: RowType,
    /// The path, already shortened.
    pub script: String,
    /// The checksum.
    pub checksum: Option<i32>,
    /// Milliseconds.
    pub execution_time: i32,
    /// Whether it went well.
    pub success: bool,
}

impl NewRow {
    /// The row of a script that ran.
    pub fn of_script(
        script: &ResolvedScript,
        installed_rank: i32,
        execution_time: i32,
        success: bool,
    ) -> Self {
        Self {
            installed_rank,
            version: script.version().map(|version| version.as_str().to_owned()),
            description: script.stored_description(),
            row_type: script.row_type(),
            script: script.stored_script(),
            checksum: Some(script.checksum()),
            execution_time,
            success,
        }
    }

    /// The marker of `baseline`; always the first row.
    pub fn baseline(settings: &Settings) -> Self {
        Self {
            installed_rank: 1,
            version: Some(settings.baseline_version.as_str().to_owned()),
            description: crate::script::abbreviate_description(&settings.baseline_description),
            script: crate::script::abbreviate_script(&settings.baseline_description),
            row_type: RowType::Baseline,
            checksum: None,
            execution_time: 0,
            success: true,
        }
    }

    /// The marker for schemas that were made; the names are quoted ([`crate::sql::quote_identifier`]).
    pub fn schemas(quoted: &[String], installed_rank: i32) -> Self {
        Self {
            installed_rank,
            version: None,
            description: SCHEMA_DESCRIPTION.to_owned(),
            row_type: RowType::Schema,
            script: crate::script::abbreviate_script(&quoted.join(",")),
            checksum: None,
            execution_time: 0,
            success: true,
        }
    }

    /// The row as it will be read, once somebody has written it at some time (as the server shows it).
    pub fn written(&self, installed_by: impl Into<String>, installed_on: impl Into<String>) -> HistoryRow {
        HistoryRow {
            installed_rank: self.installed_rank,
            version: self.version.clone(),
            description: self.description.clone(),
            row_type: self.row_type.clone(),
            script: self.script.clone(),
            checksum: self.checksum,
            installed_by: installed_by.into(),
            installed_on: installed_on.into(),
            execution_time: self.execution_time,
            success: self.success,
        }
    }

    /// The row that takes an earlier row away: real Flyway then shows that one as Deleted and the file as
    /// Pending again. This is `repair`'s answer to a missing file, and an undo without a licence.
    pub fn delete(row: &HistoryRow, installed_rank: i32) -> Self {
        Self {
            installed_rank,
            version: row.version.clone(),
            description: row.description.clone(),
            row_type: RowType::Delete,
            script: row.script.clone(),
            checksum: row.checksum,
            execution_time: 0,
            success: row.success,
        }
    }
}

/// A row whose version was read.
#[derive(Debug, Clone)]
pub(crate) struct ReadRow {
    pub(crate) row: HistoryRow,
    pub(crate) version: Option<Version>,
}

/// The rows of the table in the order of their ranks, those below 0 left out as Flyway leaves them out.
///
/// The default is a table that does not exist or is empty.
#[derive(Debug, Clone, Default)]
pub struct History {
    rows: Vec<ReadRow>,
}

impl History {
    /// Takes the rows in any order. A row that real Flyway cannot read (an unknown type, a version that is
    /// none) is a finding: whoever goes on past it would break the way back.
    ///
    /// # Errors
    /// The first such row, as a finding.
    pub fn read(mut rows: Vec<HistoryRow>) -> Result<Self, Finding> {
        rows.retain(|row| row.installed_rank >= 0);
        rows.sort_by_key(|row| row.installed_rank);
        let mut read = Vec::with_capacity(rows.len());
        for row in rows {
            if let RowType::Unknown(word) = &row.row_type {
                return Err(unknown_type(&row, word));
            }
            let version = match &row.version {
                None => None,
                Some(text) => Some(Version::parse(text).map_err(|error| bad_version(&row, &error))?),
            };
            read.push(ReadRow { row, version });
        }
        Ok(Self { rows: read })
    }

    /// The rows in the order of their ranks.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &HistoryRow> + DoubleEndedIterator {
        self.rows.iter().map(|read| &read.row)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rank of the next row: one more than the last, 1 in an empty table (0 for a schema marker).
    pub fn next_rank(&self, row_type: &RowType) -> i32 {
        match self.rows.last() {
            Some(last) => last.row.installed_rank.wrapping_add(1),
            None if *row_type == RowType::Schema => 0,
            None => 1,
        }
    }

    pub(crate) fn read_rows(&self) -> &[ReadRow] {
        &self.rows
    }

    pub(crate) fn from_read(rows: Vec<ReadRow>) -> Self {
        Self { rows }
    }
}

fn unknown_type(row: &HistoryRow, word: &str) -> Finding {
    Finding::error(
        "history-unknown-type",
        format!(
            "the history row {} has the type {word:?}, which Flyway's open-source edition cannot read",
            row.installed_rank
        ),
    )
    .coded(FlywayCode::Fault)
    .in_script(row.script.clone())
    .next_step("delete the row, or give it a type that Flyway knows, after a look at what it stands for")
}

fn bad_version(row: &HistoryRow, error: &crate::version::VersionError) -> Finding {
    Finding::error("history-bad-version", format!("the history row {}: {error}", row.installed_rank))
        .coded(FlywayCode::Error)
        .in_script(row.script.clone())
        .next_step("correct the row's version by hand")
}
