//! The two ways to ask: as `flyway`, and with Whimbrel's own verbs.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_cli::args::Format;
use whimbrel_cli::printer::Printer;
use whimbrel_cli::signals::Stop;
use whimbrel_migrate::report::Reporter;
use whimbrel_migrate::turn::Report;
use whimbrel_migrate::turns::carry_out;

use super::compare::lines_with_checksums;
use super::server::Place;
use crate::program::{Ended, clean, run, whimbrel};

/// Patience with one call.
const CALL: Duration = Duration::from_secs(90);

/// A case's settings on one database, with its folder filled in.
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    /// These settings, as they are.
    pub(super) fn of(settings: BTreeMap<String, String>) -> Self {
        Self(settings)
    }

    /// Those of a case and of its step, which win.
    pub(super) fn new(case: &Value, step: &Value, root: &Path) -> Self {
        let folder = root.parent().expect("the location is in a folder").display().to_string();
        let filled = |value: &Value| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            value.replace("<root>", &root.display().to_string()).replace("<dir>", &folder)
        };
        let mut settings =
            BTreeMap::from([("locations".to_owned(), format!("filesystem:{}", root.display()))]);
        for part in [case, step] {
            let pairs = part["settings"].as_object().into_iter().flatten();
            settings.extend(pairs.map(|(name, value)| (name.clone(), filled(value))));
        }
        Self(settings)
    }

    fn flyway_arguments(&self, verb: &str) -> Vec<String> {
        let settings = self.0.iter().map(|(name, value)| format!("-{name}={value}"));
        settings.chain(["-outputType=json".to_owned(), verb.to_owned()]).collect()
    }

    /// The same for Whimbrel's own command line; the name of a setting that it has no word for.
    fn own_arguments(&self, verb: &str) -> Result<Vec<String>, String> {
        let mut arguments = vec!["--format".to_owned(), "json".to_owned(), verb.to_owned()];
        for (name, value) in &self.0 {
            let flag = match name.as_str() {
                "locations" | "outputQueryResults" | "stream" | "batch" | "postgresql.transactional.lock" => {
                    continue;
                }
                "target" => "--target",
                "baselineVersion" => "--baseline-version",
                "baselineDescription" => "--baseline-description",
                "outOfOrder" | "mixed" | "baselineOnMigrate" | "cleanDisabled" => {
                    let (flag, on) = match name.as_str() {
                        "outOfOrder" => ("--out-of-order", "true"),
                        "mixed" => ("--mixed", "true"),
                        "baselineOnMigrate" => ("--baseline-on-migrate", "true"),
                        _ => ("--clean-enabled", "false"),
                    };
                    arguments.extend((value == on).then(|| flag.to_owned()));
                    continue;
                }
                "ignoreMigrationPatterns" if value.is_empty() => return Err("no patterns at all".to_owned()),
                "ignoreMigrationPatterns" => {
                    arguments.extend(value.split(',').map(|pattern| format!("--ignore={}", pattern.trim())));
                    continue;
                }
                placeholder if placeholder.starts_with("placeholders.") => {
                    let name = placeholder.trim_start_matches("placeholders.");
                    arguments.push(format!("--placeholder={name}={value}"));
                    continue;
                }
                other => return Err(other.to_owned()),
            };
            arguments.push(format!("{flag}={value}"));
        }
        Ok(arguments)
    }
}

fn at(mut command: Command, place: &Place, root: &Path) -> Command {
    command.current_dir(root.parent().expect("the location is in a folder")).env("TZ", "UTC");
    for (name, value) in login(place) {
        command.env(name, value);
    }
    command
}

fn login(place: &Place) -> BTreeMap<String, String> {
    let mut login = BTreeMap::from([("FLYWAY_URL".to_owned(), place.jdbc.clone())]);
    if !place.user.is_empty() {
        login.insert("FLYWAY_USER".to_owned(), place.user.clone());
        login.insert("FLYWAY_PASSWORD".to_owned(), place.password.clone());
    }
    login
}

/// Flyway's JSON document from the program that is called `flyway`.
pub(super) fn flyway(place: &Place, settings: &Settings, verb: &str, root: &Path) -> Value {
    let mut command = at(whimbrel("whimbrel-migrate"), place, root);
    command.arg0("flyway").args(settings.flyway_arguments(verb));
    let ended = run(&mut command, CALL);
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|_| json!({"error": {"errorCode": "no document", "message": ended.said()}}))
}

/// What the program that is called `flyway` prints.
pub(super) fn flyway_text(place: &Place, settings: &Settings, verb: &str, root: &Path) -> Ended {
    let mut arguments = settings.flyway_arguments(verb);
    arguments.retain(|argument| argument != "-outputType=json");
    let mut command = at(whimbrel("whimbrel-migrate"), place, root);
    run(command.arg0("flyway").args(arguments), CALL)
}

/// The lines of `info` with their checksums, which only Flyway's API shows: from the same face, asked as a library.
pub(super) fn flyway_lines(place: &Place, settings: &Settings, runtime: &tokio::runtime::Runtime) -> Value {
    // The callbacks of `info` have run: a second time they may fail.
    let mut quiet = settings.0.clone();
    quiet.insert("skipDefaultCallbacks".to_owned(), "true".to_owned());
    let arguments = Settings(quiet).flyway_arguments("info");
    let Ok(invocation) = whimbrel_migrate::flyway::parse(&arguments, &login(place)) else {
        return Value::Null;
    };
    let Some(settings) = invocation.settings else { return Value::Null };
    let printer = Printer::to_writers(std::io::sink(), std::io::sink(), Format::Json);
    let reporter = Reporter::silent(printer, "golden");
    let run = runtime.block_on(async {
        let (_hand, stop) = Stop::by_hand();
        carry_out(&reporter, &settings, stop).await
    });
    match run.turns.first().and_then(|turn| turn.report.as_ref()) {
        Some(Report::Info(report)) => lines_with_checksums(&json!(report.migrations)),
        _ => Value::Null,
    }
}

/// What our own verb answered: whether it went well, and what `info` showed.
pub(super) struct Own {
    pub(super) went_well: bool,
    pub(super) database: Value,
    pub(super) said: String,
}

/// Whimbrel's own verb, or the setting that it has no option for.
pub(super) fn own(place: &Place, settings: &Settings, verb: &str, root: &Path) -> Result<Own, String> {
    let arguments = settings.own_arguments(verb)?;
    let mut command = at(clean(program()), place, root);
    let locations = settings.0.get("locations").map(String::as_str).unwrap_or_default();
    command.env("FLYWAY_LOCATIONS", locations).args(arguments);
    let ended = run(&mut command, CALL);
    let last = ended.stdout.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let database = last.map_or(Value::Null, |document| document["databases"][0].clone());
    Ok(Own { went_well: ended.code == Some(0), database, said: ended.said() })
}

fn program() -> std::ffi::OsString {
    whimbrel("whimbrel-migrate").get_program().to_owned()
}
