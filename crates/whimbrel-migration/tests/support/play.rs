//! Playing one case and comparing the answer.

use std::fmt::Debug;

use whimbrel_migration::{
    baseline::{BaselineDecision, FirstContact, decide_baseline, decide_first_contact},
    finding::Finding,
    history::{History, HistoryRow, NewRow},
    plan::{self, MigratePlan},
    repair::{RepairAction, plan_repair},
    scan,
    state::Overview,
    validate::{Purpose, validate},
};

use super::{
    case::{Case, Info, history_row, tuple, written},
    project::{Project, resolve},
};

pub(crate) enum Outcome {
    Agrees,
    Differs(String),
    Undecidable(&'static str),
}

/// What came out of a verb.
#[derive(Default)]
struct Answer {
    error: Option<String>,
    codes: Option<Vec<(String, String, String)>>,
    migrations: Option<Vec<String>>,
    rows: Option<Vec<HistoryRow>>,
}

pub(crate) fn play(case: &Case) -> Outcome {
    if let Some(reason) = undecidable(case) {
        return Outcome::Undecidable(reason);
    }
    let project = match resolve(case) {
        Ok(project) => project,
        Err(code) => return compare("error", &Some(code), &case.expect.error),
    };
    let rows: Option<Vec<HistoryRow>> =
        case.history.as_ref().map(|rows| rows.iter().map(history_row).collect());
    let answer = match answer(case, &project, rows.clone()) {
        Ok(answer) => answer,
        Err(finding) => Answer { error: Some(code(&finding)), rows, ..Answer::default() },
    };
    let info = info(&project, answer.rows.as_deref());
    let checks = [
        compare("error", &answer.error, &case.expect.error),
        if case.expect.codes.is_some() {
            compare("codes", &answer.codes, &case.expect.codes)
        } else {
            Outcome::Agrees
        },
        if answer.error.is_none() {
            compare("migrations", &answer.migrations, &case.expect.migrations)
        } else {
            Outcome::Agrees
        },
        compare(
            "history",
            &answer.rows.as_ref().map(|rows| rows.iter().map(tuple).collect::<Vec<_>>()),
            &case.expect.history,
        ),
        if case.expect.info.is_some() { compare("info", &info, &case.expect.info) } else { Outcome::Agrees },
    ];
    checks.into_iter().find(|check| !matches!(check, Outcome::Agrees)).unwrap_or(Outcome::Agrees)
}

fn undecidable(case: &Case) -> Option<&'static str> {
    if case.expect.server == 1 {
        return Some("a script or callback fails on the server");
    }
    if case.verb == "clean" {
        return Some("clean drops what is there");
    }
    let needs_runner =
        ["cleanOnValidationError", "createSchemas", "defaultSchema", "locations", "schemas", "table"];
    if case.settings.keys().any(|key| needs_runner.contains(&key.as_str())) {
        return Some("settings for what is read from disk or server");
    }
    if case.setup.is_some() && case.history.is_none() {
        return Some("what is in the schema decides");
    }
    None
}

fn compare<T: PartialEq + Debug>(what: &str, ours: &T, theirs: &T) -> Outcome {
    if ours == theirs {
        Outcome::Agrees
    } else {
        Outcome::Differs(format!("{what}\n    ours   {ours:?}\n    flyway {theirs:?}"))
    }
}

fn code(finding: &Finding) -> String {
    finding.code.map_or("none", whimbrel_migration::finding::FlywayCode::as_str).to_owned()
}

fn answer(case: &Case, project: &Project, rows: Option<Vec<HistoryRow>>) -> Result<Answer, Finding> {
    let history = History::read(rows.clone().unwrap_or_default())?;
    let Project { scripts, settings, .. } = project;
    match case.verb.as_str() {
        "info" => {
            Overview::build(scripts, &history, settings)?;
            Ok(Answer { rows, ..Answer::default() })
        }
        "validate" => {
            let overview = Overview::build(scripts, &history, settings)?;
            let codes = validate(&overview, Purpose::Validate).iter().map(triple).collect();
            Ok(Answer { codes: Some(codes), rows, ..Answer::default() })
        }
        "repair" => {
            let actions = plan_repair(scripts, &history, settings)?;
            let Some(rows) = rows else { return Ok(Answer::default()) };
            Ok(Answer { rows: Some(repaired(rows, &actions)), ..Answer::default() })
        }
        "baseline" => {
            let table = "\"public\".\"flyway_schema_history\"";
            match decide_baseline(rows.as_ref().map(|_| &history), table, settings) {
                BaselineDecision::Create(row) => {
                    Ok(Answer { rows: Some(vec![written(&row)]), ..Answer::default() })
                }
                BaselineDecision::AlreadyThere => Ok(Answer { rows, ..Answer::default() }),
                BaselineDecision::Refuse(finding) => Err(*finding),
            }
        }
        _ => migrate(project, rows),
    }
}

fn triple(finding: &Finding) -> (String, String, String) {
    (
        finding.version.clone().unwrap_or_default(),
        finding.description.clone().unwrap_or_default(),
        code(finding),
    )
}

fn repaired(mut rows: Vec<HistoryRow>, actions: &[RepairAction]) -> Vec<HistoryRow> {
    for action in actions {
        match action {
            RepairAction::RemoveFailed { installed_rank, .. } => {
                rows.retain(|row| row.installed_rank != *installed_rank);
            }
            RepairAction::MarkDeleted { row, .. } => rows.push(written(row)),
            RepairAction::Align { installed_rank, description, row_type, checksum, .. } => {
                for row in rows.iter_mut().filter(|row| row.installed_rank == *installed_rank) {
                    row.description.clone_from(description);
                    row.row_type = row_type.clone();
                    row.checksum = *checksum;
                }
            }
        }
    }
    rows
}

fn migrate(project: &Project, before: Option<Vec<HistoryRow>>) -> Result<Answer, Finding> {
    let settings = &project.settings;
    let mut rows = match before.clone() {
        Some(rows) => rows,
        None => match decide_first_contact(&[], settings) {
            FirstContact::CreateTable => Vec::new(),
            FirstContact::CreateWithBaseline(row) => vec![written(&row)],
            FirstContact::Refuse(finding) => return Err(*finding),
        },
    };
    let plan = match plan_of(project, &rows)? {
        Ok(plan) => plan,
        Err(code) => return Ok(Answer { error: Some(code), rows: Some(rows), ..Answer::default() }),
    };
    let mut answer = Answer::default();
    let mut runs = plan.steps.len();
    if let Some(refusal) = plan.refusals.first() {
        runs = plan.steps_before_refusal;
        answer.error = Some(code(refusal));
        let at_run_time = ["mixed-statements", "mixed-group", "version-too-long"].contains(&refusal.slug);
        if plan.invalid {
            answer.error = Some("VALIDATE_ERROR".into());
        } else if refusal.slug == "failed-migration" {
            // The command line tells more than the library.
            answer.error = Some("ERROR".into());
        }
        if !at_run_time {
            return Ok(Answer { rows: before, ..answer });
        }
    }
    let mut migrations = Vec::new();
    for step in &plan.steps[..runs] {
        let script = &project.scripts[step.id.index()];
        let history = History::read(rows.clone())?;
        let row = NewRow::of_script(script, history.next_rank(&script.row_type()), 1, true);
        migrations.push(row.version.clone().unwrap_or_else(|| script.name.description.clone()));
        rows.push(written(&row));
    }
    rows.sort_by_key(|row| row.installed_rank);
    Ok(Answer { migrations: Some(migrations), rows: Some(rows), ..answer })
}

fn plan_of(project: &Project, rows: &[HistoryRow]) -> Result<Result<MigratePlan, String>, Finding> {
    let history = History::read(rows.to_vec())?;
    Ok(plan::plan_migrate(&project.scripts, &history, &project.settings, |_, script| {
        match &project.texts[&script.script] {
            Ok(text) => {
                scan::facts(project.settings.dialect, text.as_bytes()).map_err(|_| "ERROR".to_owned())
            }
            Err(_) => Err("ERROR".to_owned()),
        }
    }))
}

fn info(project: &Project, rows: Option<&[HistoryRow]>) -> Option<Vec<Info>> {
    let history = History::read(rows.unwrap_or_default().to_vec()).ok()?;
    let overview = Overview::build(&project.scripts, &history, &project.settings).ok()?;
    let rows = overview.rows().iter().map(|row| {
        (
            row.applied.map(|applied| applied.installed_rank),
            row.version.map(|version| version.as_str().to_owned()).unwrap_or_default(),
            row.description().to_owned(),
            row.row_type().as_str().to_owned(),
            row.state.as_str().to_owned(),
            row.category().as_str().to_owned(),
            row.checksum(),
            row.path().to_owned(),
        )
    });
    Some(rows.collect())
}
