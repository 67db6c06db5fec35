//! The step function against scripted lives of Jobs, and against a model of a log that is served in pieces.

mod fixtures;
mod life;
mod model;
mod trouble;
