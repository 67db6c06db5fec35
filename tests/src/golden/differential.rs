//! Real Flyway and ours on generated situations.
//!
//! Two databases see the same steps. On the first Flyway begins and ours goes on, on the second it is the other way round,
//! so each step is done by both tools, and each tool works on what the other has left. After every step the answers, the
//! rows, the tables and the lines of `info` have to be the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::{Value, json};

use super::compare::{Difference, expected_answer, given_answer, lines_with_checksums};
use super::driver::Driver;
use super::faces::{self, Settings};
use super::on_purpose::{self, Column, Situation};
use super::scenario::{Edit, Scenario, Step, scenario};
use super::server::{Engine, Server};

/// Plays generated scenarios for so long; gives their number and that of their steps.
///
/// # Errors
/// The smallest scenario that was found to differ, and how.
pub fn differ(version: &str, budget: Duration, seed: u64) -> Result<(usize, usize), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        max_shrink_time: 90_000,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let (table, strategy, until) = (Table::new(version), scenario(), Instant::now() + budget);
    let mut scenarios = 0;
    while Instant::now() < until {
        let tree = strategy.new_tree(&mut runner).map_err(|reason| reason.to_string())?;
        debug_assert!(!tree.current().steps.is_empty());
        scenarios += 1;
        let played = runner.run_one(tree, |scenario| table.play(&scenario).map_err(TestCaseError::fail));
        if let Err(TestError::Fail(reason, scenario)) = played {
            return Err(format!("scenario {scenarios}, Flyway {version}: {scenario:#?}\n{reason}"));
        }
    }
    Ok((scenarios, *table.steps.borrow()))
}

struct Table {
    driver: RefCell<Driver>,
    databases: [Server; 2],
    runtime: tokio::runtime::Runtime,
    steps: RefCell<usize>,
}

impl Table {
    fn new(version: &str) -> Self {
        Self {
            driver: RefCell::new(Driver::start(version)),
            databases: [Server::new(Engine::PostgreSql), Server::new(Engine::PostgreSql)],
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            steps: RefCell::new(0),
        }
    }

    fn play(&self, scenario: &Scenario) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("there is room");
        let root = folder.path().join("sql");
        fs_err::create_dir(&root).expect("a folder can be made");
        let mut files = BTreeSet::new();
        self.databases.iter().for_each(Server::empty);
        for (index, step) in scenario.steps.iter().enumerate() {
            *self.steps.borrow_mut() += 1;
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
            let case = json!({
                "files": files.iter().map(|name| ((*name).to_owned(), json!(""))).collect::<BTreeMap<_, _>>(),
                "settings": step.settings.iter().copied().collect::<BTreeMap<_, _>>(), "expect": expected,
            });
            let situation =
                Situation { case: &case, engine: "postgresql", content: "", column: Column::Flyway };
            // The two databases are no longer the same: such a scenario ends here.
            return match on_purpose::reason(&situation, &differences) {
                Some(_) => Ok(()),
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
        let expected = self.driver.borrow_mut().ask(&json!({
            "url": theirs.place.jdbc, "user": theirs.place.user, "password": theirs.place.password,
            "verb": step.verb, "settings": settings,
        }));
        let settings = Settings::of(settings);
        let mut differences = Vec::new();
        let mut compare = |what: &str, expected: Value, got: Value| {
            if expected != got {
                differences.push(Difference { step: None, what: what.to_owned(), expected, got });
            }
        };
        if step.verb != "info" {
            let document = faces::flyway(&ours.place, &settings, step.verb, root);
            let mut got = given_answer(step.verb, &document);
            let wanted = expected_answer(step.verb, &expected);
            if got != wanted && !document["error"].is_null() {
                got["message"] = document["error"]["message"].clone();
            }
            compare("answer", wanted, got);
        }
        compare("history", theirs.history(), ours.history());
        compare("tables", theirs.tables(), ours.tables());
        let lines = faces::flyway_lines(&ours.place, &settings, &self.runtime);
        let failed =
            !expected["info_error"].is_null() || (step.verb == "info" && !expected["error"].is_null());
        let wanted = if failed { Value::Null } else { lines_with_checksums(&expected["info"]) };
        compare("info with checksums", wanted, lines);
        (expected, differences)
    }
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

fn edit(root: &Path, files: &mut BTreeSet<&'static str>, step: &Step) {
    for edit in &step.edits {
        match edit {
            Edit::Write(name, content) => {
                let path = root.join(name);
                fs_err::create_dir_all(path.parent().expect("a file is in a folder"))
                    .expect("folders can be made");
                fs_err::write(path, content).expect("the file can be written");
                files.insert(name);
            }
            Edit::Delete(name) => {
                if files.remove(name) {
                    fs_err::remove_file(root.join(name)).expect("the file was there");
                }
            }
        }
    }
}
