//! `whimbrel doctor`: wiring and rendering.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::Environment;
use whimbrel_cli::error::CommandError;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_flow::doctor::{Check, DoctorOptions, State, doctor};

/// Options of `doctor`.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// Look at this kubeconfig context instead of the project's
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Read this kubeconfig
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Wait so many seconds for a node to pull the probe
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub pull_timeout: u64,
}

/// One line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    check: &'a Check,
}

/// Looks around and tells. Ends with 1 when something is here that would fail, else with 0.
///
/// # Errors
/// When there is no valid project file.
pub(crate) async fn run(
    args: &DoctorArgs,
    global: &GlobalArgs,
    environment: &impl Environment,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let project = Project::find_from_here(global.config.as_deref())?;
    let path = environment.get("PATH").unwrap_or_default();
    let options = DoctorOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        docker_host: environment
            .get("DOCKER_HOST")
            .unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned()),
        path: std::env::split_paths(&path).collect(),
        pull_timeout: Duration::from_secs(args.pull_timeout),
        nonce: nonce(),
    };
    let checks = doctor(&project, &options).await;
    for check in &checks {
        render(check, printer);
    }
    let problems = checks.iter().filter(|check| check.state == State::Problem).count();
    if problems > 0 && !printer.is_json() {
        printer.status(format!("{problems} to be mended"));
    }
    Ok(if problems == 0 { ExitCode::Done } else { ExitCode::No })
}

/// Differs from run to run, so that no registry can have the probe from an earlier one.
fn nonce() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_millis(), std::process::id())
}

fn render(check: &Check, printer: &Printer) {
    if printer.is_json() {
        return printer.json(&Line { schema: 1, check });
    }
    let word = match check.state {
        State::Ok => "ok",
        State::Absent => "-",
        State::Problem => "PROBLEM",
    };
    printer.line(format!("{word:<8} {:<20} {}", check.check, check.detail));
    if let Some(next) = &check.next {
        printer.line(format!("{:<8} {:<20} next: {next}", "", ""));
    }
}
