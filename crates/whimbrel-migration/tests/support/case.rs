//! A recorded case.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_migration::{
    dialect::Dialect,
    history::{HistoryRow, NewRow, RowType},
};

/// rank, version, description, type, script, checksum, success
pub(crate) type Row = (i32, Option<String>, String, String, String, Option<i32>, bool);
/// rank, version, description, type, state, category, checksum, script
pub(crate) type Info = (Option<i32>, String, String, String, String, String, Option<i32>, String);

#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) engine: Engine,
    pub(crate) files: BTreeMap<String, Content>,
    pub(crate) verb: String,
    pub(crate) history: Option<Vec<Row>>,
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) setup: Option<serde_json::Value>,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    #[default]
    PostgreSql,
    MariaDb,
    Sqlite,
}

impl From<Engine> for Dialect {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::PostgreSql => Self::PostgreSql,
            Engine::MariaDb => Self::MariaDb,
            Engine::Sqlite => Self::Sqlite,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    Text(String),
    Bytes { base64: String },
}

impl Content {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        use base64::Engine as _;
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes { base64 } => {
                base64::engine::general_purpose::STANDARD.decode(base64).expect("the recording is base64")
            }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Expect {
    pub(crate) error: Option<String>,
    /// The error came from running a script.
    #[serde(default)]
    pub(crate) server: u8,
    pub(crate) codes: Option<Vec<(String, String, String)>>,
    pub(crate) migrations: Option<Vec<String>>,
    pub(crate) history: Option<Vec<Row>>,
    pub(crate) info: Option<Vec<Info>>,
}

pub(crate) fn history_row(row: &Row) -> HistoryRow {
    let (rank, version, description, row_type, script, checksum, success) = row.clone();
    HistoryRow {
        installed_rank: rank,
        version,
        description,
        row_type: RowType::parse(&row_type),
        script,
        checksum,
        installed_by: "golden".into(),
        installed_on: "2026-01-01 00:00:00".into(),
        execution_time: 1,
        success,
    }
}

pub(crate) fn written(row: &NewRow) -> HistoryRow {
    row.written("golden", "2026-01-01 00:00:00")
}

pub(crate) fn tuple(row: &HistoryRow) -> Row {
    (
        row.installed_rank,
        row.version.clone(),
        row.description.clone(),
        row.row_type.as_str().to_owned(),
        row.script.clone(),
        row.checksum,
        row.success,
    )
}
