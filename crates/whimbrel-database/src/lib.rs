//! Databases behind one seam: connect, run SQL, lock, read and write the schema history.
//!
//! No type of a driver leaves this crate: what comes out are rows of text, [`ServerError`]s with their fields, and
//! outcomes. It decides nothing about migrations; what to run, and what a history row says, comes from
//! `whimbrel_migration`. [`Session`] is the same for all engines; each has a module of its own behind it.
#![warn(missing_docs)]

mod beside;
mod cancel;
mod connecting;
mod engine;
mod error;
mod history;
mod indexes;
mod limits;
mod lock;
mod mysql;
mod postgres;
mod progress;
mod runs;
mod session;
mod sizes;
mod sqlite;
mod statement;
mod target;
mod transaction;
mod waiting;

pub use cancel::{CancelError, Canceller};
pub use connecting::{ConnectRetry, ConnectSettings, SessionFacts};
pub use engine::Capabilities;
pub use error::{BoxError, Condition, ConnectError, ConnectErrorKind, DatabaseError, ServerError};
pub use history::{FinishError, NotAHistory};
pub use indexes::IndexState;
pub use limits::StatementLimits;
pub use lock::{LockHolder, Unlocked};
pub use progress::{PROGRESS_TABLE, Progress};
pub use runs::{RUN_TABLE, RunEntry};
pub use session::{Row, Session};
pub use sizes::TableFacts;
pub use statement::{ExecuteError, Executed, Notice};
pub use target::{
    ChannelBindingMode, Endpoint, EngineKind, ServerKind, Target, TargetError, TargetWarning, TlsMode,
};
pub use transaction::{RolledBack, TransactionFate, TransactionId};
pub use waiting::Blocker;
