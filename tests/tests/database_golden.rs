//! What real Flyway did with many situations, asked again of the runner (see `tests/data/flyway/README.md`).
//!
//! `tests/golden FILE…` plays files of one's own through the same code.

use std::path::PathBuf;

use whimbrel_tests::{golden, testbed};

/// Beginnings of cases that need what the runner does not have yet.
const NOT_THERE_YET: &[&str] = &[];

fn files(name: &str) -> Vec<PathBuf> {
    vec![testbed::repository().join("tests/data/flyway").join(name)]
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "the comparison is what this test is for")]
fn assert_agrees(files: &[PathBuf], families: &[&str], with_own: bool) {
    let wanted = |id: &str| {
        (families.is_empty() || families.iter().any(|family| id.starts_with(family)))
            && !NOT_THERE_YET.iter().any(|prefix| id.starts_with(prefix))
    };
    let report = golden::play_all(files, &wanted, with_own).expect("the files are cases");
    println!("{}", report.text());
    assert_eq!(report.differs(), [false, false], "something differs");
}

#[test]
fn as_flyway_the_runner_answers_as_flyway_did() {
    assert_agrees(&files("postgresql.jsonl"), &[], false);
}

#[test]
fn calls_of_the_command_line_end_and_answer_as_flyways() {
    assert_agrees(&files("calls.jsonl"), &[], false);
}

#[test]
fn own_verbs_leave_what_flyway_leaves() {
    let families = ["flows", "failures", "repair_more", "state_deleted", "baseline_rows", "transactions"];
    assert_agrees(&files("postgresql.jsonl"), &families, true);
}
