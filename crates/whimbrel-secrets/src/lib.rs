//! Verifies that every enabled database's secret exists and holds usable keys, and makes local values.
//!
//! The command line is in [`cli`], what it means for one project in [`settings`], what is done in
//! [`mod@run`], how it is told in [`render`]. The front door uses the same functions.

pub mod cli;
pub mod render;
pub mod run;
pub mod settings;

pub use cli::{Cli, SecretsCommand};
pub use run::run;
