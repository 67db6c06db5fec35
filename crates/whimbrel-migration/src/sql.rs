//! The statements around the history table, as text. One module for each engine.

pub mod postgres;
