//! Verifies that every enabled database's secret exists and holds usable keys.

use whimbrel_secrets::{Cli, run};

fn main() -> std::process::ExitCode {
    let cli = whimbrel_cli::args::parse::<Cli>(std::env::args_os());
    whimbrel_cli::main_with(&cli.global, async |printer| run(&cli.command, &cli.global, &printer).await)
}
