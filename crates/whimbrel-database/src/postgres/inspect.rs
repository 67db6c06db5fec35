//! What the catalogues say about the database's objects.

use whimbrel_migration::sql::postgres::quote_literal;

use super::Postgres;
use crate::answers::{Blocker, IndexState, Row, TableFacts, single, values};
use crate::error::DatabaseError;

impl Postgres {
    /// The state of an index. The name is as in SQL: quoted where need be, qualified or found by the search path, which
    /// therefore is left as it is.
    pub(crate) async fn index_state(&mut self, name: &str) -> Result<IndexState, DatabaseError> {
        let query = format!(
            "SELECT i.indisvalid FROM pg_catalog.pg_index i \
             WHERE i.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass({})",
            quote_literal(name)
        );
        Ok(match single(&self.plain(&query).await?).as_deref() {
            None => IndexState::Absent,
            Some("t") => IndexState::Valid,
            Some(_) => IndexState::Invalid,
        })
    }

    /// The names of all INVALID indexes outside the system's schemas, quoted and qualified.
    pub(crate) async fn invalid_indexes(&mut self) -> Result<Vec<String>, DatabaseError> {
        let query = "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
             FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT i.indisvalid AND n.nspname !~ '^pg_' ORDER BY 1";
        Ok(self.query(query).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Who holds locks that this session's last statement may have waited for, for the message after a timeout.
    pub(crate) async fn oldest_transactions(&mut self) -> Result<Vec<String>, DatabaseError> {
        let query = "SELECT 'backend ' || a.pid || ' (' || a.application_name || ', in a transaction since ' || \
             pg_catalog.date_trunc('second', a.xact_start) || ')' FROM pg_catalog.pg_stat_activity a \
             WHERE a.datname = pg_catalog.current_database() AND a.xact_start IS NOT NULL \
             AND a.pid <> pg_catalog.pg_backend_pid() ORDER BY a.xact_start LIMIT 3";
        Ok(self.query(query).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
    }

    /// Rows and bytes of these tables (or indexes), named as in SQL, so that the search path is left as it is.
    pub(crate) async fn table_facts(&mut self, names: &[String]) -> Result<Vec<TableFacts>, DatabaseError> {
        let literals: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("({index}, {})", quote_literal(name)))
            .collect();
        let query = format!(
            "SELECT c.reltuples::pg_catalog.int8, pg_catalog.pg_total_relation_size(c.oid) \
             OPERATOR(pg_catalog.+) COALESCE((SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t.relid)) \
             FROM pg_catalog.pg_partition_tree(c.oid) t \
             WHERE t.relid OPERATOR(pg_catalog.<>) c.oid), 0)::pg_catalog.int8 \
             FROM (VALUES {}) AS n(place, name) \
             LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(n.name) \
             ORDER BY n.place",
            literals.join(", ")
        );
        Ok(self.plain(&query).await?.into_iter().map(facts).collect())
    }

    /// Who keeps the backend waiting right now.
    pub(crate) async fn blockers_of(&mut self, backend: i32) -> Result<Vec<Blocker>, DatabaseError> {
        let query = format!(
            "SELECT b.pid, a.application_name, a.usename, a.state, pg_catalog.date_trunc('second', a.xact_start), \
             pg_catalog.left(a.query, 500) \
             FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids({backend})) AS pid) b \
             LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid ORDER BY a.xact_start"
        );
        Ok(self.query(&query).await?.into_iter().map(blocker).collect())
    }
}

fn facts(row: Row) -> TableFacts {
    let mut values = row.into_iter().map(|value| value.and_then(|text| text.parse::<i64>().ok()));
    let (rows, bytes) = (values.next().flatten(), values.next().flatten());
    match bytes.and_then(|bytes| u64::try_from(bytes).ok()) {
        None => TableFacts::Missing,
        // PostgreSQL writes -1 where nobody counted.
        Some(bytes) => TableFacts::Found { rows: rows.and_then(|rows| u64::try_from(rows).ok()), bytes },
    }
}

fn blocker(row: Row) -> Blocker {
    let mut next = values(row);
    Blocker {
        backend: next().and_then(|pid| pid.parse().ok()).unwrap_or_default(),
        application_name: next(),
        user: next(),
        state: next(),
        since: next(),
        statement: next(),
    }
}
