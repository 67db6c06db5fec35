//! `whimbrel-migrate`.

use std::process::ExitCode;

use clap::Parser;
use whimbrel_migrate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    whimbrel_cli::main_with(&cli.global, |printer| {
        let (global, migrate) = (cli.global.clone(), cli.migrate.clone());
        async move { whimbrel_migrate::run::run(printer, &global, &migrate).await }
    })
}
