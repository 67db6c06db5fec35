//! The sample project with everything a deploy needs: namespace, databases, secrets.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::Namespace;
use crate::postgres::Database;
use crate::program::{Ended, Running, clean, path_with_testbed, run};
use crate::project::{Entry, Project, create_secrets};
use crate::testbed;

/// Long enough for a Job on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A project that can be deployed.
pub struct Release {
    pub project: Project,
    pub namespace: Namespace,
    pub databases: Vec<(Entry, Database)>,
}

impl Release {
    /// Makes everything but the image.
    pub fn prepare(prefix: &str) -> Self {
        let project = Project::sample();
        let namespace = Namespace::create(prefix);
        project.in_namespace(&namespace);
        let databases = project.create_databases();
        create_secrets(&namespace, &databases);
        Self { project, namespace, databases }
    }

    /// The database of this entry.
    #[track_caller]
    pub fn database(&self, name: &str) -> &Database {
        let found = self.databases.iter().find(|(entry, _)| entry.database == name);
        found.map(|(_, database)| database).unwrap_or_else(|| panic!("no database is called {name}"))
    }

    /// Builds and pushes the image.
    #[track_caller]
    pub fn push(&self) -> Ended {
        run(self.project.tool("whimbrel").args(["watch", "--once"]), PATIENCE).expect_code(0)
    }

    /// `whimbrel deploy`, to its end.
    #[track_caller]
    pub fn deploy(&self) -> Ended {
        self.start_deploy().wait(PATIENCE)
    }

    /// `whimbrel deploy`, in the background.
    #[track_caller]
    pub fn start_deploy(&self) -> Running {
        Running::start(self.project.tool("whimbrel").arg("deploy"))
    }

    /// `helm` in this namespace.
    #[track_caller]
    pub fn helm(&self, arguments: &[&str]) -> Ended {
        let mut command = clean(testbed::variable("WHIMBREL_TEST_HELM"));
        command.env("KUBECONFIG", testbed::kubeconfig()).env("PATH", path_with_testbed());
        run(command.args(["--namespace", &self.namespace.name]).args(arguments), PATIENCE)
    }

    /// The release's status, as Helm tells it.
    #[track_caller]
    pub fn status(&self) -> String {
        let answer = self.helm(&["status", "db-migrations", "--output=json"]).expect_code(0);
        let status: Value = serde_json::from_str(&answer.stdout).expect("helm prints JSON");
        status["info"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Every database is at the highest version of its files, and each file is in the history once.
    #[track_caller]
    pub fn is_up_to_date(&self) {
        for (entry, database) in &self.databases {
            let files = self.project.scripts(entry);
            assert_eq!(database.version(), highest(&files), "{}", entry.database);
            let rows = "SELECT count(*) FROM flyway_schema_history WHERE success AND script LIKE '%.sql'";
            let scripts = "SELECT count(DISTINCT script) FROM flyway_schema_history WHERE success AND script LIKE '%.sql'";
            assert_eq!(database.number(scripts), files.len() as i64, "{}: scripts", entry.database);
            let versioned = "SELECT count(*) FROM flyway_schema_history WHERE version IS NOT NULL";
            let distinct =
                "SELECT count(DISTINCT version) FROM flyway_schema_history WHERE version IS NOT NULL";
            assert_eq!(database.number(versioned), database.number(distinct), "{}: doubles", entry.database);
            assert!(database.number(rows) >= files.len() as i64, "{}", entry.database);
        }
    }

    /// Panics when a text holds the password of any database.
    #[track_caller]
    pub fn holds_no_password(&self, what: &str, text: &str) {
        for (entry, database) in &self.databases {
            assert!(!text.contains(&database.password), "{what} holds the password of {}", entry.database);
        }
    }
}

fn highest(files: &[String]) -> Option<String> {
    let versions =
        files.iter().filter_map(|file| file.strip_prefix('V')?.split_once("__").map(|(version, _)| version));
    let key = |version: &str| -> Vec<u64> {
        version
            .split(['.', '_'])
            .map(|part| part.parse().expect("the sample's versions are numbers"))
            .collect()
    };
    versions.max_by_key(|version| key(version)).map(|version| version.replace('_', "."))
}
