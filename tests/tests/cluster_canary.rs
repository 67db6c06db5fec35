//! A marked password goes through a deploy, and is found in its Secret alone.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use whimbrel_tests::canary::{PASSWORD, is_not_in, leaks, percent_encoded};
use whimbrel_tests::cluster::Namespace;
use whimbrel_tests::postgres::{Database, superuser};
use whimbrel_tests::program::{Ended, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::testbed;

const PATIENCE: Duration = Duration::from_secs(240);

struct Release {
    project: Project,
    namespace: Namespace,
    _database: Database,
}

impl Release {
    /// The sample's chart with one database, whose password is the marked one.
    fn prepare() -> Self {
        let mut database = Database::create("canary");
        database.password = percent_encoded();
        let literal = PASSWORD.replace('\'', "''");
        superuser(&format!("ALTER ROLE \"{}\" PASSWORD '{literal}'", database.user));
        let (project, namespace) = (Project::sample(), Namespace::create("canary"));
        let text = fs_err::read_to_string(project.file("whimbrel.toml")).expect("it is there");
        let mut file: toml::Table = text.parse().expect("it is TOML");
        let app = "locations = [\"sql\"]\nsecret = \"app-db\"\n\
                   keys = { url = \"APP_DATABASE_URL\", password = \"APP_DATABASE_PASSWORD\" }";
        let databases = toml::Table::from_iter([(
            "app".to_owned(),
            app.parse::<toml::Table>().expect("it is TOML").into(),
        )]);
        file.insert("databases".to_owned(), databases.into());
        project.write("whimbrel.toml", &file.to_string());
        project.in_namespace(&namespace);
        project.write("sql/V1__birds.sql", "CREATE TABLE bird (id int PRIMARY KEY);\n");
        namespace.secret(
            "app-db",
            &[("APP_DATABASE_URL", &database.url_in_cluster()), ("APP_DATABASE_PASSWORD", PASSWORD)],
        );
        Self { project, namespace, _database: database }
    }

    /// One of our tools, with everything that it can tell; its output is searched.
    #[track_caller]
    fn tool(&self, name: &str, arguments: &[&str], log: &str) -> Ended {
        let mut command = self.project.tool(name);
        command.args(arguments).env("WHIMBREL_LOG", log).env("RUST_BACKTRACE", "full");
        let ended = run(&mut command, PATIENCE);
        is_not_in(&format!("{name} {}", arguments.join(" ")), &ended.said());
        ended
    }

    /// Everything that Helm and the cluster tell of the release, but the Secret itself.
    #[track_caller]
    fn tells_nothing(&self) {
        for arguments in [
            &["get", "all", "db-migrations"][..],
            &["get", "values", "--all", "db-migrations"],
            &["history", "db-migrations", "--output=json"],
            &["status", "db-migrations", "--show-resources"],
        ] {
            let mut helm = clean(testbed::variable("WHIMBREL_TEST_HELM"));
            helm.env("KUBECONFIG", testbed::kubeconfig())
                .args(["--namespace", &self.namespace.name])
                .args(arguments);
            let ended = run(&mut helm, PATIENCE);
            // A first release that failed is a release all the same.
            is_not_in(&format!("helm {}", arguments.join(" ")), &ended.expect_code(0).said());
        }
        for arguments in [
            &["get", "jobs,pods,configmaps,events", "--output=yaml"][..],
            &["describe", "jobs,pods,events,secrets"],
            &["logs", "--selector=job-name=db-migrations", "--all-containers", "--tail=-1"],
        ] {
            let ended = self.namespace.kubectl(arguments).expect_code(0);
            assert!(!ended.stdout.is_empty(), "kubectl {} told nothing", arguments.join(" "));
            is_not_in(&format!("kubectl {}", arguments.join(" ")), &ended.said());
        }
        let pods = self.namespace.get("pods").expect("there is a list");
        let said = pods["items"].as_array().into_iter().flatten().any(|pod| {
            let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            state["message"].as_str().is_some_and(|message| message.contains("\"run\""))
        });
        assert!(said, "no termination message\n{pods:#}");
        self.helms_own_records_tell_nothing();
    }

    /// Helm keeps a release as packed JSON, in which a search of the text would find nothing.
    #[track_caller]
    fn helms_own_records_tell_nothing(&self) {
        let list = self
            .namespace
            .kubectl(&["get", "secrets", "--selector=owner=helm", "--output=json"])
            .expect_code(0);
        let list: serde_json::Value = serde_json::from_str(&list.stdout).expect("kubectl prints JSON");
        let records = list["items"].as_array().expect("a list");
        assert!(!records.is_empty(), "Helm keeps no release here");
        for record in records {
            let text = record["data"]["release"].as_str().expect("a release has data");
            let once = STANDARD.decode(text).expect("Kubernetes writes base64");
            let packed = STANDARD.decode(once).expect("Helm writes base64");
            let file = self.project.file("release.gz");
            fs_err::write(&file, packed).expect("there is room");
            let plain = run(clean("gzip").arg("-dc").arg(&file), PATIENCE).expect_code(0).stdout;
            assert!(plain.contains("\"manifest\""), "this is no release");
            is_not_in("Helm's record", &plain);
        }
    }
}

#[test]
fn a_deploy_leaves_the_password_in_its_secret_alone() {
    let release = Release::prepare();
    let secret = release.namespace.get("secret/app-db").expect("it was made");
    assert!(!leaks(&secret.to_string()).is_empty(), "the search does not see the Secret");
    release.tool("whimbrel", &["watch", "--once"], "trace").expect_code(0);
    release.tool("whimbrel-secrets", &["verify"], "trace").expect_code(0);
    release.tool("whimbrel", &["deploy", "-vvv"], "trace").expect_code(0);
    for arguments in [&["-vvv"][..], &["--format", "json", "-vv"], &["--timestamps", "--prefix", "always"]] {
        release.tool("whimbrel-tail", arguments, "trace").expect_code(0);
    }
    release.tool("whimbrel", &["doctor", "-vvv"], "trace");
    release.tells_nothing();

    // The syntax is right and the role is not there: the server refuses it in the Job.
    let literal = PASSWORD.replace('\'', "''");
    release
        .project
        .write("sql/V2__role.sql", &format!("ALTER ROLE nobody_at_all\n  PASSWORD '{literal}';\n"));
    release.tool("whimbrel", &["watch", "--once"], "trace").expect_code(0);
    release.tool("whimbrel", &["deploy", "--format", "json"], "trace").expect_code(7);
    release.tool("whimbrel-tail", &["-vvv"], "trace").expect_code(1);
    release.tells_nothing();
}
