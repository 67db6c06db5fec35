//! What `migrate` will do: which scripts, in which order, and how each of them runs.
//!
//! A plan names scripts by id and carries no text. It holds as long as no row appears in the history that
//! it did not expect: whoever carries it out reads the history again under the lock and plans anew when
//! something else wrote there.
//!
//! ```
//! use whimbrel_migration::{
//!     checksum, history::{History, HistoryRow, RowType}, name::NamingRules, plan, scan, script::ResolvedScript,
//!     settings::Settings,
//! };
//!
//! let files = [("V1__birds.sql", "CREATE TABLE bird (id int);"), ("V2__index.sql", "CREATE INDEX CONCURRENTLY i ON bird (id);")];
//! let mut scripts = Vec::new();
//! for (path, text) in files {
//!     let name = NamingRules::default().parse(path)?;
//!     scripts.push(ResolvedScript::new(name, path, checksum::of_bytes(text.as_bytes())?));
//! }
//! // The first one was applied; this is its row of `flyway_schema_history`.
//! let mut row = HistoryRow {
//!     installed_rank: 1,
//!     version: Some("1".to_owned()),
//!     description: "birds".to_owned(),
//!     row_type: RowType::Sql,
//!     script: "V1__birds.sql".to_owned(),
//!     checksum: Some(scripts[0].checksum()),
//!     installed_by: "me".to_owned(),
//!     installed_on: "2026-01-01 00:00:00".to_owned(),
//!     execution_time: 3,
//!     success: true,
//! };
//! let settings = Settings::default();
//! let plan_from = |row: &HistoryRow| -> Result<plan::MigratePlan, Box<dyn std::error::Error>> {
//!     let history = History::read(vec![row.clone()]).map_err(|finding| finding.to_string())?;
//!     Ok(plan::plan_migrate(&scripts, &history, &settings, |_, script| {
//!         let (_, text) = files.iter().find(|(path, _)| *path == script.script).expect("it is one of them");
//!         scan::facts(settings.dialect, text.as_bytes())
//!     })?)
//! };
//!
//! let plan = plan_from(&row)?;
//! assert!(plan.is_allowed());
//! assert_eq!(plan.steps.len(), 1);
//! assert_eq!(plan.steps[0].run, plan::RunMode::StatementByStatement);
//!
//! // Somebody edited the file after it was applied: a finding, and nothing may run.
//! row.checksum = Some(7);
//! let plan = plan_from(&row)?;
//! assert!(!plan.is_allowed());
//! assert_eq!(plan.refusals[0].slug, "checksum-mismatch");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod mode;

use serde::Serialize;

pub use mode::{RunMode, RunRefusal, decide_run};

use crate::{
    finding::Finding,
    history::{self, History},
    scan::ScanFacts,
    script::{ResolvedScript, ScriptId},
    settings::{IgnorePattern, PatternState, PatternType, Settings, Target},
    state::{Overview, State},
    validate::{self, Purpose},
    version::Version,
};

/// One script of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The script.
    pub id: ScriptId,
    /// How it runs.
    pub run: RunMode,
    /// Its version is below the database's.
    pub out_of_order: bool,
    /// How many statements it has, as far as it was scanned.
    pub statements: u64,
    /// Some statement commits what came before it and itself (DDL of MySQL and MariaDB): after a failure only
    /// what came after the last of them is rolled back, and a failed row has to be written.
    pub implicit_commits: bool,
}

/// What `migrate` will do, and what speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigratePlan {
    /// The version of the database now.
    pub before: Option<String>,
    /// What runs, in this order.
    pub steps: Vec<Step>,
    /// All steps are one unit (`group`).
    pub group: bool,
    /// Rows are written and nothing is run (`skipExecutingMigrations`).
    pub skip_executing: bool,
    /// Nothing may run while there is one of these.
    pub refusals: Vec<Finding>,
    /// The refusals come from validation (`validateOnMigrate`).
    pub invalid: bool,
    /// The refusal is that scripts or rows contradict each other: there is nothing that could be validated.
    pub contradictory: bool,
    /// How many steps come before the first script that may not run: real Flyway runs those before it stops.
    pub steps_before_refusal: usize,
    /// What should be said.
    pub warnings: Vec<Finding>,
}

impl MigratePlan {
    /// Of what is out of order only these versions may run; the others are refused, unless the settings ignore what is
    /// ignored. The plan has to be one that was made with `out_of_order`.
    pub fn keep_only_named(
        &mut self,
        scripts: &[ResolvedScript],
        named: &[Version],
        ignore_patterns: &[IgnorePattern],
    ) {
        let passes_over = |pattern: &IgnorePattern| {
            pattern.kind != PatternType::Repeatable
                && matches!(pattern.state, PatternState::Ignored | PatternState::Any)
        };
        self.warnings.retain(|warning| warning.slug != "out-of-order-active");
        let script = |step: &Step| &scripts[step.id.index()];
        let (may_run, others): (Vec<Step>, Vec<Step>) = self.steps.drain(..).partition(|step| {
            !step.out_of_order || script(step).version().is_some_and(|version| named.contains(version))
        });
        self.steps = may_run;
        if ignore_patterns.iter().any(passes_over) {
            return;
        }
        self.refusals.extend(others.iter().map(|step| {
            Finding::error("migration-ignored", "it is older than what the database has, and was not named")
                .in_script(script(step).script.clone())
                .next_step("give it a version above the applied ones, or name it with --allow-out-of-order")
        }));
    }
}

impl MigratePlan {
    /// Whether it may be carried out.
    pub fn is_allowed(&self) -> bool {
        self.refusals.is_empty()
    }

    fn refused(settings: &Settings, refusals: Vec<Finding>) -> Self {
        Self {
            before: None,
            steps: Vec::new(),
            group: settings.group,
            skip_executing: settings.skip_executing,
            refusals,
            invalid: false,
            contradictory: false,
            steps_before_refusal: 0,
            warnings: Vec::new(),
        }
    }
}

/// Plans `migrate`. `facts` is asked for pending scripts only, once for each: what [`crate::scan`] says about
/// the text after placeholders were replaced.
///
/// # Errors
/// Those of `facts`, unless the plan is refused already; what speaks against it stands in [`MigratePlan::refusals`].
pub fn plan_migrate<E>(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
    mut facts: impl FnMut(ScriptId, &ResolvedScript) -> Result<ScanFacts, E>,
) -> Result<MigratePlan, E> {
    let overview = match Overview::build(scripts, history, settings) {
        Ok(overview) => overview,
        Err(finding) => {
            let plan = MigratePlan::refused(settings, vec![finding]);
            return Ok(MigratePlan { contradictory: true, ..plan });
        }
    };
    let mut plan = MigratePlan::refused(settings, Vec::new());
    let current = overview.current_version();
    plan.before = current.map(|version| version.as_str().to_owned());
    if settings.validate_on_migrate {
        plan.refusals = validate::validate(&overview, Purpose::Migrate);
        plan.invalid = !plan.refusals.is_empty();
    }
    if plan.refusals.is_empty() {
        plan.refusals = failed_rows(&overview);
    }
    plan.warnings = warnings(&overview);
    let refused_as_a_whole = !plan.refusals.is_empty();
    // What is picked may run in any order.
    let mut highest = current;
    for (id, script) in overview.pending() {
        let facts = match facts(id, script) {
            Ok(facts) => facts,
            // What history and scripts disagree about comes first, as with Flyway.
            Err(_) if refused_as_a_whole => break,
            Err(error) => return Err(error),
        };
        let out_of_order = script.version().is_some_and(|version| Some(version) < highest);
        highest = highest.max(script.version());
        let too_long = script.name.version_too_long(settings.dialect);
        let refusal = match decide_run(&facts, &script.conf, settings) {
            _ if too_long.is_some() => too_long.map(|finding| finding.in_script(script.script.clone())),
            Ok(run) => {
                plan.steps.push(Step {
                    id,
                    run,
                    out_of_order,
                    statements: facts.statements,
                    implicit_commits: facts.implicit_commit.is_some(),
                });
                None
            }
            Err(refusal) => Some(*refusal.in_script(script)),
        };
        if let Some(refusal) = refusal {
            if plan.refusals.is_empty() {
                plan.steps_before_refusal = plan.steps.len();
            }
            plan.refusals.push(refusal);
        }
        if settings.target == Target::Next && !settings.group {
            break;
        }
    }
    if settings.group && !refused_as_a_whole {
        plan.steps_before_refusal = 0;
        mode::unify_group(&mut plan, scripts, settings);
    }
    Ok(plan)
}

/// Rows that failed stop everything, unless there is only one, of the future, and the future is ignored.
fn failed_rows(overview: &Overview<'_>) -> Vec<Finding> {
    let failed: Vec<_> = overview.rows().iter().filter(|row| row.state.is_failed()).collect();
    if let [only] = failed.as_slice()
        && only.state == State::FutureFailed
        && future_is_ignored(&overview.settings.ignore_patterns)
    {
        return Vec::new();
    }
    failed
        .into_iter()
        .map(|row| {
            let message = match row.version {
                Some(version) => format!("the history contains a failed migration to version {version}"),
                None => format!("the history contains a failed repeatable migration ({})", row.description()),
            };
            history::failed_migration(row.path(), row.version, message)
        })
        .collect()
}

fn future_is_ignored(patterns: &[IgnorePattern]) -> bool {
    patterns.iter().any(|pattern| {
        pattern.kind == PatternType::Any && matches!(pattern.state, PatternState::Future | PatternState::Any)
    })
}

fn warnings(overview: &Overview<'_>) -> Vec<Finding> {
    let mut warnings = Vec::new();
    if overview.settings.out_of_order {
        warnings.push(Finding::warning(
            "out-of-order-active",
            "outOfOrder mode is active: the order of scripts may not be reproducible",
        ));
    }
    let future =
        overview.rows().iter().filter(|row| matches!(row.state, State::Future | State::FutureFailed));
    for row in future {
        let version = row.version.map(ToString::to_string).unwrap_or_default();
        warnings.push(
            Finding::warning(
                "future-version",
                format!("the database has version {version}, which is newer than every script"),
            )
            .of_version(version)
            .in_script(row.path()),
        );
    }
    for row in overview.rows().iter().filter(|row| row.state == State::Pending) {
        let Some((_, script)) = row.script else { continue };
        let too_long = script.name.description_too_long();
        warnings.extend(too_long.map(|finding| finding.in_script(script.script.clone())));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::name::NamingRules;

    #[test_case(&[], &[], &["V4"], &["V2", "V3"]; "none is named")]
    #[test_case(&["2"], &[], &["V2", "V4"], &["V3"]; "one is named")]
    #[test_case(&["2", "3"], &[], &["V2", "V3", "V4"], &[]; "all are named")]
    #[test_case(&["2"], &["*:ignored"], &["V2", "V4"], &[]; "the others are ignored")]
    #[test_case(&["2"], &["repeatable:ignored"], &["V2", "V4"], &["V3"]; "a pattern for repeatables is none")]
    fn of_what_is_out_of_order_only_what_was_named_runs(
        named: &[&str],
        ignored: &[&str],
        runs: &[&str],
        refused: &[&str],
    ) {
        let settings = Settings::default();
        let scripts: Vec<ResolvedScript> = ["V2__a.sql", "V3__b.sql", "V4__c.sql"]
            .into_iter()
            .map(|path| {
                let name = NamingRules::default().parse(path).expect("a good name");
                ResolvedScript::new(name, path, 0)
            })
            .collect();
        let mut plan = MigratePlan::refused(&settings, Vec::new());
        plan.steps = (0..3)
            .map(|index| Step {
                id: ScriptId(index),
                run: RunMode::InTransaction,
                out_of_order: index < 2,
                statements: 1,
                implicit_commits: false,
            })
            .collect();
        let named: Vec<Version> = named.iter().map(|text| Version::parse(text).expect("a version")).collect();
        let ignored: Vec<IgnorePattern> =
            ignored.iter().map(|text| text.parse().expect("a pattern")).collect();
        plan.keep_only_named(&scripts, &named, &ignored);
        let running: Vec<&str> =
            plan.steps.iter().map(|step| &scripts[step.id.index()].script[..2]).collect();
        let refusals: Vec<&str> =
            plan.refusals.iter().filter_map(|finding| finding.script.as_deref()?.get(..2)).collect();
        assert_eq!((running.as_slice(), refusals.as_slice()), (runs, refused));
    }
}
