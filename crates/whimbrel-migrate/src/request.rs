//! What a verb was asked for beyond what Flyway's verbs know.

use std::num::NonZeroUsize;

use whimbrel_cli::error::CommandError;
use whimbrel_migration::risk::Level;
use whimbrel_migration::undo::UndoTarget;
use whimbrel_migration::version::Version;

use crate::cli::{DryRun, FilesVerb, Options, Task, Verb};

/// The parts of a request; each verb takes those that concern it, and the others are refused.
#[derive(Clone, Debug)]
pub struct Request {
    /// The version that `skip`, `stamp` and `propose-undo` are about.
    pub version: Option<Version>,
    /// The version that `wait` waits for.
    pub wait_for: Option<Version>,
    /// Why, in words that are kept.
    pub reason: Option<String>,
    /// The dangers were read and are accepted.
    pub confirmed: bool,
    /// How far `undo` goes.
    pub undo_target: UndoTarget,
    /// A dry run really runs everything, and rolls it back.
    pub rehearse: bool,
    /// Versions that may run although higher ones are applied.
    pub out_of_order: Vec<Version>,
    /// `info` tells what pending scripts lock.
    pub risk: bool,
    /// What others may notice at most.
    pub max_risk: Option<Level>,
    /// How many databases are worked on at once.
    pub jobs: NonZeroUsize,
    /// Runs are recorded in a table of our own.
    pub keeps_records: bool,
}

impl Default for Request {
    /// As Flyway would be asked.
    fn default() -> Self {
        Self {
            version: None,
            wait_for: None,
            reason: None,
            confirmed: false,
            undo_target: UndoTarget::Last,
            rehearse: false,
            out_of_order: Vec::new(),
            risk: false,
            max_risk: None,
            jobs: NonZeroUsize::MIN,
            keeps_records: false,
        }
    }
}

impl Request {
    /// Reads the request from the command line, with the names of the databases that are left.
    ///
    /// # Errors
    /// When something is missing that the verb needs, or given that it would pass over.
    pub fn resolve(task: Task, options: &Options) -> Result<(Self, Vec<String>), CommandError> {
        refuse_misplaced(task, options)?;
        let mut names = options.databases.clone();
        let mut request = Self {
            reason: options.reason.clone(),
            confirmed: options.yes,
            rehearse: options.dry_run == Some(DryRun::Rollback),
            jobs: options.jobs.unwrap_or(NonZeroUsize::MIN),
            keeps_records: true,
            risk: options.risk,
            max_risk: options.max_risk,
            ..Self::default()
        };
        if task.takes_version() {
            if names.is_empty() {
                let hint = format!("whimbrel-migrate {} VERSION [DATABASE]…", task.name());
                return Err(CommandError::usage(format!("{} needs a version", task.name())).hinted(hint));
            }
            request.version = Some(version(&names.remove(0))?);
        }
        request.wait_for = options.for_version.as_deref().map(version).transpose()?;
        request.out_of_order =
            options.allow_out_of_order.iter().map(|text| version(text)).collect::<Result<_, _>>()?;
        if task == Task::Databases(Verb::Undo)
            && let Some(target) = &options.target
        {
            request.undo_target = UndoTarget::Above(match target.as_str() {
                "0" => None,
                target => Some(version(target)?),
            });
        }
        Ok((request, names))
    }
}

fn version(text: &str) -> Result<Version, CommandError> {
    Version::parse(text).map_err(CommandError::usage)
}

/// An option that a verb would pass over is a mistake that somebody should hear of.
fn refuse_misplaced(task: Task, options: &Options) -> Result<(), CommandError> {
    let is = |verb| task == Task::Databases(verb);
    let is_about_files = matches!(task, Task::Files(_));
    let writes_rows = is(Verb::Skip) || is(Verb::Stamp);
    let only_answers =
        is_about_files || is(Verb::Info) || is(Verb::Validate) || is(Verb::Ping) || is(Verb::Wait);
    let picks = [Verb::Migrate, Verb::Info, Verb::Validate, Verb::Repair, Verb::Undo].into_iter().any(is);
    let out_of_order = !options.allow_out_of_order.is_empty();
    let rules = [
        ("--for-version", options.for_version.is_some(), is(Verb::Wait)),
        ("--yes", options.yes, writes_rows),
        ("--reason", options.reason.is_some(), writes_rows || is(Verb::Undo) || out_of_order),
        ("--allow-out-of-order", out_of_order, is(Verb::Migrate)),
        ("--cherry-pick", !options.cherry_pick.is_empty(), picks),
        ("--risk", options.risk, is(Verb::Info)),
        ("--against", options.against.is_some(), task == Task::Files(FilesVerb::Check)),
        ("--write", options.write, task == Task::Files(FilesVerb::ProposeUndo)),
        ("--max-risk", options.max_risk.is_some(), is(Verb::Migrate)),
        ("--dry-run", options.dry_run.is_some(), !only_answers),
        ("--dry-run=rollback", options.dry_run == Some(DryRun::Rollback), is(Verb::Migrate)),
        ("--report", options.report.is_some(), !is_about_files),
        ("--clean-enabled", options.clean_enabled, !is_about_files),
        ("--ignore", !options.ignore.is_empty(), !is_about_files),
        ("--baseline-version", options.baseline_version.is_some(), !is_about_files),
        ("--baseline-description", options.baseline_description.is_some(), !is_about_files),
    ];
    for (option, is_given, has_a_place) in rules {
        if is_given && !has_a_place {
            return Err(CommandError::usage(format!("{option} means nothing to {}", task.name())));
        }
    }
    let needed = [
        ("--for-version", is(Verb::Wait) && options.for_version.is_none()),
        ("--reason", is(Verb::Skip) && options.reason.is_none()),
        ("--reason", is(Verb::Migrate) && out_of_order && options.reason.is_none()),
    ];
    match needed.into_iter().find(|(_, is_missing)| *is_missing) {
        Some((option, _)) => {
            Err(CommandError::usage(format!("{} needs {option} here", task.name())).hinted(match option {
                "--reason" => "the reason is kept beside the history, for those who wonder later",
                _ => "whimbrel-migrate wait --for-version 42",
            }))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_is_the_version_where_a_verb_takes_one() {
        let options = Options {
            databases: vec!["1.2".to_owned(), "app".to_owned()],
            reason: Some("made by hand".to_owned()),
            ..Options::default()
        };
        let (request, names) = Request::resolve(Task::Databases(Verb::Skip), &options).unwrap();
        assert_eq!(request.version, Version::parse("1.2").ok());
        assert_eq!(names, ["app"]);
        assert!(Request::resolve(Task::Databases(Verb::Stamp), &Options::default()).is_err());
    }

    #[test]
    fn an_option_in_the_wrong_place_is_refused_by_name() {
        let told = |verb, options: &Options| {
            Request::resolve(Task::Databases(verb), options).unwrap_err().to_string()
        };
        let yes = Options { yes: true, ..Options::default() };
        assert!(told(Verb::Migrate, &yes).contains("--yes means nothing to migrate"));
        let rehearsal = Options { dry_run: Some(DryRun::Rollback), ..Options::default() };
        assert!(told(Verb::Undo, &rehearsal).contains("--dry-run=rollback means nothing to undo"));
        assert!(told(Verb::Wait, &Options::default()).contains("wait needs --for-version"));
    }
}
