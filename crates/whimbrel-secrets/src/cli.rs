//! The command line, as types.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env;
use whimbrel_flow::secrets::SourceChoice;

/// Verify the secrets of a project's databases, or make local ones
#[derive(Clone, Debug, Parser)]
#[command(name = "whimbrel-secrets", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every tool.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: SecretsCommand,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum SecretsCommand {
    /// Check that each database's secret exists and holds usable keys
    ///
    /// Ends with 0 when every secret can be used, 3 when one is missing or unusable, and 69 when we could not find
    /// out, for instance without the right to read it. Values are never printed.
    Verify(VerifyArgs),
    /// Make local values, the same each time on one checkout
    ///
    /// What is there is never overwritten. Values follow from a seed that is made once, in .whimbrel/seed.
    Generate(GenerateArgs),
}

/// Which databases.
#[derive(Args, Clone, Debug, Default)]
pub struct DatabaseArgs {
    /// Databases of whimbrel.toml [default: all enabled ones]
    #[arg(value_name = "DATABASE", env = env::DATABASES, hide_env = true, value_delimiter = ',')]
    pub databases: Vec<String>,
}

/// Which cluster and namespace.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Context of the kubeconfig [default: that of whimbrel.toml, else the current one]
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,

    /// Namespace of the secrets [default: that of whimbrel.toml, else "default"]
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
}

/// Options of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Which databases.
    #[command(flatten)]
    pub databases: DatabaseArgs,

    /// Where to look: kubernetes, local (.whimbrel/secrets), folder:DIR or dotenv:FILE
    #[arg(long, value_name = "SOURCE", default_value_t = SourceChoice::Kubernetes)]
    pub from: SourceChoice,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,

    /// Look again for so many seconds until all is well
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub wait: u64,
}

/// Where generated values go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A folder with a folder per secret and a file per key.
    Folder(PathBuf),
    /// Manifests in a file.
    Manifests(PathBuf),
    /// Manifests on stdout.
    Stdout,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "-" => Ok(Self::Stdout),
            Some(("manifests", "-")) => Ok(Self::Stdout),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            Some(("manifests", path)) if !path.is_empty() => Ok(Self::Manifests(path.into())),
            _ => Err("write folder:DIR, manifests:FILE or - (manifests on stdout)".to_owned()),
        }
    }
}

/// Options of `generate`.
#[derive(Args, Clone, Debug)]
pub struct GenerateArgs {
    /// Which databases.
    #[command(flatten)]
    pub databases: DatabaseArgs,

    /// Where values go: folder:DIR, manifests:FILE or - [default: folder:.whimbrel/secrets]
    #[arg(long, value_name = "TARGET", conflicts_with = "apply")]
    pub to: Option<Target>,

    /// Create the secrets that a local cluster lacks; any other cluster is refused
    #[arg(long)]
    pub apply: bool,

    /// Host of the database server [default: localhost for a folder, postgres in a cluster]
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,

    /// Port of the database server
    #[arg(long, value_name = "PORT", default_value_t = 5432, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}
