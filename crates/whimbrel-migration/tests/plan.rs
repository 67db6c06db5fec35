//! How a plan decides, beyond what the recorded cases show.

use std::convert::Infallible;

use test_case::test_case;
use whimbrel_migration::{
    conf::ScriptConf,
    dialect::Dialect,
    history::{History, HistoryRow, NewRow, RowType},
    name::NamingRules,
    pick::Pick,
    plan::{MigratePlan, RunMode, decide_run, plan_migrate},
    repair::{RepairAction, plan_repair},
    scan::{self, ScanFacts},
    script::ResolvedScript,
    settings::{OwnTransactions, Settings},
    state::{Overview, State},
};

fn script(name: &str, checksum: i32) -> ResolvedScript {
    ResolvedScript::new(NamingRules::default().parse(name).expect("a good name"), name, checksum)
}

fn row(script: &ResolvedScript, rank: i32, success: bool) -> HistoryRow {
    NewRow::of_script(script, rank, 1, success).written("me", "now")
}

fn plan(scripts: &[ResolvedScript], rows: Vec<HistoryRow>) -> MigratePlan {
    let history = History::read(rows).expect("good rows");
    let facts = |_, _: &ResolvedScript| Ok::<_, Infallible>(ScanFacts::default());
    match plan_migrate(scripts, &history, &Settings::default(), facts) {
        Ok(plan) => plan,
        Err(never) => match never {},
    }
}

#[test]
fn only_pending_scripts_are_scanned_and_repeatables_come_last() {
    let scripts = [script("R__a.sql", 1), script("V2__b.sql", 2), script("V1__a.sql", 3)];
    let history = History::read(vec![row(&scripts[2], 1, true)]).expect("good rows");
    let mut asked = Vec::new();
    let plan = plan_migrate(&scripts, &history, &Settings::default(), |_, script| {
        asked.push(script.script.clone());
        Ok::<_, Infallible>(ScanFacts::default())
    });
    let plan = plan.expect("nothing can fail");
    assert_eq!(asked, ["V2__b.sql", "R__a.sql"]);
    assert_eq!(plan.steps.iter().map(|step| step.id.0).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(plan.before.as_deref(), Some("1"));
}

#[test]
fn a_failed_row_stops_everything_until_repair_removes_it() {
    let scripts = [script("V1__a.sql", 1), script("V2__b.sql", 2)];
    let rows = vec![row(&scripts[0], 1, false)];
    assert!(!plan(&scripts, rows.clone()).is_allowed());
    let history = History::read(rows).expect("good rows");
    let actions = plan_repair(&scripts, &history, &Settings::default()).expect("it can be repaired");
    assert!(matches!(actions.as_slice(), [RepairAction::RemoveFailed { installed_rank: 1, .. }]));
    assert!(plan(&scripts, Vec::new()).is_allowed());
}

#[test]
fn of_two_rows_of_one_version_without_scripts_none_is_marked_as_deleted() {
    let rows = vec![row(&script("B3__base.sql", 1), 1, true), row(&script("V3__d.sql", 2), 2, true)];
    let history = History::read(rows.clone()).expect("good rows");
    let later = [script("V9__later.sql", 9)];
    let refused = plan_repair(&later, &history, &Settings::default()).expect_err("it cannot be repaired");
    assert_eq!(refused.slug, "history-gone-twice");
    // With a DELETE row for each, as Flyway writes them, nothing can be read any more.
    let mut marked = rows.clone();
    marked.extend(rows.iter().zip(3..).map(|(row, rank)| NewRow::delete(row, rank).written("me", "now")));
    let history = History::read(marked).expect("good rows");
    let settings = Settings::default();
    let unreadable = Overview::build(&later, &history, &settings).expect_err("it cannot be read");
    assert_eq!(unreadable.slug, "history-deleted-twice");
}

#[test]
fn a_delete_row_makes_the_script_pending_again_as_often_as_one_likes() {
    let scripts = [script("V1__a.sql", 1)];
    let mut rows = vec![row(&scripts[0], 1, true)];
    for round in 1..4 {
        let delete = NewRow::delete(rows.last().expect("there is one"), 2 * round);
        assert_eq!((&delete.row_type, delete.success), (&RowType::Delete, true));
        rows.push(delete.written("me", "now"));
        assert_eq!(plan(&scripts, rows.clone()).steps.len(), 1);
        rows.push(row(&scripts[0], 2 * round + 1, true));
        assert!(plan(&scripts, rows.clone()).steps.is_empty());
        let history = History::read(rows.clone()).expect("good rows");
        assert_eq!(plan_repair(&scripts, &history, &Settings::default()), Ok(Vec::new()));
    }
}

#[test]
fn a_changed_repeatable_runs_again_whichever_checksum_was_stored() {
    let repeatable = script("R__a.sql", 1).with_replaced_checksum(2);
    for (stored_checksum, runs) in [(1, 0), (2, 0), (3, 1)] {
        let mut stored = row(&repeatable, 1, true);
        stored.checksum = Some(stored_checksum);
        let settings = Settings { validate_on_migrate: false, ..Settings::default() };
        let history = History::read(vec![stored]).expect("good rows");
        let scripts = [repeatable.clone()];
        let overview = Overview::build(&scripts, &history, &settings).expect("no duplicates");
        assert_eq!(overview.pending().count(), runs, "{stored_checksum}");
        let state = overview.rows()[0].state;
        assert_eq!(state, if runs == 0 { State::Success } else { State::Outdated });
    }
}

fn run(sql: &str, conf: Option<bool>, settings: &Settings) -> Result<RunMode, String> {
    let facts = scan::facts(Dialect::PostgreSql, sql.as_bytes()).expect("well formed");
    let conf = ScriptConf { execute_in_transaction: conf, ..ScriptConf::default() };
    decide_run(&facts, &conf, settings)
        .map_err(|refusal| refusal.in_script(&script("V1__a.sql", 1)).slug.to_owned())
}

#[test_case("SELECT 1", None => Ok(RunMode::InTransaction))]
#[test_case("SELECT 1", Some(false) => Ok(RunMode::StatementByStatement))]
#[test_case("VACUUM", None => Ok(RunMode::StatementByStatement))]
#[test_case("VACUUM", Some(true) => Ok(RunMode::InTransaction); "the side file decides")]
#[test_case("SELECT 1; VACUUM", None => Err("mixed-statements".into()))]
#[test_case("SELECT 1; VACUUM", Some(false) => Ok(RunMode::StatementByStatement); "mixed and declared")]
#[test_case("BEGIN; COMMIT", None => Err("own-transaction-control".into()))]
#[test_case("BEGIN; COMMIT", Some(false) => Ok(RunMode::ManagesOwnTransactions); "control and declared")]
fn statements_and_side_file_decide_how_a_script_runs(
    sql: &str,
    conf: Option<bool>,
) -> Result<RunMode, String> {
    run(sql, conf, &Settings::default())
}

#[test]
fn settings_decide_too() {
    let settings = Settings { mixed: true, ..Settings::default() };
    assert_eq!(run("SELECT 1; VACUUM", None, &settings), Ok(RunMode::StatementByStatement));
    let settings = Settings { execute_in_transaction: false, ..Settings::default() };
    assert_eq!(run("SELECT 1", None, &settings), Ok(RunMode::StatementByStatement));
    assert_eq!(run("SELECT 1", Some(true), &settings), Ok(RunMode::InTransaction));
    let settings = Settings { own_transactions: OwnTransactions::Allow, ..Settings::default() };
    assert_eq!(run("BEGIN; COMMIT", None, &settings), Ok(RunMode::ManagesOwnTransactions));
}

#[test]
fn ten_thousand_scripts_are_planned_at_once() {
    let scripts: Vec<ResolvedScript> = (1..=10_000).map(|n| script(&format!("V{n}__a.sql"), n)).collect();
    let rows = scripts[..5_000].iter().zip(1..).map(|(script, rank)| row(script, rank, true)).collect();
    let plan = plan(&scripts, rows);
    assert_eq!(plan.steps.len(), 5_000);
    assert_eq!(plan.before.as_deref(), Some("5000"));
}

fn picking(picks: &[&str]) -> Settings {
    Settings { cherry_pick: picks.iter().map(|pick| Pick::new(pick)).collect(), ..Settings::default() }
}

#[test]
fn what_is_picked_runs_in_the_order_named_and_nothing_else() {
    let scripts =
        [script("V1__a.sql", 1), script("V2__b.sql", 2), script("V3__c.sql", 3), script("R__d.sql", 4)];
    for (applied, picks, runs) in [
        (&[][..], &["3", "d", "1"][..], &[2, 3, 0][..]),
        (&[0, 2], &["b"], &[1]),
        (&[0, 2], &["1", "3"], &[]),
    ] {
        let rows = applied.iter().zip(1..).map(|(index, rank)| row(&scripts[*index], rank, true)).collect();
        let history = History::read(rows).expect("good rows");
        let facts = |_, _: &ResolvedScript| Ok::<_, Infallible>(ScanFacts::default());
        let plan = plan_migrate(&scripts, &history, &picking(picks), facts).expect("nothing can fail");
        assert!(plan.is_allowed(), "{:?}", plan.refusals);
        assert_eq!(plan.steps.iter().map(|step| step.id.0).collect::<Vec<_>>(), runs, "{picks:?}");
    }
}

#[test]
fn a_target_counts_beside_what_is_picked() {
    let scripts =
        [script("V1__a.sql", 1), script("V2__b.sql", 2), script("V3__c.sql", 3), script("R__d.sql", 4)];
    let at_two = vec![row(&scripts[1], 1, true)];
    for (rows, target, runs) in [
        (Vec::new(), "1", Ok(vec![3, 0])),
        (Vec::new(), "latest", Ok(vec![2, 3, 0])),
        (at_two.clone(), "current", Ok(vec![3, 0])),
        (Vec::new(), "9", Err("target-unknown")),
        (at_two, "next", Err("pick-and-target")),
    ] {
        let settings = Settings { target: target.parse().expect("a target"), ..picking(&["3", "d", "1"]) };
        let history = History::read(rows).expect("good rows");
        let facts = |_, _: &ResolvedScript| Ok::<_, Infallible>(ScanFacts::default());
        let plan = plan_migrate(&scripts, &history, &settings, facts).expect("nothing can fail");
        let planned = match plan.refusals.first() {
            Some(refusal) => Err(refusal.slug),
            None => Ok(plan.steps.iter().map(|step| step.id.0).collect()),
        };
        assert_eq!(planned, runs, "{target}");
    }
}

#[test]
fn repair_looks_at_what_is_picked() {
    let scripts = [script("V1__a.sql", 7), script("V2__b.sql", 8)];
    let rows =
        [script("V1__a.sql", 1), script("V2__b.sql", 2), script("V3__c.sql", 3), script("V4__d.sql", 4)];
    let rows = rows.iter().zip(1..).map(|(script, rank)| row(script, rank, rank < 4)).collect();
    let history = History::read(rows).expect("good rows");
    for (picks, actions) in [(&["2"][..], 1), (&["4"], 1), (&["1", "2", "4"], 3), (&["3"], 0)] {
        let planned = plan_repair(&scripts, &history, &picking(picks)).expect("it can be repaired");
        assert_eq!(planned.len(), actions, "{picks:?}: {planned:?}");
    }
}

#[test]
fn a_baseline_script_that_is_not_picked_hides_nothing() {
    let scripts = [script("V1__a.sql", 1), script("B2__b.sql", 2), script("V3__c.sql", 3)];
    let (history, settings) = (History::default(), picking(&["1"]));
    let overview = Overview::build(&scripts, &history, &settings).expect("no duplicates");
    let states: Vec<State> = overview.rows().iter().map(|row| row.state).collect();
    assert_eq!(states, [State::Pending, State::Ignored, State::Ignored]);
}
