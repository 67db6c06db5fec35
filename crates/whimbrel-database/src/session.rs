//! A session with one database: running SQL, transactions, and the state that scripts find. What belongs to one matter
//! (the lock, limits, the history, …) has a module of its own.

use whimbrel_migration::dialect::Dialect;

use crate::answers::{Row, SessionFacts};
use crate::engine::{Capabilities, Engine, on_engine};
use crate::error::DatabaseError;
use crate::target::Target;
use crate::transaction::{RolledBack, TransactionFate, TransactionId};

/// One connection to one database.
pub struct Session {
    pub(crate) engine: Engine,
    pub(crate) target: Target,
    pub(crate) application_name: String,
    pub(crate) facts: SessionFacts,
    /// Who is named in rows of the history, if not the database's user.
    pub(crate) installed_by: Option<String>,
}

impl Session {
    /// What was found out at the beginning.
    pub fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// The kind of the server.
    pub fn dialect(&self) -> Dialect {
        self.facts.dialect
    }

    /// What it can be asked for.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::of(self.facts.dialect)
    }

    /// Where this session is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Runs our own SQL, one statement or several, and returns the rows of all of them.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.query(sql).await)
    }

    /// Opens a transaction that others cannot write beside where the engine has one writer only.
    pub async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.begin().await)
    }

    /// Commits. After [`DatabaseError::is_connection_lost`] the outcome must be asked for: [`Session::fate_of`].
    pub async fn commit(&mut self) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.commit().await)
    }

    /// Rolls back. Without an open transaction nothing happens.
    pub async fn rollback(&mut self) -> Result<RolledBack, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.rollback().await)
    }

    /// Runs the statements as one transaction: all of them or none, as far as the engine can undo DDL.
    pub async fn transaction(&mut self, statements: &[String]) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.transaction(statements).await)
    }

    /// What became of a transaction of an earlier session.
    pub async fn fate_of(&mut self, transaction: &TransactionId) -> Result<TransactionFate, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.fate_of(transaction).await)
    }

    /// Rows of the history name this one from now on, and not the database's user.
    pub fn sign_as(&mut self, installed_by: Option<String>) {
        self.installed_by = installed_by;
    }

    /// Begins with this SQL, and again whenever the session is put back into the state that a script finds. What it
    /// says about role and search path is what is found out about the session from now on.
    pub async fn begin_with(&mut self, sql: &str) -> Result<(), DatabaseError> {
        let sql = sql.trim().trim_end_matches(';');
        let facts = &mut self.facts;
        on_engine!(&mut self.engine, engine => engine.begin_with(sql, facts).await)
    }

    /// Names that are not qualified are made in this schema from now on, as Flyway does it.
    pub fn prefer_schema(&mut self, schema: &str) {
        on_engine!(&mut self.engine, engine => engine.prefer_schema(schema));
    }

    /// Asks the server to notice when we are gone, where it can be asked; otherwise a statement of a killed runner
    /// goes on to its end, with the lock held.
    pub async fn watch_client(&mut self) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.watch_client().await)
    }

    /// Puts the session into the state that every script finds: own role, own settings, nothing left open.
    pub async fn reset(&mut self) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.reset().await)
    }

    /// The same inside of a transaction that is open and stays so. Where a reset needs a new connection or ends the
    /// transaction, nothing is done.
    pub async fn reset_within(&mut self) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.reset().await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(()),
        }
    }

    /// Whether a transaction is open, where the server says so with each answer.
    pub fn in_transaction(&self) -> Option<bool> {
        match &self.engine {
            Engine::Postgres(engine) => Some(engine.in_transaction()),
            Engine::MySql(_) | Engine::Sqlite(_) => None,
        }
    }

    /// What [`Session::clean_schema`] would run now.
    pub async fn clean_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.clean_statements(schema).await)
    }

    /// What [`Session::drop_schema`] would run now.
    pub async fn drop_statements(&mut self, schema: &str) -> Result<Vec<String>, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.drop_statements(schema).await)
    }

    /// Drops everything in the schema. The schema stays.
    pub async fn clean_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.clean_schema(schema).await)
    }

    /// Drops a schema that a marker row says we made.
    pub async fn drop_schema(&mut self, schema: &str) -> Result<(), DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.drop_schema(schema).await)
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        on_engine!(self.engine, engine => engine.close().await);
    }
}
