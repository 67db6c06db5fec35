//! What a changed script means for a database that is ours: a pure function from facts to a plan.
//!
//! The rows of the history are walked in their order. The first one that the files no longer stand behind is the
//! difference; everything from there on is taken back, by going to the newest state that the files do stand behind,
//! and the pending scripts are applied again:
//!
//! | what happened to the file | difference |
//! |---|---|
//! | saved again after it was applied | its row |
//! | deleted, renamed | its row |
//! | a new one whose version is lower than an applied one | the first row with a higher version |
//! | it failed and part of it was kept | its row |
//! | a repeatable saved again | its last row, with [`ChangedRepeatables::Replayed`] |

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whimbrel_migration::history::HistoryRow;
use whimbrel_migration::name::ScriptKind;
use whimbrel_migration::version::Version;

use super::scripts::LocalScript;

/// What a repeatable script that changed leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangedRepeatables {
    /// It runs once more on what is there, as it will everywhere else.
    RunAgain,
    /// It is taken back first, so that nothing of its earlier text stays.
    Replayed,
}

/// One script in the state of a database: what a snapshot remembers of a history row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedScript {
    /// The path below its location.
    pub script: String,
    /// The checksum in the history.
    pub checksum: Option<i32>,
    /// Whether it went well.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub success: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's attribute passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

impl AppliedScript {
    /// The scripts of a history; rows that no file stands for are left out.
    pub fn of_rows(rows: &[HistoryRow]) -> Vec<Self> {
        rows.iter()
            .filter(|row| !row.row_type.is_synthetic())
            .map(|row| Self { script: row.script.clone(), checksum: row.checksum, success: row.success })
            .collect()
    }
}

/// A copy of a database at an earlier time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The copy's name.
    pub name: String,
    /// What had been applied by then.
    pub applied: Vec<AppliedScript>,
}

/// Why a database is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Cause {
    /// A script was saved again after it was applied.
    Changed {
        /// The script.
        script: String,
    },
    /// A script that was applied is not there any more.
    Gone {
        /// The script.
        script: String,
    },
    /// A script failed and part of it was kept.
    Failed {
        /// The script.
        script: String,
    },
    /// A new script comes before one that was applied.
    Overtaken {
        /// The new script.
        script: String,
        /// The applied one.
        by: String,
    },
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changed { script } => write!(formatter, "{script} changed after it was applied"),
            Self::Gone { script } => write!(formatter, "{script} was applied and is not there any more"),
            Self::Failed { script } => write!(formatter, "{script} failed and part of it was kept"),
            Self::Overtaken { script, by } => {
                write!(formatter, "{script} comes before {by}, which was applied")
            }
        }
    }
}

/// The state that a database is taken back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing at all.
    Empty,
    /// The copy with this name.
    Snapshot(String),
}

/// What is to be done with one database before the runner runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakeBackPlan {
    /// Nothing: the runner goes on from here, and may find nothing to do.
    GoOn {
        /// How many scripts have not been applied.
        pending: usize,
    },
    /// Take it back first.
    TakeBack {
        /// Why.
        cause: Cause,
        /// To which state.
        base: Base,
        /// How many applied scripts that state keeps.
        kept: usize,
    },
}

/// Decides what happens to a database that is ours.
pub fn plan_take_back(
    applied: &[AppliedScript],
    scripts: &[LocalScript],
    snapshots: &[Snapshot],
    repeatables: ChangedRepeatables,
) -> TakeBackPlan {
    let Some(cause) = find_difference(applied, scripts, repeatables) else {
        return TakeBackPlan::GoOn { pending: count_pending(applied, scripts) };
    };
    // Whatever the policy, a state to go back to must be exactly what the files say.
    let usable = |snapshot: &&Snapshot| {
        find_difference(&snapshot.applied, scripts, ChangedRepeatables::Replayed).is_none()
    };
    match snapshots.iter().filter(usable).max_by_key(|snapshot| snapshot.applied.len()) {
        Some(best) => TakeBackPlan::TakeBack {
            cause,
            base: Base::Snapshot(best.name.clone()),
            kept: best.applied.len(),
        },
        None => TakeBackPlan::TakeBack { cause, base: Base::Empty, kept: 0 },
    }
}

/// Chooses the snapshots to drop so that at most `keep` stay: first those that the files no longer stand behind,
/// then those that keep the least.
pub fn plan_sweep<'a>(snapshots: &'a [Snapshot], scripts: &[LocalScript], keep: usize) -> Vec<&'a str> {
    let (mut usable, useless): (Vec<_>, Vec<_>) = snapshots.iter().partition(|snapshot| {
        find_difference(&snapshot.applied, scripts, ChangedRepeatables::Replayed).is_none()
    });
    usable.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.applied.len()));
    useless.into_iter().chain(usable.into_iter().skip(keep)).map(|snapshot| snapshot.name.as_str()).collect()
}

/// The first applied script that the files do not stand behind.
fn find_difference(
    applied: &[AppliedScript],
    scripts: &[LocalScript],
    repeatables: ChangedRepeatables,
) -> Option<Cause> {
    let by_path: BTreeMap<&str, &LocalScript> =
        scripts.iter().map(|script| (script.path(), script)).collect();
    let last_rows: BTreeMap<&str, usize> =
        applied.iter().enumerate().map(|(index, row)| (row.script.as_str(), index)).collect();
    let lowest_pending = lowest_pending(applied, scripts);
    applied.iter().enumerate().find_map(|(index, row)| {
        let name = || row.script.clone();
        if !row.success {
            return Some(Cause::Failed { script: name() });
        }
        let Some(script) = by_path.get(row.script.as_str()) else {
            return Some(Cause::Gone { script: name() });
        };
        // An earlier run of a repeatable is history; its last one is what stands in the database.
        if last_rows.get(row.script.as_str()) != Some(&index) {
            return None;
        }
        let tolerated = script.is_repeatable() && repeatables == ChangedRepeatables::RunAgain;
        if !tolerated && !script.stands_behind(row.checksum) {
            return Some(Cause::Changed { script: name() });
        }
        match (lowest_pending, script.version()) {
            (Some((version, pending)), Some(own)) if version < own => {
                Some(Cause::Overtaken { script: pending.to_owned(), by: name() })
            }
            _ => None,
        }
    })
}

/// The versioned script with the lowest version that has not been applied.
fn lowest_pending<'a>(
    applied: &[AppliedScript],
    scripts: &'a [LocalScript],
) -> Option<(&'a Version, &'a str)> {
    let done: BTreeSet<&str> = applied.iter().map(|row| row.script.as_str()).collect();
    scripts
        .iter()
        .filter(|script| script.kind() == ScriptKind::Versioned && !done.contains(script.path()))
        .filter_map(|script| Some((script.version()?, script.path())))
        .min_by_key(|(version, _)| *version)
}

fn count_pending(applied: &[AppliedScript], scripts: &[LocalScript]) -> usize {
    let last: BTreeMap<&str, Option<i32>> =
        applied.iter().map(|row| (row.script.as_str(), row.checksum)).collect();
    scripts
        .iter()
        .filter(|script| match script.kind() {
            ScriptKind::Versioned => !last.contains_key(script.path()),
            ScriptKind::Repeatable => {
                !last.get(script.path()).is_some_and(|checksum| script.stands_behind(*checksum))
            }
            _ => false,
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::scripts::resolve_scripts;

    /// Scripts as `path=text`.
    fn files(files: &[&str]) -> Vec<LocalScript> {
        let files = files.iter().filter_map(|file| file.split_once('='));
        resolve_scripts(files.map(|(path, text)| (path, text.as_bytes())), &BTreeMap::new()).unwrap()
    }

    fn applied(of: &[&str]) -> Vec<AppliedScript> {
        let row = |script: &LocalScript| AppliedScript {
            script: script.path().to_owned(),
            checksum: Some(script.checksum()),
            success: true,
        };
        files(of).iter().map(row).collect()
    }

    fn snapshot(name: &str, of: &[&str]) -> Snapshot {
        Snapshot { name: name.to_owned(), applied: applied(of) }
    }

    fn plan(before: &[&str], now: &[&str], snapshots: &[Snapshot]) -> TakeBackPlan {
        plan_take_back(&applied(before), &files(now), snapshots, ChangedRepeatables::Replayed)
    }

    fn cause(before: &[&str], now: &[&str]) -> Option<Cause> {
        match plan(before, now, &[]) {
            TakeBackPlan::GoOn { .. } => None,
            TakeBackPlan::TakeBack { cause, .. } => Some(cause),
        }
    }

    const BEFORE: [&str; 3] = ["V1__a.sql=1", "V3__c.sql=3", "R__r.sql=r"];

    #[test]
    fn nothing_new_is_nothing_to_do() {
        assert_eq!(plan(&BEFORE, &BEFORE, &[]), TakeBackPlan::GoOn { pending: 0 });
    }

    #[test]
    fn a_new_last_script_is_only_applied() {
        let now = ["V1__a.sql=1", "V3__c.sql=3", "V4__d.sql=4", "R__r.sql=r", "R__s.sql=s"];
        assert_eq!(plan(&BEFORE, &now, &[]), TakeBackPlan::GoOn { pending: 2 });
    }

    #[test]
    fn a_script_saved_again_is_taken_back() {
        let expected = Cause::Changed { script: "V3__c.sql".into() };
        assert_eq!(cause(&BEFORE, &["V1__a.sql=1", "V3__c.sql=33", "R__r.sql=r"]), Some(expected));
    }

    #[test]
    fn a_script_that_only_got_other_line_ends_is_not_taken_back() {
        assert_eq!(cause(&["V1__a.sql=1;\n2;\n"], &["V1__a.sql=1;\r\n2;\r\n"]), None);
    }

    #[test]
    fn a_deleted_and_a_renamed_script_are_taken_back() {
        let expected = Cause::Gone { script: "V1__a.sql".into() };
        assert_eq!(cause(&BEFORE, &["V3__c.sql=3", "R__r.sql=r"]), Some(expected.clone()));
        assert_eq!(cause(&BEFORE, &["V1__b.sql=1", "V3__c.sql=3", "R__r.sql=r"]), Some(expected));
    }

    #[test]
    fn a_new_script_before_an_applied_one_is_put_in_its_place() {
        let now = ["V1__a.sql=1", "V2__b.sql=2", "V3__c.sql=3", "R__r.sql=r"];
        let expected = Cause::Overtaken { script: "V2__b.sql".into(), by: "V3__c.sql".into() };
        assert_eq!(cause(&BEFORE, &now), Some(expected));
    }

    #[test]
    fn a_changed_repeatable_is_replayed_or_run_again_as_asked() {
        let now = files(&["V1__a.sql=1", "V3__c.sql=3", "R__r.sql=rr"]);
        let decide = |policy| plan_take_back(&applied(&BEFORE), &now, &[], policy);
        assert_eq!(decide(ChangedRepeatables::RunAgain), TakeBackPlan::GoOn { pending: 1 });
        assert!(matches!(decide(ChangedRepeatables::Replayed), TakeBackPlan::TakeBack { .. }));
    }

    #[test]
    fn an_earlier_run_of_a_repeatable_does_not_matter() {
        let rows = applied(&["V1__a.sql=1", "R__r.sql=old", "R__r.sql=r"]);
        let now = files(&["V1__a.sql=1", "R__r.sql=r"]);
        let plan = plan_take_back(&rows, &now, &[], ChangedRepeatables::Replayed);
        assert_eq!(plan, TakeBackPlan::GoOn { pending: 0 });
    }

    #[test]
    fn a_failed_row_is_taken_back() {
        let mut rows = applied(&["V1__a.sql=1"]);
        rows[0].success = false;
        let plan = plan_take_back(&rows, &files(&["V1__a.sql=1"]), &[], ChangedRepeatables::RunAgain);
        assert!(matches!(plan, TakeBackPlan::TakeBack { cause: Cause::Failed { .. }, .. }));
    }

    #[test]
    fn the_snapshot_that_keeps_most_and_is_still_true_is_taken() {
        let snapshots = [
            snapshot("one", &["V1__a.sql=1"]),
            snapshot("two", &["V1__a.sql=1", "V2__b.sql=2"]),
            snapshot("stale", &["V1__a.sql=1", "V2__b.sql=2", "V3__c.sql=3"]),
        ];
        let before = ["V1__a.sql=1", "V2__b.sql=2", "V3__c.sql=3"];
        let now = ["V1__a.sql=1", "V2__b.sql=2", "V3__c.sql=33"];
        let TakeBackPlan::TakeBack { base, kept, .. } = plan(&before, &now, &snapshots) else { panic!() };
        assert_eq!((base, kept), (Base::Snapshot("two".into()), 2));
    }

    #[test]
    fn a_snapshot_that_a_new_script_would_come_before_is_not_taken() {
        let snapshots = [snapshot("three", &["V1__a.sql=1", "V3__c.sql=3"])];
        let now = ["V1__a.sql=1", "V2__b.sql=2", "V3__c.sql=3", "R__r.sql=r"];
        let TakeBackPlan::TakeBack { base, .. } = plan(&BEFORE, &now, &snapshots) else { panic!() };
        assert_eq!(base, Base::Empty);
    }

    #[test]
    fn useless_snapshots_are_swept_first_and_then_the_shortest() {
        let snapshots = [
            snapshot("one", &["V1__a.sql=1"]),
            snapshot("two", &["V1__a.sql=1", "V2__b.sql=2"]),
            snapshot("stale", &["V1__a.sql=old"]),
        ];
        let now = files(&["V1__a.sql=1", "V2__b.sql=2"]);
        assert_eq!(plan_sweep(&snapshots, &now, 2), ["stale"]);
        assert_eq!(plan_sweep(&snapshots, &now, 1), ["stale", "one"]);
    }

    #[test]
    fn every_change_of_a_small_set_ends_where_a_fresh_apply_would() {
        // Two texts for each of three scripts, or none: every way from one set of files to another.
        let sets: Vec<Vec<String>> = (0..27)
            .map(|number: usize| {
                let texts = [number % 3, number / 3 % 3, number / 9];
                let names = ["V1__a.sql", "V2__b.sql", "R__r.sql"];
                names
                    .iter()
                    .zip(texts)
                    .filter(|(_, text)| *text > 0)
                    .map(|(name, text)| format!("{name}={text}"))
                    .collect()
            })
            .collect();
        for before in &sets {
            for now in &sets {
                let before: Vec<&str> = before.iter().map(String::as_str).collect();
                let now: Vec<&str> = now.iter().map(String::as_str).collect();
                let kept: Vec<&str> = match plan(&before, &now, &[]) {
                    TakeBackPlan::GoOn { .. } => before.clone(),
                    TakeBackPlan::TakeBack { .. } => Vec::new(),
                };
                let mut after = kept.clone();
                after.extend(now.iter().filter(|file| !kept.contains(file)));
                after.sort_unstable();
                let mut wanted = now.clone();
                wanted.sort_unstable();
                assert_eq!(after, wanted, "from {before:?} to {now:?}");
            }
        }
    }
}
