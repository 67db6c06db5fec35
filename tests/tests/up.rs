//! The first command of a newcomer, for real: a server of its own, a Job as a process, the loop that applies saves.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use whimbrel_tests::eventually;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::random::Random;

const PATIENCE: Duration = Duration::from_secs(180);
const SAMPLE_SCRIPTS: i64 = 43;

/// A project whose server and data go with it.
struct Scene(Project);

impl Scene {
    fn small(scripts: &[(&str, &str)]) -> Self {
        let scene = Self(Project::small());
        scripts.iter().for_each(|(name, text)| scene.save(name, text));
        scene
    }

    fn whimbrel(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.tool("whimbrel");
        command.args(arguments);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Ended {
        run(&mut self.whimbrel(arguments), PATIENCE)
    }

    /// `up` in JSON; the last line, and the code.
    #[track_caller]
    fn up(&self, code: i32) -> Value {
        let ended = self.run(&["up", "--format", "json"]).expect_code(code);
        ended.json_lines().pop().expect("up says something")
    }

    fn save(&self, name: &str, text: &str) {
        self.0.write(&format!("sql/{name}"), text);
    }

    /// As careful editors save: a new file takes the old one's name.
    fn save_by_rename(&self, name: &str, text: &str) {
        let temporary = self.0.file(&format!("sql/.{name}.tmp"));
        fs_err::write(&temporary, text).expect("the project can be written");
        fs_err::rename(temporary, self.0.file(&format!("sql/{name}"))).expect("the file can be renamed");
    }

    fn port(&self) -> u16 {
        let text = fs_err::read_to_string(self.0.file(".whimbrel/up.json")).expect("a server is up");
        let state: Value = serde_json::from_str(&text).expect("up.json is JSON");
        state["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port")
    }

    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = clean(program);
        command.env("PGPASSFILE", self.0.file(".whimbrel/pgpass"));
        let port = self.port().to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", database, "-d", database]);
        command
    }

    #[track_caller]
    fn ask(&self, database: &str, sql: &str) -> String {
        let mut psql = self.client("psql", database);
        let answer = run(psql.args(["-XqAtc", sql]), PATIENCE).expect_code(0);
        answer.stdout.trim_end().to_owned()
    }

    fn number(&self, database: &str, sql: &str) -> i64 {
        self.ask(database, sql).parse().expect("a number")
    }

    /// Schema and data of a database, without what tells when something ran, or that something failed.
    #[track_caller]
    fn dump(&self, database: &str) -> String {
        let mut dump = self.client("pg_dump", database);
        dump.args(["--inserts", "--no-owner"]);
        dump.args(["--exclude-table-data=flyway_schema_history", "--exclude-table-data=whimbrel_run"]);
        let dump = run(&mut dump, PATIENCE).expect_code(0).stdout;
        let lines = dump.lines().filter(|line| !line.starts_with('\\'));
        lines.chain([&*self.history(database)]).collect::<Vec<_>>().join("\n")
    }

    fn history(&self, database: &str) -> String {
        let sql = "SELECT version, script, checksum, success FROM flyway_schema_history \
                   ORDER BY version IS NULL, string_to_array(version, '.')::int[], script";
        self.ask(database, sql)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // A panic here would hide the one that brought us here.
        let _ = self.whimbrel(&["down", "--volumes", "--quiet"]).output();
    }
}

fn row<'a>(report: &'a Value, database: &str) -> &'a Value {
    let rows = report["databases"].as_array().expect("a table");
    rows.iter().find(|row| row["database"] == database).expect("the database has a row")
}

#[test]
fn a_newcomer_gets_migrated_databases_and_lines_that_work_when_pasted() {
    let scene = Scene(Project::sample());
    let first = scene.run(&["up"]).expect_code(0);
    assert!(first.stdout.contains("workflows       -       5"), "{}", first.said());
    let mut lines = first.stderr.lines().map(str::trim);
    let psql = lines.find(|line| line.contains(" psql ")).expect("a line to paste").to_owned();
    let mut shell = clean("sh");
    shell
        .current_dir(scene.0.path())
        .args(["-c", &format!("{psql} -Atc 'SELECT count(*) FROM flyway_schema_history'")]);
    assert_eq!(run(&mut shell, PATIENCE).expect_code(0).stdout.trim(), "7");

    let second = scene.run(&["up"]).expect_code(0);
    assert!(second.stdout.contains("nothing to do: 8 of 8"), "{}", second.said());

    let down =
        first.stderr.lines().map(str::trim).find(|line| line.ends_with(" down")).expect("a line to paste");
    let mut shell = clean("sh");
    shell.current_dir(scene.0.path()).args(["-c", down]);
    assert!(run(&mut shell, PATIENCE).expect_code(0).stdout.contains("stopped"));
    assert!(scene.run(&["down"]).expect_code(0).stdout.contains("nothing ran"));

    let again = scene.up(0);
    assert_eq!(row(&again, "platform")["before"], "5", "the data outlives the server");
    scene.run(&["down", "--volumes"]).expect_code(0);
    let anew = scene.up(0);
    assert_eq!(row(&anew, "platform")["before"], Value::Null);
    assert_eq!(row(&anew, "platform")["scripts"], 7);
}

#[test]
fn two_ups_at_once_do_not_harm_each_other() {
    let scene = Scene(Project::sample());
    let starts = [0, 1, 2].map(|_| Running::start(&mut scene.whimbrel(&["up"])));
    for up in starts {
        up.wait(PATIENCE).expect_code(0);
    }
    let total: i64 = scene
        .0
        .entries()
        .iter()
        .map(|entry| {
            scene.number(&entry.database, "SELECT count(*) FROM flyway_schema_history WHERE success")
        })
        .sum();
    assert_eq!(total, SAMPLE_SCRIPTS);
}

#[test]
fn a_killed_up_leaves_nothing_that_stops_the_next_one() {
    let mut random = Random::seeded_by_environment();
    let scene = Scene(Project::sample());
    let began = Instant::now();
    let whole = scene.run(&["up", "--quiet"]).expect_code(0).took;
    for round in 0..12 {
        // Half of the kills meet a server that is being made, half a server that runs.
        if round % 2 == 0 {
            scene.run(&["down", "--volumes", "--quiet"]).expect_code(0);
        }
        let mut up = Running::start(&mut scene.whimbrel(&["up"]));
        let millis = u64::try_from(whole.as_millis()).expect("not that long");
        std::thread::sleep(Duration::from_millis(random.below(millis + 1)));
        up.signal(Signal::KILL);
        drop(up);
    }
    let report = scene.up(0);
    assert_eq!(report["exit_code"], 0, "{random} after {:?}: {report}", began.elapsed());
    let applied = |entry: &whimbrel_tests::project::Entry| {
        scene
            .number(&entry.database, "SELECT count(DISTINCT script) FROM flyway_schema_history WHERE success")
    };
    assert_eq!(scene.0.entries().iter().map(applied).sum::<i64>(), SAMPLE_SCRIPTS, "{random}");
}

#[test]
fn a_script_that_changed_is_taken_back_by_the_next_up() {
    let scene =
        Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int);"), ("V2__b.sql", "CREATE TABLE b (id int);")]);
    scene.up(0);
    scene.save("V2__b.sql", "CREATE TABLE b (id int, name text);");
    let ended = scene.run(&["up"]).expect_code(0);
    assert!(ended.says("app: V2__b.sql changed after it was applied"), "{}", ended.said());
    assert_eq!(
        scene.number("app", "SELECT count(*) FROM information_schema.columns WHERE table_name = 'b'"),
        2
    );
}

#[test]
fn somebody_elses_server_is_never_rebuilt() {
    let theirs = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (7);")]);
    theirs.up(0);
    let mine = Scene::small(&[("V1__a.sql", "CREATE TABLE other (id int);")]);
    let source = format!("folder:{}", theirs.0.file(".whimbrel/secrets").display());
    let ended = mine.run(&["up", "--from", &source]).expect_code(6);
    assert!(!mine.0.file(".whimbrel/up.json").exists(), "a server was started\n{}", ended.said());
    assert_eq!(theirs.ask("app", "SELECT id FROM a"), "7");
}

#[test]
fn a_secret_that_is_missing_is_named_and_nothing_runs() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int);")]);
    fs_err::create_dir(scene.0.file("none")).expect("folders can be made");
    let ended = scene.run(&["up", "--from", "folder:none"]).expect_code(3);
    assert!(ended.stdout.contains("secret-missing") && ended.stdout.contains("app-db"), "{}", ended.said());
}

#[test]
fn somebodys_database_url_is_not_used() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int);")]);
    let mut up = scene.whimbrel(&["up"]);
    up.env("APP_DATABASE_URL", "postgres://nobody:nothing@127.0.0.1:1/production");
    run(&mut up, PATIENCE).expect_code(0);
    assert_eq!(scene.number("app", "SELECT count(*) FROM a"), 0);
}

#[test]
fn fetched_programs_serve_where_none_are_installed() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int);")]);
    let ended = scene.run(&["up", "--postgres", "fetch"]).expect_code(0);
    assert!(ended.says("17."), "{}", ended.said());
    assert_eq!(scene.ask("app", "SELECT split_part(version(), ' ', 2)").split('.').next(), Some("17"));
}

/// The loop in the background. A round's end is a line of its own.
struct Loop(Running, usize);

impl Loop {
    #[track_caller]
    fn start(scene: &Scene) -> Self {
        let running = Running::start(&mut scene.whimbrel(&["up", "--watch", "--format", "json"]));
        let mut this = Self(running, 0);
        this.0.line_with("\"watching\"", PATIENCE);
        this.1 = this.rounds();
        this
    }

    fn rounds(&self) -> usize {
        self.0.so_far().matches("\"round-finished\"").count()
    }

    /// Waits until a round that began after the last call is over.
    #[track_caller]
    fn round(&mut self) -> Value {
        let before = self.1;
        self.1 = eventually("a round ends after a save", PATIENCE, || {
            assert!(self.0.is_running(), "the loop ended\n{}", self.0.so_far());
            Some(self.rounds()).filter(|rounds| *rounds > before)
        });
        self.last_round()
    }

    fn last_round(&self) -> Value {
        let said = self.0.so_far();
        let line = said.lines().rev().find(|line| line.contains("\"round-finished\"")).expect("a round");
        serde_json::from_str(line).expect("a line is JSON")
    }
}

#[test]
fn a_script_with_an_error_leaves_the_database_as_it_is_and_is_told_with_its_place() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);")]);
    let mut up = Loop::start(&scene);
    let before = scene.dump("app");

    scene.save("V2__b.sql", "CREATE TABLE b (id int);\nSELECT 1\n  FROM nowhere;\n");
    assert_eq!(up.round()["exit_code"], 7);
    let said = up.0.so_far();
    assert!(said.contains("nowhere") && said.contains("\"line\":3"), "{said}");
    assert_eq!(scene.dump("app"), before);

    scene.save("V2__b.sql", "CREAT TABLE b (id int);\n");
    assert_eq!(up.round()["exit_code"], 1);
    assert!(up.0.so_far().contains("V2__b.sql"), "{}", up.0.so_far());
    assert_eq!(scene.dump("app"), before);

    let halfway = "CREATE INDEX CONCURRENTLY one ON a (id);\nCREATE INDEX CONCURRENTLY one ON a (id);\n";
    scene.save("V2__b.sql", halfway);
    assert_eq!(up.round()["exit_code"], 8);
    assert_eq!(scene.dump("app"), before, "what was kept of a failed script is undone");

    scene.save("V2__b.sql", "CREATE TABLE b (id int);\n");
    assert_eq!(up.round()["exit_code"], 0);
    assert_eq!(scene.number("app", "SELECT count(*) FROM b"), 0);
}

#[test]
fn open_connections_do_not_hold_the_loop_and_earlier_data_is_there_again() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);")]);
    let mut up = Loop::start(&scene);
    scene.ask("app", "INSERT INTO a VALUES (2)");
    let mut open = scene.client("psql", "app");
    open.args(["-Xc", "BEGIN; LOCK TABLE a; SELECT pg_sleep(600)"]);
    let mut open = Running::start(&mut open);
    eventually("psql sleeps", PATIENCE, || {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()";
        (scene.number("app", sleeping) == 1).then_some(())
    });
    scene.save("V2__b.sql", "CREATE TABLE b (id int);");
    assert_eq!(up.round()["exit_code"], 0);
    assert!(up.0.so_far().contains("\"connections-closed\""), "{}", up.0.so_far());
    eventually("psql has lost its connection", PATIENCE, || (!open.is_running()).then_some(()));

    scene.save("V2__b.sql", "CREATE TABLE b (id int, name text);");
    assert_eq!(up.round()["exit_code"], 0);
    assert!(up.0.so_far().contains("\"taken-back\""), "{}", up.0.so_far());
    assert_eq!(scene.ask("app", "SELECT string_agg(id::text, ',' ORDER BY id) FROM a"), "1,2");
}

#[test]
fn a_down_elsewhere_ends_the_loop_at_the_next_save() {
    let scene = Scene::small(&[("V1__a.sql", "CREATE TABLE a (id int);")]);
    let up = Loop::start(&scene);
    scene.run(&["down"]).expect_code(0);
    scene.save("V2__b.sql", "CREATE TABLE b (id int);");
    let ended = up.0.wait(PATIENCE).expect_code(4);
    assert!(ended.says("the local PostgreSQL was stopped"), "{}", ended.said());
}

/// What can happen to a folder of scripts.
#[derive(Clone, Copy, Debug)]
enum Save {
    New,
    Edited,
    EditedByRename,
    Deleted,
    Renamed,
    Between,
    Broken,
    Refused,
    NewRepeatable,
    EditedRepeatable,
    DeletedRepeatable,
    Concurrently,
}

const SAVES: [Save; 12] = [
    Save::New,
    Save::Edited,
    Save::Broken,
    Save::EditedByRename,
    Save::NewRepeatable,
    Save::Between,
    Save::Refused,
    Save::EditedRepeatable,
    Save::Renamed,
    Save::Concurrently,
    Save::Deleted,
    Save::DeletedRepeatable,
];

/// The scripts as they should be, and a number that makes every text a new one.
struct Folder {
    files: BTreeMap<String, String>,
    next: u64,
}

impl Folder {
    fn versioned(&self) -> Vec<String> {
        let is_free = |name: &&String| name.starts_with('V') && !name.starts_with("V1__");
        self.files.keys().filter(is_free).cloned().collect()
    }

    fn repeatables(&self) -> Vec<String> {
        self.files.keys().filter(|name| name.starts_with('R')).cloned().collect()
    }

    /// A table with data, and a column in the table that all scripts share: its place tells the order.
    fn text(&mut self) -> String {
        self.next += 1;
        let n = self.next;
        format!(
            "CREATE TABLE made_{n} (id int PRIMARY KEY, name text);\nINSERT INTO made_{n} VALUES ({n}, 'x');\n\
             ALTER TABLE base ADD COLUMN column_{n} int;\nINSERT INTO base (id) VALUES ({n});\n"
        )
    }

    fn view(&mut self) -> String {
        self.next += 1;
        format!("CREATE VIEW view_{} AS SELECT id FROM base;\n", self.next)
    }

    /// A version after all others, or between two of them.
    fn version(&mut self, between: bool) -> String {
        self.next += 1;
        if between { format!("1.{}", self.next) } else { format!("{}", 100 + self.next) }
    }
}

fn choose(random: &mut Random, from: &[String]) -> Option<String> {
    if from.is_empty() {
        return None;
    }
    let index = usize::try_from(random.below(from.len() as u64)).expect("it fits");
    Some(from[index].clone())
}

/// Does the save; whether something was saved at all.
fn save(kind: Save, scene: &Scene, folder: &mut Folder, random: &mut Random) -> bool {
    let put = |folder: &mut Folder, name: String, text: String| {
        scene.save(&name, &text);
        folder.files.insert(name, text);
    };
    match kind {
        Save::New | Save::Between => {
            let version = folder.version(matches!(kind, Save::Between));
            let text = folder.text();
            put(folder, format!("V{version}__new.sql"), text);
        }
        Save::Concurrently => {
            let version = folder.version(false);
            let text =
                format!("CREATE INDEX CONCURRENTLY index_{} ON base (id);\n", version.replace('.', "_"));
            put(folder, format!("V{version}__index.sql"), text);
        }
        Save::Edited | Save::EditedByRename => {
            let Some(name) = choose(random, &folder.versioned()) else { return false };
            let text = folder.text();
            match kind {
                Save::Edited => scene.save(&name, &text),
                _ => scene.save_by_rename(&name, &text),
            }
            folder.files.insert(name, text);
        }
        Save::Deleted | Save::DeletedRepeatable => {
            let names = if matches!(kind, Save::Deleted) { folder.versioned() } else { folder.repeatables() };
            let Some(name) = choose(random, &names) else { return false };
            scene.0.remove(&format!("sql/{name}"));
            folder.files.remove(&name);
        }
        Save::Renamed => {
            let Some(name) = choose(random, &folder.versioned()) else { return false };
            let Some((version, _)) = name.split_once("__") else { return false };
            folder.next += 1;
            let new = format!("{version}__renamed_{}.sql", folder.next);
            let (from, to) = (scene.0.file(&format!("sql/{name}")), scene.0.file(&format!("sql/{new}")));
            fs_err::rename(from, to).expect("the file can be renamed");
            let text = folder.files.remove(&name).expect("it was chosen from the folder");
            folder.files.insert(new, text);
        }
        Save::NewRepeatable => {
            let text = folder.view();
            put(folder, format!("R__view_{}.sql", folder.next), text);
        }
        Save::EditedRepeatable => {
            let Some(name) = choose(random, &folder.repeatables()) else { return false };
            let text = folder.view();
            put(folder, name, text);
        }
        // Saved with an error; the next save takes it away.
        Save::Broken => scene.save(BROKEN, "CREATE TABLE half (id int);\nSELECT * FROM nowhere;\n"),
        Save::Refused => scene.save(BROKEN, "CREAT TABLE half (id int);\n"),
    }
    true
}

const BROKEN: &str = "V9000__broken.sql";

#[test]
fn after_fifty_saves_of_every_kind_the_schema_is_that_of_a_fresh_apply() {
    let mut random = Random::seeded_by_environment();
    let scene = Scene::small(&[]);
    let mut folder = Folder { files: BTreeMap::new(), next: 0 };
    let base = "CREATE TABLE base (id int);\nINSERT INTO base VALUES (0);\n".to_owned();
    scene.save("V1__base.sql", &base);
    folder.files.insert("V1__base.sql".to_owned(), base);
    let mut up = Loop::start(&scene);
    let (mut saves, mut waited, mut taken) = (0, 0, Duration::ZERO);
    // Every kind once, then as chance has it.
    let mut kinds = SAVES.into_iter();
    while saves < 50 {
        let by_chance = SAVES[usize::try_from(random.below(SAVES.len() as u64)).expect("it fits")];
        let kind = kinds.next().unwrap_or(by_chance);
        // A broken script would hide what every later save does.
        if scene.0.file(&format!("sql/{BROKEN}")).exists() {
            scene.0.remove(&format!("sql/{BROKEN}"));
            up.round();
            saves += 1;
        }
        let began = Instant::now();
        if save(kind, &scene, &mut folder, &mut random) {
            let round = up.round();
            taken += began.elapsed();
            waited += 1;
            saves += 1;
            let expected = match kind {
                Save::Broken => 7,
                Save::Refused => 1,
                _ => 0,
            };
            assert_eq!(round["exit_code"], expected, "{random}: {kind:?}\n{}", up.0.so_far());
        }
    }
    let _ = fs_err::remove_file(scene.0.file(&format!("sql/{BROKEN}")));
    let fresh = Scene::small(&[]);
    copy(&scene.0.file("sql"), &fresh.0.file("sql"));
    fresh.up(0);
    let wanted = fresh.dump("app");
    eventually("the last save is applied", PATIENCE, || {
        (scene.history("app") == fresh.history("app")).then_some(())
    });
    similar(&scene.dump("app"), &wanted, &random);
    let snapshots = "SELECT count(*) FROM pg_database WHERE datname LIKE 'whimbrel_snapshot_%'";
    assert!(scene.number("app", snapshots) <= 3, "the number of snapshots is bounded");
    println!("{saves} saves, {} ms from save to applied on average", taken.as_millis() / waited);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs_err::read_dir(from).expect("the folder is there").flatten() {
        fs_err::copy(entry.path(), to.join(entry.file_name())).expect("the file can be copied");
    }
}

#[track_caller]
fn similar(found: &str, wanted: &str, random: &Random) {
    let only = |a: &str, b: &str| {
        let lines: Vec<String> = a.lines().filter(|line| !b.contains(line)).map(str::to_owned).collect();
        lines.join("\n")
    };
    assert!(
        found == wanted,
        "{random}: the databases differ\nonly after the saves:\n{}\nonly after a fresh apply:\n{}",
        only(found, wanted),
        only(wanted, found)
    );
}
