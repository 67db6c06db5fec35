//! A copy of the sample project that a test may change, with databases, secrets and an image name of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cluster::Namespace;
use crate::postgres::Database;
use crate::program::whimbrel;
use crate::testbed;

/// What belongs to the sample project in this repository.
const PARTS: [&str; 9] = [
    "whimbrel.toml",
    "db",
    "charts",
    "tilt",
    "Tiltfile",
    "Dockerfile.dev",
    "Dockerfile.release",
    ".devcontainer",
    ".dockerignore",
];

/// A project in a folder of its own; the folder goes with this value.
pub struct Project {
    folder: TempDir,
    /// The image's repository in the registry, which no other test has.
    pub repository: String,
}

/// One entry of `[databases]`, as far as tests need it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub database: String,
    pub secret: String,
    /// What a key is for (`url`, `user`, `password`) and its name in the secret.
    pub keys: Vec<(String, String)>,
    pub locations: Vec<String>,
}

impl Project {
    /// Copies the sample project, as it is, under a new image name.
    pub fn sample() -> Self {
        let folder = tempfile::Builder::new().prefix("whimbrel-project-").tempdir().expect("there is room");
        for part in PARTS {
            copy(&testbed::repository().join(part), &folder.path().join(part));
        }
        let project = Self { folder, repository: format!("tests/{}", testbed::unique("p")) };
        let repository = format!("repository = \"{}\"", project.repository);
        project.replace("whimbrel.toml", "repository = \"ameide/ameide-migrations\"", &repository);
        project
    }

    /// A project with one database, `app`, whose scripts are in `sql/` (there are none yet).
    pub fn small() -> Self {
        let folder = tempfile::Builder::new().prefix("whimbrel-project-").tempdir().expect("there is room");
        let project = Self { folder, repository: format!("tests/{}", testbed::unique("p")) };
        project.write(
            "whimbrel.toml",
            &format!(
                "[project]\nname = \"small\"\n\n[image]\nrepository = \"{}\"\n\n[databases.app]\nlocations = [\"sql\"]\n\
                 secret = \"app-db\"\nkeys = {{ url = \"APP_DATABASE_URL\" }}\n",
                project.repository
            ),
        );
        fs_err::create_dir_all(project.file("sql")).expect("folders can be made");
        project
    }

    /// The project's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A file inside the project.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, and its folders.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        fs_err::create_dir_all(path.parent().expect("a file is in a folder")).expect("folders can be made");
        fs_err::write(path, text).expect("the project can be written");
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        fs_err::remove_file(self.file(name)).expect("the file is there");
    }

    /// Replaces a text that has to be there.
    #[track_caller]
    pub fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs_err::read_to_string(self.file(name)).expect("the file is there");
        assert!(text.contains(from), "{name} does not hold {from:?}");
        fs_err::write(self.file(name), text.replace(from, to)).expect("the project can be written");
    }

    /// Points the project at a namespace.
    #[track_caller]
    pub fn in_namespace(&self, namespace: &Namespace) {
        self.replace(
            "whimbrel.toml",
            "namespace = \"ameide\"",
            &format!("namespace = \"{}\"", namespace.name),
        );
    }

    /// The databases of `whimbrel.toml`, in its order.
    pub fn entries(&self) -> Vec<Entry> {
        let text = fs_err::read_to_string(self.file("whimbrel.toml")).expect("the file is there");
        let file: toml::Table = text.parse().expect("whimbrel.toml is TOML");
        let databases = file["databases"].as_table().expect("databases is a table");
        databases.iter().map(|(name, entry)| Entry::parse(name, entry)).collect()
    }

    /// The names of an entry's scripts, without folders, in no order.
    pub fn scripts(&self, entry: &Entry) -> Vec<String> {
        let mut names = Vec::new();
        for location in &entry.locations {
            collect(&self.file(location), &mut names);
        }
        names
    }

    /// Makes a database for each entry, on the testbed's server.
    pub fn create_databases(&self) -> Vec<(Entry, Database)> {
        let prefix = testbed::unique("p");
        let make = |entry: Entry| {
            let database = Database::named(&format!("{prefix}_{}", entry.database));
            (entry, database)
        };
        self.entries().into_iter().map(make).collect()
    }

    /// One of our binaries, in this project.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = whimbrel(name);
        command.current_dir(self.path());
        command
    }
}

impl Entry {
    fn parse(name: &str, entry: &toml::Value) -> Self {
        let text = |value: &toml::Value| value.as_str().expect("a string").to_owned();
        Self {
            database: name.to_owned(),
            secret: text(&entry["secret"]),
            keys: entry["keys"]
                .as_table()
                .expect("keys is a table")
                .iter()
                .map(|(purpose, key)| (purpose.clone(), text(key)))
                .collect(),
            locations: entry["locations"].as_array().expect("locations is a list").iter().map(text).collect(),
        }
    }

    /// The secret's keys with the values that pods need.
    pub fn values_in_cluster<'a>(&'a self, database: &Database) -> Vec<(&'a str, String)> {
        let value = |purpose: &str| match purpose {
            "url" => database.url_in_cluster(),
            "user" => database.user.clone(),
            "password" => database.password.clone(),
            other => panic!("the sample project uses no key for {other}"),
        };
        self.keys.iter().map(|(purpose, key)| (key.as_str(), value(purpose))).collect()
    }
}

/// Puts the secrets of all databases into a namespace.
pub fn create_secrets(namespace: &Namespace, databases: &[(Entry, Database)]) {
    for (entry, database) in databases {
        let values = entry.values_in_cluster(database);
        let keys: Vec<_> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        namespace.secret(&entry.secret, &keys);
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_symlink() {
        let target = fs_err::read_link(from).expect("it is a link");
        std::os::unix::fs::symlink(target, to).expect("the link can be copied");
    } else if from.is_dir() {
        fs_err::create_dir_all(to).expect("folders can be made");
        for entry in fs_err::read_dir(from).expect("the folder is there").flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else if from.exists() {
        fs_err::copy(from, to).expect("the file can be copied");
    }
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            collect(&entry.path(), names);
        } else if name.ends_with(".sql") {
            names.push(name);
        }
    }
}
