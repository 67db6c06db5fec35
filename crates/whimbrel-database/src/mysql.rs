//! MySQL and MariaDB.
//!
//! | question | answer |
//! |---|---|
//! | DDL in a transaction | no: it commits what came before it, and itself |
//! | what ROLLBACK leaves | changes of tables without transactions (MyISAM, MEMORY); the server says so in a warning |
//! | lock | `GET_LOCK` with Flyway's name, tried and never waited for |
//! | session reset | settings by hand while the lock is held; a new connection once it is given back |
//! | schema | database |

mod ahead;
mod batch;
mod clean;
mod driver;
mod limits;
mod lock;
mod state;

use std::time::Duration;

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::sql::{TableName, mysql as sql};

use self::ahead::Ahead;
use self::driver::Driver;
use crate::answers::{FinishError, Row, SessionFacts, Unlocked, single, values};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError};
use crate::target::{Endpoint, Target};
use crate::transaction::{RolledBack, TransactionFate, TransactionId};

/// One connection to MySQL or MariaDB.
pub(crate) struct MySql {
    driver: Driver,
    dialect: Dialect,
    target: Target,
    endpoint: Endpoint,
    timeout: Duration,
    /// The number of the connection, by which others can end what it does.
    connection: u64,
    /// The database that names without one belong to.
    schema: Option<String>,
    /// That database did not exist when it was to be used.
    schema_is_missing: bool,
    /// A script had its hands on the session.
    is_used: bool,
    /// A statement may have left something that only a new connection is free of.
    is_changed: bool,
    /// A transaction was begun, with a mark in it.
    is_marked: bool,
    /// SQL that the session begins with, again and again.
    beginning: Option<String>,
    /// Statements that are under way.
    ahead: Ahead,
    /// The server has nothing to say about an earlier statement any more.
    has_nothing_to_say: bool,
}

/// Gone with the transaction that it was made in.
const MARK: &str = "whimbrel";
/// There is no such savepoint.
const NO_SAVEPOINT: i32 = 1305;
/// There is no such database.
const UNKNOWN_DATABASE: i32 = 1049;
/// The warning of a ROLLBACK that could not undo everything.
const NOT_ROLLED_BACK: &str = "1196";

const FACTS: &str = "SELECT CONNECTION_ID(), SUBSTRING_INDEX(USER(), '@', 1), DATABASE(), VERSION(), \
     @@GLOBAL.innodb_read_only";

impl MySql {
    /// One attempt to connect to one server.
    pub(crate) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        let mut driver = match Driver::connect(target, endpoint, timeout).await {
            Err((ConnectErrorKind::NoDatabase, _)) if target.create_database => {
                make_database(target, endpoint, timeout).await?
            }
            connected => connected?,
        };
        let facts = read_facts(&mut driver).await.map_err(|error| {
            let lost = error.is_connection_lost();
            (if lost { ConnectErrorKind::Unreachable } else { ConnectErrorKind::Other }, error.into())
        })?;
        let session = Self {
            driver,
            dialect: facts.1.dialect,
            target: target.clone(),
            endpoint: endpoint.clone(),
            timeout,
            connection: facts.0,
            schema: facts.1.schema.clone(),
            schema_is_missing: false,
            is_used: false,
            is_changed: false,
            is_marked: false,
            beginning: None,
            ahead: Ahead::default(),
            has_nothing_to_say: false,
        };
        Ok((session, facts.1))
    }

    /// What was sent ahead and never asked for is not run any more.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        self.ahead = Ahead::default();
        self.has_nothing_to_say = false;
        self.driver.rows(sql).await
    }

    pub(crate) async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        self.query(&format!("START TRANSACTION; SAVEPOINT {MARK}")).await?;
        self.is_marked = true;
        Ok(TransactionId::known(self.connection.to_string()))
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DatabaseError> {
        self.is_marked = false;
        self.query("COMMIT").await.map(drop)
    }

    /// Without an open transaction nothing happens.
    pub(crate) async fn rollback(&mut self) -> Result<RolledBack, DatabaseError> {
        let was_over = std::mem::take(&mut self.is_marked) && !self.release_mark().await?;
        self.query("ROLLBACK").await?;
        if was_over {
            return Ok(RolledBack::AlreadyOver);
        }
        let warnings = self.query("SHOW WARNINGS").await?;
        let says_so = |row: &Row| row.get(1).is_some_and(|code| code.as_deref() == Some(NOT_ROLLED_BACK));
        Ok(if warnings.iter().any(says_so) { RolledBack::NotEverything } else { RolledBack::Everything })
    }

    /// Whether the mark was there: it is gone when a statement ended the transaction.
    async fn release_mark(&mut self) -> Result<bool, DatabaseError> {
        match self.query(&format!("RELEASE SAVEPOINT {MARK}")).await {
            Ok(_) => Ok(true),
            Err(error) if error.server().is_some_and(|error| error.code == NO_SAVEPOINT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn finish(&mut self, _begun: &TransactionId, insert: &str) -> Result<(), FinishError> {
        self.is_marked = false;
        if !self.release_mark().await.map_err(FinishError::Rejected)? {
            return Err(FinishError::NotOurs);
        }
        self.query(insert).await.map_err(FinishError::RowRefused)?;
        FinishError::of_commit(self.query("COMMIT").await)
    }

    /// DDL among the statements commits by itself.
    pub(crate) async fn transaction(&mut self, statements: &[String]) -> Result<(), DatabaseError> {
        let text = format!("START TRANSACTION; {}; COMMIT", statements.join(";\n"));
        match self.query(&text).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if !error.is_connection_lost() {
                    self.rollback().await?;
                }
                Err(error)
            }
        }
    }

    /// The server keeps no record of transactions; it is over when its connection is gone, and the history tells.
    pub(crate) async fn fate_of(
        &mut self,
        transaction: &TransactionId,
    ) -> Result<TransactionFate, DatabaseError> {
        let connection = transaction.number();
        let query =
            format!("SELECT EXISTS (SELECT 1 FROM information_schema.processlist WHERE id = {connection})");
        let is_alive = single(&self.query(&query).await?).as_deref() == Some("1");
        Ok(if is_alive { TransactionFate::InProgress } else { TransactionFate::Unknown })
    }

    /// The server watches its sockets by itself.
    pub(crate) async fn watch_client(&mut self) -> Result<(), DatabaseError> {
        Ok(())
    }

    pub(crate) fn prefer_schema(&mut self, schema: &str) {
        if self.schema.as_deref() != Some(schema) {
            self.schema = Some(schema.to_owned());
            self.schema_is_missing = true;
        }
    }

    /// Runs the SQL that the session begins with, and keeps it.
    pub(crate) async fn begin_with(&mut self, sql: &str, _: &mut SessionFacts) -> Result<(), DatabaseError> {
        self.beginning = Some(sql.to_owned());
        self.begin_again().await
    }

    async fn begin_again(&mut self) -> Result<(), DatabaseError> {
        match self.beginning.clone() {
            Some(sql) => self.query(&sql).await.map(drop),
            None => Ok(()),
        }
    }

    /// What scripts change most, set back on the same connection: the lock stays.
    pub(crate) async fn reset(&mut self) -> Result<(), DatabaseError> {
        if self.is_used {
            let limit = match self.dialect {
                Dialect::MariaDb => "max_statement_time",
                _ => "max_execution_time",
            };
            self.query(&format!("{RESET}; SET {limit} = DEFAULT")).await?;
            self.is_used = false;
            self.query(&state::settings(&self.target)).await?;
        }
        self.use_schema().await?;
        self.begin_again().await
    }

    async fn use_schema(&mut self) -> Result<(), DatabaseError> {
        let Some(schema) = &self.schema else { return Ok(()) };
        match self.driver.rows(&format!("USE {}", sql::quote_identifier(schema))).await {
            Ok(_) => self.schema_is_missing = false,
            // It is made together with the history.
            Err(error) if error.server().is_some_and(|error| error.code == UNKNOWN_DATABASE) => {
                self.schema_is_missing = true;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Gives the lock back. A session that a script may have changed is left for a new one.
    pub(crate) async fn unlock_and_reset(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        let unlocked = self.unlock(table).await?;
        if self.is_changed {
            let connected = Driver::connect(&self.target, &self.endpoint, self.timeout).await;
            let fresh = connected.map_err(|(_, cause)| DatabaseError::ConnectionLost(cause))?;
            std::mem::replace(&mut self.driver, fresh).close().await;
            self.connection = read_facts(&mut self.driver).await?.0;
            (self.is_used, self.is_changed) = (false, false);
            self.use_schema().await?;
            self.begin_again().await?;
        } else {
            self.reset().await?;
        }
        Ok(unlocked)
    }

    /// The statement by which another session cancels what this one is doing.
    pub(crate) fn cancel_statement(&self) -> String {
        format!("KILL QUERY {}", self.connection)
    }

    pub(crate) async fn close(self) {
        self.driver.close().await;
    }
}

const RESET: &str = "UNLOCK TABLES; ROLLBACK; SET NAMES utf8mb4; SET autocommit = 1, \
     foreign_key_checks = DEFAULT, unique_checks = DEFAULT, sql_safe_updates = DEFAULT, time_zone = DEFAULT, \
     lock_wait_timeout = DEFAULT, innodb_lock_wait_timeout = DEFAULT; \
     SET SESSION TRANSACTION READ WRITE";

/// The database of the target does not exist, and the URL says to make it.
async fn make_database(
    target: &Target,
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<Driver, (ConnectErrorKind, BoxError)> {
    let name = sql::quote_identifier(target.database_name());
    let without = Target { database: None, ..target.clone() };
    let mut driver = Driver::connect(&without, endpoint, timeout).await?;
    let make = format!("CREATE DATABASE IF NOT EXISTS {name}; USE {name}");
    driver.rows(&make).await.map_err(|error| (ConnectErrorKind::NoDatabase, error.into()))?;
    Ok(driver)
}

/// The connection's number, and what there is to know.
async fn read_facts(driver: &mut Driver) -> Result<(u64, SessionFacts), DatabaseError> {
    let rows = driver.rows(FACTS).await?;
    let mut next = values(rows.into_iter().next().unwrap_or_default());
    let connection: u64 = next().and_then(|id| id.parse().ok()).unwrap_or_default();
    let user = next().unwrap_or_default();
    let database = next();
    let version = next().unwrap_or_default();
    let facts = SessionFacts {
        dialect: if version.contains("MariaDB") { Dialect::MariaDb } else { Dialect::MySql },
        backend: i32::try_from(connection).unwrap_or_default(),
        user,
        database: database.clone().unwrap_or_default(),
        schema: database,
        search_path: String::new(),
        server_version: version,
        // With read_only alone, some users may write all the same.
        read_only: next().as_deref() == Some("1"),
    };
    Ok((connection, facts))
}
