//! A session with one database: connecting with patience, running SQL, and knowing what became of a transaction.

use std::time::{Duration, Instant};

use crate::driver::{Driver, Row};
use crate::error::{ConnectError, ConnectErrorKind, DatabaseError};
use crate::notices::Notice;
use crate::target::Target;

/// How a session is opened.
#[derive(Clone, Debug)]
pub struct ConnectSettings {
    /// What the server's views show as our name; cut by the server at 63 bytes.
    pub application_name: String,
    /// How long transient failures are tried again; zero tries once.
    pub wait: Duration,
    /// How long one attempt may take, unless the target says so itself.
    pub attempt_timeout: Duration,
}

impl ConnectSettings {
    /// One attempt with the usual patience.
    pub fn once(application_name: impl Into<String>) -> Self {
        Self {
            application_name: application_name.into(),
            wait: Duration::ZERO,
            attempt_timeout: Duration::from_secs(10),
        }
    }
}

/// A failed attempt that will be followed by another one.
#[derive(Debug)]
pub struct ConnectRetry<'a> {
    /// Attempts so far.
    pub attempt: u32,
    /// Time since the first.
    pub waited: Duration,
    /// What this attempt met.
    pub error: &'a ConnectError,
}

/// What a session found out when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// The backend's process id.
    pub backend: i32,
    /// The role that objects are made as.
    pub user: String,
    /// The database's name.
    pub database: String,
    /// The schema that unqualified names are made in, if any of the search path exists.
    pub schema: Option<String>,
    /// The search path as configured.
    pub search_path: String,
    /// The server's version for people.
    pub server_version: String,
    /// Whether nothing can be written: a replica, or `default_transaction_read_only`.
    pub read_only: bool,
    /// The time zone of the session.
    pub time_zone: String,
}

/// What became of a transaction whose COMMIT was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionFate {
    /// It is committed.
    Committed,
    /// It is rolled back.
    RolledBack,
    /// The server still works on it.
    InProgress,
    /// The server has forgotten.
    Unknown,
}

/// The number of a transaction, by which its fate can be asked for later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionId(pub(crate) String);

impl TransactionId {
    /// The number as digits; 0, which no transaction has, where the server gave none.
    pub(crate) fn number(&self) -> u64 {
        self.0.parse().unwrap_or_default()
    }
}

/// What the session's transaction status is, as far as the server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// The transaction that was begun is open.
    Open,
    /// It is open but failed: only ROLLBACK helps.
    Failed,
    /// It is over; another one may be open.
    Over,
}

/// What a statement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// Rows that it touched.
    pub affected: u64,
    /// What the server said meanwhile.
    pub notices: Vec<Notice>,
}

/// A statement's error together with what the server had said before.
#[derive(Debug, thiserror::Error)]
#[error("a statement failed")]
pub struct ExecuteError {
    /// The error.
    #[source]
    pub error: DatabaseError,
    /// Notices before it.
    pub notices: Vec<Notice>,
}

/// One connection to one database.
pub struct Session {
    driver: Driver,
    target: Target,
    application_name: String,
    facts: SessionFacts,
    version: u32,
    /// What scripts find as search path, where it differs from the session's own.
    pub(crate) search_path: Option<String>,
    /// Whether the server was asked to watch the connection.
    pub(crate) checks_client: bool,
}

const FACTS: &str = "SELECT pg_catalog.pg_backend_pid(), current_user, pg_catalog.current_database(), \
     pg_catalog.current_schema(), pg_catalog.current_setting('search_path'), \
     pg_catalog.current_setting('server_version'), pg_catalog.current_setting('transaction_read_only'), \
     pg_catalog.current_setting('TimeZone')";

impl Session {
    /// Opens a session; transient failures are tried again, with growing pauses, until the deadline.
    ///
    /// `on_retry` is told about each failed attempt that will be repeated.
    pub async fn connect(
        target: &Target,
        settings: &ConnectSettings,
        mut on_retry: impl FnMut(ConnectRetry<'_>),
    ) -> Result<Self, ConnectError> {
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let timeout = target.connect_timeout.unwrap_or(settings.attempt_timeout);
            let mut error = match attempt(target, settings, timeout).await {
                Ok(session) => return Ok(session),
                Err(error) => error,
            };
            error.attempts = attempts;
            let waited = started.elapsed();
            if !error.kind.is_transient() || waited >= settings.wait {
                return Err(error);
            }
            on_retry(ConnectRetry { attempt: attempts, waited, error: &error });
            let pause = Duration::from_millis(100 << attempts.min(5)).min(Duration::from_secs(2));
            tokio::time::sleep(pause.min(settings.wait - waited)).await;
        }
    }

    /// Another session with the same database and name.
    pub async fn reconnect(&self, wait: Duration) -> Result<Self, ConnectError> {
        let settings = ConnectSettings { wait, ..ConnectSettings::once(self.application_name.clone()) };
        Self::connect(&self.target, &settings, |_| {}).await
    }

    /// What was found out at the beginning.
    pub fn facts(&self) -> &SessionFacts {
        &self.facts
    }

    /// The server's version as a number, 150018 for 15.18.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Where this session is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Runs our own SQL as one simple query and returns the rows of all its statements.
    pub async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        self.driver.rows(sql).await
    }

    /// Runs one statement of a script by the simple protocol. Rows are dropped.
    pub async fn execute(&mut self, sql: &str) -> Result<Executed, ExecuteError> {
        executed(self.driver.execute(sql).await)
    }

    /// Runs a `COPY … FROM STDIN` statement with its data.
    pub async fn copy_in(&mut self, statement: &str, data: &[u8]) -> Result<Executed, ExecuteError> {
        executed(self.driver.copy_in(statement, data).await)
    }

    /// Opens a transaction and returns its number.
    pub async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        let rows = self.query("BEGIN; SELECT pg_catalog.txid_current()").await?;
        Ok(TransactionId(single(&rows).unwrap_or_default()))
    }

    /// Commits. After [`DatabaseError::is_connection_lost`] the outcome must be asked for: [`Session::fate_of`].
    pub async fn commit(&mut self) -> Result<(), DatabaseError> {
        self.query("COMMIT").await.map(drop)
    }

    /// Rolls back; without an open transaction the server only warns.
    pub async fn rollback(&mut self) -> Result<(), DatabaseError> {
        self.query("ROLLBACK").await.map(drop)
    }

    /// Whether the transaction that [`Session::begin`] opened still is the current one.
    pub async fn transaction_status(
        &mut self,
        begun: &TransactionId,
    ) -> Result<TransactionStatus, DatabaseError> {
        match self.query("SELECT pg_catalog.txid_current_if_assigned()").await {
            Ok(rows) if single(&rows).as_ref() == Some(&begun.0) => Ok(TransactionStatus::Open),
            Ok(_) => Ok(TransactionStatus::Over),
            Err(error) if error.sqlstate() == Some("25P02") => Ok(TransactionStatus::Failed),
            Err(error) => Err(error),
        }
    }

    /// What became of a transaction of an earlier session.
    pub async fn fate_of(&mut self, transaction: &TransactionId) -> Result<TransactionFate, DatabaseError> {
        // The number came from the server; a text that is not one could not be sent.
        let Ok(number) = transaction.0.parse::<u64>() else { return Ok(TransactionFate::Unknown) };
        let rows = self.query(&format!("SELECT pg_catalog.txid_status({number})")).await?;
        Ok(match single(&rows).as_deref() {
            Some("committed") => TransactionFate::Committed,
            Some("aborted") => TransactionFate::RolledBack,
            Some("in progress") => TransactionFate::InProgress,
            _ => TransactionFate::Unknown,
        })
    }

    /// Something with which another task can cancel what this session is doing.
    pub fn canceller(&self) -> Canceller {
        Canceller {
            target: self.target.clone(),
            application_name: self.application_name.clone(),
            backend: self.facts.backend,
        }
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        self.driver.close().await;
    }
}

/// Cancels the statement that a session is running.
#[derive(Clone, Debug)]
pub struct Canceller {
    target: Target,
    application_name: String,
    backend: i32,
}

impl Canceller {
    /// Cancels the running statement from a connection of its own. Whether there was one is not known afterwards.
    pub async fn cancel(&self) -> Result<(), CancelError> {
        let settings = ConnectSettings {
            attempt_timeout: Duration::from_secs(3),
            ..ConnectSettings::once(self.application_name.clone())
        };
        let mut session = Session::connect(&self.target, &settings, |_| {}).await?;
        session.query(&format!("SELECT pg_catalog.pg_cancel_backend({})", self.backend)).await?;
        session.close().await;
        Ok(())
    }
}

/// A statement could not be cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No second connection.
    #[error("no connection to cancel the statement from")]
    Connect(#[from] ConnectError),
    /// The server refused.
    #[error("the server did not cancel the statement")]
    Refused(#[from] DatabaseError),
}

async fn attempt(
    target: &Target,
    settings: &ConnectSettings,
    timeout: Duration,
) -> Result<Session, ConnectError> {
    let failed = |kind, cause| ConnectError { kind, target: target.to_string(), attempts: 1, cause };
    let mut last = None;
    for endpoint in &target.endpoints {
        match Driver::connect(target, endpoint, &settings.application_name, timeout).await {
            Ok(mut driver) => {
                let facts = read_facts(&mut driver).await.map_err(|error| {
                    let kind = if error.is_connection_lost() {
                        ConnectErrorKind::Unreachable
                    } else {
                        ConnectErrorKind::Other
                    };
                    failed(kind, error.into())
                })?;
                return Ok(Session {
                    version: driver.server_version(),
                    driver,
                    target: target.clone(),
                    application_name: settings.application_name.clone(),
                    facts,
                    search_path: None,
                    checks_client: false,
                });
            }
            Err((kind, cause)) => last = Some(failed(kind, cause)),
        }
    }
    Err(last.unwrap_or_else(|| failed(ConnectErrorKind::Other, "the target names no server".into())))
}

async fn read_facts(driver: &mut Driver) -> Result<SessionFacts, DatabaseError> {
    let rows = driver.rows(FACTS).await?;
    let mut values = rows.into_iter().next().unwrap_or_default().into_iter();
    let mut next = || values.next().flatten();
    let backend = next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
    Ok(SessionFacts {
        backend,
        user: next().unwrap_or_default(),
        database: next().unwrap_or_default(),
        schema: next(),
        search_path: next().unwrap_or_default(),
        server_version: next().unwrap_or_default(),
        read_only: next().as_deref() == Some("on"),
        time_zone: next().unwrap_or_default(),
    })
}

fn executed(outcome: (Result<u64, DatabaseError>, Vec<Notice>)) -> Result<Executed, ExecuteError> {
    match outcome {
        (Ok(affected), notices) => Ok(Executed { affected, notices }),
        (Err(error), notices) => Err(ExecuteError { error, notices }),
    }
}

pub(crate) fn single(rows: &[Row]) -> Option<String> {
    rows.first()?.first()?.clone()
}
