//! The `type` column of the schema history.

use std::fmt;

use serde::Serialize;

/// The `type` column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RowType {
    /// An SQL script.
    Sql,
    /// A baseline marker.
    Baseline,
    /// Schemas that were made.
    Schema,
    /// Takes the latest earlier row of the same version or description away.
    Delete,
    /// An SQL baseline script.
    SqlBaseline,
    /// A Java migration.
    Jdbc,
    /// A Java baseline migration.
    JdbcBaseline,
    /// A shell script.
    Script,
    /// A custom resolver's migration.
    Custom,
    /// A shell undo script: shown, undoes nothing.
    UndoScript,
    /// A word that real Flyway stops at.
    Unknown(String),
}

impl RowType {
    /// Reads the column; the letter case matters.
    pub fn parse(text: &str) -> Self {
        match text {
            "SQL" => Self::Sql,
            "BASELINE" => Self::Baseline,
            "SCHEMA" => Self::Schema,
            "DELETE" => Self::Delete,
            "SQL_BASELINE" => Self::SqlBaseline,
            "JDBC" | "SPRING_JDBC" => Self::Jdbc,
            "JDBC_BASELINE" => Self::JdbcBaseline,
            "SCRIPT" => Self::Script,
            "CUSTOM" => Self::Custom,
            "UNDO_SCRIPT" => Self::UndoScript,
            other => Self::Unknown(other.to_owned()),
        }
    }

    /// The word in the column.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sql => "SQL",
            Self::Baseline => "BASELINE",
            Self::Schema => "SCHEMA",
            Self::Delete => "DELETE",
            Self::SqlBaseline => "SQL_BASELINE",
            Self::Jdbc => "JDBC",
            Self::JdbcBaseline => "JDBC_BASELINE",
            Self::Script => "SCRIPT",
            Self::Custom => "CUSTOM",
            Self::UndoScript => "UNDO_SCRIPT",
            Self::Unknown(word) => word,
        }
    }

    /// Rows that no file stands for.
    pub fn is_synthetic(&self) -> bool {
        matches!(self, Self::Baseline | Self::Schema | Self::Delete)
    }

    /// Rows that say: everything up to here is there.
    pub fn is_baseline(&self) -> bool {
        matches!(self, Self::Baseline | Self::SqlBaseline | Self::JdbcBaseline)
    }

    /// Rows of an undo.
    pub fn is_undo(&self) -> bool {
        matches!(self, Self::UndoScript)
    }
}

impl fmt::Display for RowType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Serialize for RowType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
