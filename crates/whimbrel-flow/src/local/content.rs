//! What the Job works on: the scripts of the image, unpacked beside the project file that the image holds.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use whimbrel_cli::project::Project;
use whimbrel_image::{Digest, SQL_ROOT, SqlSet};

use crate::image::resolved_settings;

/// The folder of one content, and the project file in it.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// The folder.
    pub folder: PathBuf,
    /// The project file that the runner reads.
    pub config: PathBuf,
}

/// Unpacks the scripts below the project's state folder. The same scripts are not written twice, and a killed run
/// leaves no half folder.
pub(super) fn unpack(project: &Project, sql: &SqlSet) -> io::Result<Content> {
    let settings = settings_of(project);
    let identity = Digest::of(format!("{}\n{settings}", sql.digest()).as_bytes());
    let parent = project.state_path("content");
    let name = &identity.hex()[..16];
    let folder = parent.join(name);
    let content = Content { config: folder.join("whimbrel.toml"), folder };
    if !content.config.is_file() {
        let unfinished = parent.join(format!("unfinished-{}", std::process::id()));
        remove(&unfinished)?;
        // A database without scripts has a folder, too.
        for (database, _) in project.enabled() {
            fs_err::create_dir_all(unfinished.join("sql").join(database))?;
        }
        write(&unfinished, sql, &settings)?;
        remove(&content.folder)?;
        fs_err::rename(&unfinished, &content.folder)?;
    }
    for entry in fs_err::read_dir(&parent)? {
        let entry = entry?;
        if entry.file_name() != *name {
            remove(&entry.path())?;
        }
    }
    Ok(content)
}

fn write(folder: &Path, sql: &SqlSet, settings: &str) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    for (database, path, bytes) in sql.iter() {
        let file = folder.join("sql").join(database).join(path);
        if let Some(parent) = file.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(file, bytes)?;
    }
    fs_err::write(folder.join("whimbrel.toml"), settings)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The settings as the image has them, with the scripts beside the file.
fn settings_of(project: &Project) -> String {
    // What was read as TOML can be written as TOML.
    resolved_settings(project).unwrap_or_default().replace(&format!("\"{SQL_ROOT}/"), "\"sql/")
}

/// The files of one database, as the image has them.
pub(super) fn files_of<'a>(sql: &'a SqlSet, database: &'a str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
    sql.iter().filter(move |(of, ..)| *of == database).map(|(_, path, bytes)| (path, bytes))
}

/// A digest for the files of each database, to see which ones a save concerns.
pub(super) fn digests(sql: &SqlSet, databases: &[String]) -> BTreeMap<String, String> {
    let digest = |database: &String| {
        let lines = files_of(sql, database).map(|(path, bytes)| format!("{}  {path}\n", Digest::of(bytes)));
        Digest::of(lines.collect::<String>().as_bytes()).to_string()
    };
    databases.iter().map(|database| (database.clone(), digest(database))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(folder: &Path) -> Project {
        let text = "[project]\nname = \"shop\"\n[placeholders]\nx = \"1\"\n[databases.orders]\n\
                    locations = [\"sql/a\", \"sql/b\"]\n[databases.other]\nlocations = [\"sql/c\"]\n";
        fs_err::write(folder.join("whimbrel.toml"), text).unwrap();
        Project::load(&folder.join("whimbrel.toml")).unwrap()
    }

    #[test]
    fn the_runner_finds_the_scripts_of_the_image_beside_its_project_file() {
        let folder = tempfile::tempdir().unwrap();
        let project = project(folder.path());
        let mut sql = SqlSet::default();
        sql.insert("orders", "deep/V1__a.sql", b"select 1;".to_vec(), "x").unwrap();
        let first = unpack(&project, &sql).unwrap();
        let resolved = Project::load(&first.config).unwrap();
        let (_, orders) = resolved.enabled().next().unwrap();
        let script = resolved.locations(orders)[0].join("deep/V1__a.sql");
        assert_eq!(fs_err::read_to_string(script).unwrap(), "select 1;");
        assert!(first.folder.join("sql/other").is_dir(), "a database without scripts has its folder");
        assert_eq!(resolved.file.placeholders["x"], "1");

        assert_eq!(unpack(&project, &sql).unwrap().folder, first.folder);
        sql.insert("orders", "V2__b.sql", b"select 2;".to_vec(), "x").unwrap();
        let second = unpack(&project, &sql).unwrap();
        assert_ne!(second.folder, first.folder);
        assert!(!first.folder.exists(), "the old content is swept");
    }

    #[test]
    fn a_save_concerns_its_own_database_only() {
        let mut sql = SqlSet::default();
        sql.insert("a", "V1__a.sql", b"1".to_vec(), "x").unwrap();
        sql.insert("b", "V1__b.sql", b"1".to_vec(), "x").unwrap();
        let databases = ["a".to_owned(), "b".to_owned()];
        let before = digests(&sql, &databases);
        sql.insert("b", "V2__b.sql", b"2".to_vec(), "x").unwrap();
        let after = digests(&sql, &databases);
        assert!(before["a"] == after["a"] && before["b"] != after["b"]);
    }
}
