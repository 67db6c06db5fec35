//! Lives with trouble: blockers, broken streams, deleted Jobs.

use serde_json::json;
use test_case::test_case;

use super::fixtures::*;
use crate::{Command, Input, KnownBy, StreamEnd, Verdict};

#[test_case("ErrImagePull" => vec!["+image-pull"]; "image pull error")]
#[test_case("ImagePullBackOff" => vec!["+image-pull"]; "image pull back off")]
#[test_case("CreateContainerConfigError" => vec!["+container-config"]; "missing secret")]
#[test_case("RunContainerError" => vec!["+container-start"]; "bad command")]
#[test_case("CrashLoopBackOff" => vec!["+crash-loop"]; "crash loop")]
#[test_case("ContainerCreating" => Vec::<String>::new(); "nothing wrong")]
fn a_waiting_container_is_judged_by_its_reason(reason: &str) -> Vec<String> {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Pending", waiting(reason, "text of the kubelet")));
    assert!(driver.blockers().iter().all(|blocker| blocker.message == "text of the kubelet"));
    driver.slugs()
}

#[test]
fn a_blocker_is_told_once_and_healed_when_the_container_runs() {
    let mut driver = Driver::new();
    driver.fresh_job("a");
    for reason in
        ["ErrImagePull", "ImagePullBackOff", "ErrImagePull", "ContainerCreating", "ImagePullBackOff"]
    {
        driver.pod(pod("a", 1, "Pending", waiting(reason, reason)));
    }
    assert_eq!(driver.slugs(), ["+image-pull"]);
    driver.pod(pod("a", 1, "Running", running()));
    assert_eq!(driver.slugs(), ["+image-pull", "-image-pull"]);
}

#[test]
fn the_next_missing_key_is_another_blocker() {
    let mut driver = Driver::new();
    driver.fresh_job("a");
    for message in ["secret \"x\" not found", "couldn't find key Y in Secret ns/x"] {
        driver.pod(pod("a", 1, "Pending", waiting("CreateContainerConfigError", message)));
    }
    assert_eq!(driver.blockers().len(), 2);
}

#[test]
fn scheduling_heals() {
    let unschedulable = json!({"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]});
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod_with("a", 1, unschedulable));
    driver.pod(pod("a", 1, "Pending", waiting("ContainerCreating", "")));
    assert_eq!(driver.slugs(), ["+unschedulable", "-unschedulable"]);
}

#[test]
fn memory_and_deadline_are_told_and_never_heal() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Failed", ended(137, "OOMKilled")));
    let target =
        json!({"conditions": [{"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}]});
    driver.job("a", target).job("a", failed(1, "DeadlineExceeded"));
    assert_eq!(driver.slugs(), ["+out-of-memory", "+deadline-exceeded"]);
}

#[test]
fn a_quota_keeps_the_pod_from_being_made_until_one_is() {
    let mut driver = Driver::new();
    driver.fresh_job("a").give(event("Job", "other", "FailedCreate", "not ours"));
    assert!(driver.slugs().is_empty());
    driver.give(event("Job", "a", "FailedCreate", "pods \"db-\" is forbidden: exceeded quota"));
    driver.pod(pod("a", 1, "Pending", waiting("ContainerCreating", "")));
    assert_eq!(driver.slugs(), ["+pod-not-created", "-pod-not-created"]);
}

#[test]
fn a_quota_can_also_keep_the_second_attempt_from_being_made() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Failed", ended(1, "Error")));
    let Input::Event(mut complaint) = event("Job", "a", "FailedCreate", "exceeded quota") else {
        unreachable!()
    };
    complaint.last_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    driver.give(Input::Event(complaint.clone()));
    assert!(driver.slugs().is_empty(), "the first attempt came after it");
    complaint.last_timestamp = serde_json::from_value(json!("2026-01-01T00:00:30Z")).unwrap();
    driver.give(Input::Event(complaint));
    assert_eq!(driver.slugs(), ["+pod-not-created"]);
    driver.pod(pod("a", 2, "Pending", waiting("ContainerCreating", "")));
    assert_eq!(driver.slugs(), ["+pod-not-created", "-pod-not-created"]);
}

#[test]
fn a_list_from_an_old_cache_does_not_end_a_job() {
    let mut driver = Driver::new();
    driver.fresh_job("a").give(Input::JobsListed(Vec::new())).wait(2);
    driver.job("a", json!({"active": 1})).wait(20);
    assert!(driver.outcome().is_none());
}

#[test]
fn a_volume_that_cannot_be_mounted_is_told_even_if_the_event_came_first() {
    let mut driver = Driver::new();
    driver.fresh_job("a").give(event("Pod", "pod-a-1", "FailedMount", "secret \"x\" not found"));
    driver.pod(pod("a", 1, "Pending", waiting("ContainerCreating", "")));
    assert_eq!(driver.slugs(), ["+volume-mount"]);
    driver.pod(pod("a", 1, "Pending", waiting("ErrImagePull", "")));
    assert_eq!(driver.slugs(), ["+volume-mount", "-volume-mount", "+image-pull"]);
}

#[test]
fn a_late_cache_of_the_kubelet_is_told_only_if_it_stays_late() {
    let message = "MountVolume.SetUp failed for volume \"x\" : failed to sync configmap cache: timed out";
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Pending", waiting("ContainerCreating", "")));
    let Input::Event(mut late) = event("Pod", "pod-a-1", "FailedMount", message) else { unreachable!() };
    driver.give(Input::Event(late.clone()));
    assert!(driver.slugs().is_empty());
    late.count = Some(4);
    driver.give(Input::Event(late));
    assert_eq!(driver.slugs(), ["+volume-mount"]);
}

#[test]
fn a_cut_stream_goes_on_where_it_broke() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let first = driver.only_opened();
    driver.serve(first, "2026-01-01T00:00:05.1Z one\n2026-01-01T00:00:05.2Z half a li");
    driver.give(Input::LogEnded { stream: first, end: StreamEnd::Cut("reset".to_owned()) }).wait(1);
    let again = driver.commands.clone();
    assert!(
        matches!(&again[..], [Command::OpenLog { since: Some(since), follow: true, .. }]
            if since.to_string() == "2026-01-01T00:00:04Z"),
        "{again:?}"
    );
    let second = driver.only_opened();
    driver.serve(second, "2026-01-01T00:00:05.1Z one\n2026-01-01T00:00:05.2Z half a line\n");
    assert_eq!(driver.lines(), ["1:one", "1:half a line"]);
    assert!(driver.gaps().is_empty());
}

#[test]
fn a_rotation_is_an_exact_gap_by_the_runners_count() {
    let line = |second: u32, seq: u32| {
        format!(
            "2026-01-01T00:00:{second:02}Z {{\"schema\":1,\"run\":\"r\",\"seq\":{seq},\"message\":\"m\"}}\n"
        )
    };
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let first = driver.only_opened();
    driver.serve(first, &(1..=11).map(|seq| line(seq, seq)).collect::<String>());
    driver.give(Input::LogEnded { stream: first, end: StreamEnd::Cut("reset".to_owned()) }).wait(1);
    let second = driver.only_opened();
    driver.serve(second, &line(41, 41));
    assert_eq!(driver.gaps(), ["lines 12..40 lost"]);
}

#[test]
fn a_rotation_is_a_possible_gap_without_a_count_and_none_with_a_proof() {
    let run = |after: &str| {
        let mut driver = Driver::new();
        driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
        let first = driver.only_opened();
        driver.serve(first, "2026-01-01T00:00:01Z {\"schema\":1,\"run\":\"r\",\"seq\":1}\n");
        driver.give(Input::LogEnded { stream: first, end: StreamEnd::Complete }).wait(1);
        let second = driver.only_opened();
        driver.serve(second, after);
        driver.gaps()
    };
    assert_eq!(run("2026-01-01T00:00:09Z plain\n").len(), 1);
    assert!(run("2026-01-01T00:00:09Z {\"schema\":1,\"run\":\"r\",\"seq\":2}\n").is_empty());
}

#[test]
fn a_silent_stream_is_opened_again_and_a_stuck_one_closed_after_the_end() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let first = driver.only_opened();
    driver.wait(31);
    assert!(driver.commands.contains(&Command::CloseLog { stream: first }));
    let second = driver.only_opened();
    driver.pod(pod("a", 1, "Succeeded", ended(0, "Completed"))).wait(4);
    assert!(driver.commands.contains(&Command::CloseLog { stream: second }));
    assert!(matches!(driver.opened()[..], [(_, _, false)]));
}

#[test]
fn a_log_that_cannot_be_read_does_not_hold_the_outcome_back() {
    let mut driver = Driver::new();
    driver
        .fresh_job("a")
        .pod(pod("a", 1, "Failed", ended(1, "Error")))
        .job("a", failed(1, "BackoffLimitExceeded"));
    for _ in 0..20 {
        for (stream, _, _) in driver.opened() {
            driver.give(Input::LogEnded { stream, end: StreamEnd::Cut("500 from the kubelet".to_owned()) });
        }
        driver.wait(1);
    }
    assert_eq!(driver.gaps(), ["the rest of the log could not be read: 500 from the kubelet"]);
    assert_eq!(driver.outcome().map(|outcome| outcome.verdict), Some(Verdict::Failed));
}

#[test]
fn a_complaint_of_the_kubelet_is_not_a_line() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let stream = driver.only_opened();
    driver.serve(stream, "unable to retrieve container logs for containerd://x\n");
    assert!(driver.lines().is_empty());
    assert!(driver.notices().contains(&"kubelet-message"));
}

#[test]
fn a_job_deleted_and_made_anew_is_told_and_followed() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let old = driver.only_opened();
    driver.serve(old, "2026-01-01T00:00:01Z old\n");
    driver.give(Input::JobGone(Box::new(job("a", json!({}))))).wait(2);
    assert_eq!(driver.slugs(), ["+job-deleted"]);
    driver.job("b", json!({}));
    assert!(driver.notices().contains(&"job-replaced"));
    assert!(driver.commands.contains(&Command::CloseLog { stream: old }));
    driver
        .give(Input::PodsListed(vec![pod("b", 1, "Succeeded", ended(0, "Completed"))]))
        .job("b", complete());
    let new = driver.only_opened();
    driver.serve(new, "2026-01-01T00:00:09Z new\n").end(new);
    assert_eq!(driver.lines(), ["1:old", "1:new"]);
    assert_eq!(
        driver.outcome().map(|outcome| (outcome.verdict, outcome.uid.as_str())),
        Some((Verdict::Complete, "b"))
    );
}

#[test]
fn a_deleted_job_that_does_not_come_back_is_unknown() {
    let mut driver = Driver::new();
    driver.fresh_job("a").give(Input::JobsListed(Vec::new())).wait(11);
    let outcome = driver.outcome().unwrap();
    assert_eq!((outcome.verdict, outcome.known_by), (Verdict::Unknown, KnownBy::Nothing));
}

#[test_case(None => (Verdict::Complete, KnownBy::LastAttempt); "by the last container")]
#[test_case(Some("BackoffLimitExceeded") => (Verdict::Failed, KnownBy::Event); "an event outweighs it")]
fn the_outcome_of_a_deleted_job_is_found_elsewhere(reason: Option<&str>) -> (Verdict, KnownBy) {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Succeeded", ended(0, "Completed")));
    let stream = driver.only_opened();
    driver.end(stream);
    if let Some(reason) = reason {
        driver.give(event("Job", "a", reason, "m"));
    }
    driver.give(Input::JobGone(Box::new(job("a", json!({}))))).wait(11);
    driver.outcome().map(|outcome| (outcome.verdict, outcome.known_by)).unwrap()
}

#[test]
fn the_runners_record_outlives_the_job() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let stream = driver.only_opened();
    driver.serve(
        stream,
        "2026-01-01T00:00:01Z {\"schema\":1,\"run\":\"r\",\"seq\":1,\"record\":{\"schema\":1,\"exit_code\":7}}\n",
    );
    driver.end(stream).give(Input::PodGone(Box::new(pod("a", 1, "Running", running()))));
    driver.give(Input::JobGone(Box::new(job("a", json!({}))))).wait(11);
    let outcome = driver.outcome().unwrap();
    assert_eq!((outcome.verdict, outcome.known_by), (Verdict::Failed, KnownBy::RunRecord));
}

#[test]
fn a_pod_deleted_while_its_log_was_broken_off_is_a_gap() {
    let mut driver = Driver::new();
    driver.fresh_job("a").pod(pod("a", 1, "Running", running()));
    let stream = driver.only_opened();
    driver.give(Input::LogEnded { stream, end: StreamEnd::Cut("reset".to_owned()) });
    driver.give(Input::PodGone(Box::new(pod("a", 1, "Running", running()))));
    assert_eq!(driver.gaps(), ["the rest of the log could not be read: its pod is gone"]);
}
