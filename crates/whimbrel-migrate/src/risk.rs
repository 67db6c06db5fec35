//! What scripts do to others, on tables of the size that they have now.

use serde::Serialize;
use whimbrel_migration::risk::{Impact, Level};

/// One impact on one table of its present size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizedImpact {
    /// What the statement does.
    #[serde(flatten)]
    pub impact: Impact,
    /// How much others will notice.
    pub level: Level,
    /// Rows of the table at its last ANALYZE.
    pub rows: Option<u64>,
    /// Bytes of the table with its indexes.
    pub bytes: Option<u64>,
}

/// What one script does to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScriptRisk {
    /// Its path.
    pub script: String,
    /// Its version.
    pub version: Option<String>,
    /// The gravest of its impacts.
    pub level: Level,
    /// Statement by statement.
    pub impacts: Vec<SizedImpact>,
}
