//! Nothing that a script leaves in the session reaches the next one, or the history.

use std::borrow::Cow;

use whimbrel_migration::sql::postgres::{quote_identifier, quote_literal};

use super::lock::RESET_ROLE;
use super::{Postgres, read_facts};
use crate::answers::{Row, SessionFacts};
use crate::error::DatabaseError;

/// Since PostgreSQL 14 a backend looks now and then whether its client still is there.
const CHECKS_CLIENT: u32 = 140_000;
const CLIENT_CHECK: &str = "client_connection_check_interval";

impl Postgres {
    /// Names that are not qualified are made in this schema from now on, as Flyway does it.
    pub(crate) fn prefer_schema(&mut self, schema: &str) {
        let quoted = quote_identifier(schema);
        let original = self.configured_path.trim().to_owned();
        let begins_with_it = original.starts_with(&quoted) || original.starts_with(schema);
        self.search_path = (!begins_with_it)
            .then(|| if original.is_empty() { quoted } else { format!("{quoted}, {original}") });
        let path = self.search_path.as_ref().unwrap_or(&self.configured_path);
        self.hides_catalogue = hides_catalogue(path);
    }

    /// Our own SQL as it is sent. Where other schemas come before `pg_catalog`, their operators, functions and types would
    /// be taken for the server's: there it has a search path of its own, as long as the query's own transaction lasts.
    /// What we ask inside of a script's transaction names what it uses.
    pub(super) fn ours<'sql>(&self, sql: &'sql str) -> Cow<'sql, str> {
        let inside = self.begun.is_some() || self.driver.in_transaction();
        match self.hides_catalogue && !inside {
            true => Cow::Owned(format!("SET LOCAL search_path = pg_catalog; {sql}")),
            false => Cow::Borrowed(sql),
        }
    }

    /// SQL of ours while a script has its hands on the session: as the login role and by settings of its own, which end with
    /// the transaction.
    pub(crate) async fn query_amid(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        // The role that the session began with, which may be another than the one that logged in (ALTER ROLE … SET role).
        let settings = "SET LOCAL role TO DEFAULT; SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = 0; \
             SET LOCAL statement_timeout = 0";
        self.plain(&format!("{settings}; {sql}")).await
    }

    /// Runs the SQL that the session begins with and keeps it, and looks again at what it may have changed.
    pub(crate) async fn begin_with(
        &mut self,
        sql: &str,
        facts: &mut SessionFacts,
    ) -> Result<(), DatabaseError> {
        self.plain(sql).await?;
        let (found, waits_for_ever) = read_facts(&mut self.driver).await?;
        self.waits_for_ever = waits_for_ever;
        self.hides_catalogue = hides_catalogue(&found.search_path);
        self.configured_path.clone_from(&found.search_path);
        *facts = found;
        self.beginning = Some(sql.to_owned());
        Ok(())
    }

    /// Puts the session into the state that every script finds: own role, own settings, nothing left open.
    pub(crate) async fn reset(&mut self) -> Result<(), DatabaseError> {
        self.plain(&format!("{RESET_ROLE}; {}", self.reset_statements())).await.map(drop)
    }

    /// All but the role. None of it needs a transaction or forbids one.
    pub(super) fn reset_statements(&self) -> String {
        let settings = self.settings();
        let forgotten = self.forgetting();
        if settings.is_empty() { forgotten } else { format!("{forgotten}; SELECT {}", settings.join(", ")) }
    }

    /// What takes away what was left, and begins anew.
    pub(super) fn forgetting(&self) -> String {
        let mut text =
            "RESET ALL; CLOSE ALL; UNLISTEN *; DEALLOCATE ALL; DISCARD TEMP; DISCARD SEQUENCES".to_owned();
        if let Some(beginning) = &self.beginning {
            // A comment may be at its end.
            text.push_str(&format!("; {beginning}\n"));
        }
        text
    }

    /// What a script finds set besides: expressions for a query.
    pub(super) fn settings(&self) -> Vec<String> {
        let path = self.search_path.as_deref().map(|path| setting("search_path", path, false));
        let check = self.checks_client.then(|| setting(CLIENT_CHECK, "500ms", false));
        path.into_iter().chain(check).collect()
    }

    /// Asks the server to notice within half a second when we are gone, where it can; otherwise a statement of a
    /// killed runner goes on to its end, with the lock held.
    pub(crate) async fn watch_client(&mut self) -> Result<(), DatabaseError> {
        if self.version < CHECKS_CLIENT {
            return Ok(());
        }
        match self.query(&format!("SET {CLIENT_CHECK} = '500ms'")).await {
            Ok(_) => self.checks_client = true,
            // Some platforms know the setting and cannot do it.
            Err(error) if error.is_connection_lost() => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}

/// The expression that sets something for this transaction or for the session.
pub(super) fn setting(name: &str, value: &str, local: bool) -> String {
    format!("pg_catalog.set_config('{name}', {}, {local})", quote_literal(value))
}

/// Whether a search path names schemas before `pg_catalog`. One that does not name it has it first all the same.
pub(super) fn hides_catalogue(path: &str) -> bool {
    let (mut names, mut quoted) = (vec![String::new()], false);
    for character in path.chars() {
        match (character, quoted, names.last_mut()) {
            ('"', ..) => quoted = !quoted,
            (',', false, _) => names.push(String::new()),
            (' ', false, _) => {}
            (_, _, Some(name)) => name.push(character),
            (_, _, None) => {}
        }
    }
    names.iter().position(|name| name == "pg_catalog").is_some_and(|place| place > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_hides_the_catalogue_where_it_names_another_schema_first() {
        for (path, hides) in [
            ("", false),
            ("\"$user\", public", false),
            ("pg_catalog, public", false),
            ("public, pg_catalog", true),
            ("\"Odd, name\", \"pg_catalog\"", true),
            ("\"a, pg_catalog\"", false),
        ] {
            assert_eq!(hides_catalogue(path), hides, "{path}");
        }
    }
}
