//! Verifies that every enabled database's secret exists and holds usable keys.

use clap::Parser as _;
use whimbrel_secrets::{Cli, run};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    whimbrel_cli::main_with(&cli.global, async |printer| run(&cli.command, &cli.global, &printer).await)
}
