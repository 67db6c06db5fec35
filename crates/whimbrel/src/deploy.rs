//! `whimbrel deploy`: from arguments to options, and from events to lines.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use whimbrel_cli::args::{GlobalArgs, duration, pair};
use whimbrel_cli::env::{self, Environment};
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::{Printer, counted};
use whimbrel_cli::project::{Project, ProjectFile, Registry};
use whimbrel_cli::signals::{Stop, Urgency};
use whimbrel_cluster::helm::Repair;
use whimbrel_contract::Conclusion;
use whimbrel_flow::deploy::{DeployEvent, DeployOptions, DeployReport, Ending, deploy};
use whimbrel_flow::local::DatabaseRow;
use whimbrel_image::Digest;
use whimbrel_tail::render::Renderer as JobRenderer;
use whimbrel_tail::settings::Style;

use crate::render::render_table;

/// Options of `deploy`.
#[derive(Args, Clone, Debug)]
pub struct DeployArgs {
    /// Databases of whimbrel.toml [default: all that are enabled]
    #[arg(value_name = "DATABASE")]
    pub databases: Vec<String>,

    /// Deploy the image with this digest [default: what the project's tag stands for now]
    #[arg(long, value_name = "sha256:…")]
    pub digest: Option<Digest>,

    /// The names of the image.
    #[command(flatten)]
    pub image: ImageArgs,

    /// Set a placeholder; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub placeholder: Vec<(String, String)>,

    /// Give helm so long; the Job gets a minute less
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub timeout: Duration,

    /// Use this kubeconfig context instead of the project's
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// Use this namespace instead of the project's
    #[arg(long, short, value_name = "NAME")]
    pub namespace: Option<String>,

    /// Read this kubeconfig
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Start this program as helm
    #[arg(long, value_name = "FILE", env = "WHIMBREL_HELM", hide_env = true, default_value = "helm")]
    pub helm: PathBuf,

    /// Do not look at the secrets first
    #[arg(long)]
    pub no_secrets_check: bool,
}

/// Names of the image that differ from the project's.
#[derive(Args, Clone, Debug, Default)]
pub struct ImageArgs {
    /// The registry, as this machine names it, instead of the project's
    #[arg(long, value_name = "HOST[:PORT]")]
    pub push: Option<String>,

    /// The registry, as the cluster names it, instead of the project's
    #[arg(long, value_name = "HOST[:PORT]")]
    pub pull: Option<String>,

    /// The image's repository, without a host, instead of the project's
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,

    /// The tag whose image is deployed by digest, instead of the project's
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
}

impl ImageArgs {
    /// Puts the names that were given in place of the file's.
    fn replace_in(&self, file: &mut ProjectFile) {
        if let Some(push) = &self.push {
            let pull = file.registry.as_ref().and_then(|registry| registry.pull.clone());
            file.registry = Some(Registry { push: push.clone(), pull });
        }
        if let (Some(pull), Some(registry)) = (&self.pull, &mut file.registry) {
            registry.pull = Some(pull.clone());
        }
        if let (Some(repository), Some(image)) = (&self.repository, &mut file.image) {
            image.repository.clone_from(repository);
        }
        if let (Some(tag), Some(image)) = (&self.tag, &mut file.image) {
            image.tag.clone_from(tag);
        }
    }
}

/// Deploys, and ends with the runner's own code when a script failed.
pub(crate) async fn run(
    args: &DeployArgs,
    global: &GlobalArgs,
    environment: &impl Environment,
    printer: &Printer,
) -> Result<ExitCode, CommandError> {
    let mut project = Project::find_from_here(global.config.as_deref())?;
    args.image.replace_in(&mut project.file);
    let options = options(args, environment);
    let mut renderer = Renderer::new(printer);
    let cancel = CancellationToken::new();
    let mut stop = Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    let result = {
        let mut work = std::pin::pin!(deploy(&project, &options, &cancel, |event| renderer.event(&event)));
        tokio::select! {
            result = &mut work => result,
            _ = stop.asked(Urgency::Finish) => {
                cancel.cancel();
                work.await
            }
        }
    };
    let report = result.map_err(CommandError::from)?;
    renderer.end(&report);
    match stop.request().cause {
        Some(cause) if report.ending != Ending::Deployed => Ok(cause.error_kind().exit_code()),
        _ => Ok(report.exit),
    }
}

fn options(args: &DeployArgs, environment: &impl Environment) -> DeployOptions {
    let mut placeholders: Vec<(String, String)> = env::placeholders(environment).into_iter().collect();
    placeholders.extend(args.placeholder.iter().cloned());
    DeployOptions {
        only: args.databases.clone(),
        digest: args.digest.clone(),
        placeholders,
        timeout: args.timeout,
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        namespace: args.namespace.clone(),
        helm: args.helm.clone(),
        verify_secrets: !args.no_secrets_check,
    }
}

struct Renderer<'a> {
    printer: &'a Printer,
    job: JobRenderer,
}

impl<'a> Renderer<'a> {
    fn new(printer: &'a Printer) -> Self {
        Self { printer, job: JobRenderer::new(printer.clone(), Style::default()) }
    }

    fn event(&mut self, event: &DeployEvent<'_>) {
        match event {
            DeployEvent::Tail(output) => self.job.show(output),
            DeployEvent::Secrets(report) if report.conclusion() != Conclusion::Clean => {
                whimbrel_secrets::render::report(self.printer, report);
            }
            event if self.printer.is_json() => self.printer.json(&event_json(event)),
            event => self.printer.status(event_text(event)),
        }
    }

    fn end(&self, report: &DeployReport) {
        if self.printer.is_json() {
            return self.printer.json(&json!({
                "schema": 1, "event": "deploy-finished", "ending": report.ending, "image": report.image.to_string(),
                "helm": report.helm, "job": report.job, "record": report.record, "exit_code": report.exit.code(),
            }));
        }
        if let Some(record) = &report.record {
            let rows: Vec<DatabaseRow> = record.databases.iter().map(DatabaseRow::from).collect();
            render_table(&rows).iter().for_each(|line| self.printer.line(line));
        }
        if let Some(words) = &report.helm {
            self.printer.status(words);
        }
        self.printer.status(match report.ending {
            Ending::Deployed => "deployed",
            Ending::DeployedWithoutJob => "deployed; the chart made no Job: migrations are switched off",
            Ending::JobFailed => "not deployed: the migration Job did not complete",
            Ending::HelmFailed => "not deployed: helm failed",
        });
    }
}

fn event_text(event: &DeployEvent<'_>) -> String {
    match event {
        DeployEvent::Image(image) => format!("image: {image}"),
        DeployEvent::Secrets(report) => {
            format!("secrets: all good for {}", counted(report.databases.len(), "database"))
        }
        DeployEvent::Waiting(what) => what.clone(),
        DeployEvent::Repaired(Repair::Uninstalled) => {
            "the release was left behind by a killed helm before it was ever deployed: uninstalled".to_owned()
        }
        DeployEvent::Repaired(Repair::RolledBack(revision)) => {
            format!("the release was left behind by a killed helm: taken back to revision {revision}")
        }
        DeployEvent::Helm => "helm upgrade --install, following its Job:".to_owned(),
        DeployEvent::Deaf(error) => {
            format!(
                "the Job cannot be followed, helm goes on: {}",
                CommandError::unavailable(error.to_string())
            )
        }
        DeployEvent::Tail(_) => String::new(),
    }
}

fn event_json(event: &DeployEvent<'_>) -> Value {
    let slug = match event {
        DeployEvent::Image(_) => "image",
        DeployEvent::Secrets(_) => "secrets",
        DeployEvent::Waiting(_) => "waiting",
        DeployEvent::Repaired(_) => "repaired",
        DeployEvent::Helm => "helm-started",
        DeployEvent::Deaf(_) => "tail-failed",
        DeployEvent::Tail(_) => "tail",
    };
    json!({ "schema": 1, "event": slug, "message": event_text(event) })
}

#[cfg(test)]
mod tests {
    use whimbrel_cli::project::{Image, ProjectFile, Registry};

    use super::ImageArgs;

    #[test]
    fn a_given_name_replaces_the_files_and_leaves_the_others() {
        let mut file = ProjectFile {
            image: Some(Image { repository: "a/b".to_owned(), tag: "dev".to_owned() }),
            registry: Some(Registry { push: "localhost:5000".to_owned(), pull: Some("reg:5000".to_owned()) }),
            ..ProjectFile::default()
        };
        let given = ImageArgs { push: Some("localhost:5001".to_owned()), ..ImageArgs::default() };
        given.replace_in(&mut file);
        let registry = file.registry.clone().expect("it is there");
        assert_eq!((registry.push.as_str(), registry.pull()), ("localhost:5001", "reg:5000"));
        let given = ImageArgs {
            pull: Some("other:5000".to_owned()),
            repository: Some("c/d".to_owned()),
            tag: Some("v1".to_owned()),
            ..ImageArgs::default()
        };
        given.replace_in(&mut file);
        assert_eq!(file.registry.as_ref().map(Registry::pull), Some("other:5000"));
        assert_eq!(file.image, Some(Image { repository: "c/d".to_owned(), tag: "v1".to_owned() }));
    }
}
