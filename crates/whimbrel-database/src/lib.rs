//! Databases behind one seam: connect, run SQL, lock, read and write the schema history.
//!
//! No type of a driver leaves this crate: what comes out are rows of text, [`ServerError`]s with their fields, and
//! outcomes. It decides nothing about migrations; what to run, and what a history row says, comes from
//! `whimbrel_migration`. PostgreSQL is the only engine yet.
#![warn(missing_docs)]

mod clean;
mod driver;
mod error;
mod history;
mod hygiene;
mod inspect;
mod lock;
mod notices;
mod progress;
mod session;
mod target;

pub use driver::Row;
pub use error::{BoxError, ConnectError, ConnectErrorKind, DatabaseError, ServerError};
pub use history::{FinishError, HistoryRowError, RowUpdate, update_statement};
pub use inspect::IndexState;
pub use lock::{LockHolder, Unlocked};
pub use notices::Notice;
pub use progress::{PROGRESS_TABLE, Progress};
pub use session::{
    CancelError, Canceller, ConnectRetry, ConnectSettings, ExecuteError, Executed, Session, SessionFacts,
    TransactionFate, TransactionId, TransactionStatus,
};
pub use target::{DEFAULT_PORT, Endpoint, Target, TargetError, TargetWarning, TlsMode};
