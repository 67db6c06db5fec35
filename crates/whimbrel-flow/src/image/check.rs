//! What goes into the image, and what speaks against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use whimbrel_cli::project::{Database, FlywayValue, Project};
use whimbrel_files::scan::{Scan, ScanError, scan};
use whimbrel_image::SqlSet;
use whimbrel_migration::check::{CheckRules, File};
use whimbrel_migration::conf::ScriptConf;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::finding::{Finding, Severity};
use whimbrel_migration::parameters::{self, FileRules};
use whimbrel_migration::placeholder::Placeholders;
use whimbrel_migration::settings::Settings;

use super::syntax::{KnownTexts, SqlText};

/// Something about the set of scripts, with the file as people open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageFinding {
    /// The stable name.
    pub slug: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The database whose set it is about.
    pub database: String,
    /// The file, as the working directory sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The column, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u64>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

impl ImageFinding {
    /// Whether it stops the image.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// `file:line:column`, as far as they are known.
    pub fn place(&self) -> Option<String> {
        let mut place = self.file.as_ref()?.display().to_string();
        for number in [self.line, self.line.and(self.column)].into_iter().flatten() {
            place.push_str(&format!(":{number}"));
        }
        Some(place)
    }

    fn new(severity: Severity, slug: &'static str, database: &str, message: String) -> Self {
        let database = database.to_owned();
        Self { slug, severity, database, file: None, line: None, column: None, message, next_step: None }
    }
}

/// The scripts of all enabled databases, and what was found about them.
#[derive(Debug, Clone, Default)]
pub struct CheckedSet {
    /// The scripts.
    pub sql: SqlSet,
    /// What was found.
    pub findings: Vec<ImageFinding>,
}

impl CheckedSet {
    /// Whether nothing speaks against an image.
    pub fn is_clean(&self) -> bool {
        !self.findings.iter().any(ImageFinding::is_error)
    }
}

/// The check of a project's scripts; one that is used again does less.
#[derive(Debug, Default)]
pub struct Checker {
    known: Option<KnownTexts>,
}

/// The file in the project's state that remembers which texts were found right.
const CHECKED_FILE: &str = "checked";

impl Checker {
    /// Scans and checks the scripts of every enabled database.
    ///
    /// # Errors
    /// When a folder or file cannot be read. A folder that is not there is a finding.
    pub fn check(&mut self, project: &Project) -> Result<CheckedSet, ScanError> {
        let mut checked = CheckedSet::default();
        let mut sets = Vec::new();
        for (name, database) in project.enabled() {
            let mut set = DatabaseSet::new(name, project, database);
            for location in project.locations(database) {
                set.add_location(&location, &mut checked)?;
            }
            set.check();
            sets.push(set);
        }
        if project.file.check.syntax {
            let known = self.known.get_or_insert_with(|| KnownTexts::read(&project.state_path(CHECKED_FILE)));
            check_syntax(known, &mut sets);
        }
        checked.findings.extend(sets.into_iter().flat_map(DatabaseSet::into_findings));
        Ok(checked)
    }

    /// Tells later processes what need not be parsed again.
    pub fn remember(&self, project: &Project) {
        if let Some(known) = &self.known {
            known.write(&project.state_path(CHECKED_FILE));
        }
    }
}

/// Everything that is parsed in a round is parsed at once: the parser is the dear part.
fn check_syntax(known: &mut KnownTexts, sets: &mut [DatabaseSet<'_>]) {
    let (places, texts): (Vec<(usize, &str)>, Vec<SqlText<'_>>) = sets
        .iter()
        .enumerate()
        .flat_map(|(index, set)| set.texts().map(move |(path, text)| ((index, path), text)))
        .unzip();
    let found: Vec<(usize, Finding)> = places
        .into_iter()
        .zip(known.check(&texts))
        .flat_map(|((index, path), found)| {
            found.into_iter().map(move |finding| (index, finding.in_script(path)))
        })
        .collect();
    for (index, finding) in found {
        sets[index].found.push(finding);
    }
}

/// What the name of an undo script begins with.
const UNDO_PREFIX: &str = "U";

/// How scripts run, as far as the check asks.
fn set_decisions(value: &dyn Fn(&str) -> Option<String>, settings: &mut Settings) -> Result<(), String> {
    for (field, name) in [
        (&mut settings.mixed, "mixed"),
        (&mut settings.group, "group"),
        (&mut settings.execute_in_transaction, "executeInTransaction"),
    ] {
        if let Some(said) = parameters::boolean(value, name)? {
            *field = said;
        }
    }
    Ok(())
}

/// One database's files, in the order of their locations.
struct DatabaseSet<'a> {
    database: &'a str,
    rules: FileRules,
    settings: Settings,
    placeholders: Placeholders,
    files: BTreeMap<String, (PathBuf, Vec<u8>)>,
    found: Vec<Finding>,
}

impl<'a> DatabaseSet<'a> {
    /// An empty set, with the rules that the runner will follow.
    fn new(database: &'a str, project: &Project, entry: &Database) -> Self {
        let value = |name: &str| {
            let said = entry.flyway.get(name).or_else(|| project.file.flyway.get(name));
            said.map(FlywayValue::text)
        };
        let (mut rules, mut settings) = (FileRules::default(), Settings::default());
        // Undo scripts belong to the set.
        rules.naming.undo_prefix = Some(UNDO_PREFIX.to_owned());
        let dialect = entry.engine.and_then(|engine| Dialect::named(engine.name()));
        settings.dialect = dialect.unwrap_or(Dialect::PostgreSql);
        let mut found = Vec::new();
        if let Err(message) = rules.set(&value).and_then(|()| set_decisions(&value, &mut settings)) {
            let hint = "correct it in [flyway] or [databases.….flyway] of whimbrel.toml";
            found.push(Finding::error("bad-parameter", message).next_step(hint));
        }
        let placeholders = rules.placeholders_for_check(&project.placeholders(entry), database);
        Self { database, rules, settings, placeholders, files: BTreeMap::new(), found }
    }

    fn add_location(&mut self, location: &Path, checked: &mut CheckedSet) -> Result<(), ScanError> {
        let found = match scan(location, &self.rules.naming.suffixes) {
            Ok(found) => found,
            Err(ScanError::Missing(path)) => {
                checked.findings.push(self.missing(&path));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        let Scan { files, skipped } = found;
        for skipped in skipped {
            let message = skipped.reason.message().to_owned();
            let mut finding =
                ImageFinding::new(Severity::Warning, skipped.reason.slug(), self.database, message);
            finding.file = Some(skipped.path);
            checked.findings.push(finding);
        }
        let origin = location.display().to_string();
        for file in files {
            let inserted = checked.sql.insert(self.database, &file.path, file.bytes.clone(), &origin);
            if let Err(conflict) = inserted {
                let message = format!("other content than the script of the same name in {}", conflict.first);
                let mut finding = ImageFinding::new(Severity::Error, "same-name", self.database, message);
                finding.file = Some(location.join(&file.path));
                finding.next_step = Some("rename one of them, or remove it".to_owned());
                checked.findings.push(finding);
                continue;
            }
            let local = location.join(&file.path);
            self.files.entry(file.path).or_insert((local, file.bytes));
        }
        Ok(())
    }

    fn missing(&self, path: &Path) -> ImageFinding {
        let message = "this location is not there".to_owned();
        let mut finding = ImageFinding::new(Severity::Error, "location-missing", self.database, message);
        finding.file = Some(path.to_owned());
        finding.next_step =
            Some(format!("make the folder, or correct [databases.{}] locations", self.database));
        finding
    }

    fn check(&mut self) {
        let files: Vec<File<'_>> =
            self.files.iter().map(|(path, (_, contents))| File { path, contents }).collect();
        let rules = CheckRules {
            naming: &self.rules.naming,
            placeholders: Some(&self.placeholders),
            replaces: self.rules.replaces,
            reading: self.rules.reading,
            settings: &self.settings,
        };
        self.found.extend(whimbrel_migration::check::check(&files, &rules).findings);
    }

    /// The scripts that will run and have nothing graver against them, as far as there is a grammar for them.
    fn texts(&self) -> impl Iterator<Item = (&str, SqlText<'_>)> {
        let has_grammar = self.settings.dialect == Dialect::PostgreSql;
        let files = self.files.iter().filter(move |(path, _)| has_grammar && self.wants_syntax(path));
        files.filter_map(|(path, (_, contents))| {
            let conf = self.conf(path);
            let encoding = self.rules.reading.encoding_of(&conf, contents).ok()?;
            let replaces = conf.placeholder_replacement.unwrap_or(self.rules.replaces);
            let placeholders = replaces.then_some(&self.placeholders);
            Some((path.as_str(), SqlText { text: encoding.decode(contents).ok()?, placeholders }))
        })
    }

    fn wants_syntax(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.rules.naming.is_candidate(name)
            && self.rules.naming.parse(name).is_ok()
            && !self.found.iter().any(|f| f.script.as_deref() == Some(path) && f.severity == Severity::Error)
    }

    fn conf(&self, path: &str) -> ScriptConf {
        let conf = self.files.get(&format!("{path}.conf"));
        conf.and_then(|(_, conf)| ScriptConf::of_bytes(conf, self.rules.reading).ok()).unwrap_or_default()
    }

    fn into_findings(self) -> Vec<ImageFinding> {
        let found = self.found.iter().cloned();
        found.map(|finding| self.located(finding)).collect()
    }

    fn located(&self, finding: Finding) -> ImageFinding {
        let local = |path: &String| self.files.get(path).map(|(local, _)| local.clone());
        ImageFinding {
            slug: finding.slug,
            severity: finding.severity,
            database: self.database.to_owned(),
            file: finding.script.as_ref().and_then(local).or(finding.script.map(PathBuf::from)),
            line: finding.line,
            column: finding.column,
            message: finding.message,
            next_step: finding.next_step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)], more: &str) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }
        let text = format!("{more}\n[databases.app]\nlocations = [\"sql\", \"views\"]\n");
        fs_err::write(folder.path().join("whimbrel.toml"), text).unwrap();
        fs_err::create_dir_all(folder.path().join("sql")).unwrap();
        let project = Project::load(&folder.path().join("whimbrel.toml")).unwrap();
        (folder, project)
    }

    fn check(project: &Project) -> CheckedSet {
        Checker::default().check(project).unwrap()
    }

    fn slugs(checked: &CheckedSet) -> Vec<&str> {
        checked.findings.iter().map(|finding| finding.slug).collect()
    }

    #[test]
    fn locations_of_a_database_are_merged() {
        let (_folder, project) =
            project(&[("sql/V1__a.sql", "select 1;"), ("views/R__b.sql", "select 2;")], "");
        let checked = check(&project);
        assert_eq!(slugs(&checked), Vec::<&str>::new());
        let paths: Vec<&str> = checked.sql.iter().map(|(_, path, _)| path).collect();
        assert_eq!(paths, ["R__b.sql", "V1__a.sql"]);
    }

    #[test]
    fn syntax_error_names_file_line_and_column() {
        let (folder, project) =
            project(&[("sql/V1__a.sql", "select 1;\nCREAT TABLE x();"), ("views/R__b.sql", "")], "");
        let checked = check(&project);
        assert!(!checked.is_clean());
        let finding = checked.findings.iter().find(|finding| finding.slug == "syntax").unwrap();
        let expected = format!("{}:2:1", folder.path().join("sql/V1__a.sql").display());
        assert_eq!(finding.place(), Some(expected));
        assert!(finding.next_step.as_ref().unwrap().contains("syntax = false"));
    }

    #[test]
    fn syntax_check_can_be_turned_off() {
        let files = [("sql/V1__a.sql", "CREAT TABLE x;"), ("views/R__b.sql", "select 1")];
        let (_folder, project) = project(&files, "[check]\nsyntax = false");
        assert_eq!(slugs(&check(&project)), Vec::<&str>::new());
    }

    const OTHER_SQL: &str = "CREATE TABLE `bird` (id int) ENGINE=InnoDB # a comment\n;\n";

    fn check_as(engine: &str, files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(folder.path().join("sql")).unwrap();
        for (path, content) in files {
            fs_err::write(folder.path().join("sql").join(path), content).unwrap();
        }
        let text = format!("[databases.app]\nlocations = [\"sql\"]\n{engine}\n");
        fs_err::write(folder.path().join("whimbrel.toml"), text).unwrap();
        let checked = check(&Project::load(&folder.path().join("whimbrel.toml")).unwrap());
        checked.findings.iter().map(|finding| finding.slug.to_owned()).collect()
    }

    #[test]
    fn scripts_are_read_in_the_dialect_of_their_engine() {
        let files = [("V1__a.sql", OTHER_SQL)];
        assert_eq!(check_as("", &files), ["syntax"]);
        assert_eq!(check_as("engine = \"mysql\"", &files), Vec::<String>::new());
        assert_eq!(check_as("engine = \"mariadb\"", &files), Vec::<String>::new());
        // The scanner of the dialect still looks.
        assert_eq!(check_as("engine = \"mysql\"", &[("V1__a.sql", "SELECT 'open")]), ["unterminated-quote"]);
        assert_eq!(check_as("engine = \"sqlite\"", &[("V1__a.sql", "SELECT [a b];")]), Vec::<String>::new());
    }

    #[test]
    fn names_placeholders_and_encodings_are_those_of_the_runner() {
        let engine =
            "flyway = { sqlMigrationPrefix = \"M\", placeholderPrefix = \"[[\", placeholderSuffix = \"]]\" }";
        let text = "select 1 as \"${x}\", '[[flyway:user]]';";
        assert_eq!(check_as(engine, &[("M1__a.sql", text)]), Vec::<String>::new());
        assert_eq!(check_as(engine, &[("V1__a.sql", text)]), ["invalid-name"]);
        assert_eq!(check_as("flyway = { mixed = 7 }", &[]), ["bad-parameter"]);
        // Without the suffix nothing of it would be in the image.
        let suffix = "flyway = { sqlMigrationSuffixes = [\".ddl\"] }";
        assert_eq!(check_as(suffix, &[("V1__a.ddl", "creat x;")]), ["syntax"]);
    }

    #[test]
    fn missing_location_and_other_content_under_one_name_are_findings() {
        let (_folder, project) = project(&[("sql/V1__a.sql", "select 1;")], "");
        assert_eq!(slugs(&check(&project)), ["location-missing"]);
        fs_err::create_dir_all(project.root.join("views")).unwrap();
        fs_err::write(project.root.join("views/V1__a.sql"), "select 2;").unwrap();
        assert_eq!(slugs(&check(&project)), ["same-name"]);
    }
}
