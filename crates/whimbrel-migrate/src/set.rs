//! The scripts of one database: listed, named, checksummed; their text is read again when it is needed.

mod list;
mod shown;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use thiserror::Error;
use whimbrel_migration::encoding::Reading;
use whimbrel_migration::finding::Finding;
use whimbrel_migration::name::{Event, ScriptKind};
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::script::{ResolvedScript, ScriptId};

use crate::files::FilesError;
use crate::settings::DatabaseSettings;
use crate::source::SourceError;

pub(crate) use list::without_sub_locations;
pub use shown::ShownSql;
pub use text::replaced;

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
    #[error("none of the locations exists: {}", names(.0))]
    NoLocation(Vec<PathBuf>),
}

impl SetError {
    /// A script that could not be read to its end.
    pub(crate) fn of_source(error: SourceError, script: &str) -> Self {
        match error {
            SourceError::Files(error) => error.into(),
            SourceError::Encoding(error) => error.to_finding(script).into(),
            SourceError::Placeholder(error) => error.to_finding().in_script(script).into(),
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
    /// All but those of single files and the time.
    placeholders: Placeholders,
    /// What `flyway:timestamp` stands for: asked for only where there is a placeholder, since to find the time zone
    /// takes as long as reading two hundred scripts.
    time: OnceLock<String>,
    separator: String,
    replace: bool,
    reading: Reading,
    /// What should be said about the files.
    pub warnings: Vec<Finding>,
    /// Locations that are not there.
    pub missing: Vec<PathBuf>,
    /// Locations that are passed over, each with the one that it lies below.
    pub below: Vec<(PathBuf, PathBuf)>,
}

impl ScriptSet {
    /// Lists and checksums the scripts, as far as that needs no database.
    pub fn read(settings: &DatabaseSettings) -> Result<Self, SetError> {
        let mut set = Self {
            all: Vec::new(),
            count: 0,
            paths: Vec::new(),
            callbacks: BTreeMap::new(),
            placeholders: Placeholders::default(),
            time: OnceLock::new(),
            separator: settings.placeholder_separator.clone(),
            replace: settings.replace_placeholders,
            reading: Reading { encoding: settings.encoding, detect: settings.detect_encoding },
            warnings: Vec::new(),
            missing: Vec::new(),
            below: Vec::new(),
        };
        let mut found = set.list(settings, &settings.locations)?;
        if !settings.callback_locations.is_empty() {
            found.callbacks = set.list(settings, &settings.callback_locations)?.callbacks;
        }
        set.judge_names(settings, found.invalid)?;
        if !settings.skip_scripts {
            set.all.reserve(found.scripts.len());
            for script in found.scripts {
                set.add(script)?;
            }
        }
        set.count = set.all.len();
        if !settings.skip_callbacks {
            set.add_callbacks(found.callbacks)?;
        }
        Ok(set)
    }

    /// The same with the values that the database gives, which are in the checksums of repeatable scripts.
    pub fn with(mut self, settings: &DatabaseSettings, built_ins: &BuiltIns) -> Result<Self, SetError> {
        self.placeholders = text::placeholders(settings, built_ins)?;
        for index in 0..self.all.len() {
            let script = &self.all[index];
            if script.name.kind == ScriptKind::Repeatable && self.replaces(script) {
                let checksum = self.replaced_checksum(ScriptId(u32::try_from(index).unwrap_or(u32::MAX)))?;
                self.all[index] = self.all[index].clone().with_replaced_checksum(checksum);
            }
        }
        Ok(self)
    }

    /// The scripts, in the order of their paths.
    pub fn scripts(&self) -> &[ResolvedScript] {
        &self.all[..self.count]
    }

    /// A script by its path below its location, with its file.
    pub fn find(&self, path: &str) -> Option<(&ResolvedScript, &PathBuf)> {
        self.find_all(path).next()
    }

    /// All scripts of this path below their locations.
    pub fn find_all(&self, path: &str) -> impl Iterator<Item = (&ResolvedScript, &PathBuf)> {
        self.scripts().iter().zip(&self.paths).filter(move |(script, _)| script.script == path)
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
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
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
        let built_ins = BuiltIns { schema: "public".to_owned(), ..BuiltIns::default() };
        ScriptSet::read(&settings)?.with(&settings, &built_ins)
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
}
