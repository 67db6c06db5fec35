//! The verbs that join the tools: up, down, dev, deploy, doctor; no terminal.
pub mod deploy;
pub mod doctor;
pub mod image;
pub mod local;
pub mod secrets;
