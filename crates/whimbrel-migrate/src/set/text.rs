//! The text of a script: decoded, compared with its checksum, with placeholders replaced.

use std::borrow::Cow;
use std::path::Path;

use whimbrel_migration::checksum::{self, Checksum};
use whimbrel_migration::conf::ScriptConf;
use whimbrel_migration::encoding::{Encoding, Reading};
use whimbrel_migration::explain::{self, Difference};
use whimbrel_migration::placeholder::{self, BuiltIn, Placeholders};
use whimbrel_migration::script::{ResolvedScript, ScriptId};

use super::list::Script;
use super::shown::{Large, ShownSql};
use super::{BuiltIns, ScriptSet, SetError};
use crate::files::{self, FilesError, FoundFile};
use crate::settings::DatabaseSettings;
use crate::source::{self, Pieces, Source};

/// Files above this many bytes come in pieces.
const WHOLE: u64 = 1024 * 1024;

/// Files above this many bytes are explained while they go by: other variants of all of their text would have to be held.
const EXPLAINED: u64 = 4 * WHOLE;

impl ScriptSet {
    pub(super) fn add(&mut self, script: Script) -> Result<(), SetError> {
        let Script { name, file, conf } = script;
        let (open, length) = files::open(&file.path)?;
        let raw = if length > WHOLE {
            let encoding = self.encoding_of(&conf, &file.script, &file.path)?;
            source::checksum(open, encoding).map_err(|error| SetError::of_source(error, &file.script))?
        } else {
            let bytes = files::read_all(open, length)?;
            checksum_of(&decode(self.reading, &conf, &file.script, &bytes)?)
        };
        self.all.push(ResolvedScript::new(name, file.script, raw).with_conf(conf));
        self.paths.push(file.path);
        Ok(())
    }

    /// The encoding of a file that is not looked at as a whole.
    fn encoding_of(&self, conf: &ScriptConf, script: &str, path: &Path) -> Result<Encoding, SetError> {
        let told = self.reading.told(conf).map_err(|error| error.to_finding(&format!("{script}.conf")))?;
        Ok(told.map_or_else(|| source::detect(path), Ok)?)
    }

    /// What lies beside a file; an encoding that nobody knows is refused here.
    pub(super) fn conf(&self, file: &FoundFile) -> Result<ScriptConf, SetError> {
        let path = file.path.with_file_name(format!("{}.conf", file.name));
        if !file.has_conf || !path.is_file() {
            return Ok(ScriptConf::default());
        }
        let conf = ScriptConf::of_bytes(&files::read(&path)?, self.reading);
        let name = format!("{}.conf", file.script);
        let conf = conf.map_err(|error| error.to_finding(&name))?;
        self.reading.told(&conf).map_err(|error| error.to_finding(&name))?;
        Ok(conf)
    }

    /// The SQL of a script as it will be run: read again, compared with what was checksummed, with placeholders
    /// replaced; in pieces where it is large.
    pub(crate) fn source(&self, id: ScriptId) -> Result<Source, SetError> {
        let (script, path) = (self.script(id), self.path(id));
        let (file, length) = files::open(path)?;
        let placeholders = || self.replaces(script).then(|| self.placeholders_of(path));
        if length > WHOLE {
            let encoding = self.encoding_of(&script.conf, &script.script, path)?;
            let pieces = Pieces::new(path, file, encoding, script.raw_checksum, placeholders());
            return Ok(Source::Pieces(Box::new(pieces)));
        }
        let text = decode(self.reading, &script.conf, &script.script, &files::read_all(file, length)?)?;
        if checksum_of(&text) != script.raw_checksum {
            return Err(FilesError::Changed(path.clone()).into());
        }
        if !self.placeholders.may_be_in(&text) {
            return Ok(Source::Whole(Some(text)));
        }
        let replaced = match placeholders() {
            Some(placeholders) => placeholders.replace(&text).map(Cow::into_owned),
            None => Ok(text),
        };
        let replaced = replaced.map_err(|error| error.to_finding().in_script(script.script.clone()))?;
        Ok(Source::Whole(Some(replaced)))
    }

    /// The same, compared before anything of it is given out: for a script that nothing of could be taken back.
    pub(crate) fn compared_source(&self, id: ScriptId) -> Result<Source, SetError> {
        let compared = self.source(id)?.compared();
        compared.map_err(|error| SetError::of_source(error, &self.script(id).script))
    }

    /// The same for people to see, without these values and what else looks like a secret.
    pub(crate) fn shown(&self, id: ScriptId, secrets: Vec<String>) -> Result<ShownSql, SetError> {
        let (script, path) = (self.script(id), self.path(id));
        let (_, length) = files::open(path)?;
        if length <= WHOLE {
            return Ok(ShownSql::whole(&self.text(id)?, &secrets));
        }
        Ok(ShownSql::large(Large {
            path: path.clone(),
            encoding: self.encoding_of(&script.conf, &script.script, path)?,
            raw_checksum: script.raw_checksum,
            placeholders: self.replaces(script).then(|| self.placeholders_of(path)),
            secrets,
        }))
    }

    /// The same as one text.
    pub fn text(&self, id: ScriptId) -> Result<String, SetError> {
        self.source(id)?.text().map_err(|error| SetError::of_source(error, &self.script(id).script))
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

    /// The checksum of a script with its placeholders replaced.
    pub(super) fn replaced_checksum(&self, id: ScriptId) -> Result<i32, SetError> {
        let of_source = |error| SetError::of_source(error, &self.script(id).script);
        let (mut source, mut checksum) = (self.source(id)?, Checksum::new());
        while let Some(text) = source.next().map_err(of_source)? {
            checksum.feed(text.as_bytes()).map_err(|error| of_source(error.into()))?;
        }
        checksum.finish().map_err(|error| of_source(error.into()))
    }

    /// Which harmless difference explains that a script does not have this checksum, if one does.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn explain(&self, id: ScriptId, recorded: i32) -> Result<Option<Difference>, FilesError> {
        let (file, length) = files::open(self.path(id))?;
        if length > EXPLAINED {
            return source::explain(file, recorded);
        }
        let bytes = files::read_all(file, length)?;
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
