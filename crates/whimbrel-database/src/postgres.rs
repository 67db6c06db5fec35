//! PostgreSQL.
//!
//! | question | answer |
//! |---|---|
//! | DDL in a transaction | yes, but for what the server refuses there |
//! | number of a transaction | `txid_current()`; `txid_status()` tells its fate in another session |
//! | lock | advisory lock of the session, tried and never waited for |
//! | session reset | roles, settings, cursors, temporary tables, LISTEN, prepared statements |
//! | an INVALID index | can be left by CONCURRENTLY, and is looked for |

mod clean;
mod driver;
mod ending;
mod hygiene;
mod inspect;
mod limits;
mod lock;

use std::time::Duration;

use whimbrel_migration::dialect::Dialect;

use self::driver::{Answer, CopyReady, Driver, Wanted, outcome};
use crate::answers::{Outcome, Row, SessionFacts, single, values};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError};
use crate::target::{Endpoint, Target};
use crate::transaction::{RolledBack, TransactionFate, TransactionId};

/// One connection to PostgreSQL.
pub(crate) struct Postgres {
    driver: Driver,
    backend: i32,
    version: u32,
    /// The search path that the session began with.
    configured_path: String,
    /// What scripts find as search path, where it differs from the session's own.
    search_path: Option<String>,
    /// That path has schemas before `pg_catalog`, so that our own SQL needs one of its own.
    hides_catalogue: bool,
    /// SQL that the session begins with, again and again.
    beginning: Option<String>,
    /// Whether the session waits for locks for ever when nothing else is said.
    waits_for_ever: bool,
    /// Whether the server was asked to watch the connection.
    checks_client: bool,
    /// A transaction whose BEGIN has not been answered yet.
    begun: Option<TransactionId>,
}

const FACTS: &str = "SELECT pg_catalog.pg_backend_pid(), current_user, pg_catalog.current_database(), \
     pg_catalog.current_schema(), pg_catalog.current_setting('search_path'), \
     pg_catalog.current_setting('server_version'), pg_catalog.current_setting('transaction_read_only'), \
     pg_catalog.current_setting('lock_timeout')";

impl Postgres {
    /// One attempt to connect to one server.
    pub(crate) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        application_name: &str,
        timeout: Duration,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        let mut driver = Driver::connect(target, endpoint, application_name, timeout).await?;
        let (facts, waits_for_ever) = read_facts(&mut driver).await.map_err(|error| {
            let lost = error.is_connection_lost();
            (if lost { ConnectErrorKind::Unreachable } else { ConnectErrorKind::Other }, error.into())
        })?;
        let session = Self {
            backend: facts.backend,
            version: driver.server_version(),
            driver,
            configured_path: facts.search_path.clone(),
            search_path: None,
            hides_catalogue: hygiene::hides_catalogue(&facts.search_path),
            beginning: None,
            waits_for_ever,
            checks_client: false,
            begun: None,
        };
        Ok((session, facts))
    }

    /// SQL of ours.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        let sql = self.ours(sql);
        self.plain(&sql).await
    }

    /// SQL that finds the search path as it is.
    async fn plain(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        self.ask(sql, Wanted::Rows).await?.rows()
    }

    pub(crate) async fn execute(&mut self, sql: &str) -> Outcome {
        outcome(self.ask(sql, Wanted::Nothing).await)
    }

    /// A query, with the BEGIN in front of it that may still be unanswered.
    async fn ask(&mut self, sql: &str, wanted: Wanted) -> Result<Answer, DatabaseError> {
        if self.begun.is_none() {
            return self.driver.ask(sql, wanted).await;
        }
        self.driver.send(sql).await?;
        self.settle_begin().await?;
        self.driver.answer(wanted).await
    }

    /// Takes the answer to BEGIN, if it still is to come.
    async fn settle_begin(&mut self) -> Result<(), DatabaseError> {
        let Some(begun) = self.begun.take() else { return Ok(()) };
        let answer = self.driver.answer(Wanted::Rows).await?;
        if let Some(error) = answer.error {
            return Err(error);
        }
        begun.tell(single(&answer.rows).unwrap_or_default());
        Ok(())
    }

    pub(crate) async fn send(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.driver.send(sql).await
    }

    pub(crate) async fn answer(&mut self) -> Outcome {
        match self.settle_begin().await {
            Ok(()) => outcome(self.driver.answer(Wanted::Nothing).await),
            Err(error) => (Err(error), Vec::new()),
        }
    }

    /// Zero rows are touched as long as the server waits for data; what it answers instead is an error.
    pub(crate) async fn begin_copy(&mut self, statement: &str) -> Outcome {
        if let Err(error) = self.settle_begin().await {
            return (Err(error), Vec::new());
        }
        match self.driver.begin_copy(statement).await {
            Ok(CopyReady::Yes) => (Ok(0), Vec::new()),
            Ok(CopyReady::No(answer)) => match outcome(Ok(*answer)) {
                (Ok(_), notices) => {
                    (Err(DatabaseError::Protocol("the server wanted no data for this COPY".into())), notices)
                }
                refused => refused,
            },
            Err(error) => (Err(error), Vec::new()),
        }
    }

    pub(crate) async fn copy_data(&mut self, data: &[u8]) -> Result<(), DatabaseError> {
        self.driver.copy_data(data).await
    }

    pub(crate) async fn finish_copy(&mut self) -> Outcome {
        outcome(self.driver.finish_copy().await)
    }

    /// As of the last answer.
    pub(crate) fn in_transaction(&self) -> bool {
        self.driver.in_transaction()
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DatabaseError> {
        self.plain("COMMIT").await.map(drop)
    }

    /// Without an open transaction the server only warns.
    pub(crate) async fn rollback(&mut self) -> Result<RolledBack, DatabaseError> {
        self.plain("ROLLBACK").await.map(|_| RolledBack::Everything)
    }

    /// Several statements in one simple query are one transaction already; BEGIN and COMMIT say so.
    pub(crate) async fn transaction(&mut self, statements: &[String]) -> Result<(), DatabaseError> {
        let text = format!("BEGIN; {}; COMMIT", statements.join(";\n"));
        match self.query(&text).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if !error.is_connection_lost() {
                    self.plain("ROLLBACK").await?;
                }
                Err(error)
            }
        }
    }

    pub(crate) async fn fate_of(
        &mut self,
        transaction: &TransactionId,
    ) -> Result<TransactionFate, DatabaseError> {
        let number = transaction.number();
        if number == 0 {
            return Ok(TransactionFate::Unknown);
        }
        let rows = match self.query(&format!("SELECT pg_catalog.txid_status({number})")).await {
            Ok(rows) => rows,
            // The server crashed, and nothing of a transaction of this number had come to the disk: "in the future".
            Err(error) if error.sqlstate() == Some("22023") => return Ok(TransactionFate::RolledBack),
            Err(error) => return Err(error),
        };
        Ok(match single(&rows).as_deref() {
            Some("committed") => TransactionFate::Committed,
            Some("aborted") => TransactionFate::RolledBack,
            Some("in progress") => TransactionFate::InProgress,
            _ => TransactionFate::Unknown,
        })
    }

    /// The statement by which another session cancels what this one is doing.
    pub(crate) fn cancel_statement(&self) -> String {
        format!("SELECT pg_catalog.pg_cancel_backend({})", self.backend)
    }

    pub(crate) async fn close(self) {
        self.driver.close().await;
    }
}

/// What was found out, and whether the session waits for locks for ever.
async fn read_facts(driver: &mut Driver) -> Result<(SessionFacts, bool), DatabaseError> {
    let rows = driver.rows(FACTS).await?;
    let mut next = values(rows.into_iter().next().unwrap_or_default());
    let backend = next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
    let facts = SessionFacts {
        dialect: Dialect::PostgreSql,
        backend,
        user: next().unwrap_or_default(),
        database: next().unwrap_or_default(),
        schema: next(),
        search_path: next().unwrap_or_default(),
        server_version: next().unwrap_or_default(),
        read_only: next().as_deref() == Some("on"),
    };
    Ok((facts, next().as_deref() == Some("0")))
}
