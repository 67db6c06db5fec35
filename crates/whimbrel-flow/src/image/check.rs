//! What goes into the image, and what speaks against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use whimbrel_cli::project::Project;
use whimbrel_files::scan::{Scan, ScanError, scan};
use whimbrel_image::SqlSet;
use whimbrel_migration::check::{CheckRules, File};
use whimbrel_migration::conf::ScriptConf;
use whimbrel_migration::finding::{Finding, Severity};
use whimbrel_migration::name::NamingRules;
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
            let placeholders = placeholders(name, &project.placeholders(database));
            let mut set =
                DatabaseSet { database: name, placeholders, files: BTreeMap::new(), found: Vec::new() };
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

/// Flyway's own placeholders have values only at run time; at the time of the check any word serves.
const BUILT_IN: [&str; 7] =
    ["defaultSchema", "user", "database", "timestamp", "filename", "workingDirectory", "table"];

fn placeholders(database: &str, given: &BTreeMap<String, String>) -> Placeholders {
    let mut placeholders = Placeholders::default();
    for (name, value) in given {
        placeholders.set(name, value);
    }
    for name in BUILT_IN {
        placeholders.set(&format!("flyway:{name}"), database);
    }
    placeholders.set("flyway:environment", "default");
    placeholders
}

/// One database's files, in the order of their locations.
struct DatabaseSet<'a> {
    database: &'a str,
    placeholders: Placeholders,
    files: BTreeMap<String, (PathBuf, Vec<u8>)>,
    found: Vec<Finding>,
}

impl DatabaseSet<'_> {
    fn add_location(&mut self, location: &Path, checked: &mut CheckedSet) -> Result<(), ScanError> {
        let found = match scan(location) {
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
            naming: &NamingRules::default(),
            placeholders: Some(&self.placeholders),
            settings: &Settings::default(),
        };
        self.found = whimbrel_migration::check::check(&files, &rules).findings;
    }

    /// The scripts that will run and have nothing graver against them.
    fn texts(&self) -> impl Iterator<Item = (&str, SqlText<'_>)> {
        self.files.iter().filter(|(path, _)| self.wants_syntax(path)).filter_map(|(path, (_, contents))| {
            let text = std::str::from_utf8(contents).ok()?;
            let placeholders = self.replaces(path).then_some(&self.placeholders);
            Some((path.as_str(), SqlText { text, placeholders }))
        })
    }

    fn wants_syntax(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        NamingRules::default().parse(name).is_ok()
            && !self.found.iter().any(|f| f.script.as_deref() == Some(path) && f.severity == Severity::Error)
    }

    fn replaces(&self, path: &str) -> bool {
        self.files
            .get(&format!("{path}.conf"))
            .and_then(|(_, conf)| ScriptConf::parse(&String::from_utf8_lossy(conf)).ok())
            .and_then(|conf| conf.placeholder_replacement)
            .unwrap_or(true)
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

    #[test]
    fn missing_location_and_other_content_under_one_name_are_findings() {
        let (_folder, project) = project(&[("sql/V1__a.sql", "select 1;")], "");
        assert_eq!(slugs(&check(&project)), ["location-missing"]);
        fs_err::create_dir_all(project.root.join("views")).unwrap();
        fs_err::write(project.root.join("views/V1__a.sql"), "select 2;").unwrap();
        assert_eq!(slugs(&check(&project)), ["same-name"]);
    }
}
