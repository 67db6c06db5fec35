//! The front door: every tool as a subcommand, and the verbs that join them.

fn main() -> std::process::ExitCode {
    whimbrel::main(std::env::args_os().collect())
}
