//! Databases behind one seam: connect, run SQL, lock, read and write the schema history.
//!
//! No type of a driver leaves this crate: what comes out are rows of text, [`ServerError`]s with their fields, and
//! outcomes. It decides nothing about migrations; what to run, and what a history row says, comes from
//! `whimbrel_migration`. [`Session`] is the same for all engines; each has a module of its own behind it.
#![warn(missing_docs)]

mod answers;
mod beside;
mod cancel;
mod catalogue;
mod connecting;
mod engine;
mod error;
mod history;
mod limits;
mod lock;
mod mysql;
mod postgres;
mod progress;
mod runs;
mod session;
mod sqlite;
mod statement;
mod target;
mod transaction;

pub use answers::{
    Awaited, Blocker, ExecuteError, Executed, FinishError, Finished, IndexState, LockHolder, Notice, Row,
    SessionFacts, StatementLimits, TableFacts, Unlocked, Warnings,
};
pub use cancel::{CancelError, Canceller, Veto};
pub use connecting::{ConnectRetry, ConnectSettings};
pub use engine::Capabilities;
pub use error::{
    BoxError, Condition, ConnectError, ConnectErrorKind, DatabaseError, NotAHistory, ServerError,
};
pub use progress::{PROGRESS_TABLE, Progress};
pub use runs::{RUN_TABLE, RunEntry};
pub use session::Session;
pub use target::{
    ChannelBindingMode, Endpoint, EngineKind, ServerKind, Target, TargetError, TargetWarning, TlsMode,
};
pub use transaction::{RolledBack, TransactionFate, TransactionId};
