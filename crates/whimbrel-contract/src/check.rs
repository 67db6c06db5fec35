//! The comparison of a contract with what was observed.

mod advice;
mod agreement;
mod all;
mod examine;
mod notes;
mod plain;

pub use all::{Unusable, check, resolve};
