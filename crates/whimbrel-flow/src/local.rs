//! The whole flow on one machine: `up`, `up --watch`, `down`.
//!
//! ```text
//! project ─▶ PostgreSQL that is ours ─▶ secrets of it, verified ─▶ roles, databases ─▶ image ─▶ Job as a process ─▶ report
//! ```
//!
//! A database on the server that is ours may be rebuilt: when a script changes after it was applied, the database is
//! taken back and the scripts are replayed ([`plan_take_back`]). A server that somebody else runs is never touched
//! like that.

mod admin;
mod content;
mod down;
mod error;
mod event;
mod image;
mod job;
mod lock;
mod report;
mod scripts;
mod secrets;
mod takeback;
mod up;
mod watch;

pub use admin::{Admin, AdminError, LocalDatabase};
pub use down::{DownReport, down};
pub use error::UpError;
pub use event::UpEvent;
pub use job::{JobError, JobLine, JobOutcome, JobRequest, PROGRAM, RunnerProgram, run_job};
pub use lock::{CheckoutLock, LOCK_DEADLINE, LockError};
pub use report::{DatabaseRow, Look, UpEnd, UpReport};
pub use scripts::{LocalScript, ScriptsError, resolve_scripts};
pub use takeback::{
    AppliedScript, Base, Cause, ChangedRepeatables, Snapshot, TakeBackPlan, plan_sweep, plan_take_back,
};
pub use up::{UpSettings, up};
pub use watch::{DevEnd, DevStep, dev};
