//! How big tables are, as the catalogue knows it without looking at them.

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::sql::quote_literal;

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
    /// Rows and bytes of these tables (or indexes), named as in SQL. Only PostgreSQL is asked.
    pub async fn table_facts(&mut self, names: &[String]) -> Result<Vec<TableFacts>, DatabaseError> {
        if self.dialect() != Dialect::PostgreSql || names.is_empty() {
            return Ok(vec![TableFacts::Unknown; names.len()]);
        }
        let literals: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("({index}, {})", quote_literal(Dialect::PostgreSql, name)))
            .collect();
        let query = format!(
            "SELECT c.reltuples::pg_catalog.int8, pg_catalog.pg_total_relation_size(c.oid) + COALESCE((\
             SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid)) \
             FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.relid <> c.oid), 0)::pg_catalog.int8 \
             FROM (VALUES {}) AS n(place, name) \
             LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(n.name) ORDER BY n.place",
            literals.join(", ")
        );
        let rows = self.query(&query).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let mut values = row.into_iter().map(|value| value.and_then(|text| text.parse::<i64>().ok()));
                let (rows, bytes) = (values.next().flatten(), values.next().flatten());
                match bytes.and_then(|bytes| u64::try_from(bytes).ok()) {
                    None => TableFacts::Missing,
                    // PostgreSQL writes -1 where nobody counted.
                    Some(bytes) => {
                        TableFacts::Found { rows: rows.and_then(|rows| u64::try_from(rows).ok()), bytes }
                    }
                }
            })
            .collect())
    }
}
