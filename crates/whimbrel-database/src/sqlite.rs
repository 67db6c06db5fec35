//! SQLite, in this process.
//!
//! | question | answer |
//! |---|---|
//! | DDL in a transaction | yes, but for `VACUUM` and some pragmas |
//! | lock | on the folder of the file: SQLite's own goes with the transaction, and some scripts need none |
//! | session reset | a new connection; a database in memory keeps its one |
//! | schema | `main` |
//! | a file that is missing | is made when the first thing is written, not when it is looked at |

mod clean;
mod driver;
mod folder;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::sql::TableName;
use whimbrel_migration::sql::sqlite::MAIN;

use self::driver::{Driver, Place};
use self::folder::FolderLock;
use crate::answers::{
    FinishError, LockHolder, Outcome, Row, SessionFacts, StatementLimits, Unlocked, single,
};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError};
use crate::target::Target;
use crate::target::sqlite::MEMORY;
use crate::transaction::{RolledBack, TransactionFate, TransactionId};

/// One connection to one file.
pub(crate) struct Sqlite {
    driver: Driver,
    target: Target,
    /// The file does not exist: an empty database in memory stands for it as long as nothing is written.
    is_missing: bool,
    /// Whether a script had its hands on the connection.
    is_used: bool,
    /// A transaction of ours is open: another connection would lose it.
    in_transaction: bool,
    lock: Option<FolderLock>,
    interrupt: Arc<AtomicBool>,
    /// SQL that the session begins with, again and again.
    beginning: Option<String>,
}

/// Ends with the transaction that it was made in.
const MARK: &str = "whimbrel";

impl Sqlite {
    /// Opens the file. SQLite looks at it with the first query.
    pub(crate) async fn connect(
        target: &Target,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        let place = Place::of(target);
        let is_missing = match &place {
            Place::File(path) => is_missing(path, target.read_only)?,
            Place::Memory => false,
        };
        let interrupt = Arc::new(AtomicBool::new(false));
        let first = if is_missing { Place::Memory } else { place };
        let failed = |error: DatabaseError| (classify(&error), BoxError::from(error));
        let mut driver = Driver::open(&first, target, &interrupt).await.map_err(failed)?;
        let version =
            driver.rows("SELECT sqlite_version(), count(*) FROM sqlite_master").await.map_err(failed)?;
        let facts = SessionFacts {
            dialect: Dialect::Sqlite,
            backend: 0,
            user: String::new(),
            database: String::new(),
            schema: Some(MAIN.to_owned()),
            search_path: String::new(),
            server_version: single(&version).unwrap_or_default(),
            read_only: target.read_only,
        };
        let target = target.clone();
        let session = Self {
            driver,
            target,
            is_missing,
            is_used: false,
            in_transaction: false,
            lock: None,
            interrupt,
            beginning: None,
        };
        Ok((session, facts))
    }

    pub(crate) async fn query(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        self.driver.rows(sql).await
    }

    pub(crate) async fn execute(&mut self, sql: &str) -> Outcome {
        self.is_used = true;
        (self.driver.execute(sql).await, Vec::new())
    }

    /// The one writer: who waits for another one waits here, not in the middle of the script.
    pub(crate) async fn begin(&mut self) -> Result<TransactionId, DatabaseError> {
        self.query(&format!("BEGIN IMMEDIATE; SAVEPOINT {MARK}")).await?;
        self.in_transaction = true;
        Ok(TransactionId::default())
    }

    /// Who writes waits for other writers, and for nothing else; a statement of this engine has no limit of its own.
    pub(crate) async fn limit_statements(&mut self, limits: &StatementLimits) -> Result<(), DatabaseError> {
        let Some(lock) = limits.lock else { return Ok(()) };
        let millis = match i32::try_from(lock.as_millis()) {
            Ok(0) | Err(_) => i32::MAX,
            Ok(millis) => millis,
        };
        self.is_used = true;
        self.query(&format!("PRAGMA busy_timeout = {millis}")).await.map(drop)
    }

    pub(crate) async fn commit(&mut self) -> Result<(), DatabaseError> {
        self.query("COMMIT").await.map(drop)?;
        self.in_transaction = false;
        Ok(())
    }

    /// Without an open transaction there is nothing to roll back, which SQLite calls an error.
    pub(crate) async fn rollback(&mut self) -> Result<RolledBack, DatabaseError> {
        self.in_transaction = false;
        match self.query("ROLLBACK").await {
            Err(DatabaseError::Server(error)) if error.message.contains("no transaction is active") => {
                Ok(RolledBack::Everything)
            }
            other => other.map(|_| RolledBack::Everything),
        }
    }

    /// The mark is gone if the script ended its transaction.
    pub(crate) async fn finish(&mut self, _begun: &TransactionId, insert: &str) -> Result<(), FinishError> {
        self.in_transaction = false;
        if self.query(&format!("RELEASE {MARK}")).await.is_err() {
            return Err(FinishError::NotOurs);
        }
        self.query(insert).await.map_err(FinishError::RowRefused)?;
        FinishError::of_commit(self.query("COMMIT").await)
    }

    pub(crate) async fn transaction(&mut self, statements: &[String]) -> Result<(), DatabaseError> {
        let text = format!("BEGIN IMMEDIATE; {}; COMMIT", statements.join(";\n"));
        match self.query(&text).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.rollback().await?;
                Err(error)
            }
        }
    }

    /// No connection is lost here, so nobody has to ask.
    pub(crate) async fn fate_of(&mut self, _: &TransactionId) -> Result<TransactionFate, DatabaseError> {
        Ok(TransactionFate::Unknown)
    }

    /// There is but one.
    pub(crate) fn prefer_schema(&mut self, _schema: &str) {}

    /// There is no server that could go on without us.
    pub(crate) async fn watch_client(&mut self) -> Result<(), DatabaseError> {
        Ok(())
    }

    /// A new connection knows no pragma, no temporary table and no attached file of the old one.
    pub(crate) async fn reset(&mut self) -> Result<(), DatabaseError> {
        // What the scripts of a group leave to each other ends with their one transaction.
        if self.in_transaction {
            return Ok(());
        }
        let place = Place::of(&self.target);
        if self.is_missing || (self.is_used && place != Place::Memory) {
            let fresh = Driver::open(&place, &self.target, &self.interrupt).await?;
            std::mem::replace(&mut self.driver, fresh).close().await;
        } else if self.is_used {
            self.rollback().await?;
        }
        (self.is_missing, self.is_used) = (false, false);
        self.begin_again().await
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

    pub(crate) async fn try_lock(&mut self, _table: &TableName) -> Result<bool, DatabaseError> {
        let Place::File(path) = Place::of(&self.target) else { return Ok(true) };
        if self.lock.is_none() {
            self.lock = FolderLock::try_take(&path)?;
        }
        Ok(self.lock.is_some())
    }

    /// Whoever locked the folder left no name.
    pub(crate) async fn lock_holder(
        &mut self,
        _table: &TableName,
    ) -> Result<Option<LockHolder>, DatabaseError> {
        Ok(None)
    }

    pub(crate) async fn unlock_and_reset(&mut self, _table: &TableName) -> Result<Unlocked, DatabaseError> {
        let reset = self.reset().await;
        self.lock = None;
        reset.map(|()| Unlocked::Held)
    }

    /// Setting it ends the statement under way.
    pub(crate) fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.interrupt)
    }

    pub(crate) async fn close(self) {
        self.driver.close().await;
    }
}

/// Whether the file is still to be made; it can be, if its folder is there.
fn is_missing(path: &Path, read_only: bool) -> Result<bool, (ConnectErrorKind, BoxError)> {
    if path.is_file() {
        return Ok(false);
    }
    let no_database = |text: String| (ConnectErrorKind::NoDatabase, BoxError::from(text));
    if path.exists() {
        return Err(no_database(format!("{} is not a file", path.display())));
    }
    let folder = folder::of(path);
    if read_only {
        return Err(no_database(format!("{} does not exist, and the URL says mode=ro", path.display())));
    }
    if !folder.is_dir() {
        return Err(no_database(format!("the folder {} does not exist", folder.display())));
    }
    Ok(true)
}

fn classify(error: &DatabaseError) -> ConnectErrorKind {
    match error.server().map(|error| error.code) {
        // Busy: somebody else is writing.
        Some(5) => ConnectErrorKind::NotReady,
        _ => ConnectErrorKind::Other,
    }
}

impl Place {
    /// Where the target is.
    fn of(target: &Target) -> Self {
        match target.database.as_deref() {
            None | Some(MEMORY) => Self::Memory,
            Some(path) => Self::File(PathBuf::from(path)),
        }
    }
}
