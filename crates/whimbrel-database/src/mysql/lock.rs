//! Flyway's lock: a named lock of the session, tried and never waited for inside the server.
//!
//! It is taken on the connection that does the work: who loses one loses the other.

use whimbrel_migration::sql::TableName;
use whimbrel_migration::sql::mysql::{lock_name, quote_literal};

use super::MySql;
use crate::answers::{LockHolder, Unlocked, single, values};
use crate::error::DatabaseError;

impl MySql {
    pub(crate) async fn try_lock(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        let name = quote_literal(&lock_name(table));
        Ok(single(&self.query(&format!("SELECT GET_LOCK({name}, 0)")).await?).as_deref() == Some("1"))
    }

    pub(crate) async fn lock_holder(
        &mut self,
        table: &TableName,
    ) -> Result<Option<LockHolder>, DatabaseError> {
        let query = format!(
            "SELECT l.id, p.host, p.user, NOW() - INTERVAL p.time SECOND FROM (SELECT IS_USED_LOCK({}) AS id) l \
             LEFT JOIN information_schema.processlist p ON p.id = l.id",
            quote_literal(&lock_name(table))
        );
        let rows = self.query(&query).await?;
        Ok(rows.into_iter().next().and_then(|row| {
            let mut next = values(row);
            Some(LockHolder {
                backend: next()?.parse().ok()?,
                application_name: next().map(|host| format!("from {host}")),
                user: next(),
                since: next(),
            })
        }))
    }

    /// Gives the lock back, with a look whether it was ours, and whether the server's session is the one that took it.
    pub(super) async fn unlock(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        let name = quote_literal(&lock_name(table));
        let rows = self.query(&format!("SELECT CONNECTION_ID(), RELEASE_LOCK({name})")).await?;
        let Some([connection, held]) = rows.first().map(Vec::as_slice) else { return Ok(Unlocked::Lost) };
        let same = connection.as_deref() == Some(self.connection.to_string().as_str());
        Ok(match held.as_deref() {
            _ if !same => Unlocked::OtherBackend,
            Some("1") => Unlocked::Held,
            _ => Unlocked::Lost,
        })
    }
}
