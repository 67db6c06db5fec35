//! A session with one database: connecting with patience, running SQL, and knowing what became of a transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::sql::TableName;

use crate::engine::{Capabilities, Engine, on_engine};
use crate::error::{ConnectError, DatabaseError};
use crate::lock::{LockHolder, Unlocked};
use crate::target::Target;

/// One row, each value as the server writes it, `None` for NULL.
pub type Row = Vec<Option<String>>;

/// What came of a statement, and what the server said meanwhile.
pub(crate) type Outcome = (Result<u64, DatabaseError>, Vec<Notice>);

/// A message that the server sent along with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether it is a `WARNING`, not a `NOTICE` or `INFO`.
    pub is_warning: bool,
    /// Five characters that name the condition; `00000` where it has no name of its own.
    pub sqlstate: String,
    /// The text.
    pub message: String,
}

impl Notice {
    /// Whether the server warns that it is about to end the session: 57P01 and 57P02.
    pub(crate) fn says_goodbye(&self) -> bool {
        self.is_warning && matches!(self.sqlstate.as_str(), "57P01" | "57P02")
    }
}

/// An index by the name that a statement gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// There is none of this name.
    Absent,
    /// It is there and usable.
    Valid,
    /// It is there, costs every write, and serves no query: what a failed CONCURRENTLY leaves.
    Invalid,
}

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
    /// What kind of server it is, as it says itself.
    pub dialect: Dialect,
    /// The server's number for this session: a process id, a connection id; 0 where there is no server.
    pub backend: i32,
    /// The role that objects are made as; empty where the engine has no users.
    pub user: String,
    /// The database's name; empty where it has none.
    pub database: String,
    /// The schema that unqualified names are made in, if there is one (PostgreSQL: the first of the search path that
    /// exists).
    pub schema: Option<String>,
    /// The search path as configured; empty where the engine has none.
    pub search_path: String,
    /// The server's version for people.
    pub server_version: String,
    /// Whether nothing can be written: a replica, or a setting.
    pub read_only: bool,
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

/// What a ROLLBACK undid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// All of the transaction, or there was none.
    Everything,
    /// Nothing: the transaction was over before, and what it did is committed (DDL of MySQL, a procedure that commits).
    AlreadyOver,
    /// Some tables know no transactions and keep what was written (MyISAM).
    NotEverything,
}

/// The number of a transaction, by which its fate can be asked for later.
///
/// It is told by the server together with the answer to the first statement, so that BEGIN costs no time of its own.
#[derive(Clone, Debug, Default)]
pub struct TransactionId(std::sync::Arc<std::sync::OnceLock<String>>);

impl TransactionId {
    /// One that is known.
    pub(crate) fn known(number: impl Into<String>) -> Self {
        let id = Self::default();
        id.tell(number.into());
        id
    }

    /// Now it is known.
    pub(crate) fn tell(&self, number: String) {
        // It is told once; a second time would be the same.
        let _ = self.0.set(number);
    }

    /// The number as digits; 0, which no transaction has, where the server gave none.
    pub(crate) fn number(&self) -> u64 {
        self.0.get().and_then(|number| number.parse().ok()).unwrap_or_default()
    }
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
    engine: Engine,
    target: Target,
    application_name: String,
    facts: SessionFacts,
    /// Who is named in rows of the history, if not the database's user.
    pub(crate) installed_by: Option<String>,
    /// SQL that the session begins with where the engine does not keep it itself.
    beginning: Option<String>,
}

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

    /// Runs one statement of a script as it stands. Rows are dropped.
    pub async fn execute(&mut self, sql: &str) -> Result<Executed, ExecuteError> {
        executed(on_engine!(&mut self.engine, engine => engine.execute(sql).await))
    }

    /// Runs a `COPY … FROM STDIN` statement with its data (PostgreSQL).
    pub async fn copy_in(&mut self, statement: &str, data: &[u8]) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.copy_in(statement, data).await),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: no_copy(), notices: Vec::new() })
            }
        }
    }

    /// Sends a statement of a script whose answer is fetched later, in order, by [`Session::answer`]. Only inside a
    /// transaction: there a statement that fails takes the effect from those behind it. Only where
    /// [`Capabilities::sends_ahead`] says so.
    pub async fn send(&mut self, sql: &str) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.send(sql).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(not_ahead()),
        }
    }

    /// The answer to the oldest statement that was sent ahead.
    pub async fn answer(&mut self) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.answer().await),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: not_ahead(), notices: Vec::new() })
            }
        }
    }

    /// Begins a `COPY … FROM STDIN` whose data comes in pieces. All answers must have been fetched.
    pub async fn begin_copy(&mut self, statement: &str) -> Result<(), ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.begin_copy(statement).await).map(drop),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: no_copy(), notices: Vec::new() })
            }
        }
    }

    /// Some of the data.
    pub async fn copy_data(&mut self, data: &[u8]) -> Result<(), DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.copy_data(data).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Err(no_copy()),
        }
    }

    /// The data is complete.
    pub async fn finish_copy(&mut self) -> Result<Executed, ExecuteError> {
        match &mut self.engine {
            Engine::Postgres(engine) => executed(engine.finish_copy().await),
            Engine::MySql(_) | Engine::Sqlite(_) => {
                Err(ExecuteError { error: no_copy(), notices: Vec::new() })
            }
        }
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
        self.query(sql).await?;
        match &mut self.engine {
            Engine::Postgres(postgres) => postgres.begin_with(sql, &mut self.facts).await,
            Engine::MySql(_) | Engine::Sqlite(_) => {
                self.beginning = Some(sql.to_owned());
                Ok(())
            }
        }
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
        on_engine!(&mut self.engine, engine => engine.reset().await)?;
        self.begin_again().await
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

    async fn begin_again(&mut self) -> Result<(), DatabaseError> {
        match self.beginning.clone() {
            Some(sql) => self.query(&sql).await.map(drop),
            None => Ok(()),
        }
    }

    /// Tries once to take the lock.
    pub async fn try_lock(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.try_lock(table).await)
    }

    /// Tries once to take the lock, and reads the rows above a rank under it; none where somebody else has it.
    pub async fn try_lock_and_read(
        &mut self,
        table: &TableName,
        installed_rank: i32,
    ) -> Result<Option<Vec<HistoryRow>>, DatabaseError> {
        if let Engine::Postgres(engine) = &mut self.engine {
            let rows = engine.try_lock_and_read(table, installed_rank).await?;
            return rows.map(|rows| crate::history::history_rows(table, &rows)).transpose();
        }
        if !self.try_lock(table).await? {
            return Ok(None);
        }
        self.read_history_after(table, installed_rank).await.map(Some)
    }

    /// Who holds the lock, if it still is held and the engine tells.
    pub async fn lock_holder(&mut self, table: &TableName) -> Result<Option<LockHolder>, DatabaseError> {
        on_engine!(&mut self.engine, engine => engine.lock_holder(table).await)
    }

    /// Whether somebody else tries to get the lock that we hold. Only PostgreSQL has to be asked: MySQL and MariaDB keep
    /// a queue, and SQLite's lock belongs to this machine.
    pub async fn is_awaited(&mut self, table: &TableName) -> Result<bool, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.is_awaited(table).await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(false),
        }
    }

    /// Gives the lock back and makes the session as good as new.
    pub async fn unlock_and_reset(&mut self, table: &TableName) -> Result<Unlocked, DatabaseError> {
        let unlocked = on_engine!(&mut self.engine, engine => engine.unlock_and_reset(table).await)?;
        self.begin_again().await?;
        Ok(unlocked)
    }

    /// The state of an index that a statement may leave half made. The name is as in SQL: quoted where need be, qualified or found by the search path.
    pub async fn index_state(&mut self, name: &str) -> Result<IndexState, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.index_state(name).await,
            // No statement of theirs leaves an index half made.
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(IndexState::Absent),
        }
    }

    /// The names of all INVALID indexes outside the system's schemas, quoted and qualified.
    pub async fn invalid_indexes(&mut self) -> Result<Vec<String>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.invalid_indexes().await,
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Vec::new()),
        }
    }

    /// Who may hold the locks that this session's last statement waited for, for the message after a timeout.
    pub async fn oldest_transactions(&mut self) -> Result<Vec<String>, DatabaseError> {
        match &mut self.engine {
            Engine::Postgres(engine) => engine.oldest_transactions().await,
            // SQLite does not tell; MySQL does only to those who may see all processes.
            Engine::MySql(_) | Engine::Sqlite(_) => Ok(Vec::new()),
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

    /// Something with which another task can cancel what this session is doing.
    pub fn canceller(&self) -> Canceller {
        let by_statement = |statement| {
            Canceller(Cancel::Statement {
                target: Box::new(self.target.clone()),
                application_name: self.application_name.clone(),
                statement,
            })
        };
        match &self.engine {
            Engine::Postgres(engine) => by_statement(engine.cancel_statement()),
            Engine::MySql(engine) => by_statement(engine.cancel_statement()),
            Engine::Sqlite(engine) => Canceller(Cancel::Interrupt(engine.interrupt())),
        }
    }

    /// Says goodbye to the server.
    pub async fn close(self) {
        on_engine!(self.engine, engine => engine.close().await);
    }

    pub(crate) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

/// Cancels the statement that a session is running.
#[derive(Clone, Debug)]
pub struct Canceller(Cancel);

#[derive(Clone, Debug)]
enum Cancel {
    /// By a statement of another session.
    Statement { target: Box<Target>, application_name: String, statement: String },
    /// By a word to the engine, which runs in this process.
    Interrupt(Arc<AtomicBool>),
}

impl Canceller {
    /// Cancels the running statement, where there is a server from a connection of its own. Whether there was one is not known afterwards.
    pub async fn cancel(&self) -> Result<(), CancelError> {
        let (target, application_name, statement) = match &self.0 {
            Cancel::Interrupt(interrupt) => {
                interrupt.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Cancel::Statement { target, application_name, statement } => {
                (target, application_name, statement)
            }
        };
        let settings = ConnectSettings {
            attempt_timeout: Duration::from_secs(3),
            ..ConnectSettings::once(application_name.clone())
        };
        let mut session = Session::connect(target, &settings, |_| {}).await?;
        session.query(statement).await?;
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
    let name = &settings.application_name;
    match Engine::connect(target, name, timeout).await {
        Ok((engine, facts)) => Ok(Session {
            engine,
            target: target.clone(),
            application_name: name.clone(),
            facts,
            installed_by: None,
            beginning: None,
        }),
        Err((kind, cause)) => Err(ConnectError { kind, target: target.to_string(), attempts: 1, cause }),
    }
}

fn no_copy() -> DatabaseError {
    DatabaseError::Protocol("COPY … FROM STDIN is PostgreSQL's".into())
}

fn not_ahead() -> DatabaseError {
    DatabaseError::Protocol("this engine takes one statement at a time".into())
}

fn executed(outcome: Outcome) -> Result<Executed, ExecuteError> {
    match outcome {
        (Ok(affected), notices) => Ok(Executed { affected, notices }),
        (Err(error), notices) => Err(ExecuteError { error, notices }),
    }
}

pub(crate) fn single(rows: &[Row]) -> Option<String> {
    rows.first()?.first()?.clone()
}
