//! One round of the migrations image: scan, check, build, deliver.
//!
//! ```text
//! folders ─▶ scan ─▶ check ─┬─▶ findings: nothing is delivered, the last good image stays
//!                           └─▶ build ─▶ registry │ OCI layout │ Docker engine
//! ```
//!
//! A round asks nothing that it can compute: the image's digest is known before the destination is spoken to, and
//! a destination that has it already is asked one question.

mod announced;
mod check;
mod deliver;
mod destination;
mod report;
mod resolved;
mod round;
mod runner;
mod syntax;

pub use announced::announced_registry;
pub use check::{CheckedSet, Checker, ImageFinding};
pub use deliver::{DeliverError, Delivery};
pub use destination::{Destination, DestinationError};
pub use report::{ImageEvent, ImageReport, Millis};
pub use resolved::resolved_settings;
pub use round::{Outcome, Round, RoundError, RoundSettings};
pub use runner::{Runner, RunnerError, find_runner};
