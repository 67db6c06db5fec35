//! What the options mean for one project.

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_cli::error::CommandError;
use whimbrel_cli::project::Project;
use whimbrel_contract::DatabaseContract;
use whimbrel_flow::secrets::{LOCAL_FOLDER, SEED_FILE, Source, SourceChoice, contracts};

use crate::cli::{GenerateArgs, Target, VerifyArgs};

/// What `verify` does.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// What must be there.
    pub contracts: Vec<DatabaseContract>,
    /// Where to look.
    pub source: Source,
    /// For how long to look again.
    pub wait: Duration,
}

/// Where generated values go, with every name that this takes.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A folder.
    Folder(PathBuf),
    /// A file of manifests.
    Manifests {
        /// The file.
        path: PathBuf,
        /// The namespace in the manifests.
        namespace: String,
    },
    /// Manifests on stdout.
    Stdout {
        /// The namespace in the manifests.
        namespace: String,
    },
    /// A cluster.
    Cluster {
        /// The kubeconfig's context.
        context: Option<String>,
        /// The namespace.
        namespace: String,
    },
}

/// What `generate` does.
#[derive(Clone, Debug)]
pub struct GenerateSettings {
    /// What must be made.
    pub contracts: Vec<DatabaseContract>,
    /// Where it goes.
    pub destination: Destination,
    /// The file of the seed.
    pub seed: PathBuf,
    /// Host of the database server.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl VerifySettings {
    /// The options for a project.
    ///
    /// # Errors
    /// When the project's settings make no contract.
    pub fn resolve(args: &VerifyArgs, project: &Project) -> Result<Self, CommandError> {
        let (context, namespace) = (args.cluster.context.clone(), args.cluster.namespace.clone());
        let kubernetes = args.from == SourceChoice::Kubernetes;
        if !kubernetes && (context.is_some() || namespace.is_some()) {
            return Err(CommandError::usage(format!(
                "--context and --namespace make no sense with --from {}",
                args.from
            )));
        }
        Ok(Self {
            contracts: contracts(project, &args.databases.databases)?,
            source: Source::resolve(args.from.clone(), project, context, namespace),
            wait: Duration::from_secs(args.wait),
        })
    }
}

impl GenerateSettings {
    /// The options for a project.
    ///
    /// # Errors
    /// When the project's settings make no contract.
    pub fn resolve(args: &GenerateArgs, project: &Project) -> Result<Self, CommandError> {
        let (context, namespace) = names(args, project);
        let destination = match args.to.clone() {
            _ if args.apply => Destination::Cluster { context, namespace },
            None => Destination::Folder(project.state_path(LOCAL_FOLDER)),
            Some(Target::Folder(path)) => Destination::Folder(path),
            Some(Target::Manifests(path)) => Destination::Manifests { path, namespace },
            Some(Target::Stdout) => Destination::Stdout { namespace },
        };
        let default_host = match destination {
            Destination::Folder(_) => "localhost",
            _ => "postgres",
        };
        Ok(Self {
            contracts: contracts(project, &args.databases.databases)?,
            destination,
            seed: project.state_path(SEED_FILE),
            host: args.host.clone().unwrap_or_else(|| default_host.to_owned()),
            port: args.port,
        })
    }
}

fn names(args: &GenerateArgs, project: &Project) -> (Option<String>, String) {
    let (context, namespace) = (args.cluster.context.clone(), args.cluster.namespace.clone());
    match Source::resolve(SourceChoice::Kubernetes, project, context, namespace) {
        Source::Kubernetes { context, namespace } => (context, namespace),
        Source::Folder(_) | Source::Dotenv(_) => (None, String::new()),
    }
}
