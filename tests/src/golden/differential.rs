//! Real Flyway and ours on generated situations.
//!
//! Two databases see the same steps. On the first Flyway begins and ours goes on, on the second it is the other way round,
//! so each step is done by both tools, and each tool works on what the other has left. After every step the answers, the
//! rows, the tables and the lines of `info` have to be the same.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy as _;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use super::compare::{Difference, expected_answer, given_answer, lines_with_checksums, text};
use super::driver::Driver;
use super::faces::{self, Settings};
use super::on_purpose::{self, Column, Situation};
use super::scenario::{Edit, Scenario, Step, scenario};
use super::server::{Engine, Server};

/// What a run has played.
#[derive(Debug, Default)]
pub struct Played {
    /// Scenarios, also those that ended early.
    pub scenarios: usize,
    /// What both tools did, each on its database.
    pub steps: usize,
    /// How many scenarios ended where both differ on purpose, by reason.
    pub on_purpose: BTreeMap<&'static str, usize>,
}

/// Plays generated scenarios for so long on this server of the engine.
///
/// # Errors
/// The smallest scenarios that were found to differ, and how: at most five.
pub fn differ(
    version: &str,
    (engine, server): (Engine, &str),
    budget: Duration,
    seed: u64,
) -> Result<Played, String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        max_shrink_time: 30_000,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (table, strategy, until) =
        (Table::new(version, engine, server), scenario(engine), Instant::now() + budget);
    let mut found: Vec<String> = Vec::new();
    while Instant::now() < until && found.len() < 5 {
        let tree = strategy.new_tree(&mut runner).map_err(|reason| reason.to_string())?;
        table.played.borrow_mut().scenarios += 1;
        let played = runner.run_one(tree, |scenario| table.play(&scenario).map_err(TestCaseError::fail));
        if let Err(TestError::Fail(reason, scenario)) = played {
            let scenarios = table.played.borrow().scenarios;
            found.push(format!("scenario {scenarios}, Flyway {version}, {engine}: {scenario:#?}\n{reason}"));
        }
    }
    if found.is_empty() { Ok(table.played.take()) } else { Err(found.join("\n")) }
}

struct Table {
    driver: RefCell<Driver>,
    databases: [Server; 2],
    runtime: tokio::runtime::Runtime,
    played: RefCell<Played>,
}

impl Table {
    fn new(version: &str, engine: Engine, server: &str) -> Self {
        Self {
            driver: RefCell::new(Driver::start(version)),
            databases: [Server::on(engine, server), Server::on(engine, server)],
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            played: RefCell::default(),
        }
    }

    fn play(&self, scenario: &Scenario) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("there is room");
        let root = folder.path().join("sql");
        fs_err::create_dir(&root).expect("a folder can be made");
        let mut files = BTreeMap::new();
        self.databases.iter().for_each(Server::empty);
        for (index, step) in scenario.steps.iter().enumerate() {
            self.played.borrow_mut().steps += 1;
            edit(&root, &mut files, step);
            for database in &self.databases {
                // What there is to meddle with may not be there.
                step.meddling.map(|sql| database.rows(sql));
            }
            let [theirs, ours] = [&self.databases[index % 2], &self.databases[(index + 1) % 2]];
            let (expected, differences) = self.step(step, &root, theirs, ours);
            if differences.is_empty() {
                continue;
            }
            let settings: BTreeMap<_, _> = step.settings.iter().copied().collect();
            let case = json!({ "files": files, "settings": settings, "expect": expected });
            let engine = theirs.engine.to_string();
            let situation = Situation { case: &case, engine: &engine, content: "", column: Column::Flyway };
            // The two databases are no longer the same: such a scenario ends here.
            return match on_purpose::reason(&situation, &differences) {
                Some(reason) => {
                    *self.played.borrow_mut().on_purpose.entry(reason.slug).or_default() += 1;
                    Ok(())
                }
                None => {
                    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
                    Err(format!("step {}:\n    {}", index + 1, lines.join("\n    ")))
                }
            };
        }
        Ok(())
    }

    fn step(&self, step: &Step, root: &Path, theirs: &Server, ours: &Server) -> (Value, Vec<Difference>) {
        let settings = settings(step, root);
        let ask = |verb: &str| {
            self.driver.borrow_mut().ask(&json!({
                "url": theirs.place.jdbc, "user": theirs.place.user, "password": theirs.place.password,
                "verb": verb, "settings": settings,
            }))
        };
        let given = Settings::of(settings.clone());
        // Flyway's open-source edition has no undo: ours does it on both, and Flyway is asked what it sees then.
        let (expected, wanted) = if step.verb == "undo" {
            let document = faces::flyway(&theirs.place, &given, step.verb, root);
            (ask("info"), given_answer(step.verb, &document))
        } else {
            let expected = ask(step.verb);
            let wanted = expected_answer(step.verb, &expected);
            (expected, wanted)
        };
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: Value, got: Value| {
            // Each side has a database of its own name.
            let (expected, got) = (neutral(&expected, theirs), neutral(&got, ours));
            if expected != got {
                differences.push(Difference { step: None, what: what.to_owned(), expected, got });
            }
        };
        if step.verb != "info" {
            let document = faces::flyway(&ours.place, &given, step.verb, root);
            let mut got = given_answer(step.verb, &document);
            if got != wanted && !document["error"].is_null() {
                got["message"] = document["error"]["message"].clone();
            }
            compare("answer", wanted, got);
        }
        compare("history", theirs.history(), ours.history());
        compare("tables", theirs.tables(), ours.tables());
        compare("rows", rows(theirs), rows(ours));
        let lines = faces::flyway_lines(&ours.place, &given, &self.runtime);
        let wanted =
            if expected["info"].is_null() { Value::Null } else { lines_with_checksums(&expected["info"]) };
        compare("info with checksums", wanted, lines);
        (expected, differences)
    }
}

fn neutral(value: &Value, server: &Server) -> Value {
    let text = value.to_string().replace(&server.name, "<db>");
    serde_json::from_str(&text).expect("a name is no part of the notation")
}

/// How many rows there are in what the scripts made.
fn rows(server: &Server) -> Value {
    let quoted = |name: &str| match server.engine {
        Engine::PostgreSql => name.to_owned(),
        Engine::MariaDb => format!("`{}`", name.replace('`', "``")),
        Engine::Sqlite => format!("\"{name}\""),
    };
    let tables = server.tables();
    let names = tables.as_array().into_iter().flatten().map(text);
    let made = names.filter(|name| !name.ends_with("flyway_schema_history"));
    made.map(|name| json!([name, server.rows(&format!("SELECT count(*) FROM {}", quoted(name)))])).collect()
}

fn settings(step: &Step, root: &Path) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([
        ("locations".to_owned(), format!("filesystem:{}", root.display())),
        ("placeholders.greeting".to_owned(), "hello".to_owned()),
        ("cleanDisabled".to_owned(), "false".to_owned()),
    ]);
    settings.extend(step.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    settings
}

fn edit(root: &Path, files: &mut BTreeMap<&'static str, &'static str>, step: &Step) {
    for edit in &step.edits {
        match edit {
            Edit::Write(name, content) => {
                let path = root.join(name);
                fs_err::create_dir_all(path.parent().expect("a file is in a folder"))
                    .expect("folders can be made");
                fs_err::write(path, content).expect("the file can be written");
                files.insert(name, content);
            }
            Edit::Delete(name) => {
                if files.remove(name).is_some() {
                    fs_err::remove_file(root.join(name)).expect("the file was there");
                }
            }
        }
    }
}
