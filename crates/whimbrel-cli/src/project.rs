//! The project file, `whimbrel.toml`: what is migrated, in which image, and where the systems around it are.
//!
//! The nearest file from the working directory upwards is read, as `Cargo.toml` is found. Paths inside it are
//! relative to its folder. Unknown keys are errors: a misspelt one that is silently ignored costs an afternoon.

mod length;
mod load;
mod model;

pub use load::{ProjectError, STATE_FOLDER};
pub use model::{
    Check, Cluster, DEFAULT_NAMESPACE, Database, Engine, FlywayValue, Image, Keys, Migrate, Project,
    ProjectFile, ProjectName, Registry,
};
