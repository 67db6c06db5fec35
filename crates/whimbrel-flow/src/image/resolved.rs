//! The project's settings as the image holds them: what the runner needs, and nothing of this machine.

use std::path::PathBuf;

use whimbrel_cli::project::{Database, Keys, Project, ProjectFile};
use whimbrel_image::SQL_ROOT;

/// The text of the settings in the image: enabled databases with their place in the image and their placeholders.
/// Registry, cluster, secrets' names and local folders stay behind.
///
/// # Errors
/// When a value cannot be written as TOML.
pub fn resolved_settings(project: &Project) -> Result<String, toml::ser::Error> {
    let resolved = |(name, database): (&str, &Database)| {
        let in_image = Database {
            enabled: true,
            engine: database.engine,
            locations: vec![PathBuf::from(format!("{SQL_ROOT}/{name}"))],
            secret: String::new(),
            keys: Keys::default(),
            schema: database.schema.clone(),
            placeholders: database.placeholders.clone(),
            flyway: database.flyway.clone(),
        };
        (name.to_owned(), in_image)
    };
    let file = ProjectFile {
        project: project.file.project.clone(),
        check: project.file.check.clone(),
        migrate: project.file.migrate.clone(),
        placeholders: project.file.placeholders.clone(),
        flyway: project.file.flyway.clone(),
        databases: project.enabled().map(resolved).collect(),
        ..ProjectFile::default()
    };
    toml::to_string(&file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_this_machine_is_in_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whimbrel.toml");
        fs_err::write(
            &path,
            "[project]\nname = \"shop\"\n[image]\nrepository = \"a/b\"\n[registry]\npush = \"localhost:5000\"\n\
             [cluster]\nnamespace = \"x\"\n[placeholders]\nseed = \"false\"\n\
             [databases.app]\nlocations = [\"sql/app\", \"views\"]\nsecret = \"s\"\nkeys = { url = \"U\" }\n\
             schema = \"app\"\n[databases.off]\nenabled = false\nlocations = [\"gone\"]\n",
        )
        .unwrap();
        let text = resolved_settings(&Project::load(&path).unwrap()).unwrap();
        let expected = "[project]\nname = \"shop\"\n\n[check]\nsyntax = true\n\n[placeholders]\nseed = \"false\"\n\n\
             [databases.app]\nenabled = true\nlocations = [\"/flyway/sql/app\"]\nschema = \"app\"\n";
        assert_eq!(text, expected);
        fs_err::write(&path, &text).unwrap();
        Project::load(&path).expect("what is written is read again");
    }
}
