//! The only module that sees the types of PostgreSQL's driver: everything it gives away is ours.

use std::time::Duration;

use futures::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition, PgRow, PgSeverity, PgSslMode,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Either, Row as _};
use tracing::instrument::WithSubscriber;

use super::notices::NoticeTap;
use crate::error::{BoxError, ConnectErrorKind, DatabaseError, ServerError};
use crate::session::{Notice, Row};
use crate::target::{Endpoint, Target, TlsMode};

pub(super) struct Driver {
    connection: PgConnection,
}

impl Driver {
    pub(super) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        application_name: &str,
        timeout: Duration,
    ) -> Result<Self, (ConnectErrorKind, BoxError)> {
        let options = connect_options(target, endpoint, application_name);
        match tokio::time::timeout(timeout, options.connect()).await {
            Ok(Ok(connection)) => Ok(Self { connection }),
            Ok(Err(error)) => Err(classify_connect_error(error)),
            Err(_) => Err((
                ConnectErrorKind::Unreachable,
                format!("{endpoint} did not answer within {} s", timeout.as_secs_f32()).into(),
            )),
        }
    }

    /// The server's version as a number, 150018 for 15.18.
    pub(super) fn server_version(&self) -> u32 {
        self.connection.server_version_num().unwrap_or_default()
    }

    /// Sends the text as one simple query and collects all rows of all its statements.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_many(&mut self.connection);
        let mut rows = Vec::new();
        while let Some(item) = stream.try_next().await.map_err(database_error)? {
            if let Either::Right(row) = item {
                rows.push(text_row(&row)?);
            }
        }
        Ok(rows)
    }

    /// Sends the text as one simple query; rows are read and dropped, notices are kept.
    pub(super) async fn execute(&mut self, sql: &str) -> (Result<u64, DatabaseError>, Vec<Notice>) {
        let (dispatch, notices) = NoticeTap::dispatch();
        let connection = &mut self.connection;
        let work = async move {
            let mut stream = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_many(connection);
            let mut affected = 0;
            while let Some(item) = stream.try_next().await? {
                if let Either::Left(done) = item {
                    affected += done.rows_affected();
                }
            }
            Ok::<_, sqlx::Error>(affected)
        };
        let result = work.with_subscriber(dispatch).await.map_err(database_error);
        (result, notices.take())
    }

    /// Runs a `COPY … FROM STDIN` with this data.
    pub(super) async fn copy_in(
        &mut self,
        statement: &str,
        data: &[u8],
    ) -> (Result<u64, DatabaseError>, Vec<Notice>) {
        const PIECE: usize = 64 * 1024;
        let (dispatch, notices) = NoticeTap::dispatch();
        let connection = &mut self.connection;
        let work = async move {
            let mut copy = connection.copy_in_raw(statement).await?;
            for piece in data.chunks(PIECE) {
                copy.send(piece).await?;
            }
            copy.finish().await
        };
        let result = work.with_subscriber(dispatch).await.map_err(database_error);
        (result, notices.take())
    }

    pub(super) async fn close(self) {
        // The server notices the closed socket anyhow; a polite end is all that is lost.
        let _ = self.connection.close().await;
    }
}

fn connect_options(target: &Target, endpoint: &Endpoint, application_name: &str) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&endpoint.host)
        .port(endpoint.port)
        .application_name(application_name)
        .statement_cache_capacity(0)
        .extra_float_digits(None)
        .ssl_mode(ssl_mode(target.tls))
        // Statements may hold secrets, and they are told where they belong: in the error.
        .disable_statement_logging();
    if let Some(user) = &target.user {
        options = options.username(user);
    }
    if let Some(password) = &target.password {
        options = options.password(password.expose_secret());
    }
    if let Some(database) = target.database.as_ref().or(target.user.as_ref()) {
        options = options.database(database);
    }
    if let Some(path) = &target.root_certificate {
        options = options.ssl_root_cert(path);
    }
    if let Some(path) = &target.client_certificate {
        options = options.ssl_client_cert(path);
    }
    if let Some(path) = &target.client_key {
        options = options.ssl_client_key(path);
    }
    if let Some(search_path) = &target.search_path {
        options = options.options([("search_path", search_path)]);
    }
    if let Some(server_options) = &target.options {
        options = options.options(server_settings(server_options));
    }
    options
}

/// The `name=value` pairs of `-c name=value` and `--name=value`.
fn server_settings(options: &str) -> Vec<(&str, &str)> {
    options
        .split_whitespace()
        .filter_map(|word| word.trim_start_matches("-c").trim_start_matches("--").split_once('='))
        .collect()
}

fn ssl_mode(mode: TlsMode) -> PgSslMode {
    match mode {
        TlsMode::Disable => PgSslMode::Disable,
        TlsMode::Allow => PgSslMode::Allow,
        TlsMode::Prefer => PgSslMode::Prefer,
        TlsMode::Require => PgSslMode::Require,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

fn text_row(row: &PgRow) -> Result<Row, DatabaseError> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_raw(index).map_err(database_error)?;
            if sqlx::ValueRef::is_null(&value) {
                return Ok(None);
            }
            let text = value.as_str().map_err(DatabaseError::Protocol)?;
            Ok(Some(text.to_owned()))
        })
        .collect()
}

fn database_error(error: sqlx::Error) -> DatabaseError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<PgDatabaseError>() {
            Ok(error) => DatabaseError::Server(server_error(&error)),
            Err(error) => DatabaseError::Protocol(error.into_error()),
        },
        sqlx::Error::Io(error) => DatabaseError::ConnectionLost(error.into()),
        other => DatabaseError::Protocol(other.into()),
    }
}

fn server_error(error: &PgDatabaseError) -> ServerError {
    let position = match error.position() {
        Some(PgErrorPosition::Original(position)) => Some(position),
        Some(PgErrorPosition::Internal { .. }) | None => None,
    };
    ServerError {
        severity: match error.severity() {
            PgSeverity::Panic => "PANIC",
            PgSeverity::Fatal => "FATAL",
            _ => "ERROR",
        },
        sqlstate: error.code().to_owned(),
        code: 0,
        message: error.message().to_owned(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
        position,
        context: error.r#where().map(str::to_owned),
        constraint: error.constraint().map(str::to_owned),
    }
}

/// What the driver makes of a peer that hangs up instead of answering whether it speaks TLS: a proxy or a service in
/// front of a server that is not there yet.
const HUNG_UP: &str = "unexpected response from SSLRequest: 0x00";

fn classify_connect_error(error: sqlx::Error) -> (ConnectErrorKind, BoxError) {
    if matches!(&error, sqlx::Error::Protocol(text) if text.starts_with(HUNG_UP)) {
        return (ConnectErrorKind::Unreachable, "the other side closed the connection".into());
    }
    let kind = match &error {
        sqlx::Error::Io(_) => ConnectErrorKind::Unreachable,
        sqlx::Error::Tls(_) => ConnectErrorKind::Tls,
        sqlx::Error::Database(error) => match error.code().as_deref().unwrap_or_default() {
            // Starting up, shutting down, killed by a neighbour's crash, no slot free.
            "57P03" | "57P01" | "57P02" | "53300" | "53200" => ConnectErrorKind::NotReady,
            "3D000" => ConnectErrorKind::NoDatabase,
            code if code.starts_with("28") => ConnectErrorKind::LoginRefused,
            "42501" | "42704" => ConnectErrorKind::LoginRefused,
            _ => ConnectErrorKind::Other,
        },
        _ => ConnectErrorKind::Other,
    };
    let cause: BoxError = match database_error(error) {
        DatabaseError::Server(error) => error.into(),
        // Some layers repeat their cause in their own words; one is enough.
        DatabaseError::ConnectionLost(error) | DatabaseError::Protocol(error) => match error.source() {
            Some(source) if error.to_string().ends_with(&source.to_string()) => error.to_string().into(),
            _ => error,
        },
    };
    (kind, cause)
}
