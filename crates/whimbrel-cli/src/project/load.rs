//! Finding, reading and checking a project file.

use std::path::{Path, PathBuf};

use super::model::{Project, ProjectFile};
use crate::error::{CommandError, ErrorKind};
use crate::settings::{NamedSetting, Origin};

/// The name of the project file.
const FILE_NAME: &str = "whimbrel.toml";
/// Where the image holds it.
const IN_IMAGE: &str = "/flyway/whimbrel.toml";
/// The folder beside the project file that holds the state of a checkout.
pub const STATE_FOLDER: &str = ".whimbrel";

/// Why there is no project to work on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// No file from here upwards.
    #[error("no whimbrel.toml in {} or any folder above it", .from.display())]
    NotFound {
        /// Where the search began.
        from: PathBuf,
    },
    /// There is no working directory to search from; it was deleted, or may not be read.
    #[error("cannot tell the working directory")]
    Here(#[source] std::io::Error),
    /// It cannot be read.
    #[error("cannot read the project file")]
    Read(#[source] std::io::Error),
    /// It is not what it should be.
    #[error("{}: {message}", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// It parses, but a value makes no sense.
    #[error("{}: {key}: {reason}", .path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key's path.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl From<ProjectError> for CommandError {
    fn from(error: ProjectError) -> Self {
        let not_found = matches!(error, ProjectError::NotFound { .. });
        let error = Self::new(ErrorKind::Usage, error);
        if not_found {
            error.hinted("change to a project's folder, or name its file with --config FILE")
        } else {
            error
        }
    }
}

impl Project {
    /// Finds the project file: the given one, else the nearest from `from` upwards, else the one of the image.
    ///
    /// # Errors
    /// When there is none, or it is not valid.
    pub fn find(given: Option<&Path>, from: &Path) -> Result<Self, ProjectError> {
        if let Some(path) = given {
            return Self::load(path);
        }
        let nearest = from.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file());
        let path = nearest.or_else(|| Some(PathBuf::from(IN_IMAGE)).filter(|path| path.is_file()));
        path.map_or_else(|| Err(ProjectError::NotFound { from: from.to_owned() }), |path| Self::load(&path))
    }

    /// Finds the project file from the working directory.
    ///
    /// # Errors
    /// As [`Project::find`], and when there is no working directory.
    pub fn find_from_here(given: Option<&Path>) -> Result<Self, ProjectError> {
        let here = std::env::current_dir().map_err(ProjectError::Here)?;
        Self::find(given, &here)
    }

    /// Reads this project file.
    ///
    /// # Errors
    /// When it cannot be read or is not valid.
    pub fn load(path: &Path) -> Result<Self, ProjectError> {
        let text = fs_err::read_to_string(path).map_err(ProjectError::Read)?;
        let root = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok(Self {
            path: path.to_owned(),
            root: root.map_or_else(|| PathBuf::from("."), Path::to_owned),
            file: parse(path, &text)?,
        })
    }

    /// Every setting of the file with its origin, in the order of their names.
    pub fn settings(&self) -> Vec<NamedSetting> {
        let mut named = Vec::new();
        let given = toml::Table::try_from(&self.file).unwrap_or_default();
        let written =
            fs_err::read_to_string(&self.path).ok().and_then(|text| text.parse::<toml::Table>().ok());
        flatten("", &toml::Value::Table(given), &mut |name, value| {
            let is_written = written.as_ref().is_some_and(|table| has_path(table, &name));
            let origin = if is_written { Origin::ProjectFile(self.path.clone()) } else { Origin::Default };
            named.push(NamedSetting { name, value, origin });
        });
        named
    }
}

fn parse(path: &Path, text: &str) -> Result<ProjectFile, ProjectError> {
    let file: ProjectFile = toml::from_str(text).map_err(|error| ProjectError::Parse {
        path: path.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })?;
    let wrong = |key: String, reason| Err(ProjectError::Value { path: path.to_owned(), key, reason });
    for (name, database) in &file.databases {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        if name.is_empty() || !name.chars().all(legal) {
            return wrong(
                format!("databases.{name}"),
                "a name has lower-case letters, digits, '_' and '-' only",
            );
        }
        if database.locations.is_empty() {
            return wrong(format!("databases.{name}.locations"), "needs at least one folder");
        }
    }
    Ok(file)
}

fn flatten(prefix: &str, value: &toml::Value, each: &mut impl FnMut(String, String)) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, each);
            }
        }
        toml::Value::String(text) => each(prefix.to_owned(), text.clone()),
        toml::Value::Array(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
                .collect();
            each(prefix.to_owned(), items.join(", "));
        }
        other => each(prefix.to_owned(), other.to_string()),
    }
}

fn has_path(table: &toml::Table, path: &str) -> bool {
    let mut parts = path.split('.');
    let Some(first) = parts.next().and_then(|part| table.get(part)) else { return false };
    parts.try_fold(first, |value, part| value.get(part)).is_some()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use test_case::test_case;

    use super::{Project, ProjectError, parse};

    const SMALL: &str = "[project]\nname = \"shop\"\n[databases.orders]\nlocations = \
                         [\"sql/orders\"]\nsecret = \"orders-db\"\nkeys = { url = \"ORDERS_DATABASE_URL\" }\n";

    #[test]
    fn a_small_project_has_sensible_defaults() {
        let file = parse(Path::new("whimbrel.toml"), SMALL).unwrap();
        let orders = &file.databases["orders"];
        assert!(orders.enabled && file.check.syntax);
        assert_eq!(orders.keys.named().collect::<Vec<_>>(), [("URL", "ORDERS_DATABASE_URL")]);
    }

    #[test_case("[databases.a]\nlocation = [\"x\"]\n", "unknown field `location`"; "a misspelt key")]
    #[test_case("[databases.a]\nlocations = []\n", "needs at least one folder"; "no location")]
    #[test_case("[databases.\"A b\"]\nlocations = [\"x\"]\n", "lower-case"; "a name that cannot be one")]
    fn a_bad_project_says_what_and_where(text: &str, expected: &str) {
        let message = parse(Path::new("whimbrel.toml"), text).unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains("whimbrel.toml"), "{message}");
    }

    #[test]
    fn the_nearest_file_upwards_is_found_and_paths_start_from_it() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("whimbrel.toml"), SMALL).unwrap();
        let below = folder.path().join("a/b");
        fs_err::create_dir_all(&below).unwrap();
        let project = Project::find(None, &below).unwrap();
        let (_, orders) = project.enabled().next().unwrap();
        assert_eq!(project.locations(orders), [folder.path().join("sql/orders")]);
        assert!(matches!(Project::find(None, Path::new("/nowhere")), Err(ProjectError::NotFound { .. })));
    }

    #[test]
    fn each_setting_tells_whether_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whimbrel.toml");
        fs_err::write(&path, SMALL).unwrap();
        let settings = Project::load(&path).unwrap().settings();
        let origin = |name: &str| settings.iter().find(|s| s.name == name).map(|s| s.origin.to_string());
        assert_eq!(origin("project.name"), Some(path.display().to_string()));
        assert_eq!(origin("databases.orders.enabled"), Some("default".to_owned()));
    }
}
