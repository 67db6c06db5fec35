//! What the catalogues say about the database's objects.

use whimbrel_migration::sql::postgres::quote_literal;

use super::Postgres;
use crate::error::DatabaseError;
use crate::session::{IndexState, single};

impl Postgres {
    /// The state of an index. The name is as in SQL: quoted where need be, qualified or found by the search path.
    pub(crate) async fn index_state(&mut self, name: &str) -> Result<IndexState, DatabaseError> {
        let query = format!(
            "SELECT i.indisvalid FROM pg_catalog.pg_index i WHERE i.indexrelid = pg_catalog.to_regclass({})",
            quote_literal(name)
        );
        Ok(match single(&self.query(&query).await?).as_deref() {
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
}
