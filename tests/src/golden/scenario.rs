//! Generated histories: what is on disk, what somebody did to the table, what is asked with which settings.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Several steps on one database.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) steps: Vec<Step>,
}

/// Files change, somebody meddles, a verb is run.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) edits: Vec<Edit>,
    pub(super) meddling: Option<&'static str>,
    pub(super) settings: Vec<(&'static str, &'static str)>,
    pub(super) verb: &'static str,
}

/// What happens to a file.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write(&'static str, &'static str),
    Delete(&'static str),
}

const VERSIONED: [&str; 12] = [
    "V1__a.sql",
    "V1_1__b.sql",
    "V2__c.sql",
    "V002__c.sql",
    "V2.5__d.sql",
    "sub/V3__e.sql",
    "V3__other_name.sql",
    "V4__f.sql",
    "V10__g.sql",
    "B2__base.sql",
    "B4__base.sql",
    "V2_1__ two  spaces.sql",
];

const REPEATABLE: [&str; 4] = ["R__a.sql", "R__b.sql", "sub/R__c.sql", "R__A.sql"];

/// Each may run again: nothing depends on what ran before. (REINDEX would wait for ever for Flyway's own lock.)
const CONTENTS: [&str; 10] = [
    "CREATE TABLE IF NOT EXISTS one (i int);\n",
    "CREATE TABLE IF NOT EXISTS one (i int);\r\n",
    "CREATE TABLE IF NOT EXISTS two (i int);\nINSERT INTO two VALUES (1);\n",
    "SELECT '${greeting}';\n",
    "SELECT '$${greeting}';\n-- é日\n",
    "",
    "SELECT 1;\nSELECT nope;\n",
    "CREATE TABLE half (i int);\nSELECT nope;\n",
    "DO $$ BEGIN PERFORM 1; END $$;\n",
    "VACUUM pg_namespace;\n",
];

const MEDDLING: [&str; 9] = [
    "UPDATE flyway_schema_history SET success = false WHERE installed_rank = (SELECT max(installed_rank) \
     FROM flyway_schema_history)",
    "DELETE FROM flyway_schema_history WHERE installed_rank = (SELECT min(installed_rank) FROM flyway_schema_history)",
    "DELETE FROM flyway_schema_history WHERE installed_rank = (SELECT max(installed_rank) FROM flyway_schema_history)",
    "UPDATE flyway_schema_history SET checksum = 1 WHERE installed_rank = (SELECT max(installed_rank) FROM \
     flyway_schema_history)",
    "UPDATE flyway_schema_history SET checksum = NULL",
    "UPDATE flyway_schema_history SET description = 'other' WHERE installed_rank = 1",
    "CREATE TABLE IF NOT EXISTS legacy (i int)",
    "DROP TABLE IF EXISTS flyway_schema_history",
    "INSERT INTO flyway_schema_history SELECT max(installed_rank) + 1, '7', 'late', 'SQL', 'V7__late.sql', \
     5, 'x', now(), 1, true FROM flyway_schema_history",
];

const SETTINGS: [&[(&str, &str)]; 16] = [
    &[],
    &[],
    &[],
    &[("outOfOrder", "true")],
    &[("ignoreMigrationPatterns", "*:missing")],
    &[("ignoreMigrationPatterns", "*:pending,*:ignored")],
    &[("ignoreMigrationPatterns", "repeatable:*")],
    &[("ignoreMigrationPatterns", "")],
    &[("target", "2")],
    &[("target", "next")],
    &[("target", "current")],
    &[("target", "3?")],
    &[("validateOnMigrate", "false")],
    &[("baselineOnMigrate", "true")],
    &[("baselineVersion", "2")],
    &[("placeholders.greeting", "bye")],
];

fn edit() -> impl Strategy<Value = Edit> {
    let name = prop_oneof![3 => select(&VERSIONED[..]), 1 => select(&REPEATABLE[..])];
    prop_oneof![
        5 => (name.clone(), select(&CONTENTS[..])).prop_map(|(name, content)| Edit::Write(name, content)),
        1 => name.prop_map(Edit::Delete),
    ]
}

fn settings() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    (select(&SETTINGS[..]), select(&SETTINGS[..])).prop_map(|(one, other)| {
        let mut settings = one.to_vec();
        settings.extend(other.iter().filter(|(name, _)| one.iter().all(|(same, _)| same != name)));
        settings
    })
}

fn step() -> impl Strategy<Value = Step> {
    let verb = prop_oneof![
        8 => Just("migrate"),
        2 => Just("validate"),
        2 => Just("repair"),
        1 => Just("info"),
        1 => Just("baseline"),
        1 => Just("clean"),
    ];
    let meddling = prop_oneof![3 => Just(None), 1 => select(&MEDDLING[..]).prop_map(Some)];
    (vec(edit(), 0..4), meddling, settings(), verb).prop_map(|(edits, meddling, settings, verb)| Step {
        edits,
        meddling,
        settings,
        verb,
    })
}

/// Up to six steps; the first one has files.
pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    (vec(edit(), 1..6), vec(step(), 1..6)).prop_map(|(edits, mut steps)| {
        steps[0].edits.splice(0..0, edits);
        Scenario { steps }
    })
}
