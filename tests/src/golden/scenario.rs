//! Generated histories: what is on disk, what somebody did to the table, what is asked with which settings.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::server::Engine;
use super::words;

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

fn edit(engine: Engine) -> impl Strategy<Value = Edit> {
    let name = || {
        prop_oneof![
            9 => select(words::VERSIONED),
            3 => select(words::REPEATABLE),
            1 => select(words::UNDO),
            1 => select(words::CALLBACKS),
        ]
    };
    prop_oneof![
        15 => (name(), select(words::contents(engine))).prop_map(|(name, content)| Edit::Write(name, content)),
        3 => name().prop_map(Edit::Delete),
        1 => (select(words::CONF), select(words::CONF_LINES)).prop_map(|(name, line)| Edit::Write(name, line)),
    ]
}

fn settings() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    (select(words::SETTINGS), select(words::SETTINGS)).prop_map(|(one, other)| {
        let mut settings = one.to_vec();
        settings.extend(other.iter().filter(|(name, _)| one.iter().all(|(same, _)| same != name)));
        settings
    })
}

fn step(engine: Engine) -> impl Strategy<Value = Step> {
    let verb = prop_oneof![
        8 => Just("migrate"),
        2 => Just("validate"),
        3 => Just("repair"),
        1 => Just("info"),
        1 => Just("baseline"),
        1 => Just("clean"),
        1 => Just("undo"),
    ];
    let meddling = prop_oneof![3 => Just(None), 1 => select(words::MEDDLING).prop_map(Some)];
    (vec(edit(engine), 0..4), meddling, settings(), verb).prop_map(|(edits, meddling, settings, verb)| Step {
        edits,
        meddling,
        settings,
        verb,
    })
}

/// Up to eight steps; the first one has files.
pub(super) fn scenario(engine: Engine) -> impl Strategy<Value = Scenario> {
    (vec(edit(engine), 1..6), vec(step(engine), 1..8)).prop_map(|(edits, mut steps)| {
        steps[0].edits.splice(0..0, edits);
        Scenario { steps }
    })
}
