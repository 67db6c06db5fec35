//! Nothing that a script leaves in the session reaches the next one, or the history.

use whimbrel_migration::sql::postgres::{quote_identifier, quote_literal};

use super::lock::RESET_ROLE;
use super::{Postgres, read_facts};
use crate::error::DatabaseError;
use crate::session::SessionFacts;

/// Since PostgreSQL 14 a backend looks now and then whether its client still is there.
const CHECKS_CLIENT: u32 = 140_000;

impl Postgres {
    /// Names that are not qualified are made in this schema from now on, as Flyway does it.
    pub(crate) fn prefer_schema(&mut self, schema: &str) {
        let quoted = quote_identifier(schema);
        let original = self.configured_path.trim().to_owned();
        let begins_with_it = original.starts_with(&quoted) || original.starts_with(schema);
        self.search_path = (!begins_with_it)
            .then(|| if original.is_empty() { quoted } else { format!("{quoted}, {original}") });
    }

    /// Keeps the SQL that the session began with, and looks again at what it may have changed.
    pub(crate) async fn begin_with(
        &mut self,
        sql: &str,
        facts: &mut SessionFacts,
    ) -> Result<(), DatabaseError> {
        let found = read_facts(&mut self.driver).await?;
        self.configured_path.clone_from(&found.search_path);
        *facts = found;
        self.beginning = Some(sql.to_owned());
        Ok(())
    }

    /// What the session begins with, to be put before another statement.
    pub(super) fn beginning_statement(&self) -> String {
        // A comment may be at its end.
        self.beginning.as_ref().map(|sql| format!("{sql}\n; ")).unwrap_or_default()
    }

    /// Puts the session into the state that every script finds: own role, own settings, nothing left open.
    pub(crate) async fn reset(&mut self) -> Result<(), DatabaseError> {
        self.query(&format!("{RESET_ROLE}; {}", self.reset_statements())).await.map(drop)
    }

    /// All but the role. None of it needs a transaction or forbids one.
    pub(super) fn reset_statements(&self) -> String {
        let mut text =
            "RESET ALL; CLOSE ALL; UNLISTEN *; DEALLOCATE ALL; DISCARD TEMP; DISCARD SEQUENCES".to_owned();
        if let Some(beginning) = &self.beginning {
            text.push_str(&format!("; {beginning}\n"));
        }
        if let Some(path) = &self.search_path {
            text.push_str(&format!(
                "; SELECT pg_catalog.set_config('search_path', {}, false)",
                quote_literal(path)
            ));
        }
        if self.checks_client {
            text.push_str("; SET client_connection_check_interval = '500ms'");
        }
        text
    }

    /// Asks the server to notice within half a second when we are gone, where it can; otherwise a statement of a
    /// killed runner goes on to its end, with the lock held.
    pub(crate) async fn watch_client(&mut self) -> Result<(), DatabaseError> {
        if self.version < CHECKS_CLIENT {
            return Ok(());
        }
        match self.query("SET client_connection_check_interval = '500ms'").await {
            Ok(_) => self.checks_client = true,
            // Some platforms know the setting and cannot do it.
            Err(error) if error.is_connection_lost() => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}
