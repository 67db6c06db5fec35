//! Follows a migration Job through every attempt and ends with its outcome.
//!
//! A library, so that the front door and `deploy` show a Job exactly as `whimbrel-tail` does: [`run::run`] is the tool,
//! [`render::Renderer`] turns what [`whimbrel_cluster::follow`] tells into lines.

pub mod cli;
mod release;
pub mod render;
pub mod run;
pub mod settings;
