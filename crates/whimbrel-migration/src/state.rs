//! The state of every script and row: Flyway's state machine over files, history and settings.
//!
//! | state | when |
//! |---|---|
//! | Pending | a file that may run |
//! | Above Target | version above the target |
//! | Below Baseline, Ignored (Baseline) | version below, or equal to, the applied baseline (or the baseline script that is about to run) |
//! | Ignored | version below the highest applied one while `outOfOrder` is off; a baseline script on a database with history |
//! | Baseline | a baseline row |
//! | Success, Out of Order, Failed | applied, and the file is there |
//! | Missing, Future (and their Failed forms) | applied, no file; version below, or not below, the highest file |
//! | Outdated, Superseded | the latest run of a repeatable with another checksum; an older run |
//! | Deleted | a later DELETE row took it away |
//!
//! A file belongs to a row when version and type are the same, or the descriptions of repeatables.

mod build;
mod context;
mod order;
mod resolve;

use std::fmt;

use serde::Serialize;

pub use resolve::find_duplicates;

use crate::{
    finding::Finding,
    history::{History, HistoryRow, RowType},
    script::{ResolvedScript, ScriptId},
    settings::Settings,
    version::Version,
};

/// The state of one script or row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table above says what they mean")]
pub enum State {
    Pending,
    AboveTarget,
    BelowBaseline,
    BaselineIgnored,
    Baseline,
    Ignored,
    Success,
    OutOfOrder,
    Missing,
    MissingFailed,
    Future,
    FutureFailed,
    Failed,
    Outdated,
    Superseded,
    Deleted,
    Undone,
    Available,
}

impl State {
    /// The words that Flyway shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::AboveTarget => "Above Target",
            Self::BelowBaseline => "Below Baseline",
            Self::BaselineIgnored => "Ignored (Baseline)",
            Self::Baseline => "Baseline",
            Self::Ignored => "Ignored",
            Self::Success => "Success",
            Self::OutOfOrder => "Out of Order",
            Self::Missing => "Missing",
            Self::MissingFailed => "Failed (Missing)",
            Self::Future => "Future",
            Self::FutureFailed => "Failed (Future)",
            Self::Failed => "Failed",
            Self::Outdated => "Outdated",
            Self::Superseded => "Superseded",
            Self::Deleted => "Deleted",
            Self::Undone => "Undone",
            Self::Available => "Available",
        }
    }

    /// Whether a row stands behind it.
    pub fn is_applied(self) -> bool {
        !matches!(
            self,
            Self::Pending
                | Self::AboveTarget
                | Self::BelowBaseline
                | Self::BaselineIgnored
                | Self::Ignored
                | Self::Available
        )
    }

    /// Whether it failed.
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::MissingFailed | Self::FutureFailed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The first column of Flyway's `info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "the names say what they mean")]
pub enum Category {
    #[serde(rename = "")]
    Synthetic,
    Versioned,
    Repeatable,
    Baseline,
    Undo,
}

impl Category {
    /// The word that Flyway shows; nothing for markers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synthetic => "",
            Self::Versioned => "Versioned",
            Self::Repeatable => "Repeatable",
            Self::Baseline => "Baseline",
            Self::Undo => "Undo",
        }
    }
}

/// One line of `info`: a file, a row, or both.
#[derive(Debug, Clone, Copy)]
pub struct InfoRow<'a> {
    /// The file, if there is one for the row.
    pub script: Option<(ScriptId, &'a ResolvedScript)>,
    /// The row, if the file was applied.
    pub applied: Option<&'a HistoryRow>,
    /// The row's or file's version.
    pub version: Option<&'a Version>,
    /// What follows from both.
    pub state: State,
}

impl<'a> InfoRow<'a> {
    /// The type of the row, or the one that the file would have.
    pub fn row_type(&self) -> RowType {
        match (self.applied, self.script) {
            (Some(row), _) => row.row_type.clone(),
            (None, Some((_, script))) => script.row_type(),
            (None, None) => RowType::Sql,
        }
    }

    /// The description of the row, or of the file.
    pub fn description(&self) -> &'a str {
        match (self.applied, self.script) {
            (Some(row), _) => &row.description,
            (None, Some((_, script))) => &script.name.description,
            (None, None) => "",
        }
    }

    /// The path of the row, or of the file.
    pub fn path(&self) -> &'a str {
        match (self.applied, self.script) {
            (Some(row), _) => &row.script,
            (None, Some((_, script))) => &script.script,
            (None, None) => "",
        }
    }

    /// The checksum of the row, or of the file when it is not applied.
    pub fn checksum(&self) -> Option<i32> {
        match (self.applied, self.script) {
            (Some(row), _) => row.checksum,
            (None, Some((_, script))) => Some(script.checksum()),
            (None, None) => None,
        }
    }

    /// The first column.
    pub fn category(&self) -> Category {
        let row_type = self.row_type();
        if row_type.is_synthetic() {
            Category::Synthetic
        } else if self.version.is_none() {
            Category::Repeatable
        } else if row_type.is_undo() {
            Category::Undo
        } else if row_type.is_baseline() {
            Category::Baseline
        } else {
            Category::Versioned
        }
    }
}

/// Everything that `info` shows, and what the other verbs decide from.
#[derive(Debug, Clone)]
pub struct Overview<'a> {
    pub(crate) rows: Vec<InfoRow<'a>>,
    pub(crate) settings: &'a Settings,
    /// The highest baseline version that counts.
    pub(crate) baseline: Option<&'a Version>,
}

impl<'a> Overview<'a> {
    /// Brings files and history together. What makes that impossible is a finding: two files with the same
    /// version, two DELETE rows for one run, a target that does not exist.
    ///
    /// # Errors
    /// A finding, when one of these makes that impossible.
    pub fn build(
        scripts: &'a [ResolvedScript],
        history: &'a History,
        settings: &'a Settings,
    ) -> Result<Self, Finding> {
        build::overview(scripts, history, settings)
    }

    /// The lines in the order in which Flyway shows them.
    pub fn rows(&self) -> &[InfoRow<'a>] {
        &self.rows
    }

    /// The scripts that would run, in their order.
    pub fn pending(&self) -> impl Iterator<Item = (ScriptId, &'a ResolvedScript)> {
        self.rows.iter().filter(|row| row.state == State::Pending).filter_map(|row| row.script)
    }

    /// The version of the database: the highest applied one that was not taken away (failed ones count).
    pub fn current_version(&self) -> Option<&'a Version> {
        self.rows
            .iter()
            .filter(|row| {
                row.state.is_applied()
                    && !matches!(row.state, State::Deleted | State::Undone)
                    && row.applied.is_none_or(|applied| applied.row_type != RowType::Delete)
            })
            .filter_map(|row| row.version)
            // Of two spellings of one version the first counts.
            .reduce(|highest, version| if version > highest { version } else { highest })
    }
}
