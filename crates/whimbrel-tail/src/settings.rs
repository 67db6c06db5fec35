//! What to follow, resolved from options, the project file and the kubeconfig.

use std::{path::PathBuf, time::Duration};

use whimbrel_cli::{
    args::GlobalArgs,
    error::CommandError,
    project::{Project, ProjectError},
};
use whimbrel_cluster::client::ConnectOptions;
use whimbrel_joblog::Target;

use crate::cli::{Prefix, TailArgs};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

/// Everything that `run` needs.
#[derive(Debug, Clone)]
pub struct TailSettings {
    /// The Job.
    pub target: Target,
    /// Its namespace; `None` is the one of the context.
    pub namespace: Option<String>,
    /// How to reach the cluster.
    pub connect: ConnectOptions,
    /// The Helm release that the Job belongs to, where the project says so.
    pub release: Option<String>,
    /// How long all of it may take.
    pub timeout: Duration,
    /// The UID of a Job that is not meant.
    pub after: Option<String>,
    /// Whether a blocker ends it.
    pub fail_fast: bool,
    /// How lines are shown.
    pub style: Style,
}

/// How lines are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// With the container's timestamps.
    pub timestamps: bool,
    /// With attempt and container.
    pub prefix: Prefix,
}

/// Options over project file over kubeconfig. Without a Job on the command line there must be a project.
pub fn resolve(
    args: &TailArgs,
    global: &GlobalArgs,
    here: &std::path::Path,
) -> Result<TailSettings, CommandError> {
    let project = find_project(args, global, here)?;
    let cluster = project.as_ref().and_then(|project| project.file.cluster.as_ref());
    let target = match (&args.job, &args.selector, cluster) {
        (Some(name), _, _) => Target::Name(name.clone()),
        (None, Some(selector), _) => Target::Selector(selector.clone()),
        (None, None, Some(cluster)) => Target::Name(cluster.job.clone()),
        (None, None, None) => {
            let error = CommandError::usage("no Job is named, and the project file has no [cluster] section");
            return Err(error.hinted("whimbrel-tail job/NAME -n NAMESPACE"));
        }
    };
    let release = cluster.filter(|cluster| target == Target::Name(cluster.job.clone()));
    Ok(TailSettings {
        target,
        namespace: args.namespace.clone().or_else(|| cluster.map(|cluster| cluster.namespace.clone())),
        connect: ConnectOptions {
            kubeconfig: args.kubeconfig.clone(),
            context: args.context.clone().or_else(|| cluster?.context.clone()),
            request_timeout: None,
        },
        release: release.map(|cluster| cluster.release.clone()),
        timeout: args.timeout.unwrap_or(DEFAULT_TIMEOUT),
        after: args.after.clone(),
        fail_fast: args.fail_fast,
        style: Style { timestamps: args.timestamps, prefix: args.prefix },
    })
}

/// Who names a Job needs no project; who has one gets its context and namespace. A broken one is never passed over.
fn find_project(
    args: &TailArgs,
    global: &GlobalArgs,
    here: &std::path::Path,
) -> Result<Option<Project>, CommandError> {
    let needed = args.job.is_none() && args.selector.is_none();
    match Project::find(global.config.as_deref(), here) {
        Ok(project) => Ok(Some(project)),
        Err(ProjectError::NotFound { .. }) if !needed => Ok(None),
        Err(error) => {
            let error = CommandError::from(error);
            Err(if needed {
                error.hinted("or name the Job: whimbrel-tail job/NAME -n NAMESPACE")
            } else {
                error
            })
        }
    }
}

/// The folder to look from.
pub(crate) fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(folder.path().join("whimbrel.toml"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .unwrap();
        folder
    }

    const PROJECT: &str = "[project]\nname = \"x\"\n[cluster]\ncontext = \"k3d-a\"\nnamespace = \"ns\"\n\
                           release = \"rel\"\njob = \"the-job\"\n";

    #[test]
    fn without_arguments_the_project_says_everything() {
        let folder = folder(PROJECT);
        let settings = resolve(&TailArgs::default(), &GlobalArgs::default(), folder.path()).unwrap();
        assert_eq!(settings.target, Target::Name("the-job".to_owned()));
        assert_eq!(settings.namespace.as_deref(), Some("ns"));
        assert_eq!(settings.connect.context.as_deref(), Some("k3d-a"));
        assert_eq!((settings.release.as_deref(), settings.timeout.as_secs()), (Some("rel"), 600));
    }

    #[test]
    fn options_win_and_another_job_has_no_release() {
        let folder = folder(PROJECT);
        let args = TailArgs {
            job: Some("other".to_owned()),
            namespace: Some("there".to_owned()),
            context: Some("far".to_owned()),
            ..TailArgs::default()
        };
        let settings = resolve(&args, &GlobalArgs::default(), folder.path()).unwrap();
        assert_eq!(settings.target, Target::Name("other".to_owned()));
        assert_eq!(settings.namespace.as_deref(), Some("there"));
        assert_eq!((settings.connect.context.as_deref(), settings.release), (Some("far"), None));
    }

    #[test]
    fn a_named_job_needs_no_project_but_a_broken_one_is_told() {
        let nowhere = tempfile::tempdir().unwrap();
        let named = TailArgs { job: Some("x".to_owned()), ..TailArgs::default() };
        assert_eq!(resolve(&named, &GlobalArgs::default(), nowhere.path()).unwrap().namespace, None);
        assert!(resolve(&TailArgs::default(), &GlobalArgs::default(), nowhere.path()).is_err());
        let broken = folder("[project");
        assert!(resolve(&named, &GlobalArgs::default(), broken.path()).is_err());
    }
}
