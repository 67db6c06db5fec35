//! The front door: every tool as a subcommand, and the verbs that join them.
//!
//! The tools are libraries, so a subcommand is the tool itself and not a copy of it. Started under the name of the
//! runner or of Flyway the program is that: it may be the program in the image.

mod cli;
mod config;
mod deploy;
mod doctor;
mod invocation;
mod render;
mod role;
mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::CommandError;
use whimbrel_cli::exit;
use whimbrel_cli::main_with;
use whimbrel_cli::printer::Printer;
use whimbrel_migrate::flyway;
use whimbrel_watch::Caller;

pub use cli::{Cli, Command};
use role::Role;

/// Runs the program with these arguments, the first of which is its own name.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    match Role::of(arguments.first()) {
        // Flyway's own flags (-v, -q) are none of ours.
        Role::FrontDoor if arguments.get(1).is_some_and(|word| word == "flyway") => {
            as_flyway(&arguments[2..])
        }
        Role::FrontDoor => {
            let cli: Cli = whimbrel_cli::args::parse(&arguments);
            if let Command::Flyway { arguments } = &cli.command {
                return flyway::main(arguments);
            }
            let global = cli.global.clone();
            main_with(&global, |printer| run(cli, printer))
        }
        Role::Flyway => as_flyway(arguments.get(1..).unwrap_or_default()),
        Role::Runner => {
            let cli: whimbrel_migrate::cli::Cli = whimbrel_cli::args::parse(&arguments);
            main_with(&cli.global, async |printer| {
                whimbrel_migrate::run::run(printer, &cli.global, &cli.migrate).await
            })
        }
    }
}

fn as_flyway(arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<String> =
        arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    flyway::main(&arguments)
}

async fn run(cli: Cli, printer: Printer) -> Result<exit::ExitCode, CommandError> {
    match cli.command {
        Command::Up(args) => up::up(&cli.global, args, &printer).await,
        Command::Dev(args) => up::dev(&cli.global, args, &printer).await,
        Command::Down(args) => up::down(&cli.global, args, &printer).await,
        Command::Watch(args) => {
            let caller = Caller::this_process(true)?;
            whimbrel_watch::run(&args, &cli.global, &ProcessEnvironment, &caller, &printer).await
        }
        Command::Secrets(command) => whimbrel_secrets::run(&command, &cli.global, &printer).await,
        Command::Migrate(args) => whimbrel_migrate::run::run(printer, &cli.global, &args).await,
        Command::Tail(args) => whimbrel_tail::run::run(&args, &cli.global, printer).await,
        Command::Deploy(args) => deploy::run(&args, &cli.global, &ProcessEnvironment, &printer).await,
        Command::Doctor(args) => doctor::run(&args, &cli.global, &ProcessEnvironment, &printer).await,
        // Speaks Flyway's language from the first word on: it was answered before.
        Command::Flyway { .. } => Ok(exit::ExitCode::Usage),
        Command::Config => config::show(&cli.global, &printer),
    }
}
