//! The text of a script: decoded, compared with its checksum, with placeholders replaced.

use std::borrow::Cow;
use std::path::Path;

use whimbrel_migration::checksum;
use whimbrel_migration::conf::ScriptConf;
use whimbrel_migration::encoding::Reading;
use whimbrel_migration::explain::{self, Difference};
use whimbrel_migration::finding::Finding;
use whimbrel_migration::name::{ScriptKind, ScriptName};
use whimbrel_migration::placeholder::{self, BuiltIn, Placeholders};
use whimbrel_migration::script::{ResolvedScript, ScriptId};

use super::{BuiltIns, ScriptSet, SetError};
use crate::files::{self, FilesError, FoundFile};
use crate::settings::DatabaseSettings;
use crate::source::{self, Pieces, Source};

impl ScriptSet {
    pub(super) fn add(&mut self, name: ScriptName, file: FoundFile) -> Result<(), SetError> {
        let conf = self.conf(&file)?;
        let is_repeatable = name.kind == ScriptKind::Repeatable;
        if !is_repeatable && self.reading.is_plain(&conf) && source::is_large(&file.path)? {
            let raw =
                source::checksum(&file.path).map_err(|error| SetError::of_source(error, &file.script))?;
            self.all.push(ResolvedScript::new(name, file.script, raw).with_conf(conf));
            self.paths.push(file.path);
            return Ok(());
        }
        let bytes = files::read(&file.path)?;
        let text = decode(self.reading, &conf, &file.script, &bytes)?;
        self.all.push(ResolvedScript::new(name, file.script, checksum_of(&text)).with_conf(conf));
        self.paths.push(file.path);
        Ok(())
    }

    fn conf(&self, file: &FoundFile) -> Result<ScriptConf, SetError> {
        let path = file.path.with_file_name(format!("{}.conf", file.name));
        if !file.has_conf || !path.is_file() {
            return Ok(ScriptConf::default());
        }
        let conf = ScriptConf::of_bytes(&files::read(&path)?);
        Ok(conf.map_err(|error| error.to_finding(&format!("{}.conf", file.script)))?)
    }

    /// The SQL of a script as it will be run, in pieces where it is large; otherwise as [`ScriptSet::text`] has it.
    pub(crate) fn source(&self, id: ScriptId) -> Result<Source, SetError> {
        let (script, path) = (self.script(id), self.path(id));
        if !self.reading.is_plain(&script.conf) || !source::is_large(path)? {
            return self.text(id).map(|text| Source::Whole(Some(text)));
        }
        let placeholders = self.replaces(script).then(|| self.placeholders_of(path));
        Ok(Source::Pieces(Box::new(Pieces::open(path, script.raw_checksum, placeholders)?)))
    }

    pub(super) fn replaces(&self, script: &ResolvedScript) -> bool {
        script.conf.placeholder_replacement.unwrap_or(self.replace)
    }

    /// The placeholders of one file: its own name is among them.
    fn placeholders_of(&self, path: &Path) -> Placeholders {
        let mut placeholders = self.placeholders.clone();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        placeholders.set(&BuiltIn::Filename.name(&self.separator), name);
        placeholders.set(&BuiltIn::Timestamp.name(&self.separator), self.time.get_or_init(time));
        placeholders
    }

    /// The SQL of a script as it will be run: read again, compared with what was checksummed, with placeholders
    /// replaced.
    pub fn text(&self, id: ScriptId) -> Result<String, SetError> {
        let text = self.replaced_text(id.index())?;
        if let Some(at) = text.find('\0') {
            let line = text[..at].matches('\n').count() as u64 + 1;
            return Err(Finding::error(
                "nul-byte",
                "there is a NUL byte: the server would read up to it only",
            )
            .in_script(self.script(id).script.clone())
            .at(line, 1)
            .next_step("remove it")
            .into());
        }
        Ok(text)
    }

    fn replaced_text(&self, index: usize) -> Result<String, SetError> {
        let (script, path) = (&self.all[index], &self.paths[index]);
        let bytes = files::read(path)?;
        let text = decode(self.reading, &script.conf, &script.script, &bytes)?;
        if checksum_of(&text) != script.raw_checksum {
            return Err(FilesError::Changed(path.clone()).into());
        }
        if !self.replaces(script) || !self.placeholders.may_be_in(&text) {
            return Ok(text);
        }
        let replaced = self.placeholders_of(path).replace(&text).map(Cow::into_owned);
        Ok(replaced.map_err(|error| error.to_finding().in_script(script.script.clone()))?)
    }

    /// The checksum of a script with its placeholders replaced.
    pub(super) fn replaced_checksum(&self, index: usize) -> Result<i32, SetError> {
        self.replaced_text(index).map(|text| checksum_of(&text))
    }

    /// Which harmless difference explains that a script does not have this checksum, if one does.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn explain(&self, id: ScriptId, recorded: i32) -> Result<Option<Difference>, FilesError> {
        let bytes = files::read(self.path(id))?;
        if let Some(difference) = explain::explain(recorded, &bytes) {
            return Ok(Some(difference));
        }
        // A repeatable is recorded by its text with placeholders replaced.
        let replaced = self.text(id).ok().filter(|text| text.as_bytes() != bytes);
        Ok(replaced.and_then(|text| explain::explain(recorded, text.as_bytes())))
    }
}

/// The text of a script; a byte order mark stays, the scanner passes over one.
fn decode(reading: Reading, conf: &ScriptConf, script: &str, bytes: &[u8]) -> Result<String, SetError> {
    let encoding =
        reading.encoding_of(conf, bytes).map_err(|error| error.to_finding(&format!("{script}.conf")))?;
    Ok(encoding.decode(bytes).map_err(|error| error.to_finding(script))?.into_owned())
}

/// Text is UTF-8, so that nothing can be wrong with it.
fn checksum_of(text: &str) -> i32 {
    checksum::of_bytes(text.as_bytes()).unwrap_or_default()
}

/// The placeholders of a database: those that were given a value, and Flyway's own.
///
/// # Errors
/// When somebody gave a value to one of Flyway's own.
pub(crate) fn placeholders(
    settings: &DatabaseSettings,
    built_ins: &BuiltIns,
) -> Result<Placeholders, SetError> {
    let (prefix, suffix) = &settings.placeholder_marks;
    let separator = &settings.placeholder_separator;
    let mut placeholders = Placeholders::new(prefix, suffix);
    for (name, value) in &settings.placeholders {
        if let Some(finding) = placeholder::reserved(name, separator) {
            return Err(finding.into());
        }
        placeholders.set(name, value.clone());
    }
    for built_in in BuiltIn::ALL {
        if let Some(value) = value_of(built_in, settings, built_ins) {
            placeholders.set(&built_in.name(separator), value);
        }
    }
    Ok(placeholders)
}

fn value_of(built_in: BuiltIn, settings: &DatabaseSettings, built_ins: &BuiltIns) -> Option<String> {
    let folder = || settings.working_directory.clone().or_else(|| std::env::current_dir().ok());
    match built_in {
        BuiltIn::DefaultSchema => Some(built_ins.schema.clone()),
        BuiltIn::User => Some(built_ins.user.clone()),
        // SQLite has no name for it, and Flyway no value.
        BuiltIn::Database => Some(built_ins.database.clone()).filter(|name| !name.is_empty()),
        // Each file has its own, and the time is found where it is asked for.
        BuiltIn::Filename | BuiltIn::Timestamp => None,
        BuiltIn::WorkingDirectory => Some(folder().unwrap_or_default().display().to_string()),
        BuiltIn::Table => Some(built_ins.table.clone()),
        BuiltIn::Environment => Some(settings.environment.clone()),
    }
}

fn time() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A text that is no script, such as `initSql`, with its placeholders replaced.
///
/// # Errors
/// When one has no value.
pub fn replaced(settings: &DatabaseSettings, built_ins: &BuiltIns, text: &str) -> Result<String, SetError> {
    if !settings.replace_placeholders {
        return Ok(text.to_owned());
    }
    let mut placeholders = placeholders(settings, built_ins)?;
    placeholders.set(&BuiltIn::Timestamp.name(&settings.placeholder_separator), time());
    let replaced = placeholders.replace(text).map(Cow::into_owned);
    Ok(replaced.map_err(|error| error.to_finding())?)
}
