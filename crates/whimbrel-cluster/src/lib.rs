//! Kubernetes and Helm: secrets by name, Jobs and their logs, releases.
//!
//! The only crate that knows the Kubernetes client and the helm program. It decides nothing about migrations: what a
//! Job's life means is in `whimbrel-joblog`, what a secret must hold is in `whimbrel-contract`.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use whimbrel_cluster::client::{Cluster, ConnectOptions};
//!
//! let cluster = Cluster::connect(ConnectOptions::default()).await?;
//! println!("{} at {}", cluster.context().unwrap_or("in-cluster"), cluster.server());
//! # Ok(()) }
//! ```
#![warn(missing_docs)]

pub mod client;
pub mod follow;
pub mod helm;
pub mod job;
pub mod pull;
pub mod registry_hosting;
pub mod secrets;
