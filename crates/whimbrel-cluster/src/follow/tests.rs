//! Following against a scripted API server: what breaks in real clusters, at will.

mod server;

use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_joblog::{KnownBy, Target, Verdict};

use super::*;
use server::{End, Server, Step};

fn job(uid: &str, status: Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "status": status,
           "metadata": {"name": "db", "uid": uid, "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}})
}

fn complete() -> Value {
    json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]})
}

fn pod(phase: &str, state: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "db-1", "uid": "p1", "resourceVersion": "8", "creationTimestamp": "2026-01-01T00:00:00Z",
                     "labels": {"batch.kubernetes.io/controller-uid": "a"}},
        "spec": {"containers": [{"name": "migrate"}]},
        "status": {"phase": phase, "containerStatuses": [
            {"name": "migrate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]}})
}

fn running() -> Value {
    pod("Running", json!({"running": {}}))
}

fn succeeded() -> Value {
    pod("Succeeded", json!({"terminated": {"exitCode": 0, "reason": "Completed", "containerID": "c"}}))
}

fn list(items: &[Value]) -> Step {
    Step::json(
        200,
        &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "9"}, "items": items}),
    )
}

fn watch(events: &[(&str, Value)], end: End) -> Step {
    let lines =
        events.iter().map(|(kind, object)| json!({"type": kind, "object": object}).to_string() + "\n");
    Step { status: 200, body: lines.collect::<String>().into_bytes(), after: Duration::ZERO, end }
}

fn log(text: &str, end: End) -> Step {
    Step { status: 200, body: text.as_bytes().to_vec(), after: Duration::ZERO, end }
}

fn status(code: u16, reason: &str, message: &str) -> Step {
    Step::json(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}),
    )
}

struct Followed {
    end: Result<FollowEnd, ClusterError>,
    told: Vec<Output>,
}

impl Followed {
    fn lines(&self) -> Vec<&str> {
        let lines = self.told.iter().filter_map(|output| match output {
            Output::Line(line) => Some(line.text.as_str()),
            _ => None,
        });
        lines.collect()
    }

    fn outcome(&self) -> &Outcome {
        match &self.end {
            Ok(FollowEnd::Outcome(outcome)) => outcome,
            other => panic!("no outcome but {other:?}, told {:?}", self.told),
        }
    }

    fn gaps(&self) -> usize {
        self.told.iter().filter(|output| matches!(output, Output::Gap(_))).count()
    }
}

fn options() -> FollowOptions {
    let mut options = FollowOptions::new("ns", Target::Name("db".to_owned()));
    options.timeout = Duration::from_secs(20);
    options.remake_grace = Duration::from_millis(500);
    options
}

async fn follow_with(server: &Server, options: FollowOptions) -> Followed {
    let cluster = Cluster::from_client(server.client(), "ns");
    let mut told = Vec::new();
    let tell = |output: &Output| {
        told.push(output.clone());
        ControlFlow::Continue(())
    };
    let end = follow(&cluster, options, CancellationToken::new(), tell).await;
    Followed { end, told }
}

#[tokio::test]
async fn a_cut_log_is_asked_for_again_from_its_second_on() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", json!({}))])]);
    server.script("watch jobs", [watch(&[("MODIFIED", job("a", complete()))], End::Hang).later(1500)]);
    server.script("pods", [list(&[running()])]);
    server.script("watch pods", [watch(&[("MODIFIED", succeeded())], End::Hang).later(1000)]);
    let one = "2026-01-01T00:00:05.9Z one\n";
    let two = "2026-01-01T00:00:05.95Z two\n2026-01-01T00:00:06Z th";
    let all = "2026-01-01T00:00:05.9Z one\n2026-01-01T00:00:05.95Z two\n2026-01-01T00:00:06Z three\n";
    server.script(
        "log",
        [log(&format!("{one}{two}"), End::Cut), log(all, End::Complete), log(all, End::Complete)],
    );
    server.allow_more("log", log(all, End::Complete));
    let followed = follow_with(&server, options()).await;
    assert_eq!(followed.lines(), ["one", "two", "three"]);
    assert_eq!((followed.outcome().verdict, followed.gaps()), (Verdict::Complete, 0));
    let asked = server.asked("log");
    assert!(!asked[0].contains("sinceTime") && asked[0].contains("timestamps=true"), "{asked:?}");
    assert!(asked[1].contains("sinceTime=2026-01-01T00%3A00%3A04Z"), "{asked:?}");
    server.check();
}

#[tokio::test]
async fn an_expired_watch_is_listed_anew() {
    let server = Server::start().await;
    let gone = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired",
                      "message": "too old resource version"});
    server.script("jobs", [list(&[job("a", json!({}))]), list(&[job("a", complete())])]);
    server.script("watch jobs", [watch(&[("ERROR", gone)], End::Complete)]);
    server.script("pods", [list(&[succeeded()])]);
    server.script("log", [log("2026-01-01T00:00:05Z one\n", End::Complete)]);
    let followed = follow_with(&server, options()).await;
    assert_eq!(followed.lines(), ["one"]);
    assert_eq!(followed.outcome().known_by, KnownBy::Condition);
    server.check();
}

#[tokio::test]
async fn a_broken_watch_goes_on_from_its_version() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", json!({}))])]);
    let again = watch(&[("MODIFIED", job("a", complete()))], End::Hang);
    server.script("watch jobs", [watch(&[("MODIFIED", job("a", json!({"active": 1})))], End::Cut), again]);
    server.script("pods", [list(&[succeeded()])]);
    server.script("log", [log("2026-01-01T00:00:05Z one\n", End::Complete)]);
    let followed = follow_with(&server, options()).await;
    assert_eq!(followed.outcome().verdict, Verdict::Complete);
    assert!(server.asked("watch jobs")[1].contains("resourceVersion=7"), "{:?}", server.asked("watch jobs"));
    server.check();
}

#[tokio::test]
async fn a_container_that_is_not_there_yet_is_asked_for_again() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", complete())])]);
    server.script("pods", [list(&[succeeded()])]);
    let creating = "container \"migrate\" in pod \"db-1\" is waiting to start: ContainerCreating";
    let good = log("2026-01-01T00:00:05Z one", End::Complete);
    server
        .script("log", [status(400, "BadRequest", creating), status(500, "InternalError", "kubelet"), good]);
    let followed = follow_with(&server, options()).await;
    assert_eq!((followed.lines(), followed.gaps()), (vec!["one"], 0));
    assert_eq!(followed.outcome().verdict, Verdict::Complete);
    server.check();
}

#[tokio::test]
async fn a_deleted_job_is_judged_by_its_events() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", json!({}))])]);
    server.script("watch jobs", [watch(&[("DELETED", job("a", json!({})))], End::Hang).later(300)]);
    server.script("pods", [list(&[])]);
    let event = json!({"apiVersion": "v1", "kind": "Event", "reason": "Completed", "message": "Job completed",
        "metadata": {"name": "e", "uid": "e", "resourceVersion": "3"}, "involvedObject": {"kind": "Job", "uid": "a"}});
    server.script("events of a", [list(&[event])]);
    let followed = follow_with(&server, options()).await;
    let outcome = followed.outcome();
    assert_eq!((outcome.verdict, outcome.known_by), (Verdict::Complete, KnownBy::Event));
    assert!(
        followed.told.iter().any(|output| matches!(output, Output::Blocker(b) if b.slug == "job-deleted"))
    );
    server.check();
}

#[tokio::test]
async fn a_missing_right_is_told_at_once() {
    let server = Server::start().await;
    server.script("jobs", [status(403, "Forbidden", "jobs.batch is forbidden: User \"x\" cannot list")]);
    let error = follow_with(&server, options()).await.end.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (ClusterErrorKind::Forbidden, "could not watch jobs in ns")
    );
}

#[tokio::test]
async fn a_missing_right_to_read_logs_is_told_at_once() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", json!({}))])]);
    server.script("pods", [list(&[running()])]);
    server.script("log", [status(403, "Forbidden", "pods \"db-1\" is forbidden")]);
    let error = follow_with(&server, options()).await.end.unwrap_err();
    assert_eq!(error.kind, ClusterErrorKind::Forbidden);
    assert_eq!(error.to_string(), "could not read the log of pod ns/db-1");
}

#[tokio::test]
async fn an_overloaded_server_is_told_and_got_over() {
    let server = Server::start().await;
    let busy = || status(500, "InternalError", "etcd is busy");
    server.script("jobs", [busy(), busy(), list(&[job("a", complete())])]);
    server.script("pods", [list(&[succeeded()])]);
    server.script("log", [log("", End::Complete)]);
    let followed = follow_with(&server, options()).await;
    assert_eq!(followed.outcome().verdict, Verdict::Complete);
    let slugs: Vec<_> = followed
        .told
        .iter()
        .filter_map(|output| match output {
            Output::Notice(notice) if notice.slug.starts_with("connection") => Some(notice.slug),
            _ => None,
        })
        .collect();
    assert_eq!(slugs, ["connection-lost", "connection-restored"]);
    server.check();
}

#[tokio::test]
async fn our_deadline_says_what_was_waited_for() {
    let server = Server::start().await;
    server.script("jobs", [list(&[])]);
    let mut options = options();
    options.timeout = Duration::from_millis(600);
    let end = follow_with(&server, options).await.end.unwrap();
    assert_eq!(end, FollowEnd::Deadline { waiting_for: "waiting for Job db to appear".to_owned() });
}

#[tokio::test]
async fn no_job_ends_it_when_none_will_be_made() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("old", complete())])]);
    let mut options = options();
    options.after = Some("old".to_owned());
    options.no_more_jobs.cancel();
    assert_eq!(follow_with(&server, options).await.end.unwrap(), FollowEnd::NoJob);
}

#[tokio::test]
async fn the_caller_can_cancel_and_stop() {
    let server = Server::start().await;
    server.script("jobs", [list(&[job("a", json!({}))])]);
    server.script("pods", [list(&[])]);
    let cluster = Cluster::from_client(server.client(), "ns");
    let cancel = CancellationToken::new();
    let stopped = follow(&cluster, options(), cancel.clone(), |_| ControlFlow::Break(())).await.unwrap();
    assert_eq!(stopped, FollowEnd::Stopped);
    cancel.cancel();
    let cancelled = follow(&cluster, options(), cancel, |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!(cancelled, FollowEnd::Cancelled);
}
