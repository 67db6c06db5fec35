//! How big tables are, as the catalogue knows it without looking at them.

use crate::engine::Engine;
use crate::error::DatabaseError;
use crate::session::Session;

/// What the catalogue says about a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFacts {
    /// This engine was not asked.
    Unknown,
    /// There is no such table.
    Missing,
    /// It is there.
    Found {
        /// Rows at the last ANALYZE; none where there was none.
        rows: Option<u64>,
        /// Bytes with its indexes, partitions included.
        bytes: u64,
    },
}

impl Session {
    /// Rows and bytes of these tables (or indexes), named as in SQL: not known, where the engine does not tell
    /// ([`crate::Capabilities::tells_sizes`]).
    pub async fn table_facts(&mut self, names: &[String]) -> Result<Vec<TableFacts>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) if !names.is_empty() => engine.table_facts(names).await,
            _ => Ok(vec![TableFacts::Unknown; names.len()]),
        }
    }
}
