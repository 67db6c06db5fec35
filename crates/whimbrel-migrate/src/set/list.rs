//! Which files of the locations are scripts and callbacks.

use std::path::PathBuf;

use whimbrel_migration::conf::ScriptConf;
use whimbrel_migration::finding::{Finding, FlywayCode, Severity};
use whimbrel_migration::name::{Event, NameError, ScriptKind, ScriptName, no_extension};
use whimbrel_migration::script::{ScriptId, compare_utf16};

use super::{ScriptSet, SetError};
use crate::files::{self, FoundFile};
use crate::settings::DatabaseSettings;

impl ScriptSet {
    /// The files of these locations by what their names say.
    pub(super) fn list(
        &mut self,
        settings: &DatabaseSettings,
        locations: &[PathBuf],
    ) -> Result<Named, SetError> {
        let naming = &settings.naming;
        let (locations, below) = kept_and_below(locations);
        self.below.extend(below);
        let found = files::list(&locations, |name| {
            naming.is_candidate(name) || naming.looks_like_shell_script(name)
        })?;
        self.missing_locations(settings, &locations, &found.missing)?;
        let mut named = Named::default();
        for file in found.files {
            if !naming.is_candidate(&file.name) {
                self.warnings.push(no_extension(&file.name, naming).in_script(file.script));
                continue;
            }
            // Whatever its name says, as with Flyway: a setting that nobody knows may be a slip of the pen.
            let conf = self.conf(&file)?;
            match naming.parse(&file.name) {
                Ok(name) if !naming.is_seen(&name, &file.name) => {}
                Ok(name) => match name.kind {
                    ScriptKind::Callback(event) => named.callbacks.push((event, Script { name, file, conf })),
                    _ => named.scripts.push(Script { name, file, conf }),
                },
                Err(error) => named.invalid.push((file, error)),
            }
        }
        Ok(named)
    }

    pub(super) fn judge_names(
        &mut self,
        settings: &DatabaseSettings,
        invalid: Vec<(FoundFile, NameError)>,
    ) -> Result<(), SetError> {
        if settings.validate_naming && !invalid.is_empty() {
            let list: Vec<String> = invalid.iter().map(|(_, error)| error.to_string()).collect();
            let message = format!("Invalid SQL filenames found:\r\n{}", list.join("\r\n"));
            return Err(Finding::error("invalid-names", message).coded(FlywayCode::Error).into());
        }
        self.warnings.extend(invalid.into_iter().map(|(file, error)| {
            // A run goes on without the file, however near its name is to a script's.
            Finding { severity: Severity::Warning, ..error.to_finding(&settings.naming) }
                .in_script(file.script)
        }));
        Ok(())
    }

    /// Adds the callbacks: those of one event run in the order of their descriptions.
    pub(super) fn add_callbacks(&mut self, mut found: Vec<(Event, Script)>) -> Result<(), SetError> {
        found.sort_by(|(mine, my), (theirs, their)| {
            mine.cmp(theirs).then_with(|| compare_utf16(&my.name.description, &their.name.description))
        });
        for pair in found.windows(2) {
            let [(event, script), (other_event, other)] = pair else { continue };
            if event == other_event && script.name.description == other.name.description {
                return Err(two_callbacks(&script.file, &other.file).into());
            }
        }
        if found.iter().any(|(event, ..)| *event == Event::CreateSchema) {
            let message = "'createSchema' callback is deprecated and will be removed in a later release. \
                           Please use 'beforeCreateSchema' callback instead.";
            self.warnings.push(Finding::warning("callback-deprecated", message));
        }
        for (event, script) in found {
            let id = ScriptId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
            self.add(script)?;
            self.callbacks.entry(event).or_default().push(id);
        }
        Ok(())
    }

    fn missing_locations(
        &mut self,
        settings: &DatabaseSettings,
        locations: &[PathBuf],
        missing: &[PathBuf],
    ) -> Result<(), SetError> {
        let all = settings.refuse_without_locations && missing.len() == locations.len();
        if !missing.is_empty() && (all || settings.fail_on_missing_locations) {
            return Err(SetError::NoLocation(missing.to_vec()));
        }
        for location in missing {
            let message = format!("location {} does not exist", location.display());
            self.warnings.push(Finding::warning("location-missing", message));
        }
        self.missing.extend_from_slice(missing);
        Ok(())
    }
}

/// The files of some locations by what their names say.
#[derive(Default)]
pub(super) struct Named {
    pub(super) scripts: Vec<Script>,
    pub(super) callbacks: Vec<(Event, Script)>,
    pub(super) invalid: Vec<(FoundFile, NameError)>,
}

/// A script or a callback that is not read yet, with what lies beside it.
pub(super) struct Script {
    pub(super) name: ScriptName,
    pub(super) file: FoundFile,
    pub(super) conf: ScriptConf,
}

/// A location below another one would give every script of it twice.
pub(crate) fn without_sub_locations(locations: &[PathBuf]) -> Vec<PathBuf> {
    kept_and_below(locations).0
}

/// Those that are kept, and the others, each with the
/// one that it lies below.
fn kept_and_below(locations: &[PathBuf]) -> (Vec<PathBuf>, Vec<(PathBuf, PathBuf)>) {
    let mut kept: Vec<PathBuf> = Vec::with_capacity(locations.len());
    let mut below = Vec::new();
    let mut sorted = locations.to_vec();
    sorted.sort();
    let is_named = |location: &PathBuf| !location.as_os_str().is_empty();
    for location in sorted {
        // Whatever a pattern would find, the location itself is none of another's folders.
        let is_pattern = location.to_string_lossy().contains(['*', '?']);
        let is_below = |other: &PathBuf| {
            location == *other || (!is_pattern && is_named(other) && location.starts_with(other))
        };
        match kept.iter().find(|other| is_below(other)) {
            Some(other) => below.push((location, other.clone())),
            None => kept.push(location),
        }
    }
    (kept, below)
}

fn two_callbacks(file: &FoundFile, other: &FoundFile) -> Finding {
    let name = file.name.rsplit_once('.').map_or(file.name.as_str(), |(stem, _)| stem);
    let message = format!(
        "Found more than 1 SQL callback script called {name}!\nOffenders:\n-> {}\n-> {}",
        file.path.display(),
        other.path.display()
    );
    Finding::error("callback-twice", message)
        .coded(FlywayCode::Error)
        .in_script(file.script.clone())
        .next_step("give one of them another description")
}
