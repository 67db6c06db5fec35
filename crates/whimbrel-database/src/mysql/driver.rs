//! The only module that sees the types of MySQL's driver: everything it gives away is ours.

use std::time::Duration;

use futures::TryStreamExt;
use secrecy::ExposeSecret;
use sqlx::mysql::{
    MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlQueryResult, MySqlRow, MySqlSslMode,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Either, Row as _};

use super::batch::Batch;
use super::state;
use crate::answers::{Outcome, Row};
use crate::error::{BoxError, ConnectErrorKind, DatabaseError, ServerError};
use crate::target::{Endpoint, Target, TlsMode};

pub(super) struct Driver {
    connection: MySqlConnection,
    /// How long the server may be silent; and whether it was for longer, after which the connection is of no use.
    silence: Option<Duration>,
    is_silent: bool,
}

impl Driver {
    pub(super) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        timeout: Duration,
    ) -> Result<Self, (ConnectErrorKind, BoxError)> {
        let connecting = async {
            let connection = connect_options(target, endpoint).connect().await?;
            let mut driver = Self { connection, silence: target.socket_timeout, is_silent: false };
            let settings = AssertSqlSafe(state::settings(target));
            sqlx::raw_sql(settings).execute(&mut driver.connection).await?;
            Ok(driver)
        };
        match tokio::time::timeout(timeout, connecting).await {
            Ok(connected) => connected.map_err(classify_connect_error),
            Err(_) => Err((
                ConnectErrorKind::Unreachable,
                format!("{endpoint} did not answer within {} s", timeout.as_secs_f32()).into(),
            )),
        }
    }

    /// Sends the text as it stands and collects all rows of all its statements.
    pub(super) async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, DatabaseError> {
        let mut rows = Vec::new();
        self.each(sql.to_owned(), |item| {
            if let Either::Right(row) = item {
                rows.push(text_row(&row)?);
            }
            Ok(())
        })
        .await?;
        Ok(rows)
    }

    /// Sends the text as it stands; rows are read and dropped.
    pub(super) async fn execute(&mut self, sql: &str) -> Result<u64, DatabaseError> {
        let mut affected = 0;
        self.each(sql.to_owned(), |item| {
            if let Either::Left(done) = item {
                affected += done.rows_affected();
            }
            Ok(())
        })
        .await?;
        Ok(affected)
    }

    /// Sends several statements as one text, and takes their answers apart.
    pub(super) async fn run(&mut self, batch: Batch) -> Vec<Outcome> {
        let (text, mut answers) = batch.into_parts();
        let ran = self
            .each(text, |item| {
                match item {
                    Either::Left(done) => answers.end(done.rows_affected()),
                    Either::Right(row) if answers.is_in_question() => answers.warn(text_row(&row)?),
                    Either::Right(_) => {}
                }
                Ok(())
            })
            .await;
        answers.into_outcomes(ran)
    }

    /// Everything that is answered to a text, as long as the server is not silent for too long.
    async fn each(
        &mut self,
        sql: String,
        mut take: impl FnMut(Either<MySqlQueryResult, MySqlRow>) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        if self.is_silent {
            return Err(silent(self.silence));
        }
        let mut stream = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(&mut self.connection);
        loop {
            let next = stream.try_next();
            let item = match self.silence {
                None => next.await,
                Some(limit) => match tokio::time::timeout(limit, next).await {
                    Ok(item) => item,
                    Err(_) => {
                        // What the server still does is not known, and its answer must not be taken for another's.
                        self.is_silent = true;
                        return Err(silent(self.silence));
                    }
                },
            };
            match item.map_err(database_error)? {
                Some(item) => take(item)?,
                None => return Ok(()),
            }
        }
    }

    pub(super) async fn close(self) {
        if !self.is_silent {
            // The server notices the closed socket anyhow; a polite end is all that is lost.
            let _ = self.connection.close().await;
        }
    }
}

fn silent(limit: Option<Duration>) -> DatabaseError {
    let seconds = limit.unwrap_or_default().as_secs_f32();
    DatabaseError::ConnectionLost(format!("the server was silent for {seconds} s (socketTimeout)").into())
}

fn connect_options(target: &Target, endpoint: &Endpoint) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new()
        .port(endpoint.port)
        .statement_cache_capacity(0)
        .charset("utf8mb4")
        // Scripts find the server's own settings, as with any other client.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .ssl_mode(ssl_mode(target.tls))
        // Statements may hold secrets, and they are told where they belong: in the error.
        .disable_statement_logging();
    options = if endpoint.host.starts_with('/') {
        options.socket(&endpoint.host)
    } else {
        options.host(&endpoint.host)
    };
    if let Some(user) = &target.user {
        options = options.username(user);
    }
    if let Some(password) = &target.password {
        options = options.password(password.expose_secret());
    }
    if let Some(database) = &target.database {
        options = options.database(database);
    }
    if let Some(path) = &target.root_certificate {
        options = options.ssl_ca(path);
    }
    if let Some(path) = &target.client_certificate {
        options = options.ssl_client_cert(path);
    }
    if let Some(path) = &target.client_key {
        options = options.ssl_client_key(path);
    }
    options
}

fn ssl_mode(mode: TlsMode) -> MySqlSslMode {
    match mode {
        TlsMode::Disable => MySqlSslMode::Disabled,
        // It has no word for "plain first".
        TlsMode::Allow | TlsMode::Prefer => MySqlSslMode::Preferred,
        TlsMode::Require => MySqlSslMode::Required,
        TlsMode::VerifyCa => MySqlSslMode::VerifyCa,
        TlsMode::VerifyFull => MySqlSslMode::VerifyIdentity,
    }
}

/// Values come as text, whatever their type; a text of bytes that are no UTF-8 is shown with signs for them.
fn text_row(row: &MySqlRow) -> Result<Row, DatabaseError> {
    (0..row.len())
        .map(|index| {
            let value = row.try_get_unchecked::<Option<Vec<u8>>, _>(index).map_err(database_error)?;
            Ok(value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        })
        .collect()
}

fn database_error(error: sqlx::Error) -> DatabaseError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast::<MySqlDatabaseError>() {
            Ok(error) => DatabaseError::Server(server_error(&error)),
            Err(error) => DatabaseError::Protocol(error.into_error()),
        },
        sqlx::Error::Io(error) => DatabaseError::ConnectionLost(error.into()),
        other => DatabaseError::Protocol(other.into()),
    }
}

fn server_error(error: &MySqlDatabaseError) -> ServerError {
    ServerError::new(error.code().unwrap_or("HY000"), i32::from(error.number()), error.message())
}

fn classify_connect_error(error: sqlx::Error) -> (ConnectErrorKind, BoxError) {
    let kind = match &error {
        // A certificate that is not trusted comes as an error of the socket.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => ConnectErrorKind::Tls,
        sqlx::Error::Io(_) => ConnectErrorKind::Unreachable,
        sqlx::Error::Tls(_) => ConnectErrorKind::Tls,
        sqlx::Error::Configuration(_) => ConnectErrorKind::LoginRefused,
        sqlx::Error::Database(error) => {
            match error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
                // Too many connections, of the server or of this user; shutdown.
                Some(1040 | 1203 | 1226 | 1053) => ConnectErrorKind::NotReady,
                Some(1049) => ConnectErrorKind::NoDatabase,
                Some(1044 | 1045 | 1130 | 1698 | 1862 | 4151) => ConnectErrorKind::LoginRefused,
                _ => ConnectErrorKind::Other,
            }
        }
        _ => ConnectErrorKind::Other,
    };
    let cause: BoxError = match error {
        // The driver's words are about its build.
        sqlx::Error::Configuration(_) => {
            "the server wants the password encrypted: use TLS (sslMode=REQUIRED), which this login needs"
                .into()
        }
        error => match database_error(error) {
            DatabaseError::Server(error) => error.into(),
            DatabaseError::ConnectionLost(error) | DatabaseError::Protocol(error) => error,
            error @ DatabaseError::NotAHistory(_) => error.into(),
        },
    };
    (kind, cause)
}
