//! The options that every tool takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::env;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, or where FORCE_COLOR asks for it; never with NO_COLOR.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options shared by all tools; flatten this into the top struct.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Write results as text or as JSON, one object a line
    #[arg(long, value_enum, global = true, env = env::FORMAT, default_value_t, hide_env = true)]
    pub format: Format,

    /// When to use colour
    #[arg(long, value_enum, global = true, default_value_t)]
    pub color: Color,

    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Tell more (-v), or everything (-vv)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Read this project file instead of the nearest whimbrel.toml
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env = true)]
    pub config: Option<PathBuf>,
}
