//! The migrations image as data: references, digests, deterministic layers, manifests, and what has to be pushed.
//!
//! Everything here is a pure function from bytes to bytes. The same SQL files, the same runner and the same
//! platform give the same image on every machine: entries are sorted, times are zero, modes and owners are
//! normalised, JSON is canonical. Layers are not compressed, so a layer's digest is its `diff_id` and nothing
//! depends on the version of a compressor.
//!
//! The crate opens no file and no connection: reading a folder, talking to a registry or to the Docker engine is
//! the work of adapters. It does not unpack layers of other images either; a base image is only referred to.
//!
//! ```
//! use whimbrel_image::{ImageSpec, Platform, SqlSet, build};
//!
//! let mut sql = SqlSet::default();
//! sql.insert("platform", "V1__tenants.sql", b"create table tenant (id bigint);".to_vec(), "db/sql")?;
//! let image = build(&ImageSpec::new(Platform::default(), sql))?;
//! assert_eq!(image.layers().count(), 1);
//! assert_eq!(image.sql_digest(), build(&ImageSpec::new(Platform::default(), image.sql().clone()))?.sql_digest());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod archive;
mod base;
mod build;
mod digest;
mod json;
mod layer;
mod layout;
mod media;
mod platform;
mod program;
mod push;
mod reference;
mod sql;

pub use archive::docker_archive;
pub use base::{BaseError, BaseImage, BaseLayer, ManifestKind, parse_base, parse_manifest};
pub use build::{BuildError, Image, ImageLayer, ImageSpec, Label, build};
pub use digest::{Digest, DigestError, Digester};
pub use layer::{Blob, LayerError, RunnerLayer, RunnerLayerError, runner_layer};
pub use layout::{LayoutFile, oci_layout};
pub use media::MediaType;
pub use platform::{Platform, PlatformError};
pub use program::{PROGRAM_HEADERS, ProgramFinding, check_program};
pub use push::{BlobSource, BlobState, ManifestPush, PlannedBlob, PushPlan, blobs_to_ask_for, plan_push};
pub use reference::{Reference, ReferenceError, RegistryName};
pub use sql::{SqlConflict, SqlSet};

/// The folder in the image that holds a sub-folder of scripts per database.
pub const SQL_ROOT: &str = "/flyway/sql";
/// The project's settings inside the image.
pub const SETTINGS_PATH: &str = "/flyway/whimbrel.toml";
/// The program inside the image: its entrypoint.
pub const RUNNER_PATH: &str = "/whimbrel-migrate";
/// The second name of the same program, for those who call Flyway.
pub const FLYWAY_PATH: &str = "/flyway/flyway";
/// The numeric user and group that the program runs as.
pub const USER: &str = "65532:65532";
