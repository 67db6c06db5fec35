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
use crate::postgres::Postgres;
use crate::session::SessionFacts;
use crate::target::{Endpoint, Target};

/// The connection of a session.
pub(crate) enum Engine {
    Postgres(Postgres),
}

/// Does the same with whichever engine it is.
macro_rules! on_engine {
    ($engine:expr, $bound:ident => $work:expr) => {
        match $engine {
            crate::engine::Engine::Postgres($bound) => $work,
        }
    };
}
pub(crate) use on_engine;

impl Engine {
    /// One attempt to connect to one server.
    pub(crate) async fn connect(
        target: &Target,
        endpoint: &Endpoint,
        application_name: &str,
        timeout: Duration,
    ) -> Result<(Self, SessionFacts), (ConnectErrorKind, BoxError)> {
        let (session, facts) = Postgres::connect(target, endpoint, application_name, timeout).await?;
        Ok((Self::Postgres(session), facts))
    }
}
