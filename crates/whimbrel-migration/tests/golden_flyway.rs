//! What real Flyway did, case by case, against the pure state machine.
//!
//! `info`, `validate`, `repair` and `baseline` are decided from files, history and settings alone. `migrate`
//! is played through: every planned script becomes a row, as if its SQL had gone well. Cases whose outcome
//! depends on a server are counted, not compared.

mod support;

use std::collections::BTreeMap;

use support::{case::Case, play};

/// Where the answer differs on purpose, and why.
const ON_PURPOSE: &[(&str, &str)] = &[];

#[test]
fn files_and_history_mean_what_flyway_says_they_mean() {
    let text = include_str!("data/flyway-postgresql.jsonl");
    let mut families: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    let mut differences = Vec::new();
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).expect("the case is JSON");
        let family = case.id.split('/').next().unwrap_or_default().to_owned();
        let counts = families.entry(family).or_default();
        let on_purpose = ON_PURPOSE.iter().any(|(id, _)| *id == case.id);
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
    assert!(agreed > 900, "only {agreed} cases were compared");
}
