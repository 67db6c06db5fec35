//! Rebuilds and delivers the migrations image when SQL changes: once, or for as long as it runs.
//!
//! This crate is the tool: options, their resolution, wiring, rendering. The front door calls [`run`] with the
//! same options. What a round does is in `whimbrel_flow::image`.

mod cli;
mod render;
mod run;
mod settings;

pub use cli::{Cli, WatchArgs};
pub use run::run;
pub use settings::{Caller, WatchSettings};
