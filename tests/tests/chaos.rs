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

    fn applied(&self, version: u32) -> i64 {
        if self.database.ask("SELECT to_regclass('flyway_schema_history') IS NOT NULL") != "t" {
            return 0;
        }
        self.database.number(&format!(
            "SELECT count(*) FROM flyway_schema_history WHERE success AND version = '{version}'"
        ))
    }

    /// History and effects tell the same story, script by script.
    fn check(&self, context: &str) {
        let has_effects = self.database.ask("SELECT to_regclass('effect') IS NOT NULL") == "t";
        for version in 1..=SCRIPTS {
            let rows = self.applied(version);
            assert!(rows <= 1, "{context}: version {version} has {rows} rows");
            if is_outside_of_transactions(version) {
                let valid = self.database.number(&format!(
                    "SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid \
                     WHERE indisvalid AND c.relname IN ('pile_{version}_a', 'pile_{version}_b')"
                ));
                assert!(
                    rows == 0 || valid == 2,
                    "{context}: version {version} is recorded with {valid} valid indexes"
                );
            } else {
                let query = format!("SELECT count(*) FROM effect WHERE script = {version}");
                let effects = if has_effects { self.database.number(&query) } else { 0 };
                assert_eq!(effects, rows, "{context}: effects and rows of version {version}");
            }
        }
    }

    fn everything_is_applied(&self) -> bool {
        (1..=SCRIPTS).all(|version| self.applied(version) == 1)
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
        while kills < KILLS && !scene.everything_is_applied() {
            if kill_at_random(&scene, &mut random) {
                kills += 1;
            }
            scene.wait_for_backends();
            scene.check(&format!("{random}, kill {kills}, database {rounds}"));
        }
        run(&mut scene.runner(), Duration::from_secs(60)).expect_code(0);
        scene.check(&format!("{random}, the end of database {rounds}"));
        assert!(scene.everything_is_applied(), "{random}: something is missing in database {rounds}");
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
    scene.check("sixteen runners");
    assert!(scene.everything_is_applied());
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
