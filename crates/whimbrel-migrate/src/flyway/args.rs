//! Flyway's command line: `[-key=value…] verb…`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;
use whimbrel_cli::env::{self, Environment};
use whimbrel_migration::undo::UndoTarget;

use super::EDITION;
use super::info_filter::InfoFilter;
use super::place::shown_url;
use crate::cli::Verb;
use crate::parameters::fill;
use crate::parameters::gather::{Gathered, gather};
use crate::parameters::sources::{Surroundings, is_known, unknown};
use crate::parameters::values::Values;
use crate::request::Request;
use crate::settings::{CommonSettings, DatabaseSettings, GRACE, RunSettings, UNDO_PREFIX};
use crate::timeouts::Timeouts;

/// What the command line asks for.
#[derive(Debug)]
pub struct Invocation {
    /// The verbs, in their order.
    pub verbs: Vec<Verb>,
    /// The settings; none where only the usage was asked for.
    pub settings: Option<RunSettings>,
    /// `-outputType=json`.
    pub json: bool,
    /// `-q`.
    pub quiet: bool,
    /// `-X`.
    pub debug: bool,
    /// The database's URL as it was given, without secrets; none where it is not one of Java's.
    pub(super) url: Option<String>,
    /// `-v` rather than `-h`.
    pub version: bool,
    /// What should be said about the settings, a line each.
    pub words: Vec<String>,
    /// `-outputFile`.
    pub output_file: Option<PathBuf>,
    /// `-dryRunOutput`: nothing is changed, and the SQL is written there.
    pub dry_run_output: Option<PathBuf>,
    /// What `info` shows.
    pub filter: InfoFilter,
}

/// A command line that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why not, in Flyway's words where it has some.
    pub message: String,
    /// The exit code: 35 where Flyway's open-source edition would say that an edition is missing, else 1.
    pub exit: u8,
}

impl From<String> for Refusal {
    fn from(message: String) -> Self {
        Self { message, exit: 1 }
    }
}

/// Verbs of Flyway's other editions, and of its open-source edition for other ends than migrating.
const OTHER_VERBS: [&str; 14] = [
    "add",
    "auth",
    "check",
    "deploy",
    "diff",
    "diffText",
    "generate",
    "init",
    "list-engines",
    "model",
    "prepare",
    "snapshot",
    "testConnection",
    "diffApply",
];

/// The command line, taken apart.
#[derive(Default)]
struct Line {
    parameters: BTreeMap<String, String>,
    verbs: Vec<String>,
    quiet: bool,
    debug: bool,
    help: bool,
    version: bool,
    migration_ids: bool,
}

/// Reads the command line, the environment and the configuration files.
///
/// # Errors
/// When it is not to be carried out.
pub(super) fn parse<E: Environment>(
    arguments: &[String],
    surroundings: &Surroundings<'_, E>,
) -> Result<Invocation, Refusal> {
    let line = take_apart(arguments)?;
    let json = match line.parameters.get("outputType").map(String::as_str) {
        None | Some("") => false,
        Some(format) if format.eq_ignore_ascii_case("json") => true,
        Some(other) => {
            let message = format!("'{other}' is an invalid value for the -outputType option. Use 'json'.");
            return Err(message.into());
        }
    };
    let color = line.parameters.get("color").map_or("never", String::as_str);
    if !["always", "never", "auto", ""].contains(&color) {
        let message =
            format!("'{color}' is an invalid value for the -color option. Use 'always', 'never', or 'auto'.");
        return Err(message.into());
    }
    let mut invocation = Invocation {
        verbs: Vec::new(),
        settings: None,
        json,
        quiet: line.quiet,
        debug: line.debug,
        url: None,
        version: line.version,
        words: Vec::new(),
        output_file: line.parameters.get("outputFile").map(PathBuf::from),
        dry_run_output: None,
        filter: InfoFilter::default(),
    };
    if line.help || line.version {
        return Ok(invocation);
    }
    invocation.verbs = line.verbs.iter().map(|word| verb(word)).collect::<Result<_, _>>()?;
    let Some(first) = invocation.verbs.first().copied() else { return Ok(invocation) };
    let Gathered { values, words } = gather(Some(&line.parameters), surroundings)?;
    invocation.words = words;
    if color == "always" {
        invocation.words.push("flyway.color is left aside: nothing is coloured here".to_owned());
    }
    invocation.url = shown_url(&values);
    invocation.filter = InfoFilter::new(&values, line.migration_ids)?;
    invocation.dry_run_output = dry_run_output(&values, surroundings)?;
    let mut settings = settings(first, &values, surroundings)?;
    settings.common.dry_run = invocation.dry_run_output.is_some();
    if invocation.verbs.contains(&Verb::Undo) {
        // Otherwise the names of undo scripts are as unknown as to Flyway's open-source edition.
        for database in &mut settings.databases {
            database.naming.undo_prefix.get_or_insert_with(|| UNDO_PREFIX.to_owned());
        }
        settings.common.request.undo_target = undo_target(&values)?;
    }
    invocation.settings = Some(settings);
    Ok(invocation)
}

fn take_apart(arguments: &[String]) -> Result<Line, Refusal> {
    let mut line = Line::default();
    for argument in arguments {
        match argument.as_str() {
            "-q" => line.quiet = true,
            "-X" => line.debug = true,
            "-skipCheckForUpdate" | "-communityFallback" => {}
            "-migrationIds" => line.migration_ids = true,
            "-v" | "--version" | "version" => line.version = true,
            "-h" | "-?" | "--help" | "help" => line.help = true,
            word => match word.strip_prefix('-').map(|word| word.split_once('=')) {
                Some(Some((name, value))) => parameter(&mut line.parameters, name, value)?,
                Some(None) => return Err(format!("Invalid flag: {word}\n").into()),
                None => line.verbs.push(word.to_owned()),
            },
        }
    }
    Ok(line)
}

fn parameter(parameters: &mut BTreeMap<String, String>, name: &str, value: &str) -> Result<(), Refusal> {
    let name = name.strip_prefix("flyway.").unwrap_or(name);
    if matches!(name, "skipCheckForUpdate" | "communityFallback") {
        return Ok(());
    }
    if !is_known(name) {
        return Err(unknown(name, None).into());
    }
    if parameters.insert(name.to_owned(), value.to_owned()).is_some() {
        return Err(format!("Duplicate configuration parameter: -{name}").into());
    }
    Ok(())
}

fn verb(word: &str) -> Result<Verb, Refusal> {
    Ok(match word {
        "migrate" => Verb::Migrate,
        "info" => Verb::Info,
        "validate" => Verb::Validate,
        "repair" => Verb::Repair,
        "baseline" => Verb::Baseline,
        "clean" => Verb::Clean,
        "undo" => Verb::Undo,
        other if OTHER_VERBS.contains(&other) => {
            let message = format!(
                "Flyway Redgate Edition Required: {other} is not supported by OSS Edition\nDownload \
                 Redgate Edition for free: https://rd.gt/3GGIXhh\n"
            );
            return Err(Refusal { message, exit: EDITION });
        }
        other => return Err(format!("Invalid flag: {other}\n").into()),
    })
}

/// Where the SQL of a dry run goes, from the working directory on.
fn dry_run_output<E: Environment>(
    values: &Values,
    surroundings: &Surroundings<'_, E>,
) -> Result<Option<PathBuf>, String> {
    let Some(path) = values.filled("dryRunOutput") else { return Ok(None) };
    if ["s3:", "gcs:"].iter().any(|scheme| path.starts_with(scheme)) {
        return Err(format!("flyway.dryRunOutput is refused: {path} is no file of this machine"));
    }
    Ok(Some(fill::folder(values, &surroundings.folder).join(path)))
}

/// The version that is undone last; without one, only what was applied last is undone.
fn undo_target(values: &Values) -> Result<UndoTarget, String> {
    match values.filled("target").map(|target| target.strip_suffix('?').unwrap_or(target)) {
        None => Ok(UndoTarget::Last),
        Some(word) if ["latest", "current"].iter().any(|last| word.eq_ignore_ascii_case(last)) => {
            Ok(UndoTarget::Last)
        }
        Some(version) => Ok(UndoTarget::From(fill::version(version)?)),
    }
}

/// The settings of a run.
fn settings<E: Environment>(
    verb: Verb,
    values: &Values,
    surroundings: &Surroundings<'_, E>,
) -> Result<RunSettings, String> {
    let (target, warnings) = fill::target(values, surroundings.environment)?;
    let folder = fill::folder(values, &surroundings.folder);
    let locations = vec![default_location(&folder, surroundings.install.as_deref())];
    let mut database = DatabaseSettings::new(target.database_name().to_owned(), target, locations);
    fill::as_flyway(&mut database);
    fill::fill(values, &folder, &mut database)?;
    database.warnings = warnings;
    let environment = surroundings.environment;
    let common = CommonSettings {
        run_id: environment.get(env::RUN_ID).unwrap_or_else(|| Uuid::now_v7().to_string()),
        image: environment.get(env::IMAGE_DIGEST),
        dry_run: false,
        keep_going: false,
        wait: fill::connect_wait(values)?.unwrap_or_default(),
        lock_wait: fill::lock_wait(values)?.unwrap_or(Duration::from_secs(50)),
        grace: GRACE,
        deadline: None,
        timeouts: Timeouts::default(),
        request: Request::default(),
        clean_enabled: !values.boolean("cleanDisabled")?.unwrap_or(true),
        termination_log: environment.get(env::TERMINATION_LOG).map(PathBuf::from),
        report: None,
    };
    Ok(RunSettings { verb, databases: vec![database], common })
}

/// `sql` in the working directory, or beside the program.
fn default_location(folder: &std::path::Path, install: Option<&std::path::Path>) -> PathBuf {
    let here = folder.join("sql");
    let beside = install.map(|install| install.join("sql")).filter(|path| path.is_dir());
    if here.is_dir() { here } else { beside.unwrap_or(here) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str, variables: &[(&str, &str)]) -> Result<Invocation, Refusal> {
        let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let environment: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let folder = tempfile::tempdir().unwrap();
        let surroundings = Surroundings::within(folder.path().to_owned(), &environment);
        parse(&arguments, &surroundings)
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        let variables = [
            ("FLYWAY_URL", "jdbc:postgresql://h/env"),
            ("FLYWAY_BASELINE_ON_MIGRATE", "true"),
            ("FLYWAY_PLACEHOLDERS_A_B", "x"),
        ];
        let line = "-url=jdbc:postgresql://h/flag -placeholders.C=y -outputType=json migrate info";
        let invocation = parse_line(line, &variables).unwrap();
        assert_eq!(invocation.verbs, [Verb::Migrate, Verb::Info]);
        assert!(invocation.json);
        let database = &invocation.settings.unwrap().databases[0];
        assert_eq!(database.target.database_name(), "flag");
        assert!(database.migration.baseline_on_migrate);
        assert_eq!(database.placeholders["a_b"], "x");
        assert_eq!(database.placeholders["c"], "y");
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (line, part, exit) in [
            ("-url=jdbc:postgresql://h/d -errorOverrides=S:1:E migrate", "flyway.errorOverrides", 1),
            ("-url=jdbc:postgresql://h/d -dryRunOutput=s3:b/x.sql migrate", "s3:b/x.sql", 1),
            ("-url=jdbc:postgresql://h/d -target=next undo", "next", 1),
            ("-url=jdbc:postgresql://h/d -foo=x migrate", "flyway.foo", 1),
            ("-url=jdbc:postgresql://h/d -url=jdbc:postgresql://h/e migrate", "-url", 1),
            ("-url=jdbc:postgresql://h/d check", "check", 35),
            ("frobnicate", "Invalid flag: frobnicate", 1),
            ("-zzz migrate", "Invalid flag: -zzz", 1),
            ("migrate", "Configure the url", 1),
            ("-url=jdbc:foo:x migrate", "jdbc:foo", 1),
            ("-color=red -url=jdbc:postgresql://h/d info", "-color option", 1),
            ("-url=jdbc:postgresql://h/d -infoSinceDate=x info", "infoSinceDate", 1),
        ] {
            let refusal = parse_line(line, &[]).unwrap_err();
            assert!(refusal.message.contains(part) && refusal.exit == exit, "{line}: {refusal:?}");
        }
    }

    #[test]
    fn an_undo_goes_down_to_its_target_and_that_too() {
        let request = |line: &str| {
            let settings = parse_line(line, &[("FLYWAY_URL", "jdbc:postgresql://h/d")]).unwrap().settings;
            let settings = settings.unwrap();
            (settings.common.request.undo_target, settings.databases[0].naming.undo_prefix.clone())
        };
        assert_eq!(request("undo"), (UndoTarget::Last, Some("U".to_owned())));
        let two = UndoTarget::From(fill::version("2").unwrap());
        assert_eq!(request("-target=2 undo info").0, two);
        assert_eq!(request("-target=2? -undoSqlMigrationPrefix=D undo"), (two, Some("D".to_owned())));
        assert_eq!(request("migrate").1, None);
    }

    #[test]
    fn usage_and_version_need_no_settings() {
        for line in ["-h", "help migrate", "-v", "version", "-outputType=json"] {
            assert!(parse_line(line, &[]).unwrap().settings.is_none(), "{line}");
        }
        assert!(parse_line("-v", &[]).unwrap().version);
    }
}
