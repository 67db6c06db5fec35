//! `check`: what the files of a project say without a database, and with `--against` how they stand to another branch.
//!
//! The other side is read from git: its scripts lie where the project file of this side says. Where both branches parted
//! is asked too, since without it nobody can tell who changed something.

mod git;
mod render;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::CommandError;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_migration::branch::{self, BranchRules, Sides};
use whimbrel_migration::check::{self, CheckReport, CheckRules, File};
use whimbrel_migration::explain;
use whimbrel_migration::finding::{Finding, Severity};
use whimbrel_migration::placeholder::{self, Placeholders};

use crate::cli::{FilesVerb, Options, Task};
use crate::files::{self, FilesError};
use crate::request::Request;
use crate::resolve;
use crate::set::without_sub_locations;
use crate::settings::DatabaseSettings;
use git::{GitFiles, Repository};

/// How long one question to git may take where `--deadline` says nothing.
const GIT_DEADLINE: Duration = Duration::from_secs(60);

/// What was found about one database.
#[derive(Debug, Serialize)]
struct Checked {
    /// Its name in the project.
    database: String,
    /// How many scripts it has.
    scripts: usize,
    /// What was found, files first.
    findings: Vec<Finding>,
}

/// The other side.
#[derive(Debug, Serialize)]
struct Against {
    /// As it was named.
    reference: String,
    /// Its commit.
    commit: String,
    /// The commit where both parted; none where that is not known.
    parted: Option<String>,
}

/// The files of one database on one side, by their paths below their locations.
#[derive(Debug, Default)]
struct Side {
    files: Vec<(String, Vec<u8>)>,
    findings: Vec<Finding>,
}

/// Checks the files of the named databases, or of all that are enabled.
///
/// # Errors
/// When the project or its files cannot be read, or git would not say.
pub async fn run(
    printer: &Printer,
    global: &GlobalArgs,
    options: &Options,
    folder: &std::path::Path,
) -> Result<ExitCode, CommandError> {
    let (_, names) = Request::resolve(Task::Files(FilesVerb::Check), options)?;
    let databases = resolve::without_server(options, &names, global, &ProcessEnvironment, folder)?;
    let deadline = options.deadline.unwrap_or(GIT_DEADLINE);
    let other = match &options.against {
        Some(reference) => Some(Other::open(reference, folder, deadline).await?),
        None => None,
    };
    let mut checked = Vec::new();
    for database in &databases {
        let mut found = check_files(database)?;
        if let Some(other) = &other {
            found.compare(database, other).await?;
        }
        checked.push(found.checked);
    }
    let is_wrong = |found: &Checked| found.findings.iter().any(|each| each.severity == Severity::Error);
    let exit = if checked.iter().any(is_wrong) { ExitCode::No } else { ExitCode::Done };
    render::render(printer, other.as_ref().map(|other| &other.against), &checked, exit);
    Ok(exit)
}

/// The other side, as git has it.
struct Other {
    repository: Repository,
    against: Against,
}

impl Other {
    async fn open(
        reference: &str,
        folder: &std::path::Path,
        deadline: Duration,
    ) -> Result<Self, CommandError> {
        let repository = Repository::open(folder, deadline).await?;
        let commit = repository.commit(reference).await?;
        let parted = repository.parting(&commit).await?;
        Ok(Self { repository, against: Against { reference: reference.to_owned(), commit, parted } })
    }
}

/// This side of a database, and what was found about it so far.
struct Here {
    side: Side,
    report: CheckReport,
    placeholders: Placeholders,
    checked: Checked,
}

fn check_files(database: &DatabaseSettings) -> Result<Here, CommandError> {
    let side = on_disk(database).map_err(CommandError::usage)?;
    let placeholders = database.file_rules().placeholders_for_check(&database.placeholders, &database.name);
    let report = check_side(database, &side, &placeholders);
    let reserved = database.placeholders.keys();
    let reserved = reserved.filter_map(|name| placeholder::reserved(name, &database.placeholder_separator));
    let findings = side.findings.iter().cloned().chain(reserved).chain(report.findings.clone()).collect();
    let checked = Checked { database: database.name.clone(), scripts: report.scripts.len(), findings };
    Ok(Here { side, report, placeholders, checked })
}

fn check_side(database: &DatabaseSettings, side: &Side, placeholders: &Placeholders) -> CheckReport {
    let files: Vec<File<'_>> = side.files.iter().map(|(path, contents)| File { path, contents }).collect();
    let rules = CheckRules {
        naming: &database.naming,
        placeholders: Some(placeholders),
        replaces: database.replace_placeholders,
        reading: database.file_rules().reading,
        settings: &database.migration,
    };
    check::check(&files, &rules)
}

impl Here {
    /// Adds the conflicts with the other side.
    async fn compare(&mut self, database: &DatabaseSettings, other: &Other) -> Result<(), CommandError> {
        let Against { commit, parted, .. } = &other.against;
        let base = in_git(database, &other.repository, commit).await?;
        let scripts = |side: &Side| check_side(database, side, &self.placeholders).scripts;
        let parted = match parted {
            Some(commit) => Some(scripts(&in_git(database, &other.repository, commit).await?)),
            None => None,
        };
        let base_scripts = scripts(&base);
        let sides = Sides { base: &base_scripts, here: &self.report.scripts, parted: parted.as_deref() };
        let rules = BranchRules { out_of_order: database.migration.out_of_order, applied: None };
        let conflicts = branch::conflicts(&sides, &rules);
        let findings = conflicts.into_iter().map(|finding| with_form(finding, &base, &self.side));
        self.checked.findings.extend(base.findings.iter().cloned().chain(findings));
        Ok(())
    }
}

/// A text that was only saved in another form is told as such.
fn with_form(finding: Finding, base: &Side, here: &Side) -> Finding {
    if !matches!(finding.slug, "edited-after-merge" | "edited-in-base") {
        return finding;
    }
    let script = finding.script.as_deref().unwrap_or_default();
    match (base.contents(script), here.contents(script)) {
        (Some(before), Some(after)) => match explain::only_form_differs(before, after) {
            Some(difference) => finding.next_step(explain::advice(difference)),
            None => finding,
        },
        _ => finding,
    }
}

impl Side {
    fn contents(&self, script: &str) -> Option<&[u8]> {
        self.files.iter().find(|(path, _)| path == script).map(|(_, contents)| contents.as_slice())
    }
}

/// Scripts, their side files, and what looks like a script without its suffix.
fn is_wanted(database: &DatabaseSettings, name: &str) -> bool {
    let naming = &database.naming;
    let script = name.strip_suffix(".conf").unwrap_or(name);
    naming.is_candidate(script) || naming.looks_like_shell_script(name)
}

fn locations(database: &DatabaseSettings) -> Vec<PathBuf> {
    let all: Vec<PathBuf> = database.locations.iter().chain(&database.callback_locations).cloned().collect();
    without_sub_locations(&all)
}

fn on_disk(database: &DatabaseSettings) -> Result<Side, FilesError> {
    let found = files::list(&locations(database), |name| is_wanted(database, name))?;
    let missing = found.missing.iter().map(|location| {
        Finding::error("location-missing", format!("location {} does not exist", location.display()))
            .next_step("correct the location, or make the folder")
    });
    let mut side = Side { files: Vec::with_capacity(found.files.len()), findings: missing.collect() };
    for file in found.files {
        side.files.push((file.script, files::read(&file.path)?));
    }
    Ok(side)
}

async fn in_git(
    database: &DatabaseSettings,
    repository: &Repository,
    commit: &str,
) -> Result<Side, CommandError> {
    let GitFiles { files, links } =
        repository.files(commit, &locations(database), |name| is_wanted(database, name)).await?;
    let links = links.into_iter().map(|script| {
        Finding::warning("link-not-followed", "what this link leads to is not in the other branch")
            .in_script(script)
            .next_step("compare it by hand")
    });
    let files = files.into_iter().map(|file| (file.script, file.contents));
    Ok(Side { files: files.collect(), findings: links.collect() })
}
