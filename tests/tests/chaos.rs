//! The runner killed at random points. What counts are the effects of scripts, not only the rows of the history:
//! nothing may have happened twice, nothing may be lost, and the next run goes through without help.

use std::time::{Duration, Instant};

use whimbrel_tests::eventually;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Running, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::random::Random;

const KILLS: u32 = 100;
const SCRIPTS: u32 = 24;

/// Some scripts leave a mark each time they run, some make an index outside of a transaction.
fn script(version: u32) -> String {
    match version {
        1 => "CREATE TABLE effect (script int NOT NULL);\nCREATE TABLE pile (number int);\n\
              INSERT INTO pile SELECT generate_series(1, 2000);\nINSERT INTO effect VALUES (1);\n"
            .to_owned(),
        _ if is_outside_of_transactions(version) => format!(
            "CREATE INDEX CONCURRENTLY pile_{version}_a ON pile (number);\n\
             CREATE INDEX CONCURRENTLY pile_{version}_b ON pile ((number + {version}));\n"
        ),
        _ => format!(
            "INSERT INTO effect VALUES ({version});\nSELECT pg_sleep(0.01);\n\
             CREATE TABLE made_{version} (id int);\nSELECT pg_sleep(0.01);\n"
        ),
    }
}

fn is_outside_of_transactions(version: u32) -> bool {
    version > 1 && version.is_multiple_of(6)
}

struct Scene {
    project: Project,
    database: Database,
}

impl Scene {
    fn new() -> Self {
        let project = Project::small();
        for version in 1..=SCRIPTS {
            project.write(&format!("sql/V{version}__step.sql"), &script(version));
        }
        Self { project, database: Database::create("chaos") }
    }

    fn runner(&self) -> std::process::Command {
        let mut command = self.project.tool("whimbrel-migrate");
        command.args(["migrate", "app"]).env("APP_DATABASE_URL", self.database.url());
        command
    }

    /// A killed runner leaves a backend behind that finds out by itself, soon.
    fn wait_for_backends(&self) {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.database.user);
        eventually("backends of the killed runner end", Duration::from_secs(20), || {
            (self.database.number(&query) == 0).then_some(())
        });
    }

    /// What history and database tell about each script: `version|rows|traces`. The traces are the marks of a script
    /// in a transaction, and the valid indexes of the others.
    fn story(&self) -> Vec<(u32, i64, i64)> {
        let exists = |table: &str| format!("to_regclass('{table}') IS NOT NULL");
        let there =
            self.database.ask(&format!("SELECT {}, {}", exists("flyway_schema_history"), exists("effect")));
        let (history, effect) = there.split_once('|').expect("two columns");
        let rows = match history {
            "t" => {
                "SELECT version::int AS v FROM flyway_schema_history WHERE success AND version IS NOT NULL"
            }
            _ => "SELECT 0 AS v WHERE false",
        };
        let marks =
            if effect == "t" { "SELECT script AS v FROM effect" } else { "SELECT 0 AS v WHERE false" };
        let told = self.database.ask(&format!(
            "SELECT n, (SELECT count(*) FROM ({rows}) r WHERE r.v = n), CASE WHEN n > 1 AND n % 6 = 0 \
             THEN (SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indisvalid \
                   AND c.relname IN ('pile_' || n || '_a', 'pile_' || n || '_b')) \
             ELSE (SELECT count(*) FROM ({marks}) m WHERE m.v = n) END FROM generate_series(1, {SCRIPTS}) n ORDER BY n"
        ));
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).expect("three numbers");
        told.lines()
            .map(|line| {
                let mut columns = line.split('|');
                let version = number(columns.next());
                (version as u32, number(columns.next()), number(columns.next()))
            })
            .collect()
    }

    /// History and effects tell the same story, script by script. Whether all of it has been told.
    fn check(&self, context: &str) -> bool {
        let story = self.story();
        assert_eq!(story.len(), SCRIPTS as usize, "{context}");
        for &(version, rows, traces) in &story {
            assert!(rows <= 1, "{context}: version {version} has {rows} rows");
            if is_outside_of_transactions(version) {
                assert!(
                    rows == 0 || traces == 2,
                    "{context}: version {version} is recorded with {traces} valid indexes"
                );
            } else {
                assert_eq!(traces, rows, "{context}: effects and rows of version {version}");
            }
        }
        story.iter().all(|&(_, rows, _)| rows == 1)
    }
}

/// Starts the runner and kills it after a random time. Whether the kill came before its end.
fn kill_at_random(scene: &Scene, random: &mut Random) -> bool {
    let patience = Duration::from_micros(random.below(450_000));
    let mut running = Running::start(&mut scene.runner());
    let began = Instant::now();
    while began.elapsed() < patience && running.is_running() {
        std::thread::sleep(Duration::from_micros(200));
    }
    running.signal(rustix::process::Signal::KILL);
    let ended = running.wait(Duration::from_secs(10));
    assert!(ended.code.is_none_or(|code| code == 0), "neither killed nor done\n{}", ended.said());
    ended.code.is_none()
}

#[test]
fn a_runner_killed_a_hundred_times_does_nothing_twice_and_loses_nothing() {
    let mut random = Random::seeded_by_environment();
    let mut kills = 0;
    let mut rounds = 0;
    while kills < KILLS {
        rounds += 1;
        let scene = Scene::new();
        let mut done = false;
        while kills < KILLS && !done {
            if kill_at_random(&scene, &mut random) {
                kills += 1;
            }
            scene.wait_for_backends();
            done = scene.check(&format!("{random}, kill {kills}, database {rounds}"));
        }
        run(&mut scene.runner(), Duration::from_secs(60)).expect_code(0);
        let done = scene.check(&format!("{random}, the end of database {rounds}"));
        assert!(done, "{random}: something is missing in database {rounds}");
    }
    println!("{random}: {kills} kills over {rounds} databases");
}

/// Killed outright, the runner leaves a backend at work. Whoever comes next waits for it and does not do its work again.
#[test]
fn a_second_runner_right_after_a_kill_waits_for_the_orphan() {
    let project = Project::small();
    let database = Database::create("orphan");
    project.write(
        "sql/V1__slow.sql",
        "CREATE TABLE effect (script int);\nINSERT INTO effect VALUES (1);\nSELECT pg_sleep(2);\n",
    );
    let mut command = project.tool("whimbrel-migrate");
    command.args(["migrate", "app"]).env("APP_DATABASE_URL", database.url());
    let mut first = Running::start(&mut command);
    let sleeping = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND query LIKE '%pg_sleep%' AND state = 'active'",
        database.user
    );
    eventually("the script sleeps", Duration::from_secs(20), || {
        (database.number(&sleeping) > 0).then_some(())
    });
    first.signal(rustix::process::Signal::KILL);
    first.wait(Duration::from_secs(5));
    run(&mut command, Duration::from_secs(60)).expect_code(0);
    assert_eq!(database.number("SELECT count(*) FROM effect"), 1);
    assert_eq!(database.version().as_deref(), Some("1"));
}

/// The connection ends while the server works on a script: nothing of it stays, the code says that the database went.
#[test]
fn a_terminated_backend_fails_the_run_and_the_next_one_goes_through() {
    let project = Project::small();
    let database = Database::create("terminated");
    project.write("sql/V1__table.sql", "CREATE TABLE effect (script int);\n");
    project.write("sql/V2__slow.sql", "INSERT INTO effect VALUES (2);\nSELECT pg_sleep(5);\n");
    let mut command = project.tool("whimbrel-migrate");
    command.args(["migrate", "app"]).env("APP_DATABASE_URL", database.url());
    let running = Running::start(&mut command);
    let sleeping = format!(
        "SELECT pid FROM pg_stat_activity WHERE usename = '{}' AND query LIKE '%pg_sleep%' AND state = 'active' LIMIT 1",
        database.user
    );
    let backend = eventually("the script sleeps", Duration::from_secs(20), || {
        let answer = database.ask(&sleeping);
        (!answer.is_empty()).then_some(answer)
    });
    database.ask(&format!("SELECT pg_terminate_backend({backend})"));
    let ended = running.wait(Duration::from_secs(30));
    assert!(
        matches!(ended.code, Some(4 | 7)),
        "a lost connection is a failure: {:?}\n{}",
        ended.code,
        ended.said()
    );
    assert_eq!(database.number("SELECT count(*) FROM effect"), 0);
    assert_eq!(database.version().as_deref(), Some("1"));

    project.write("sql/V2__slow.sql", "INSERT INTO effect VALUES (2);\n");
    run(&mut command, Duration::from_secs(60)).expect_code(0);
    assert_eq!(database.number("SELECT count(*) FROM effect"), 1);
}

/// Sixteen at once on an empty database: all end well, each script ran once.
#[test]
fn many_runners_at_once_do_the_work_once() {
    let scene = Scene::new();
    let mut running: Vec<_> = (0..16).map(|_| Running::start(&mut scene.runner())).collect();
    for runner in running.drain(..) {
        runner.wait(Duration::from_secs(120)).expect_code(0);
    }
    assert!(scene.check("sixteen runners"), "something is missing");
}

/// A first SIGTERM lets the statement end and stops; nothing of the open script stays.
#[test]
fn a_terminated_runner_stops_cleanly_within_its_grace() {
    let project = Project::small();
    let database = Database::create("sigterm");
    project.write("sql/V1__table.sql", "CREATE TABLE effect (script int);\n");
    project.write(
        "sql/V2__slow.sql",
        "INSERT INTO effect VALUES (2);\nSELECT pg_sleep(30);\nINSERT INTO effect VALUES (22);\n",
    );
    let mut command = project.tool("whimbrel-migrate");
    command.args(["migrate", "app", "--grace", "7s"]).env("APP_DATABASE_URL", database.url());
    let mut running = Running::start(&mut command);
    let sleeping = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND query LIKE '%pg_sleep%' AND state = 'active'",
        database.user
    );
    eventually("the script sleeps", Duration::from_secs(20), || {
        (database.number(&sleeping) > 0).then_some(())
    });
    let asked = Instant::now();
    running.signal(rustix::process::Signal::TERM);
    let ended = running.wait(Duration::from_secs(20));
    assert!(asked.elapsed() < Duration::from_secs(7), "took {:?}\n{}", asked.elapsed(), ended.said());
    let ended = ended.expect_code(143);
    assert!(!ended.says(&database.password), "{}", ended.said());
    assert_eq!(database.number("SELECT count(*) FROM effect"), 0);
    assert_eq!(database.version().as_deref(), Some("1"));
}
