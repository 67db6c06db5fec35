//! `whimbrel-migrate`, and `flyway` where it is started by that name.

use std::process::ExitCode;

use whimbrel_migrate::cli::Cli;
use whimbrel_migrate::flyway;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    if arguments.next().is_some_and(|name| flyway::is_called(&name)) {
        return flyway::main(&arguments.collect::<Vec<_>>());
    }
    let cli = whimbrel_cli::args::parse::<Cli>(std::env::args_os());
    whimbrel_cli::main_with(&cli.global, |printer| {
        let (global, migrate) = (cli.global.clone(), cli.migrate.clone());
        async move { whimbrel_migrate::run::run(printer, &global, &migrate).await }
    })
}
