//! A marked password goes through every tool, at every level, in text and JSON, and is found nowhere.

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use whimbrel_tests::canary::{PASSWORD, is_not_below, is_not_in, leaks, percent_encoded};
use whimbrel_tests::postgres::{Database, host_and_port, superuser};
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::project::Project;

const PATIENCE: Duration = Duration::from_secs(90);

/// How much is told: an option, and what `WHIMBREL_LOG` is.
const LEVELS: [(&[&str], &str); 5] =
    [(&[], ""), (&["-v"], ""), (&["-vv"], ""), (&["-vvv"], ""), (&[], "trace")];
const FORMATS: [&str; 2] = ["text", "json"];

thread_local! { static PROBLEMS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) }; }

/// Keeps what is wrong, so that one run of a test tells all leaks.
fn problem(text: String) {
    PROBLEMS.with_borrow_mut(|problems| problems.push(text));
}

/// Panics with all that was wrong in this test.
#[track_caller]
fn nothing_was_told() {
    let problems = PROBLEMS.take();
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n\n"));
}

/// The code depends on what else is wrong; only the words are looked at.
const ANY: i32 = -1;

/// One way to start a tool, and how it has to end: a case that ends otherwise does not show what it is there for.
struct Case {
    name: &'static str,
    tool: &'static str,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    code: i32,
}

fn case(name: &'static str, tool: &'static str, arguments: &[&str], code: i32) -> Case {
    let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    Case { name, tool, arguments, variables: Vec::new(), code }
}

impl Case {
    fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Starts it, searches what it says, and gives that back; what is wrong is kept until the end of the test.
    fn run(&self, project: &Project, level: (&[&str], &str), format: &str) -> Ended {
        let mut command = project.tool(self.tool);
        command.args(&self.arguments).env("RUST_BACKTRACE", "full").env("TERM", "dumb");
        for (variable, value) in &self.variables {
            command.env(variable, value);
        }
        if !level.1.is_empty() {
            command.env("WHIMBREL_LOG", level.1);
        }
        // Flyway's command line has its own words for both.
        match (self.arguments.first().map(String::as_str), format) {
            (Some("flyway"), "json") => command.arg("-outputType=json"),
            (Some("flyway"), _) if !level.0.is_empty() => command.arg("-X"),
            (Some("flyway"), _) => &mut command,
            _ => command.args(level.0).args(["--format", format]),
        };
        let ended = run(&mut command, PATIENCE);
        let what = format!("{} ({} {} {format})", self.name, level.0.join(" "), level.1);
        for (stream, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
            for leak in leaks(text) {
                problem(format!("{stream} of {what} tells the password:\n{leak}"));
            }
        }
        if self.code != ANY && ended.code != Some(self.code) {
            problem(format!("{what} ended with {:?} instead of {}\n{}", ended.code, self.code, ended.said()));
        }
        ended
    }
}

/// Every case at every level in every format.
fn travel(project: &Project, cases: &[Case]) {
    for case in cases {
        for level in LEVELS {
            for format in FORMATS {
                case.run(project, level, format);
            }
        }
    }
}

/// A project whose database wants the marked password.
fn project() -> (Project, Database) {
    let mut database = Database::create("canary");
    database.password = PASSWORD.to_owned();
    let literal = PASSWORD.replace('\'', "''");
    superuser(&format!("ALTER ROLE \"{}\" PASSWORD '{literal}'", database.user));
    let project = Project::small();
    project.write("sql/V1__birds.sql", "CREATE TABLE bird (id int PRIMARY KEY);\n");
    (project, database)
}

fn url(database: &Database) -> String {
    url_with(database, &percent_encoded())
}

fn url_with(database: &Database, password: &str) -> String {
    format!("postgres://{}:{password}@{}/{}", database.user, host_and_port(), database.name)
}

/// An SQL literal in each of PostgreSQL's ways to write one.
fn literals() -> [String; 4] {
    let doubled = PASSWORD.replace('\'', "''");
    let escaped = PASSWORD.replace('\\', "\\\\").replace('\'', "\\'");
    [
        format!("'{doubled}'"),
        format!("E'{escaped}'"),
        format!("$${PASSWORD}$$"),
        format!("$pw${PASSWORD}$pw$"),
    ]
}

#[test]
fn the_search_finds_a_planted_password_in_each_form() {
    let json = serde_json::to_string(PASSWORD).expect("a text is JSON");
    let mut forms = vec![
        PASSWORD.to_owned(),
        PASSWORD.to_uppercase(),
        percent_encoded(),
        percent_encoded().to_lowercase(),
        format!("postgres://u:{}@h/d", percent_encoded()),
        json.replace('/', "\\/").replace('é', "\\u00e9"),
        format!("{PASSWORD:?}"),
        format!("{:?}", PASSWORD.as_bytes()),
        PASSWORD.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect(),
        PASSWORD.bytes().map(|byte| format!("\\u{byte:04X}")).collect(),
        "no host is called w4rbl3r".to_owned(),
        "no database is called n1ghtj4r".to_owned(),
    ];
    for before in ["", "u", "u:", "usr", "user:"] {
        for after in ["", "@", "@h", "@host"] {
            let text = format!("{before}{PASSWORD}{after}");
            forms.extend([STANDARD.encode(&text), URL_SAFE.encode(&text)]);
        }
    }
    for form in forms {
        assert!(!leaks(&form).is_empty(), "not found: {form}");
        assert!(!leaks(&format!("{} {form} {}", "é".repeat(200), "é".repeat(200))).is_empty(), "{form}");
    }
    for harmless in ["", "canary", "password authentication failed for user \"canary_1\"", "PASSWORD ***"] {
        assert!(leaks(harmless).is_empty(), "{harmless}");
    }
}

#[test]
fn a_run_that_goes_well_tells_nothing() {
    let (project, database) = project();
    project.write(
        "sql/V2__secret.sql",
        "DO $do$ BEGIN RAISE NOTICE 'PASSWORD %', length($q$${App_Password}$q$); END $do$;\n",
    );
    let url = url(&database);
    let runner = |name, arguments: &[&str]| {
        case(name, "whimbrel-migrate", arguments, 0)
            .with("APP_DATABASE_URL", &url)
            .with("WHIMBREL_PLACEHOLDER_APP_PASSWORD", PASSWORD)
            .with("WHIMBREL_TERMINATION_LOG", "termination-log")
    };
    project.write("termination-log", "");
    let verbs = [
        runner("dry run", &["migrate", "--dry-run"]),
        runner("migrate", &["migrate", "--report", "report.json"]),
        runner("migrate again", &["migrate"]),
        runner("info", &["info"]),
        runner("validate", &["validate"]),
        runner("repair", &["repair"]),
        runner("clean", &["clean", "--clean-enabled"]),
        runner("baseline", &["baseline"]),
        runner("clean a baseline", &["clean", "--clean-enabled"]),
    ];
    for level in LEVELS {
        for format in FORMATS {
            for verb in &verbs {
                verb.run(&project, level, format);
                tells_nothing_of_itself(&project, &database);
            }
        }
    }
    assert!(project.file("report.json").is_file());
    assert!(fs_err::metadata(project.file("termination-log")).expect("it is there").len() > 0);
    nothing_was_told();
}

/// Where the password was put; everything else in a project is searched.
const OWN: [&str; 6] =
    ["/sql/", "/given/", "secrets.env", ".whimbrel/secrets", "report.json", "termination-log"];

/// The files that a run leaves, and every row in the database.
fn tells_nothing_of_itself(project: &Project, database: &Database) {
    for file in ["report.json", "termination-log"] {
        let bytes = fs_err::read(project.file(file)).unwrap_or_default();
        for leak in leaks(&String::from_utf8_lossy(&bytes)) {
            problem(format!("{file} tells the password:\n{leak}"));
        }
    }
    // The scripts here are the user's own, and may hold what he wrote into them.
    assert!(is_not_below(project.path(), &OWN) > 0);
    let rows = "SELECT string_agg(query_to_xml(format('SELECT * FROM %I.%I', schemaname, tablename), true, false, '')::text, '') \
                FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    is_not_in("a table", &database.ask(rows));
}

#[test]
fn f1_no_way_to_miss_the_database_tells_the_password() {
    let (project, database) = project();
    let (raw, encoded) = (PASSWORD, percent_encoded());
    let (user, name, place) = (database.user.clone(), database.name.clone(), host_and_port());
    let runner = |name, url: &str, code| {
        case(name, "whimbrel-migrate", &["migrate"], code).with("APP_DATABASE_URL", url)
    };
    project.write("given/url", &format!("postgres://{user}:{encoded}@127.0.0.1:1/{name}\n"));
    let file = project.file("given/url").display().to_string();
    travel(
        &project,
        &[
            runner("wrong password", &url_with(&database, &format!("{encoded}x")), 4),
            runner("wrong password, not encoded", &format!("postgres://{user}:{raw}@{place}/{name}"), 3),
            runner("unknown user", &format!("postgres://nobody:{encoded}@{place}/{name}"), 4),
            runner("missing database", &format!("postgres://{user}:{encoded}@{place}/nothing_here"), 4),
            runner("nobody listens", &format!("postgres://{user}:{encoded}@127.0.0.1:1/{name}"), 4),
            runner("unknown host", &format!("postgres://{user}:{encoded}@nowhere.invalid/{name}"), 4),
            runner("password as port", &format!("postgres://127.0.0.1:{encoded}/{name}"), 3),
            runner("bad port", &format!("postgres://{user}:{encoded}@127.0.0.1:http/{name}"), 3),
            runner("bad scheme", &format!("oracle://{user}:{encoded}@{place}/{name}"), 3),
            runner("bad encoding", &format!("postgres://{user}:{encoded}%zz@{place}/{name}"), 3),
            runner("only a password", raw, 3),
            runner(
                "bad TLS mode",
                &format!("postgres://{user}:{encoded}@{place}/{name}?sslmode={encoded}"),
                3,
            ),
            runner("TLS that is not there", &format!("{}?sslmode=require", url(&database)), 4),
            runner(
                "unknown parameter",
                &format!("postgres://{place}/{name}?user={user}&password={encoded}x&{encoded}=1"),
                4,
            ),
            runner("JDBC", &format!("jdbc:postgresql://{place}/{name}?user={user}&password={encoded}x"), 4),
            runner("line break", &format!("postgres://{user}:{encoded}@{place}/{name}\n"), 3),
            case("URL in a file", "whimbrel-migrate", &["migrate"], 4).with("APP_DATABASE_URL_FILE", &file),
            case("wait", "whimbrel-migrate", &["migrate", "--wait", "200ms"], 4)
                .with("APP_DATABASE_URL", &format!("postgres://{user}:{encoded}@127.0.0.1:1/{name}")),
        ],
    );
    nothing_was_told();
}

#[test]
fn flyways_command_line_tells_nothing_of_what_it_was_given() {
    let (project, database) = project();
    let url = format!("-url=jdbc:postgresql://{}/{}", host_and_port(), database.name);
    let url_with_password = format!("{url}?user={}&password={}", database.user, percent_encoded());
    let (user, password) = (format!("-user={}", database.user), format!("-password={PASSWORD}"));
    let wrong = format!("{password}x");
    let placeholder = format!("-placeholders.app_password={PASSWORD}");
    let locations = "-locations=filesystem:sql";
    let flyway = |name, arguments: &[&str], code| {
        let arguments: Vec<&str> = ["flyway"].into_iter().chain(arguments.iter().copied()).collect();
        case(name, "whimbrel", &arguments, code)
    };
    let unusable = format!("-url=mysql://u:{}@h/d", percent_encoded());
    let mut cases: Vec<Case> = ["migrate", "info", "validate", "repair"]
        .map(|verb| flyway(verb, &[&url, &user, &password, &placeholder, locations, verb], 0))
        .into();
    cases.extend([
        flyway("URL with the password", &[&url_with_password, locations, "info"], 0),
        flyway("wrong password", &[&url, &user, &wrong, locations, "migrate"], 1),
        flyway("clean disabled", &[&url, &user, &password, locations, "clean"], 1),
        flyway("bad URL", &[&unusable, locations, "info"], 1),
        flyway("given twice", &[&url, &password, &wrong, "info"], 1),
        flyway("unknown command", &[&url, &password, "inform"], 1),
        flyway("variables", &[locations, "migrate"], 1)
            .with("FLYWAY_URL", &url[5..])
            .with("FLYWAY_USER", &database.user)
            .with("FLYWAY_PASSWORD", &wrong[10..]),
    ]);
    travel(&project, &cases);
    tells_nothing_of_itself(&project, &database);
    nothing_was_told();
}

#[test]
fn a_script_that_fails_is_told_without_its_password() {
    let (project, database) = project();
    project.write("termination-log", "");
    let literal = &literals()[0];
    let mut scripts: Vec<String> = literals()
        .iter()
        .flat_map(|literal| {
            [
                format!("CREATE ROLE nope PASSWORD {literal};"),
                format!("CREATE ROLE nope LOGIN\n  ENCRYPTED PASSWORD\n  {literal}\n  NOPE;"),
                format!("DO $do$ BEGIN EXECUTE format('ALTER ROLE nope PASSWORD %L', {literal}); END $do$;"),
            ]
        })
        .collect();
    let (open, encoded) = (PASSWORD.replace('\'', ""), percent_encoded());
    scripts.extend([
        format!("ALTER ROLE nope PASSWORD 'é{open}"),
        format!("CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 password={encoded}' PUBLICATION p;"),
        format!("SELECT nope('postgres://u:{encoded}@h/d');"),
        format!("CREATE USER MAPPING FOR CURRENT_USER SERVER nope OPTIONS (user 'u', password {literal});"),
        "CREATE ROLE nope PASSWORD $q$${app_password}$q$;".to_owned(),
        "SELECT nope($q$${app_password}$q$);".to_owned(),
        "INSERT INTO bird VALUES ($q$${app_password}$q$);".to_owned(),
        "DO $do$ BEGIN RAISE EXCEPTION 'no: %', $q$${app_password}$q$ USING DETAIL = $q$${app_password}$q$; END $do$;"
            .to_owned(),
        "DO $do$ BEGIN RAISE WARNING 'no: %', $q$${app_password}$q$; END $do$; SELECT nope();".to_owned(),
        "SELECT ${app_password};".to_owned(),
    ]);
    for script in scripts {
        project.write("sql/V2__role.sql", &script);
        for (index, format) in FORMATS.into_iter().enumerate() {
            let code = if is_unreadable(&script) { ANY } else { 7 };
            let arguments = ["migrate", "--report", "report.json"];
            let migrate = case("failing script", "whimbrel-migrate", &arguments, code)
                .with("APP_DATABASE_URL", &url(&database))
                .with("WHIMBREL_PLACEHOLDER_APP_PASSWORD", PASSWORD)
                .with("WHIMBREL_TERMINATION_LOG", "termination-log");
            for level in [LEVELS[4], LEVELS[index * 2]] {
                // What failed outside of a transaction stops the next run.
                let fresh = "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION";
                database.ask(&format!("{fresh} \"{}\"", database.user));
                migrate.run(&project, level, format);
            }
            tells_nothing_of_itself(&project, &database);
        }
    }
    nothing_was_told();
}

/// A literal without an end is found before anything runs.
fn is_unreadable(script: &str) -> bool {
    !script.ends_with(';') || script.contains("SELECT ${app_password}")
}

#[test]
fn f3_the_list_of_processes_shows_no_password() {
    let (project, database) = project();
    project.write("secrets.env", &format!("APP_DATABASE_URL={}\n", url(&database)));
    let mut runner = project.tool("whimbrel-migrate");
    runner.args(["migrate", "-v"]).env("APP_DATABASE_URL", url(&database));
    let mut up = project.tool("whimbrel");
    up.args(["up", "--from", "dotenv:secrets.env", "--format", "json"]);
    for (version, mut command) in [(2, runner), (3, up)] {
        // Each run has a script of its own that sleeps, so the runner is seen at its work.
        project.write(&format!("sql/V{version}__slow.sql"), "SELECT pg_sleep(3);\n");
        let running = Running::start(&mut command);
        let mut lines = 0;
        for _ in 0..40 {
            for line in command_lines(running.id()) {
                is_not_in("a command line", &line);
                lines += 1;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(lines > 10, "the program was seen {lines} times only");
        is_not_in("up", &running.wait(PATIENCE).expect_code(0).said());
    }
}

/// The command lines of a process and all that it started.
fn command_lines(id: u32) -> Vec<String> {
    let read = |path: String| fs_err::read_to_string(path).unwrap_or_default();
    let children = read(format!("/proc/{id}/task/{id}/children"));
    let own = read(format!("/proc/{id}/cmdline"));
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).flat_map(command_lines);
    [own].into_iter().filter(|line| !line.is_empty()).chain(below).collect()
}

#[test]
fn the_secrets_check_tells_no_value() {
    let project = Project::small();
    project.replace(
        "whimbrel.toml",
        "keys = { url = \"APP_DATABASE_URL\" }",
        "keys = { url = \"APP_DATABASE_URL\", user = \"APP_DATABASE_USER\", password = \"APP_DATABASE_PASSWORD\" }",
    );
    let encoded = percent_encoded();
    let good = format!("postgres://app:{encoded}@db:5432/app");
    let twice = STANDARD.encode(&good);
    let values: [(&str, &str, &str, i32); 14] = [
        (&good, "app", PASSWORD, 0),
        (&good, "app", "", 3),
        (&good, "", PASSWORD, 3),
        ("", "app", PASSWORD, 3),
        (&good, "app", "c4n4ry-another", 3),
        (&good, "c4n4ry", PASSWORD, 3),
        (&format!(" {good}"), "app", PASSWORD, 3),
        (&format!("{good}\n"), "app", PASSWORD, 3),
        (&good, "app", &format!("{PASSWORD}\n"), 3),
        (&format!("postgres://app:{PASSWORD}@db:5432/app"), "app", PASSWORD, 3),
        (&format!("oracle://app:{encoded}@db/app"), "app", PASSWORD, 3),
        (&format!("postgres://app:{encoded}@db:{encoded}/app"), "app", PASSWORD, 3),
        (&twice, "app", PASSWORD, 3),
        (&good, "app", &STANDARD.encode(PASSWORD), 3),
    ];
    for (index, (url, user, password, code)) in values.into_iter().enumerate() {
        for (key, value) in [("URL", url), ("USER", user), ("PASSWORD", password)] {
            project.write(&format!("given/app-db/APP_DATABASE_{key}"), value);
        }
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let dotenv = format!(
            "APP_DATABASE_URL=\"{}\"\nAPP_DATABASE_USER={user}\nAPP_DATABASE_PASSWORD=\"{}\"\n",
            quoted(url),
            quoted(password)
        );
        project.write("given/env", &dotenv);
        for from in ["folder:given", "dotenv:given/env"] {
            for (level, format) in
                [(LEVELS[4], FORMATS[index % 2]), (LEVELS[index % 4], FORMATS[1 - index % 2])]
            {
                case("verify", "whimbrel-secrets", &["verify", "--from", from], code)
                    .run(&project, level, format);
            }
        }
    }
    project.write("given/broken", &format!("APP_DATABASE_PASSWORD \"{PASSWORD}\n{PASSWORD}"));
    travel(
        &project,
        &[
            case("broken dotenv file", "whimbrel-secrets", &["verify", "--from", "dotenv:given/broken"], 69),
            case("up with bad secrets", "whimbrel", &["up", "--from", "folder:given"], 3),
        ],
    );
    nothing_was_told();
}

#[test]
fn generated_values_go_into_their_files_only() {
    let project = Project::small();
    let mut said = String::new();
    for level in LEVELS {
        for format in FORMATS {
            let all = ["generate", "--to", "folder:given"];
            said += &case("generate", "whimbrel-secrets", &all, 0).run(&project, level, format).said();
            let verify = ["verify", "--from", "folder:given"];
            said += &case("verify", "whimbrel-secrets", &verify, 0).run(&project, level, format).said();
            // The first time it writes, then it finds the file there.
            let manifests = ["generate", "--to", "manifests:given/secrets.yaml"];
            said += &case("manifests", "whimbrel-secrets", &manifests, 0).run(&project, level, format).said();
        }
    }
    let url =
        fs_err::read_to_string(project.file("given/app-db/APP_DATABASE_URL")).expect("it was generated");
    let password = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .and_then(|(login, _)| login.split_once(':'));
    let (_, password) = password.expect("a generated URL has user and password");
    assert!(password.len() >= 16 && !said.contains(password), "{said}");
    let seed = fs_err::read_to_string(project.file(".whimbrel/seed")).expect("there is a seed");
    assert!(!said.contains(seed.trim()), "{said}");
    nothing_was_told();
}

#[test]
fn a_check_before_the_push_quotes_no_password() {
    let project = Project::small();
    let literal = &literals()[0];
    let open = PASSWORD.replace('\'', "");
    for (script, code) in [
        (format!("CREAT ROLE x PASSWORD {literal};"), 1),
        (format!("CREATE ROLE x PASSWORD {literal} LOGIN VALID SINCE;"), 1),
        (format!("ALTER ROLE x PASSWORD '{open}"), 1),
        (format!("ALTER ROLE x PASSWORD {literal} '{open}';"), 1),
        ("SELECT '${nowhere}';".to_owned(), 1),
    ] {
        project.write("sql/V1__x.sql", &script);
        for (level, format) in
            [(LEVELS[4], "text"), (LEVELS[4], "json"), (LEVELS[0], "text"), (LEVELS[3], "json")]
        {
            case("watch", "whimbrel-watch", &["--once", "--to", "oci:image"], code)
                .run(&project, level, format);
        }
    }
    assert!(!project.file("image/index.json").exists());
    nothing_was_told();
}

#[test]
fn an_image_holds_no_secret_of_the_checkout() {
    let (project, database) = project();
    project.write("secrets.env", &format!("APP_DATABASE_URL={}\n", url(&database)));
    project.write(".whimbrel/secrets/app-db/APP_DATABASE_URL", &url(&database));
    project.write("sql/V2__x.sql", "CREATE TABLE t AS SELECT length($q$${app_password}$q$) AS a;\n");
    let watch = case("watch", "whimbrel-watch", &["--once", "--to", "oci:image"], 0);
    let placeholder = "WHIMBREL_PLACEHOLDER_APP_PASSWORD";
    travel(&project, &[watch.with("APP_DATABASE_URL", &url(&database)).with(placeholder, PASSWORD)]);
    let up = |name, arguments: &[&str]| case(name, "whimbrel", arguments, 0).with(placeholder, PASSWORD);
    travel(
        &project,
        &[
            up("up", &["up", "--from", "dotenv:secrets.env"]),
            up("config", &["config"]).with("APP_DATABASE_URL", &url(&database)),
            up("info", &["migrate", "info"]).with("APP_DATABASE_URL", &url(&database)),
        ],
    );
    let but = ["secrets.env", ".whimbrel/secrets", "/unpacked"];
    unpack(&project.file("image"), &project.file("image-unpacked"));
    assert!(is_not_below(&project.file("image-unpacked"), &[]) > 3, "the image was not unpacked");
    assert!(is_not_below(project.path(), &but) > 5);
    tells_nothing_of_itself(&project, &database);
    nothing_was_told();
}

/// The blobs of an image layout, decompressed where they are compressed.
fn unpack(layout: &Path, into: &Path) {
    fs_err::create_dir_all(into).expect("folders can be made");
    for blob in fs_err::read_dir(layout.join("blobs/sha256")).expect("a layout has blobs").flatten() {
        let plain = run(clean("gzip").args(["-dc"]).arg(blob.path()), PATIENCE);
        if plain.code == Some(0) {
            fs_err::write(into.join(blob.file_name()), plain.stdout).expect("there is room");
        } else {
            fs_err::copy(blob.path(), into.join(blob.file_name())).expect("there is room");
        }
    }
}

#[test]
fn credentials_for_registries_and_clusters_are_not_told() {
    let project = Project::small();
    project.write("sql/V1__x.sql", "SELECT 1;\n");
    let registry = refusing_server();
    let auth = STANDARD.encode(format!("user:{PASSWORD}"));
    let docker = serde_json::json!({"auths": {(registry.as_str()): {"auth": auth}}});
    project.write("docker/config.json", &docker.to_string());
    project.write(
        "broken/config.json",
        &format!("{{\"auths\": {{\"{registry}\": {{\"auth\": \"{PASSWORD}\"}}}}}}"),
    );
    let user = |credentials: serde_json::Value, server: &str| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "k3d-c",
            "clusters": [{"name": "k", "cluster": {"server": server}}], "users": [{"name": "u", "user": credentials}],
            "contexts": [{"name": "k3d-c", "context": {"cluster": "k", "user": "u", "namespace": "n"}}],
        })
        .to_string()
    };
    let server = format!("http://{registry}");
    project.write("token.kubeconfig", &user(serde_json::json!({"token": PASSWORD}), &server));
    let basic = serde_json::json!({"username": "u", "password": PASSWORD});
    project.write("basic.kubeconfig", &user(basic, &server));
    project.write(
        "key.kubeconfig",
        &user(
            serde_json::json!({
        "client-certificate-data": STANDARD.encode(PASSWORD),
        "client-key-data": STANDARD.encode(PASSWORD)}),
            "https://127.0.0.1:1",
        ),
    );
    project.write("syntax.kubeconfig", &format!("users: [{{user: {{token: \"{PASSWORD}"));
    let to = format!("registry://{registry}/x:y");
    let with_login = format!("registry://user:{}@{registry}/x:y", percent_encoded());
    let push = |name, to: &str, config: &str, code| {
        let config = project.file(config).display().to_string();
        case(name, "whimbrel-watch", &["--once", "--timeout", "5", "--to", to], code)
            .with("DOCKER_CONFIG", &config)
    };
    let mut cases = vec![
        push("login refused", &to, "docker", 69),
        push("broken login", &to, "broken", 2),
        push("login in the destination", &with_login, "docker", 2),
    ];
    for kubeconfig in ["token.kubeconfig", "basic.kubeconfig", "key.kubeconfig", "syntax.kubeconfig"] {
        let path = project.file(kubeconfig).display().to_string();
        cases.extend([
            case("verify", "whimbrel-secrets", &["verify"], ANY).with("KUBECONFIG", &path),
            case("tail", "whimbrel-tail", &["job/x", "-n", "n", "--timeout", "2"], ANY)
                .with("KUBECONFIG", &path),
            case("deploy", "whimbrel", &["deploy", "--timeout", "2s"], ANY).with("KUBECONFIG", &path),
            case("doctor", "whimbrel", &["doctor"], ANY).with("KUBECONFIG", &path),
        ]);
    }
    travel(&project, &cases);
    nothing_was_told();
}

/// A server that refuses every request as not logged in; its host and port.
fn refusing_server() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic \
                          realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn help_tells_no_variable() {
    let project = Project::small();
    for tool in ["whimbrel", "whimbrel-migrate", "whimbrel-secrets", "whimbrel-tail", "whimbrel-watch"] {
        let mut command = project.tool(tool);
        command.arg("--help");
        for name in [
            "WHIMBREL_DATABASES",
            "WHIMBREL_CONFIG",
            "WHIMBREL_SECRETS",
            "WHIMBREL_TARGET",
            "APP_DATABASE_URL",
        ] {
            command.env(name, PASSWORD);
        }
        is_not_in(tool, &run(&mut command, PATIENCE).said());
    }
}
