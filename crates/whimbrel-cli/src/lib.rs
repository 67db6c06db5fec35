//! What every Whimbrel binary shares: global options, the [`printer::Printer`], the project file, settings that
//! know their origin, errors and their exit codes, tracing and signals.
//!
//! Nothing below this crate knows a terminal, the environment or the command line; nothing in this crate knows a
//! database, a registry or a cluster.
#![warn(missing_docs)]

pub mod args;
pub mod env;
pub mod error;
pub mod exit;
pub mod printer;
pub mod project;
pub mod settings;
pub mod signals;
mod start;

pub use start::{block_on, main_with};
