//! Rebuilds and delivers the migrations image when SQL changes.

use std::process::ExitCode;

use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::main_with;
use whimbrel_watch::{Caller, Cli, run};

fn main() -> ExitCode {
    let Cli { watch, global } = whimbrel_cli::args::parse::<Cli>(std::env::args_os());
    main_with(&global, async |printer| {
        run(&watch, &global, &ProcessEnvironment, &Caller::this_process(false)?, &printer).await
    })
}
