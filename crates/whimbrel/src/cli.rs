//! The command line, as types.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use whimbrel_cli::args::{GlobalArgs, duration};
use whimbrel_flow::secrets::SourceChoice;
use whimbrel_migrate::cli::MigrateArgs;
use whimbrel_postgres::BinarySource;
use whimbrel_secrets::SecretsCommand;
use whimbrel_tail::cli::TailArgs;
use whimbrel_watch::WatchArgs;

use crate::deploy::DeployArgs;
use crate::doctor::DoctorArgs;

const FIRST_STEPS: &str = "\
First steps, in this order:
  whimbrel up             everything on this machine: database server, image, migrations
  whimbrel dev            the same, and again after every save
  whimbrel doctor         what is here for a cluster: registry, Docker, Kubernetes, Helm
  whimbrel watch --once   check the scripts, build the image, push it
  whimbrel secrets verify every secret and key that the enabled databases need
  whimbrel deploy         secrets, Helm release by digest, the Job's log, its outcome
  whimbrel down           stop what `up` started";

/// Carry SQL migrations from a saved file to a migrated database
#[derive(Clone, Debug, Parser)]
#[command(name = "whimbrel", version, disable_help_subcommand = true, after_help = FIRST_STEPS)]
pub struct Cli {
    /// What is asked for.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every tool.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring the project up on this machine: server, secrets, databases, image, migrations
    Up(UpArgs),
    /// Bring the project up and apply every save (the same as `up --watch`)
    Dev(UpArgs),
    /// Stop what `up` started
    Down(DownArgs),
    /// Rebuild and deliver the migrations image when SQL changes
    Watch(WatchArgs),
    /// Verify the secrets that the enabled databases need, or make local ones
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Apply migrations, or look at what was applied
    Migrate(MigrateArgs),
    /// Follow a migration Job to its outcome
    Tail(TailArgs),
    /// Verify the secrets, release the chart by digest, follow the Job to its outcome
    Deploy(DeployArgs),
    /// Look at what is here, and whether the registry's two names are one registry
    Doctor(DoctorArgs),
    /// Speak Flyway's command line: its options, its output, its exit codes
    #[command(disable_help_flag = true)]
    Flyway {
        /// What Flyway would be given
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Show every setting, its value and where it comes from
    Config,
}

/// Options of `up` and `dev`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    /// Databases of whimbrel.toml [default: all that are enabled, or $WHIMBREL_DATABASES]
    #[arg(value_name = "DATABASE")]
    pub databases: Vec<String>,

    /// Stay, and apply every save
    #[arg(long)]
    pub watch: bool,

    /// Take the secrets of a server of yours from folder:PATH or dotenv:PATH; start none, rebuild nothing
    #[arg(long, value_name = "SOURCE")]
    pub from: Option<SourceChoice>,

    /// Put this static program into the image [default: a static one of ours]
    #[arg(long, value_name = "FILE", conflicts_with = "base")]
    pub runner: Option<PathBuf>,

    /// Build on this image, which has the program already
    #[arg(long, value_name = "REFERENCE")]
    pub base: Option<String>,

    /// Where the server's programs come from: installed (else fetched), fetch, or a folder
    #[arg(long, value_name = "SOURCE", value_parser = binary_source, env = "WHIMBREL_POSTGRES", hide_env = true, default_value = "installed")]
    pub postgres: BinarySource,

    /// Stop the migrations after this time
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub timeout: Duration,

    /// Wait so long for another whimbrel that works on this checkout
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub lock_wait: Duration,
}

/// Options of `down`.
#[derive(Clone, Debug, Args)]
pub struct DownArgs {
    /// Forget the data as well
    #[arg(long)]
    pub volumes: bool,

    /// Wait so long for another whimbrel that works on this checkout
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub lock_wait: Duration,
}

fn binary_source(text: &str) -> Result<BinarySource, String> {
    match text {
        "" => Err("name a folder, or write installed or fetch".to_owned()),
        "installed" => Ok(BinarySource::InstalledOrFetched),
        "fetch" => Ok(BinarySource::Fetched),
        folder => Ok(BinarySource::Folder(folder.into())),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_text_is_a_contract() {
        let mut command = Cli::command().term_width(100);
        insta::assert_snapshot!(command.render_help());
    }

    #[test]
    fn the_servers_programs_can_be_named() {
        assert_eq!(binary_source("fetch"), Ok(BinarySource::Fetched));
        assert_eq!(binary_source("/opt/pg/bin"), Ok(BinarySource::Folder("/opt/pg/bin".into())));
    }
}
