//! The runner: applies SQL migrations to PostgreSQL, MySQL, MariaDB or SQLite, with Flyway's schema history.
//!
//! `main.rs` of this crate and the front door call [`run::run`] with parsed arguments; a flow that has its own settings
//! and its own stop calls [`run::run_with`]. Everything that decides lives in `whimbrel_migration`, everything that
//! talks to a server in `whimbrel_database`; here they are brought together, one database after the other.

pub mod check;
pub mod cli;
pub mod credentials;
pub mod engine;
pub mod failure;
pub mod files;
pub mod flyway;
mod libpq;
pub mod parameters;
pub mod patience;
pub mod propose;
pub mod reach;
pub mod render;
pub mod report;
pub mod request;
pub mod resolve;
pub mod risk;
pub mod run;
pub mod set;
pub mod settings;
mod source;
pub mod timeouts;
pub mod turn;
pub mod turns;
