//! Flyway-compatible SQL migrations as pure functions: files and history in, plan or findings out.
//!
//! The crate knows script names, versions, checksums, placeholders, the statements of a script, the rows of
//! `flyway_schema_history`, and what all of that means: which state every script is in, whether files and
//! history agree, what `migrate`, `repair` and `baseline` have to do. It refuses to touch anything: no
//! files, no clock, no connection, no environment. Whoever embeds it brings bytes and rows and carries the
//! answer out.
//!
//! ```
//! use whimbrel_migration::{
//!     checksum, history::History, name::NamingRules, plan, script::ResolvedScript, settings::Settings,
//! };
//!
//! let rules = NamingRules::default();
//! let text = b"CREATE TABLE bird (id int);\n";
//! let name = rules.parse("V1__birds.sql").expect("the name follows the rules");
//! let script = ResolvedScript::new(name, "V1__birds.sql", checksum::of_bytes(text)?);
//!
//! let history = History::default();
//! let settings = Settings::default();
//! let plan = plan::plan_migrate(&[script], &history, &settings, |_, _| {
//!     whimbrel_migration::scan::facts(settings.dialect, text)
//! })?;
//!
//! assert_eq!(plan.steps.len(), 1);
//! assert_eq!(plan.steps[0].run, plan::RunMode::InTransaction);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each module begins with an example of its own: [`checksum`], [`scan`] (splitting), [`name`], [`plan`] (files, history and
//! settings), [`finding`], [`branch`], [`explain`], [`parameters`].
//!
//! # Layers
//!
//! | question | module |
//! |---|---|
//! | what is this file called, which version is it | [`name`], [`version`], [`parameters`] |
//! | what are its contents worth | [`encoding`], [`checksum`], [`placeholder`], [`conf`], [`directive`] |
//! | which statements are in it, and how may they run | [`scan`], [`dialect`] |
//! | what does a statement lock, and how is it undone | [`risk`], [`inverse`], [`statement`] |
//! | what does the database say | [`history`], [`sql`] |
//! | what follows | [`state`], [`pick`], [`validate`], [`plan`], [`repair`], [`baseline`], [`undo`], [`stamp`], [`check`] |
//! | what will happen when branches meet, why does a checksum differ | [`branch`], [`explain`] |
//! | what is told | [`finding`], [`record`], [`redact`] |
#![warn(missing_docs, clippy::missing_errors_doc)]

pub mod baseline;
pub mod branch;
pub mod check;
pub mod checksum;
pub mod conf;
pub mod dialect;
pub mod directive;
pub mod encoding;
pub mod explain;
pub mod finding;
pub mod history;
pub mod inverse;
pub mod name;
pub mod parameters;
pub mod pick;
pub mod placeholder;
pub mod plan;
pub mod record;
pub mod redact;
pub mod repair;
pub mod risk;
mod row_type;
pub mod scan;
pub mod script;
pub mod settings;
pub mod sql;
pub mod stamp;
pub mod state;
pub mod statement;
pub mod undo;
pub mod validate;
pub mod version;
