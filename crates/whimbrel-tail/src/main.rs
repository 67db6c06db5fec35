//! Follows a migration Job through every attempt and ends with its outcome.

use whimbrel_tail::cli::Cli;

fn main() -> std::process::ExitCode {
    let cli = whimbrel_cli::args::parse::<Cli>(std::env::args_os());
    whimbrel_cli::main_with(&cli.global, |printer| whimbrel_tail::run::run(&cli.tail, &cli.global, printer))
}
