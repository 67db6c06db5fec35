//! What real Flyway did, case by case, against the pure state machine.
//!
//! `info`, `validate`, `repair` and `baseline` are decided from files, history and settings alone. `migrate`
//! is played through: every planned script becomes a row, as if its SQL had gone well. Cases whose outcome
//! depends on a server are counted, not compared.

mod support;

use std::collections::BTreeMap;

use support::{case::Case, play};
use test_case::test_case;

/// Where the answer differs on purpose, and why.
const ON_PURPOSE: &[(&str, &str)] = &[
    (
        "name_single/V١__a.sql",
        "digits of other scripts are accepted by an accident of Java; here the name is invalid",
    ),
    (
        "name_single/Vcurrent__a.sql",
        "Flyway takes the word for a marker and breaks its own table; here the name is invalid",
    ),
    ("name_single/Vnext__a.sql", "the same"),
    ("name_single/VLATEST__a.sql", "the same"),
    ("name_sets/latest-and-1", "the same"),
    ("name_single/V1__a", "Flyway runs a file without suffix as a shell script; here it is never run"),
    ("row_types/type[SPRING_JDBC]:migrate", "the word is read as JDBC; the row itself is not rewritten"),
    (
        "row_types/long-description:repair",
        "Flyway's repair fails on a description of more than 200 characters",
    ),
    ("repair_more/desc-long:repair", "the same"),
    (
        "random2/170",
        "Flyway writes two DELETE rows for one version and cannot read its table any more; here repair refuses",
    ),
    ("baseline7/23", "the same"),
    ("transactions/discard-all:no-tx", "Flyway applies the script and then fails to give its lock back"),
];

const ON_MARIADB: &[(&str, &str)] = &[];

const ON_SQLITE: &[(&str, &str)] = &[
    (
        "row_types/long-description:repair",
        "Flyway's repair writes more than the 200 characters of the column",
    ),
    ("repair_more/desc-long:repair", "the same"),
    (
        "transactions/begin-commit",
        "Flyway cannot read BEGIN; here the script is one that manages its own transactions",
    ),
    ("transactions/begin-commit:mixed", "the same"),
    ("transactions/begin-commit:no-tx", "the same"),
];

const POSTGRESQL: &str =
    concat!(include_str!("data/flyway-postgresql.jsonl"), include_str!("data/flyway-generated.jsonl"));

#[test_case(POSTGRESQL, ON_PURPOSE, 900; "PostgreSQL")]
#[test_case(include_str!("data/flyway-mariadb.jsonl"), ON_MARIADB, 200; "MariaDB")]
#[test_case(include_str!("data/flyway-sqlite.jsonl"), ON_SQLITE, 200; "SQLite")]
fn files_and_history_mean_what_flyway_says_they_mean(
    cases: &str,
    differ_on_purpose: &[(&str, &str)],
    at_least: usize,
) {
    compare(cases, differ_on_purpose, at_least);
}

/// More cases of the same format, for those who ask real Flyway about generated ones.
#[test]
fn other_recorded_cases_agree_too() {
    if let Some(path) = std::env::var_os("WHIMBREL_GOLDEN_CASES") {
        let cases = fs_err::read_to_string(path).expect("the file of cases can be read");
        compare(&cases, ON_PURPOSE, 0);
    }
}

#[expect(clippy::print_stdout, reason = "the counts are worth reading")]
fn compare(cases: &str, differ_on_purpose: &[(&str, &str)], at_least: usize) {
    let mut families: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut differences = Vec::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).expect("the case is JSON");
        let family = case.id.split('/').next().unwrap_or_default().to_owned();
        let counts = families.entry(family).or_default();
        let on_purpose = differ_on_purpose.iter().any(|(id, _)| *id == case.id);
        match play::play(&case) {
            play::Outcome::Undecidable(reason) => {
                counts[3] += 1;
                *reasons.entry(reason).or_default() += 1;
            }
            play::Outcome::Agrees => {
                counts[0] += 1;
                assert!(!on_purpose, "{} agrees and is listed as differing on purpose", case.id);
            }
            play::Outcome::Differs(_) if on_purpose => counts[1] += 1,
            play::Outcome::Differs(how) => {
                counts[2] += 1;
                differences.push(format!("{}: {how}", case.id));
            }
        }
    }
    let mut total = [0; 4];
    for (family, counts) in &families {
        println!("{family:18} {counts:?}");
        for (sum, count) in total.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    println!("not decidable without a server: {reasons:?}");
    let [agreed, on_purpose, differ, undecidable] = total;
    println!("{agreed} agreed, {on_purpose} differ on purpose, {differ} differ; {undecidable} need a server");
    assert!(differences.is_empty(), "{} cases differ:\n{}", differences.len(), differences.join("\n"));
    assert!(agreed >= at_least, "only {agreed} cases were compared");
}
