//! What is done.

use secrecy::ExposeSecret as _;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::project::Project;
use whimbrel_cli::signals::{Stop, Urgency};
use whimbrel_cluster::client::{Cluster, ConnectOptions};
use whimbrel_cluster::secrets::CreatedSecret;
use whimbrel_contract::{Conclusion, Report};
use whimbrel_files::secrets::{Existing, WrittenKey, load_or_create_seed, write_folder, write_new_file};
use whimbrel_flow::secrets::{
    LocalSecret, Patience, SecretsError, apply_missing, local_secrets, render_manifests, verify_until,
};

use crate::cli::{GenerateArgs, SecretsCommand, VerifyArgs};
use crate::render;
use crate::render::{Made, Outcome};
use crate::settings::{Destination, GenerateSettings, VerifySettings};

/// Runs a command for the project that is found from the working directory.
///
/// # Errors
/// When we could not find out. That a secret is missing or unusable is an answer: see the exit code.
pub async fn run(
    command: &SecretsCommand,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let project = Project::find_from_here(global.config.as_deref())?;
    match command {
        SecretsCommand::Verify(args) => verify(args, &project, printer).await,
        SecretsCommand::Generate(args) => generate(args, &project, printer).await,
    }
}

async fn verify(args: &VerifyArgs, project: &Project, printer: &Printer) -> Result<ExitCode, CommandError> {
    let settings = VerifySettings::resolve(args, project)?;
    let mut stop = Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    let mut told = String::new();
    let waiting = |why: whimbrel_flow::secrets::Waiting<'_>, left: std::time::Duration| {
        let line = render::waiting(&why);
        // The same line every two seconds would bury what is new in it.
        if line != told {
            printer.status(format!("{line}; waiting for up to {} s", left.as_secs()));
            told = line;
        }
    };
    let looking =
        verify_until(&settings.source, &settings.contracts, Patience::until(settings.wait), waiting);
    let report = tokio::select! {
        report = looking => report?,
        request = stop.asked(Urgency::Finish) => {
            let kind = request.cause.map_or(ErrorKind::Terminated, whimbrel_cli::signals::Cause::error_kind);
            return Err(CommandError::new(kind, "stopped before the secrets were known"));
        }
    };
    render::report(printer, &report);
    Ok(exit_code(&report))
}

/// A definite answer outranks an open question.
fn exit_code(report: &Report) -> ExitCode {
    match report.conclusion() {
        Conclusion::Clean => ExitCode::Done,
        Conclusion::Unusable => ExitCode::Secret,
        Conclusion::Unknown => ExitCode::Unavailable,
    }
}

async fn generate(
    args: &GenerateArgs,
    project: &Project,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let settings = GenerateSettings::resolve(args, project)?;
    // A cluster that is not ours is refused before anything is made.
    let cluster = match &settings.destination {
        Destination::Cluster { context, .. } => {
            let options = ConnectOptions { context: context.clone(), ..ConnectOptions::default() };
            let cluster = Cluster::connect(options).await.map_err(SecretsError::from)?;
            apply_missing(&cluster, "", &[]).await?;
            Some(cluster)
        }
        _ => None,
    };
    let seed = load_or_create_seed(&settings.seed).map_err(SecretsError::from)?;
    let secrets = local_secrets(&seed, &settings.contracts, &settings.host, settings.port)?;
    let made = match (&settings.destination, cluster) {
        (Destination::Folder(folder), _) => into_folder(folder, &secrets)?,
        (Destination::Manifests { path, namespace }, _) => {
            vec![into_manifests(path, &secrets, namespace)?]
        }
        (Destination::Cluster { namespace, .. }, Some(cluster)) => {
            into_cluster(&cluster, namespace, &secrets).await?
        }
        (Destination::Stdout { namespace } | Destination::Cluster { namespace, .. }, _) => {
            printer.line(render_manifests(&secrets, namespace).expose_secret().trim_end());
            return Ok(ExitCode::Done);
        }
    };
    render::made(printer, &made);
    let refused = made.iter().any(|made| made.outcome == Outcome::Kept);
    Ok(if refused { ExitCode::Refused } else { ExitCode::Done })
}

fn into_folder(folder: &std::path::Path, secrets: &[LocalSecret]) -> Result<Vec<Made>, SecretsError> {
    let mut made = Vec::new();
    for secret in secrets {
        for written in write_folder(folder, &secret.name, &secret.values, Existing::Keep)? {
            let (outcome, path) = match written {
                WrittenKey::Created(path) => (Outcome::Created, path),
                WrittenKey::Unchanged(path) => (Outcome::Unchanged, path),
                WrittenKey::Replaced(path) => (Outcome::Created, path),
                WrittenKey::Kept(path) => (Outcome::Kept, path),
            };
            made.push(Made { what: path.display().to_string(), outcome });
        }
    }
    Ok(made)
}

fn into_manifests(
    path: &std::path::Path,
    secrets: &[LocalSecret],
    namespace: &str,
) -> Result<Made, CommandError> {
    let text = render_manifests(secrets, namespace);
    let text = text.expose_secret().as_bytes();
    let outcome = if write_new_file(path, text).map_err(SecretsError::from)? {
        Outcome::Created
    } else if fs_err::read(path).map_err(CommandError::usage)? == text {
        Outcome::Unchanged
    } else {
        Outcome::Kept
    };
    Ok(Made { what: path.display().to_string(), outcome })
}

async fn into_cluster(
    cluster: &Cluster,
    namespace: &str,
    secrets: &[LocalSecret],
) -> Result<Vec<Made>, SecretsError> {
    let applied = apply_missing(cluster, namespace, secrets).await?;
    let made = applied.into_iter().map(|(name, created)| Made {
        what: format!("secret {namespace}/{name}"),
        outcome: match created {
            CreatedSecret::Created => Outcome::Created,
            CreatedSecret::AlreadyThere => Outcome::AlreadyThere,
        },
    });
    Ok(made.collect())
}
