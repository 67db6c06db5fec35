//! The tool: connect, follow, show, end with the Job's outcome.

use std::{ops::ControlFlow, pin::pin};

use tokio_util::sync::CancellationToken;
use whimbrel_cli::{
    args::GlobalArgs,
    error::{CommandError, ErrorKind},
    exit::ExitCode,
    printer::Printer,
    signals::{Stop, Urgency},
};
use whimbrel_cluster::{
    client::{Cluster, ClusterError, ClusterErrorKind},
    follow::{FollowEnd, FollowOptions, follow},
};
use whimbrel_joblog::{Output, Verdict};

use crate::{
    cli::TailArgs,
    release,
    render::Renderer,
    settings::{self, TailSettings},
};

/// Follows a Job as the options say.
///
/// # Errors
/// Usage, an unreachable cluster, a missing right, the deadline, a signal.
pub async fn run(args: &TailArgs, global: &GlobalArgs, printer: Printer) -> Result<ExitCode, CommandError> {
    let settings = settings::resolve(args, global, &settings::here())?;
    let cluster = Cluster::connect(settings.connect.clone()).await.map_err(cluster_error)?;
    let mut stop = Stop::watch().map_err(|error| CommandError::new(ErrorKind::Bug, error))?;
    let cancel = CancellationToken::new();
    let said = printer.clone();
    let end = {
        let mut following = pin!(follow_and_show(&settings, &cluster, cancel.clone(), printer));
        tokio::select! {
            end = &mut following => end?,
            _ = stop.asked(Urgency::Finish) => {
                cancel.cancel();
                following.await?
            }
        }
    };
    match end {
        FollowEnd::Outcome(outcome) => Ok(exit_of(outcome.verdict)),
        FollowEnd::Stopped | FollowEnd::NoJob => {
            said.status("stopped at the first blocker, as --fail-fast asks; the Job goes on without us");
            Ok(ExitCode::No)
        }
        FollowEnd::Deadline { waiting_for } => {
            let seconds = settings.timeout.as_secs();
            Err(CommandError::new(ErrorKind::Deadline, format!("{seconds} s passed {waiting_for}"))
                .hinted("the Job goes on without us; --timeout SECONDS waits longer"))
        }
        FollowEnd::Cancelled => {
            let cause = stop.request().cause;
            let kind = cause.map_or(ErrorKind::Interrupted, whimbrel_cli::signals::Cause::error_kind);
            Err(CommandError::new(kind, "stopped by a signal; the Job goes on without us"))
        }
    }
}

async fn follow_and_show(
    settings: &TailSettings,
    cluster: &Cluster,
    cancel: CancellationToken,
    printer: Printer,
) -> Result<FollowEnd, CommandError> {
    let namespace = settings.namespace.clone().unwrap_or_else(|| cluster.default_namespace().to_owned());
    let mut options = FollowOptions::new(namespace, settings.target.clone());
    options.after = settings.after.clone();
    options.timeout = settings.timeout;
    let mut renderer = Renderer::new(printer, settings.style);
    let fail_fast = settings.fail_fast;
    let tell = |output: &Output| {
        match output {
            // Another witness may be asked first.
            Output::Outcome(_) => {}
            output => renderer.show(output),
        }
        match output {
            Output::Blocker(_) if fail_fast => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    };
    let mut end = follow(cluster, options, cancel, tell).await.map_err(cluster_error)?;
    if let FollowEnd::Outcome(outcome) = &mut end {
        if outcome.verdict == Verdict::Unknown {
            release::ask(settings, cluster, outcome).await;
        }
        renderer.show(&Output::Outcome(outcome.clone()));
    }
    Ok(end)
}

/// The exit code of a verdict.
pub fn exit_of(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Complete => ExitCode::Done,
        Verdict::Failed | Verdict::Unknown => ExitCode::No,
    }
}

/// The cluster's no or silence, as a command's error.
pub fn cluster_error(error: ClusterError) -> CommandError {
    let kind = error.kind;
    match kind {
        ClusterErrorKind::Configuration => CommandError::usage(error)
            .hinted("kubectl config get-contexts lists the contexts; --context NAME chooses one"),
        ClusterErrorKind::Forbidden => CommandError::unavailable(error)
            .hinted("the tail needs get, list, watch on jobs and pods and get on pods/log in this namespace"),
        ClusterErrorKind::Unauthorized => CommandError::unavailable(error)
            .hinted("the login of this context was not accepted; log in again"),
        _ => CommandError::unavailable(error),
    }
}
