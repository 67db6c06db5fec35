//! The only module that sees the types of SQLite's driver: everything it gives away is ours.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteError, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Either, Row as _};

use crate::answers::Row;
use crate::error::{DatabaseError, ServerError};
use crate::target::Target;

/// How long another writer is waited for, unless the URL says so itself.
const BUSY: Duration = Duration::from_secs(10);

/// How many steps of a statement pass between two looks whether it is to end.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a file.
    File(PathBuf),
    /// In memory, for as long as the connection lives.
    Memory,
}

pub(super) struct Driver {
    connection: SqliteConnection,
    interrupt: Arc<AtomicBool>,
}

impl Driver {
    /// Opens the database; a file that is missing is made.
    pub(super) async fn open(
        place: &Place,
        target: &Target,
        interrupt: &Arc<AtomicBool>,
    ) -> Result<Self, DatabaseError> {
        let mut connection = options(place, target).connect().await.map_err(database_error)?;
        let flag = Arc::clone(interrupt);
        let mut handle = connection.lock_handle().await.map_err(database_error)?;
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !flag.load(Ordering::Relaxed));
        drop(handle);
        Ok(Self { connection, interrupt: Arc::clone(interrupt) })
    }

    /// Runs all statements of the text and collects their rows.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        let mut rows = Vec::new();
        let mut stream = self.stream(sql);
        while let Some(item) = stream.try_next().await.map_err(database_error)? {
            if let Either::Right(row) = item {
                rows.push(text_row(&row)?);
            }
        }
        Ok(rows)
    }

    /// Runs all statements of the text; rows are read and dropped.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<u64, DatabaseError> {
        let mut affected = 0;
        let mut stream = self.stream(sql);
        while let Some(item) = stream.try_next().await.map_err(database_error)? {
            if let Either::Left(done) = item {
                affected += done.rows_affected();
            }
        }
        Ok(affected)
    }

    fn stream(
        &mut self,
        sql: &str,
    ) -> futures::stream::BoxStream<'_, Result<Either<sqlx::sqlite::SqliteQueryResult, SqliteRow>, sqlx::Error>>
    {
        // Who asked for the end of an earlier statement did not mean this one.
        self.interrupt.store(false, Ordering::Relaxed);
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_many(&mut self.connection)
    }

    pub(super) async fn close(self) {
        // The file is closed anyhow; a polite end is all that is lost.
        let _ = self.connection.close().await;
    }
}

fn options(place: &Place, target: &Target) -> SqliteConnectOptions {
    let options = match place {
        Place::File(path) => SqliteConnectOptions::new().filename(path),
        Place::Memory => SqliteConnectOptions::new().in_memory(true),
    };
    let options = options
        .create_if_missing(!target.read_only)
        .read_only(target.read_only)
        .busy_timeout(BUSY)
        .statement_cache_capacity(0)
        // The engine's own default; the driver's is another one.
        .foreign_keys(false)
        .disable_statement_logging();
    target.settings.iter().fold(options, |options, (name, value)| match name.as_str() {
        "busy_timeout" => options.busy_timeout(Duration::from_millis(value.parse().unwrap_or_default())),
        _ => options.pragma(name.clone(), value.clone()),
    })
}

fn text_row(row: &SqliteRow) -> Result<Row, DatabaseError> {
    (0..row.len())
        .map(|index| row.try_get_unchecked::<Option<String>, _>(index).map_err(database_error))
        .collect()
}

fn database_error(error: sqlx::Error) -> DatabaseError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<SqliteError>() {
            Ok(error) => DatabaseError::Server(server_error(&error)),
            Err(error) => DatabaseError::Protocol(error.into_error()),
        },
        sqlx::Error::Io(error) => DatabaseError::ConnectionLost(error.into()),
        other => DatabaseError::Protocol(other.into()),
    }
}

fn server_error(error: &SqliteError) -> ServerError {
    use sqlx::error::DatabaseError as _;
    let extended: i32 = error.code().and_then(|code| code.parse().ok()).unwrap_or_default();
    ServerError::new("", extended & 0xff, error.message())
}
