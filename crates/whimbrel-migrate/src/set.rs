//! The scripts of one database: listed, named, checksummed; their text is read again when it is needed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use thiserror::Error;
use whimbrel_migration::checksum::{self, EncodingError};
use whimbrel_migration::conf::{ConfError, ScriptConf};
use whimbrel_migration::encoding::{Encoding, UnknownEncoding};
use whimbrel_migration::finding::{Finding, FlywayCode};
use whimbrel_migration::name::{Event, NameError, ScriptKind, ScriptName};
use whimbrel_migration::placeholder::{PlaceholderError, Placeholders};
use whimbrel_migration::script::{ResolvedScript, ScriptId, compare_utf16};

use crate::files::{self, FilesError, FoundFile};
use crate::settings::DatabaseSettings;
use crate::source::{self, Pieces, Source, SourceError};

/// The set could not be made, or a script of it not be read.
#[derive(Debug, Error)]
pub enum SetError {
    /// The file system.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Something about the scripts themselves.
    #[error("{0}")]
    Refused(Box<Finding>),
    /// None of the locations is there.
    #[error("none of the locations exists: {0}")]
    NoLocation(String),
}

impl SetError {
    /// A script that could not be read to its end.
    pub(crate) fn of_source(error: SourceError, script: &str) -> Self {
        match error {
            SourceError::Files(error) => error.into(),
            SourceError::Encoding(error) => not_utf8(error, script).into(),
            SourceError::Placeholder(error) => placeholder_missing(&error, script).into(),
        }
    }
}

impl From<Finding> for SetError {
    fn from(finding: Finding) -> Self {
        Self::Refused(Box::new(finding))
    }
}

/// What Flyway's own placeholders stand for.
#[derive(Clone, Debug, Default)]
pub struct BuiltIns {
    /// `flyway:defaultSchema`.
    pub schema: String,
    /// `flyway:user`.
    pub user: String,
    /// `flyway:database`.
    pub database: String,
    /// `flyway:table`.
    pub table: String,
}

/// The scripts of one database, and its callbacks.
#[derive(Debug)]
pub struct ScriptSet {
    /// The scripts, then the callbacks.
    all: Vec<ResolvedScript>,
    /// How many of them are scripts.
    count: usize,
    paths: Vec<PathBuf>,
    /// The callbacks of each event, in the order in which they run.
    callbacks: BTreeMap<Event, Vec<ScriptId>>,
    placeholders: Placeholders,
    separator: String,
    replace: bool,
    reading: Reading,
    /// What should be said about the files.
    pub warnings: Vec<Finding>,
}

/// How files without a word of their own are decoded.
#[derive(Clone, Copy, Debug)]
struct Reading {
    encoding: Encoding,
    detect: bool,
}

impl ScriptSet {
    /// Lists and checksums the scripts.
    pub fn load(settings: &DatabaseSettings, built_ins: &BuiltIns) -> Result<Self, SetError> {
        let mut set = Self {
            all: Vec::new(),
            count: 0,
            paths: Vec::new(),
            callbacks: BTreeMap::new(),
            placeholders: placeholders(settings, built_ins)?,
            separator: settings.placeholder_separator.clone(),
            replace: settings.replace_placeholders,
            reading: Reading { encoding: settings.encoding, detect: settings.detect_encoding },
            warnings: Vec::new(),
        };
        let mut found = set.list(settings, &settings.locations)?;
        if !settings.callback_locations.is_empty() {
            found.callbacks = set.list(settings, &settings.callback_locations)?.callbacks;
        }
        set.judge_names(settings, found.invalid)?;
        if !settings.skip_scripts {
            set.all.reserve(found.scripts.len());
            for (name, file) in found.scripts {
                set.add(name, file)?;
            }
        }
        set.count = set.all.len();
        if !settings.skip_callbacks {
            set.add_callbacks(found.callbacks)?;
        }
        Ok(set)
    }

    /// The files of these locations by what their names say.
    fn list(&mut self, settings: &DatabaseSettings, locations: &[PathBuf]) -> Result<Named, SetError> {
        let naming = &settings.naming;
        let locations = without_sub_locations(locations);
        let found =
            files::list(&locations, |name| naming.is_candidate(name) || is_bare_script(settings, name))?;
        self.missing_locations(settings, &locations, &found.missing)?;
        let mut named = Named::default();
        for file in found.files {
            if !naming.is_candidate(&file.name) {
                self.warnings.push(bare_script(&file));
                continue;
            }
            match naming.parse(&file.name) {
                Ok(name) if !naming.is_seen(&name, &file.name) => {}
                Ok(name) => match name.kind {
                    ScriptKind::Callback(event) => named.callbacks.push((event, name, file)),
                    _ => named.scripts.push((name, file)),
                },
                Err(error) => named.invalid.push((file, error)),
            }
        }
        Ok(named)
    }

    fn judge_names(
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
            Finding::warning("invalid-name", format!("{error}: it is not run"))
                .in_script(file.script)
                .next_step("name it like V1_2__description.sql or R__description.sql")
        }));
        Ok(())
    }

    /// Adds the callbacks: those of one event run in the order of their descriptions.
    fn add_callbacks(&mut self, mut found: Vec<(Event, ScriptName, FoundFile)>) -> Result<(), SetError> {
        found.sort_by(|(mine, my_name, _), (theirs, their_name, _)| {
            mine.cmp(theirs).then_with(|| compare_utf16(&my_name.description, &their_name.description))
        });
        for pair in found.windows(2) {
            let [(event, name, file), (other_event, other_name, other)] = pair else { continue };
            if event == other_event && name.description == other_name.description {
                return Err(two_callbacks(file, other).into());
            }
        }
        if found.iter().any(|(event, ..)| *event == Event::CreateSchema) {
            let message = "'createSchema' callback is deprecated and will be removed in a later release. Please use 'beforeCreateSchema' callback instead.";
            self.warnings.push(Finding::warning("callback-deprecated", message));
        }
        for (event, name, file) in found {
            let id = ScriptId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
            self.add(name, file)?;
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
        let names = |paths: &[PathBuf]| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let all = settings.refuse_without_locations && missing.len() == locations.len();
        if !missing.is_empty() && (all || settings.fail_on_missing_locations) {
            return Err(SetError::NoLocation(names(missing)));
        }
        for location in missing {
            let message = format!("location {} does not exist", location.display());
            self.warnings.push(Finding::warning("location-missing", message));
        }
        Ok(())
    }

    fn add(&mut self, name: ScriptName, file: FoundFile) -> Result<(), SetError> {
        let conf = self.conf(&file)?;
        let is_repeatable = name.kind == ScriptKind::Repeatable;
        let replaces = conf.placeholder_replacement.unwrap_or(self.replace);
        if !is_repeatable && self.reading.is_plain(&conf) && source::is_large(&file.path)? {
            let raw =
                source::checksum(&file.path).map_err(|error| SetError::of_source(error, &file.script))?;
            self.all.push(ResolvedScript::new(name, file.script, raw).with_conf(conf));
            self.paths.push(file.path);
            return Ok(());
        }
        let bytes = files::read(&file.path)?;
        let text = decode(self.reading.encoding_of(&conf, &file.script, &bytes)?, &file.script, &bytes)?;
        let raw = checksum_of(&text);
        let mut script = ResolvedScript::new(name, file.script, raw).with_conf(conf);
        if is_repeatable && replaces {
            let text = self.replaced(&script, &file.name, text)?;
            script = script.with_replaced_checksum(checksum_of(&text));
        }
        self.all.push(script);
        self.paths.push(file.path);
        Ok(())
    }

    fn conf(&self, file: &FoundFile) -> Result<ScriptConf, SetError> {
        let path = file.path.with_file_name(format!("{}.conf", file.name));
        if !path.is_file() {
            return Ok(ScriptConf::default());
        }
        let refused = |message: String| {
            let script = format!("{}.conf", file.script);
            Finding::error("bad-script-conf", message).coded(FlywayCode::Configuration).in_script(script)
        };
        let text =
            String::from_utf8(files::read(&path)?).map_err(|_| refused("it is not UTF-8".to_owned()))?;
        Ok(ScriptConf::parse(&text).map_err(|error| match error {
            ConfError::Unsupported { .. } => refused(error.to_string()).coded(FlywayCode::Error),
            _ => refused(error.to_string()),
        })?)
    }

    /// The scripts, in the order of their paths.
    pub fn scripts(&self) -> &[ResolvedScript] {
        &self.all[..self.count]
    }

    /// The callbacks of an event, in the order in which they run.
    pub fn callbacks(&self, event: Event) -> &[ScriptId] {
        self.callbacks.get(&event).map_or(&[], Vec::as_slice)
    }

    /// Whether there is any callback.
    pub fn has_callbacks(&self) -> bool {
        !self.callbacks.is_empty()
    }

    /// Whether this is a callback and no script.
    pub fn is_callback(&self, id: ScriptId) -> bool {
        id.index() >= self.count
    }

    /// A script or a callback.
    pub fn script(&self, id: ScriptId) -> &ResolvedScript {
        &self.all[id.index()]
    }

    /// Its file.
    pub fn path(&self, id: ScriptId) -> &PathBuf {
        &self.paths[id.index()]
    }

    /// The SQL of a script as it will be run, in pieces where it is large; otherwise as [`ScriptSet::text`] has it.
    pub(crate) fn source(&self, id: ScriptId) -> Result<Source, SetError> {
        let (script, path) = (self.script(id), self.path(id));
        if !self.reading.is_plain(&script.conf) || !source::is_large(path)? {
            return self.text(id).map(|text| Source::Whole(Some(text)));
        }
        let replaces = script.conf.placeholder_replacement.unwrap_or(self.replace);
        let placeholders = replaces.then(|| self.placeholders_of(path));
        Ok(Source::Pieces(Box::new(Pieces::open(path, script.raw_checksum, placeholders)?)))
    }

    fn placeholders_of(&self, path: &std::path::Path) -> Placeholders {
        let mut placeholders = self.placeholders.clone();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        placeholders.set(&format!("flyway{}filename", self.separator), name);
        placeholders
    }

    /// The SQL of a script as it will be run: read again, compared with what was checksummed, with placeholders
    /// replaced.
    pub fn text(&self, id: ScriptId) -> Result<String, SetError> {
        let (script, path) = (self.script(id), self.path(id));
        let bytes = files::read(path)?;
        let encoding = self.reading.encoding_of(&script.conf, &script.script, &bytes)?;
        let text = decode(encoding, &script.script, &bytes)?;
        if checksum_of(&text) != script.raw_checksum {
            return Err(FilesError::Changed(path.clone()).into());
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = self.replaced(script, &name, text)?;
        if let Some(at) = text.find('\0') {
            let line = text[..at].matches('\n').count() as u64 + 1;
            return Err(Finding::error(
                "nul-byte",
                "there is a NUL byte: the server would read up to it only",
            )
            .in_script(script.script.clone())
            .at(line, 1)
            .next_step("remove it")
            .into());
        }
        Ok(text)
    }

    fn replaced(&self, script: &ResolvedScript, file_name: &str, text: String) -> Result<String, SetError> {
        if !script.conf.placeholder_replacement.unwrap_or(self.replace) {
            return Ok(text);
        }
        let mut placeholders = self.placeholders.clone();
        placeholders.set(&format!("flyway{}filename", self.separator), file_name);
        match placeholders.replace(&text) {
            Ok(std::borrow::Cow::Borrowed(_)) => Ok(text),
            Ok(std::borrow::Cow::Owned(text)) => Ok(text),
            Err(error) => Err(placeholder_missing(&error, &script.script).into()),
        }
    }
}

/// The files of some locations by what their names say.
#[derive(Default)]
struct Named {
    scripts: Vec<(ScriptName, FoundFile)>,
    callbacks: Vec<(Event, ScriptName, FoundFile)>,
    invalid: Vec<(FoundFile, NameError)>,
}

impl Reading {
    /// Whether a file is UTF-8 by what is said about it, so that nobody has to look at all of its bytes first.
    fn is_plain(self, conf: &ScriptConf) -> bool {
        match &conf.encoding {
            Some(name) => name.parse() == Ok(Encoding::Utf8),
            None => !self.detect && self.encoding == Encoding::Utf8,
        }
    }

    /// The encoding of a file: that of its side file, the guessed one, or the usual one.
    fn encoding_of(self, conf: &ScriptConf, script: &str, bytes: &[u8]) -> Result<Encoding, SetError> {
        match &conf.encoding {
            Some(name) => name.parse().map_err(|error: UnknownEncoding| {
                let finding = Finding::error("bad-script-conf", error.to_string()).coded(FlywayCode::Fault);
                finding.in_script(format!("{script}.conf")).into()
            }),
            None if self.detect => Ok(Encoding::detect(bytes)),
            None => Ok(self.encoding),
        }
    }
}

fn placeholder_missing(error: &PlaceholderError, script: &str) -> Finding {
    Finding::error("placeholder-missing", error.flyway_message())
        .coded(FlywayCode::Error)
        .in_script(script)
        .at(error.line, error.column)
        .next_step(format!(
            "give it a value: --placeholder {0}=… or [placeholders] {0} = \"…\" in whimbrel.toml",
            error.name
        ))
}

fn not_utf8(error: EncodingError, script: &str) -> Finding {
    Finding::error("not-utf8", format!("Unable to calculate checksum of {script}: {error}"))
        .coded(FlywayCode::Error)
        .in_script(script)
        .at(error.line, 1)
        .next_step("save the script as UTF-8, or name its encoding in its .conf file")
}

/// The text of a script; a byte order mark stays, the scanner passes over one.
fn decode(encoding: Encoding, script: &str, bytes: &[u8]) -> Result<String, SetError> {
    match encoding.decode(bytes) {
        Ok(text) => Ok(text.into_owned()),
        Err(error) => Err(not_utf8(error, script).into()),
    }
}

/// Text is UTF-8, so that nothing can be wrong with it.
fn checksum_of(text: &str) -> i32 {
    checksum::of_bytes(text.as_bytes()).unwrap_or_default()
}

fn placeholders(settings: &DatabaseSettings, built_ins: &BuiltIns) -> Result<Placeholders, SetError> {
    let (prefix, suffix) = &settings.placeholder_marks;
    let mut placeholders = Placeholders::new(prefix, suffix);
    for (name, value) in &settings.placeholders {
        let reserved = format!("flyway{}", settings.placeholder_separator);
        if name.to_lowercase().starts_with(&reserved.to_lowercase()) {
            let message = format!("Invalid placeholder ('{reserved}' prefix is reserved): {name}");
            return Err(Finding::error("placeholder-reserved", message).coded(FlywayCode::Error).into());
        }
        placeholders.set(name, value.clone());
    }
    let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let folder = settings.working_directory.clone().or_else(|| std::env::current_dir().ok());
    let folder = folder.map(|path| path.display().to_string()).unwrap_or_default();
    for (name, value) in [
        ("defaultSchema", built_ins.schema.as_str()),
        ("user", &built_ins.user),
        ("table", &built_ins.table),
        ("timestamp", &now),
        ("workingDirectory", &folder),
        ("environment", &settings.environment),
    ] {
        placeholders.set(&format!("flyway{}{name}", settings.placeholder_separator), value);
    }
    // SQLite has no name for it, and Flyway no value.
    if !built_ins.database.is_empty() {
        placeholders.set("flyway:database", &built_ins.database);
    }
    Ok(placeholders)
}

/// A text that is no script, such as `initSql`, with its placeholders replaced.
pub fn replaced(settings: &DatabaseSettings, built_ins: &BuiltIns, text: &str) -> Result<String, SetError> {
    if !settings.replace_placeholders {
        return Ok(text.to_owned());
    }
    let replaced = placeholders(settings, built_ins)?.replace(text).map(std::borrow::Cow::into_owned);
    replaced.map_err(|error| {
        let finding = Finding::error("placeholder-missing", error.flyway_message()).coded(FlywayCode::Error);
        finding.next_step(format!("give {} a value", error.name)).into()
    })
}

/// A location below another one would give every script of it twice.
fn without_sub_locations(locations: &[PathBuf]) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::with_capacity(locations.len());
    let mut sorted = locations.to_vec();
    sorted.sort();
    for location in sorted {
        // Whatever a pattern would find, the location itself is none of another's folders.
        let is_pattern = location.to_string_lossy().contains(['*', '?']);
        let is_below =
            |other: &PathBuf| if is_pattern { location == *other } else { location.starts_with(other) };
        if !kept.iter().any(is_below) {
            kept.push(location);
        }
    }
    kept
}

/// A name like `V1__a`, without suffix: Flyway runs such a file with the shell.
fn is_bare_script(settings: &DatabaseSettings, name: &str) -> bool {
    !name.contains('.') && name.contains(&settings.naming.separator) && settings.naming.parse(name).is_ok()
}

fn bare_script(file: &FoundFile) -> Finding {
    Finding::warning("no-extension", "named like a script but without a suffix: it is never run")
        .in_script(file.script.clone())
        .next_step("add .sql if it is one, or give it another name")
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

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn settings(folder: &tempfile::TempDir) -> DatabaseSettings {
        let target = whimbrel_database::Target::from_parts("h", None, Some("d"));
        DatabaseSettings::new("shop", target, vec![folder.path().to_owned()])
    }

    fn load(folder: &tempfile::TempDir) -> Result<ScriptSet, SetError> {
        let mut settings = settings(folder);
        settings.placeholders.insert("Who".to_owned(), "birds".to_owned());
        ScriptSet::load(&settings, &BuiltIns { schema: "public".to_owned(), ..BuiltIns::default() })
    }

    #[test]
    fn the_text_has_its_placeholders_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("R__v.sql"), "SELECT '${who} ${flyway:defaultSchema}'").unwrap();
        let set = load(&folder).unwrap();
        assert_eq!(set.text(ScriptId(0)).unwrap(), "SELECT 'birds public'");
        let script = set.script(ScriptId(0));
        assert_ne!(script.raw_checksum, script.checksum());
    }

    #[test]
    fn what_changed_after_it_was_checksummed_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("V1__a.sql"), "SELECT 1").unwrap();
        let set = load(&folder).unwrap();
        fs::write(folder.path().join("V1__a.sql"), "SELECT 2").unwrap();
        assert!(matches!(set.text(ScriptId(0)), Err(SetError::Files(FilesError::Changed(_)))));
    }

    #[test]
    fn a_missing_placeholder_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("R__v.sql"), "SELECT 1;\nSELECT ${nope}").unwrap();
        let Err(SetError::Refused(finding)) = load(&folder) else { panic!("it is refused") };
        assert_eq!((finding.slug, finding.line), ("placeholder-missing", Some(2)));
    }

    #[test]
    fn odd_names_are_warned_about_and_never_run() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["V1__a", "v2__b.sql", "V3_c.sql", "V4__d.sql", "README.md"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let set = load(&folder).unwrap();
        let scripts: Vec<&str> = set.scripts().iter().map(|script| script.script.as_str()).collect();
        assert_eq!(scripts, ["V4__d.sql"]);
        let mut slugs: Vec<&str> = set.warnings.iter().map(|warning| warning.slug).collect();
        slugs.sort_unstable();
        assert_eq!(slugs, ["invalid-name", "invalid-name", "no-extension"]);
    }

    #[test]
    fn a_nul_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("V1__a.sql"), "SELECT 1;\n\0").unwrap();
        let Err(SetError::Refused(finding)) = load(&folder).unwrap().text(ScriptId(0)) else {
            panic!("refused")
        };
        assert_eq!((finding.slug, finding.line), ("nul-byte", Some(2)));
    }
}
