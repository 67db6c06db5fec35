//! How a binary starts: tracing, the TLS provider, a runtime, and the one place where an error becomes an exit code.

use std::future::Future;
use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt};

use crate::args::{Format, GlobalArgs};
use crate::env;
use crate::error::{CommandError, ErrorKind};
use crate::exit::ExitCode;
use crate::printer::Printer;

/// Runs a command on a runtime of its own and turns what it returns into the process's exit code.
///
/// A panic ends with 70 and asks for a report; its message is not repeated, since it may hold what it failed on.
pub fn main_with<F, R>(args: &GlobalArgs, command: F) -> std::process::ExitCode
where
    F: FnOnce(Printer) -> R,
    R: Future<Output = Result<ExitCode, CommandError>>,
{
    let printer = Printer::new(args);
    install_tracing(args);
    leave_no_core();
    install_panic_message();
    let run = || block_on(command(printer.clone()));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let exit = match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => {
            printer.error(&error);
            error.exit_code()
        }
        Err(_) => ExitCode::Bug,
    };
    exit.into()
}

/// Runs a future on a single-threaded runtime with the TLS provider installed.
///
/// # Errors
/// What the future returns, or that no runtime could be made.
pub fn block_on<T>(future: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    // Somebody else may have installed it first; then it is the same one, since no other is compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    let result = runtime.block_on(future);
    // A blocking read that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    result
}

/// A crash must not write the memory of the process, with its passwords, into a file, and no other process of the same
/// user may read it. A system that refuses this does not keep a command from its work.
fn leave_no_core() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none);
    let unreadable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = limited.and(unreadable) {
        tracing::debug!(target: "whimbrel", "core files stay possible: {error}");
    }
}

fn install_tracing(args: &GlobalArgs) {
    let default = match args.verbose {
        0 => "off",
        1 => "whimbrel=info,warn",
        _ => "whimbrel=trace,info",
    };
    let filter = EnvFilter::try_from_env(env::LOG).unwrap_or_else(|_| EnvFilter::new(default));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(false);
    let lines = match args.format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().boxed(),
    };
    // Fails only if a subscriber is there already, as in tests that start several commands in one process.
    let _ = Registry::default().with(lines.with_filter(foreign_cap())).with(filter).try_init();
}

/// What foreign crates may tell at most, whatever is asked for: below `info` some of them tell what they send, a token
/// or the text of a statement among it.
fn foreign_cap() -> Targets {
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("whimbrel", LevelFilter::TRACE)
        // Slow statements are a warning there, with their text.
        .with_target("sqlx::query", LevelFilter::OFF)
}

fn install_panic_message() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        // The message of a panic may quote the value it failed on, and that may be a secret: only the place is told.
        let _ = io::Write::write_all(
            &mut io::stderr(),
            format!("error: this is a bug in whimbrel{place}\nhint: please report it with the command that you ran\n")
                .as_bytes(),
        );
    }));
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::foreign_cap;

    #[test]
    fn foreign_crates_tell_nothing_below_info() {
        let cap = foreign_cap();
        assert!(cap.would_enable("whimbrel_migrate::run", &Level::TRACE));
        for target in ["sqlx::mysql", "hyper::proto", "h2::codec", "kube_client::client", "rustls"] {
            assert!(cap.would_enable(target, &Level::INFO) && !cap.would_enable(target, &Level::DEBUG));
        }
        assert!(!cap.would_enable("sqlx::query", &Level::ERROR));
    }
}
