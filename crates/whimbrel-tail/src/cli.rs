//! The command line, as types.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, ValueEnum};
use whimbrel_cli::args::{GlobalArgs, duration};

const CODES: &str = "Exit codes: 0 the Job is complete; 1 it failed, or is gone and nothing tells how it ended; 69 the \
cluster is unreachable or would not say; 124 --timeout passed; 130, 143 interrupted, terminated.";

/// Follow the migration Job through every attempt and end with its outcome
#[derive(Clone, Debug, Parser)]
#[command(name = "whimbrel-tail", version, disable_help_subcommand = true, after_help = CODES)]
pub struct Cli {
    /// Which Job and how it is shown.
    #[command(flatten)]
    pub tail: TailArgs,
    /// Options of every tool. They come last: their heading would hold for what follows.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Whether a line says which attempt and container it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Prefix {
    /// Once there is more than one
    #[default]
    Auto,
    /// On every line
    Always,
    /// Never
    Never,
}

/// Which Job and how it is shown.
#[derive(Clone, Debug, Default, Args)]
pub struct TailArgs {
    /// The Job, as job/NAME [default: the project's]
    #[arg(value_name = "JOB", value_parser = job_name, conflicts_with = "selector")]
    pub job: Option<String>,

    /// Follow the newest Job with these labels instead
    #[arg(long, short = 'l', value_name = "LABELS")]
    pub selector: Option<String>,

    /// The namespace [default: the project's, else the context's]
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,

    /// The kubeconfig's context [default: the project's, else the current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig [default: where kubectl looks]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Wait so long for the Job to appear and to end, in seconds or as 10m; then exit 124
    #[arg(long, value_name = "SECONDS", value_parser = duration, default_value = "600")]
    pub timeout: Option<Duration>,

    /// Do not take the Job with this UID: the one of the last release
    #[arg(long, value_name = "UID")]
    pub after: Option<String>,

    /// End with 1 as soon as something blocks the Job, although it may heal
    #[arg(long)]
    pub fail_fast: bool,

    /// Begin each line with the time at which the container printed it
    #[arg(long)]
    pub timestamps: bool,

    /// Begin each line with its attempt and container
    #[arg(long, value_enum, default_value_t)]
    pub prefix: Prefix,
}

/// `job/NAME` in the spellings of kubectl, or the bare name.
fn job_name(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some(("job" | "jobs" | "job.batch" | "jobs.batch", name)) => name,
        Some((kind, _)) => return Err(format!("{kind} is not a kind that can be followed; give job/NAME")),
    };
    if name.is_empty() || name.contains(['/', ',', '=', ' ']) {
        return Err("give job/NAME".to_owned());
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("job/db", Ok("db"))]
    #[test_case("db", Ok("db"))]
    #[test_case("jobs.batch/db", Ok("db"))]
    #[test_case("pod/db", Err("pod is not a kind that can be followed; give job/NAME"))]
    #[test_case("job/", Err("give job/NAME"))]
    fn a_job_is_named_as_for_kubectl(text: &str, name: Result<&str, &str>) {
        assert_eq!(job_name(text), name.map(str::to_owned).map_err(str::to_owned));
    }
}
