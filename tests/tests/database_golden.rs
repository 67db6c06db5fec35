//! What real Flyway did with many situations, asked again of the runner (see `tests/data/flyway/README.md`).
//!
//! `tests/golden FILE…` plays files of one's own through the same code.

use whimbrel_tests::golden::{self, Faces};
use whimbrel_tests::testbed;

#[track_caller]
#[expect(clippy::print_stdout, reason = "the comparison is what this test is for")]
fn assert_agrees(file: &str, families: &[&str], faces: Faces) {
    let files = [testbed::repository().join("tests/data/flyway").join(file)];
    let wanted = |id: &str| families.is_empty() || families.iter().any(|family| id.starts_with(family));
    let report = golden::play_all(&files, &wanted, faces).expect("the files are cases");
    println!("{}", report.text());
    assert_eq!(report.differs(), [false, false], "something differs");
}

const FLYWAY: Faces = Faces { own: false, lines: false };

/// Families in which engines differ from each other; `tests/golden` plays all of them.
const PER_ENGINE: [&str; 6] = ["flows", "failures", "transactions", "clean", "schemas", "repair_more"];

#[test]
fn as_flyway_the_runner_answers_as_flyway_did() {
    assert_agrees("postgresql.jsonl", &[], FLYWAY);
}

#[test]
fn on_mariadb_too() {
    assert_agrees("mariadb.jsonl", &PER_ENGINE, FLYWAY);
}

#[test]
fn on_sqlite_too() {
    assert_agrees("sqlite.jsonl", &PER_ENGINE, FLYWAY);
}

#[test]
fn calls_of_the_command_line_end_and_answer_as_flyways() {
    assert_agrees("calls.jsonl", &[], FLYWAY);
}

#[test]
fn calls_on_mariadb_and_sqlite_name_schemas_and_errors_as_flyway_does_there() {
    assert_agrees("calls-mariadb.jsonl", &[], FLYWAY);
    assert_agrees("calls-sqlite.jsonl", &[], FLYWAY);
}

#[test]
fn own_verbs_leave_what_flyway_leaves() {
    let families = ["flows", "failures", "repair_more", "state_deleted", "baseline_rows", "transactions"];
    assert_agrees("postgresql.jsonl", &families, Faces { own: true, lines: false });
}
