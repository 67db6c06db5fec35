//! The life of a Job and its Pods as a step function; order and de-duplication of log lines.
//!
//! [`step`] takes what was observed (Jobs, Pods, events, pieces of logs, the time) and answers with what to do next (which
//! log to open, from when) and what there is to tell (lines, notices, blockers, gaps, the outcome). It opens no
//! connection, knows no clock and never guesses an end from a closed stream: a Job ends by its condition.
//!
//! What makes a line appear exactly once, although streams break and the API can only be asked from a whole second on:
//! every line carries a nanosecond timestamp, and per timestamp the lines are counted ([`cursor::Cursor`]).
//!
//! ```
//! use whimbrel_joblog::{Input, Output, Settings, State, Target, step};
//!
//! let state = State::new(Settings::new(Target::Name("db-migrations".to_owned())));
//! let now = "2026-01-01T00:00:00Z".parse()?;
//! let (outputs, _state) = step(state, Input::JobsListed(Vec::new()), now);
//! assert!(matches!(&outputs[..], [Output::Notice(notice)] if notice.slug == "waiting-for-job"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

pub mod clean;
pub mod cursor;
pub mod lines;

mod attempt;
mod blocker;
mod container;
mod input;
mod outcome;
mod output;
mod sequence;
mod step;

#[cfg(test)]
mod tests;

pub use self::{
    input::{Input, Settings, StreamEnd, StreamId, Target},
    outcome::{KnownBy, Outcome, Verdict},
    output::{Blocker, Command, Gap, Line, Loss, Notice, Output, Place},
    step::{State, step},
};
