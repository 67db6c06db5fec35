//! One place for what differs between the engines: which of them a session talks to.
//!
//! | | PostgreSQL | MySQL, MariaDB | SQLite |
//! |---|---|---|---|
//! | DDL in a transaction | yes | no: it commits, before and after | yes |
//! | a script that failed | is rolled back as a whole | keeps everything up to its last DDL | is rolled back as a whole |
//! | lock | advisory lock | `GET_LOCK` | lock on the file's folder |
//! | COPY | yes | no | no |
//! | notices | come with an answer | are asked for | no |
//! | cancel | second connection | second connection, `KILL QUERY` | interrupt, in process |
//! | schema | schema | database | the file |
//! | limit for locks | `lock_timeout` | `lock_wait_timeout`, `innodb_lock_wait_timeout`, in whole seconds | `busy_timeout` |
//! | limit for statements | `statement_timeout` | `max_statement_time` of MariaDB; MySQL has none | none |
//!
//! What others have to know of it before they ask is in [`Capabilities`].

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use whimbrel_migration::dialect::Dialect;

use crate::answers::SessionFacts;
use crate::error::{BoxError, ConnectErrorKind};
use crate::mysql::MySql;
use crate::postgres::Postgres;
use crate::sqlite::Sqlite;
use crate::target::{Endpoint, EngineKind, Target};

/// The connection of a session.
pub(crate) enum Engine {
    Postgres(Postgres),
    MySql(MySql),
    Sqlite(Sqlite),
}

/// What a session can be asked for, by its kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Statements may be sent ahead of their answers.
    pub sends_ahead: bool,
    /// Another session can be asked who keeps a statement waiting.
    pub tells_blockers: bool,
    /// The catalogue knows how big tables are.
    pub tells_sizes: bool,
    /// A session tells which backend serves it, so that a pooler gives itself away.
    pub tells_poolers: bool,
    /// Scripts with DDL can all run in one transaction that is rolled back, on a server that others use.
    pub rehearses: bool,
    /// A statement can be given a time after which the server ends it.
    pub limits_statements: bool,
}

impl Capabilities {
    /// Those of a kind of server.
    pub const fn of(dialect: Dialect) -> Self {
        let postgres = matches!(dialect, Dialect::PostgreSql);
        Self {
            sends_ahead: !matches!(dialect, Dialect::Sqlite),
            tells_blockers: postgres,
            tells_sizes: postgres,
            tells_poolers: postgres,
            rehearses: postgres,
            limits_statements: postgres || matches!(dialect, Dialect::MariaDb),
        }
    }
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
        let mut second_best = None;
        for endpoint in in_order(target) {
            let (engine, mut facts) =
                match Self::connect_to(target, endpoint, application_name, timeout).await {
                    Ok(connected) => connected,
                    Err(error) => {
                        last = error;
                        continue;
                    }
                };
            // A session that was asked to be read-only does not tell what its server is.
            let is_wanted = target.read_only || target.server.is(facts.read_only);
            facts.read_only |= target.read_only;
            if is_wanted {
                return Ok((engine, facts));
            }
            if target.server.must_be() || second_best.is_some() {
                let kind = if facts.read_only { "may only be read" } else { "is a primary" };
                let cause = format!("{endpoint} {kind}, and the URL wants another one (targetServerType)");
                last = (ConnectErrorKind::NotReady, cause.into());
                engine.close().await;
            } else {
                second_best = Some((engine, facts));
            }
        }
        second_best.ok_or(last)
    }

    async fn close(self) {
        on_engine!(self, engine => engine.close().await);
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

/// The servers in the order in which they are tried.
fn in_order(target: &Target) -> Vec<&Endpoint> {
    let mut endpoints: Vec<&Endpoint> = target.endpoints.iter().collect();
    if target.load_balance {
        let random = RandomState::new();
        endpoints.sort_by_cached_key(|endpoint| random.hash_one(endpoint.to_string()));
    }
    endpoints
}
