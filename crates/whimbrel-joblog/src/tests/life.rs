//! Ordinary lives.

use serde_json::json;

use super::fixtures::*;
use crate::{Input, KnownBy, Settings, Target, Verdict};

#[test]
fn a_job_is_followed_from_before_its_beginning_to_its_condition() {
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(Vec::new())).job("a", json!({})).give(Input::PodsListed(Vec::new()));
    driver.pod(pod("a", 1, "Pending", waiting("ContainerCreating", "")));
    assert!(driver.opened().is_empty());
    driver.pod(pod("a", 1, "Running", running()));
    let follow = driver.only_opened();
    driver.serve(follow, "2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:01.6Z tw").serve(follow, "o\n");
    driver.end(follow);
    assert!(driver.outcome().is_none(), "the end of a stream is not the end of a Job");
    driver.pod(pod("a", 1, "Succeeded", ended(0, "Completed")));
    let last = driver.only_opened();
    let rest = "2026-01-01T00:00:01.5Z one\n2026-01-01T00:00:01.6Z two\n2026-01-01T00:00:02Z three";
    driver.serve(last, rest).end(last);
    assert_eq!(driver.lines(), ["1:one", "1:two", "1:three"]);
    assert!(driver.outcome().is_none(), "all logs read is not the end of a Job");
    driver.job("a", complete());
    let outcome = driver.outcome().unwrap();
    assert_eq!(
        (outcome.verdict, outcome.known_by, outcome.attempts),
        (Verdict::Complete, KnownBy::Condition, 1)
    );
    assert_eq!(driver.notices(), ["waiting-for-job", "job-found", "attempt-started", "attempt-ended"]);
}

#[test]
fn nothing_is_waited_for_before_the_first_answer() {
    let mut driver = Driver::new();
    driver.wait(1);
    assert!(driver.told.is_empty());
}

#[test]
fn a_job_that_is_over_is_read_attempt_by_attempt() {
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(vec![job("a", failed(2, "BackoffLimitExceeded"))]));
    let second = pod("a", 2, "Failed", ended(2, "Error"));
    driver.give(Input::PodsListed(vec![second, pod("a", 1, "Failed", ended(1, "Error"))]));
    let first = driver.opened();
    assert_eq!(
        first.iter().map(|(_, pod, follow)| (pod.as_str(), *follow)).collect::<Vec<_>>(),
        [("db-1", false)]
    );
    driver.serve(first[0].0, "2026-01-01T00:00:01Z one\n").end(first[0].0);
    let second = driver.only_opened();
    driver.serve(second, "2026-01-01T00:00:02Z two\n").end(second);
    assert_eq!(driver.lines(), ["1:one", "2:two"]);
    let outcome = driver.outcome().unwrap();
    assert_eq!((outcome.verdict, outcome.attempts, outcome.exit_code), (Verdict::Failed, 2, Some(2)));
    assert_eq!(outcome.reason.as_deref(), Some("BackoffLimitExceeded"));
}

#[test]
fn the_outcome_waits_for_pods_that_travel_slower_than_the_job() {
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(vec![job("a", complete())])).give(Input::PodsListed(Vec::new()));
    assert!(driver.outcome().is_none());
    driver.pod(pod("a", 1, "Succeeded", ended(0, "Completed")));
    let stream = driver.only_opened();
    driver.serve(stream, "2026-01-01T00:00:01Z late\n").end(stream);
    assert_eq!(driver.lines(), ["1:late"]);
    assert_eq!(driver.outcome().map(|outcome| outcome.verdict), Some(Verdict::Complete));
}

#[test]
fn a_job_whose_pods_were_removed_ends_after_a_short_wait() {
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(vec![job("a", complete())])).give(Input::PodsListed(Vec::new())).wait(3);
    assert_eq!(driver.outcome().map(|outcome| outcome.verdict), Some(Verdict::Complete));
}

#[test]
fn init_containers_are_read_first() {
    let status = |name: &str, state| {
        json!({"name": name, "image": "", "imageID": "",
        "ready": false, "restartCount": 0, "state": state})
    };
    let mut both = pod_with(
        "a",
        1,
        json!({"phase": "Succeeded",
            "initContainerStatuses": [status("wait", ended(0, "Completed"))],
            "containerStatuses": [status("migrate", ended(0, "Completed"))]}),
    );
    let init = serde_json::from_value(json!([{"name": "wait"}])).unwrap();
    both.spec.as_mut().unwrap().init_containers = init;
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(vec![job("a", complete())])).give(Input::PodsListed(vec![both]));
    let wait = driver.only_opened();
    driver.serve(wait, "2026-01-01T00:00:01Z init\n").end(wait);
    let migrate = driver.only_opened();
    driver.serve(migrate, "2026-01-01T00:00:00Z main\n").end(migrate);
    assert_eq!(driver.lines(), ["1:init", "1:main"]);
    assert!(driver.outcome().is_some());
}

#[test]
fn the_job_of_the_last_release_is_not_taken_for_the_new_one() {
    let settings = Settings { after: Some("old".to_owned()), ..Settings::new(Target::Name("db".to_owned())) };
    let mut driver = Driver::with(settings);
    driver.give(Input::JobsListed(vec![job("old", complete())]));
    driver.give(Input::JobGone(Box::new(job("old", complete())))).wait(20);
    assert_eq!((driver.outcome(), driver.notices()), (None, vec!["waiting-for-job"]));
    driver.job("new", json!({}));
    assert_eq!(driver.state.as_ref().and_then(|state| state.job_uid()), Some("new"));
}

#[test]
fn a_job_that_is_being_deleted_is_not_begun_with() {
    let mut dying = job("old", json!({}));
    dying.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let mut driver = Driver::new();
    driver.give(Input::JobsListed(vec![dying])).job("new", json!({}));
    assert_eq!(driver.state.as_ref().and_then(|state| state.job_uid()), Some("new"));
}

#[test]
fn the_newest_of_the_selected_jobs_is_followed() {
    let mut driver = Driver::with(Settings::new(Target::Selector("app=db".to_owned())));
    let mut newer = job("newer", json!({}));
    newer.metadata.name = Some("db-2".to_owned());
    newer.metadata.creation_timestamp = serde_json::from_value(json!("2026-01-01T00:01:00Z")).unwrap();
    driver.give(Input::JobsListed(vec![newer, job("older", json!({}))]));
    assert_eq!(driver.state.as_ref().and_then(|state| state.job_uid()), Some("newer"));
}

#[test]
fn a_restarted_container_is_read_from_its_previous_instance_on() {
    let restarted = |state| {
        pod_with(
            "a",
            1,
            json!({"phase": "Running", "containerStatuses": [{"name": "migrate", "image": "", "imageID": "",
                "ready": false, "restartCount": 1, "state": state, "lastState": ended(1, "Error")}]}),
        )
    };
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let first = driver.only_opened();
    driver.serve(first, "2026-01-01T00:00:01Z one\n").end(first);
    driver.pod(restarted(running()));
    let previous = driver.commands.last().cloned().unwrap();
    assert!(
        matches!(previous, crate::Command::OpenLog { previous: true, follow: false, .. }),
        "{previous:?}"
    );
    let previous = driver.only_opened();
    driver.serve(previous, "2026-01-01T00:00:01Z one\n2026-01-01T00:00:01Z two\n").end(previous);
    let current = driver.only_opened();
    driver.serve(current, "2026-01-01T00:00:05Z three\n");
    assert_eq!(
        (driver.lines(), driver.gaps()),
        (vec!["1:one".into(), "1:two".into(), "1:three".into()], vec![])
    );
}
