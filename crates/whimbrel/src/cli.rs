//! The command line, as types.

use clap::{Parser, Subcommand};
use whimbrel_cli::args::GlobalArgs;
use whimbrel_migrate::cli::MigrateArgs;
use whimbrel_secrets::SecretsCommand;
use whimbrel_tail::cli::TailArgs;
use whimbrel_watch::WatchArgs;

use crate::deploy::DeployArgs;
use crate::doctor::DoctorArgs;
use crate::up::{DownArgs, UpArgs};

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
}
