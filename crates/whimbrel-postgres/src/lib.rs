//! A PostgreSQL server that a project owns: find or fetch the programs, initialise, start, stop, forget.
//!
//! The server listens on 127.0.0.1 under a port chosen at run time, wants a password from everybody, and lives on
//! after the process that started it, until [`Cluster::stop`]. It never runs as root: started by root, it becomes a
//! named user and keeps its data where that user can go.
//!
//! The crate runs no SQL itself; [`sql`] builds the statements that make roles, databases and snapshots, and
//! whoever holds a connection sends them. It takes no lock either: callers that may meet another process on the
//! same project hold one around every call that changes something.
//!
//! ```no_run
//! # async fn example() -> Result<(), whimbrel_postgres::PostgresError> {
//! use whimbrel_postgres::{BinarySource, Cluster};
//!
//! let cluster = Cluster::locate("/src/shop".as_ref(), "/src/shop/.whimbrel".as_ref(), BinarySource::InstalledOrFetched)?;
//! let server = cluster.start(&mut |progress| eprintln!("{progress}")).await?;
//! assert_ne!(server.port, 0);
//! cluster.stop(&mut |_| {}).await?;
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

mod cluster;
mod command;
mod configuration;
mod error;
mod fetch;
mod home;
mod installation;
mod postmaster;
mod progress;
mod secret;
pub mod sql;
mod state;
mod user;

pub use cluster::{Cluster, Server, Stopped};
pub use error::PostgresError;
pub use installation::{BinarySource, Installation, Origin, ServerVersion};
pub use progress::Progress;
pub use state::UpState;
pub use user::ServerUser;
