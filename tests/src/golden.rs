//! What real Flyway did, asked again of our programs: the one implementation behind `tests/golden` and the tests.
//!
//! A file of cases holds one situation a line, with Flyway's answer (`tests/data/flyway/README.md` names the fields).
//! Each case is played on a database of its own kind through the `flyway` face of the real program, and once more through
//! Whimbrel's own verbs. Files of vectors (statements of a script, names, versions, checksums) are asked of the library.
//! [`differ`] goes on where the recordings end: generated situations, with real Flyway on the other side.

mod calls;
mod compare;
mod differential;
mod driver;
mod faces;
mod kinds;
mod on_purpose;
mod play;
mod report;
mod scenario;
mod server;
mod vectors;
mod words;
mod workers;

pub use compare::Difference;
pub use differential::{Played, differ};
pub use driver::Driver;
pub use kinds::{Kind, engines, recognise};
pub use on_purpose::{REASONS, Reason};
pub use report::{Report, Verdict};
pub use server::Engine;
pub use workers::{Faces, play_all};
