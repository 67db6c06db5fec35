//! `propose-undo`: a `U__` script from the statements that have an exact inverse. It is shown, or written beside its
//! script for somebody to read; nothing runs it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;
use whimbrel_cli::args::GlobalArgs;
use whimbrel_cli::env::ProcessEnvironment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::Printer;
use whimbrel_migration::inverse::{self, Missing};
use whimbrel_migration::name::ScriptKind;
use whimbrel_migration::version::Version;

use crate::cli::{FilesVerb, Options, Task};
use crate::files;
use crate::request::Request;
use crate::resolve;
use crate::set::without_sub_locations;
use crate::settings::{self, DatabaseSettings};

/// A proposed undo script.
#[derive(Debug, Serialize)]
pub struct Proposed {
    /// The database of the project.
    pub database: String,
    /// The script that it would take back.
    pub script: String,
    /// The file that it would be.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// Whether it takes back everything.
    pub complete: bool,
    /// What has no exact inverse.
    pub missing: Vec<Missing>,
    /// Whether the file was written.
    pub written: bool,
}

/// Proposes for the named databases, or for all that are enabled.
///
/// # Errors
/// When no script has the version, or a file cannot be read or written.
pub fn run(
    printer: &Printer,
    global: &GlobalArgs,
    options: &Options,
    folder: &Path,
) -> Result<ExitCode, CommandError> {
    let (request, names) = Request::resolve(Task::Files(FilesVerb::ProposeUndo), options)?;
    let version = request.version.ok_or_else(|| CommandError::usage("propose-undo needs a version"))?;
    let mut found = Vec::new();
    for database in resolve::without_server(options, &names, global, &ProcessEnvironment, folder)? {
        found.extend(propose(&database, &version)?);
    }
    if found.is_empty() {
        let message = format!("no database of the project has a script of version {version}");
        return Err(CommandError::new(ErrorKind::No, message));
    }
    if options.write {
        for proposed in &mut found {
            proposed.write()?;
        }
    }
    show(printer, &found);
    Ok(ExitCode::Done)
}

/// Reads the script of this version and proposes what takes it back; `None` where no location has that version.
///
/// # Errors
/// When the script cannot be read or cut into statements.
pub fn propose(database: &DatabaseSettings, version: &Version) -> Result<Option<Proposed>, CommandError> {
    let naming = &database.naming;
    let locations = without_sub_locations(&database.locations);
    let found = files::list(&locations, |name| naming.is_candidate(name)).map_err(CommandError::usage)?;
    for file in found.files {
        let Ok(name) = naming.parse(&file.name) else { continue };
        if name.kind != ScriptKind::Versioned || name.version.as_ref() != Some(version) {
            continue;
        }
        let bytes = files::read(&file.path).map_err(CommandError::usage)?;
        let proposal = inverse::propose(database.migration.dialect, &bytes).map_err(|error| {
            CommandError::new(ErrorKind::No, error.to_finding().in_script(&file.script).to_string())
        })?;
        let rest = file.name.strip_prefix(&naming.versioned_prefix).unwrap_or(&file.name);
        let prefix = naming.undo_prefix.as_deref().unwrap_or(settings::UNDO_PREFIX);
        let undo = file.path.with_file_name(format!("{prefix}{rest}"));
        let head = format!(
            "-- Takes {} back. Proposed from its statements: read it before it is needed.\n",
            file.script
        );
        return Ok(Some(Proposed {
            database: database.name.clone(),
            script: file.script,
            file: undo,
            text: format!("{head}{}", proposal.script()),
            complete: proposal.is_complete(),
            missing: proposal.missing().into_iter().cloned().collect(),
            written: false,
        }));
    }
    Ok(None)
}

impl Proposed {
    /// Writes the file, unless there is one already.
    ///
    /// # Errors
    /// When there is one, or it cannot be written.
    pub fn write(&mut self) -> Result<(), CommandError> {
        if self.file.exists() {
            let message = format!("{} is there already", self.file.display());
            return Err(CommandError::new(ErrorKind::Refused, message).hinted("remove it first, or keep it"));
        }
        fs_err::write(&self.file, &self.text).map_err(CommandError::usage)?;
        self.written = true;
        Ok(())
    }
}

fn show(printer: &Printer, proposals: &[Proposed]) {
    if printer.is_json() {
        printer.json(&json!({"schema": 1, "verb": "propose-undo", "proposals": proposals}));
        return;
    }
    for proposed in proposals {
        let file = proposed.file.display();
        if proposed.written {
            printer.line(format!("{}: {file} is written; read it before it is needed", proposed.database));
        } else {
            printer.line(format!("-- {file}"));
            printer.line(proposed.text.trim_end());
        }
        for missing in &proposed.missing {
            let line = missing.place.line;
            printer.warn(format!("{} line {line} has no exact inverse: {}", proposed.script, missing.reason));
        }
    }
}
