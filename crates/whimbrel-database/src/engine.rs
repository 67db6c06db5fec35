//! One place for what differs between the engines: which of them a session talks to.
//!
//! | | PostgreSQL | MySQL, MariaDB | SQLite |
//! |---|---|---|---|
//! | DDL in a transaction | yes | no: it commits, before and after | yes |
//! | a script that failed | is rolled back as a whole | keeps everything up to its last DDL | is rolled back as a whole |
//! | lock | advisory lock | `GET_LOCK` | lock on the file's folder |
//! | COPY, notices | yes | no | no |
//! | cancel | second connection | second connection, `KILL QUERY` | interrupt, in process |
//! | schema | schema | database | the file |

use std::time::Duration;

use crate::error::{BoxError, ConnectErrorKind};
use crate::mysql::MySql;
use crate::postgres::Postgres;
use crate::session::SessionFacts;
use crate::sqlite::Sqlite;
use crate::target::{Endpoint, EngineKind, Target};

/// The connection of a session.
pub(crate) enum Engine {
    Postgres(Postgres),
    MySql(MySql),
    Sqlite(Sqlite),
}

/// Does the same with whichever engine it is.
macro_rules! on_engine {
    ($engine:expr, $bound:ident => $work:expr) => {
        match $engine {
            crate::engine::Engine::Postgres($bound) => $work,
            crate::engine::Engine::MySql($bound) => $work,
            crate::engine::Engine::Sqlite($bound) => $work,
        }
    };
}
pub(crate) use on_engine;

impl Engine {
    /// One attempt to connect: to the first server that answers, in their order.
    pub(crate) async fn connect(
        target: &Target,
        application_name: &str,
        timeout: Duration,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        if target.engine == EngineKind::Sqlite {
            let (file, facts) = Sqlite::connect(target).await?;
            return Ok((Self::Sqlite(file), facts));
        }
        let mut last = (ConnectErrorKind::Other, BoxError::from("the target names no server"));
        for endpoint in &target.endpoints {
            match Self::connect_to(target, endpoint, application_name, timeout).await {
                Ok(connected) => return Ok(connected),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(
        target: &Target,
        endpoint: &Endpoint,
        application_name: &str,
        timeout: Duration,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        match target.engine {
            EngineKind::MySql => {
                let (session, facts) = MySql::connect(target, endpoint, timeout).await?;
                Ok((Self::MySql(session), facts))
            }
            _ => {
                let (session, facts) = Postgres::connect(target, endpoint, application_name, timeout).await?;
                Ok((Self::Postgres(session), facts))
            }
        }
    }
}
