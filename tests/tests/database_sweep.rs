//! Killed, or cut off, at every message that the runner and the server exchange (spec: kill sweep).
//!
//! One run of these scripts is a few hundred messages. For a point N the proxy holds message N back, and then either
//! the runner is killed outright, or the connection is cut. Whatever had happened until then: history and effects tell
//! the same story, the next run goes through by itself, and in the end every effect is there exactly once.
//!
//! Every Nth point is tried, so that it takes well under a minute. `WHIMBREL_TEST_SWEEP=all` tries every one, in both ways:
//! more than a thousand.

use std::time::Duration;

use whimbrel_tests::eventually;
use whimbrel_tests::messages::{Act, MessageProxy};
use whimbrel_tests::postgres::{Database, host_and_port};
use whimbrel_tests::program::{Ended, run};
use whimbrel_tests::project::Project;
use whimbrel_tests::sweep::{self, Point, sweep};

const MINUTE: Duration = Duration::from_secs(60);
/// Points that a run without a variable tries, of all ways together.
const POINTS: u64 = 40;

/// Every kind of script; what can be done twice leaves a row each time.
const SCRIPTS: [(&str, &str); 10] = [
    (
        "V01__begin.sql",
        "CREATE TABLE effect (script text NOT NULL);\nCREATE TABLE pile (id int, kind text);\n\
         INSERT INTO pile SELECT n, 'a' FROM generate_series(1, 500) n;\nINSERT INTO effect VALUES ('V01');\n",
    ),
    ("V02__single.sql", "INSERT INTO effect VALUES ('V02');\n"),
    (
        "V03__many.sql",
        "INSERT INTO effect VALUES ('V03');\nALTER TABLE pile ADD COLUMN note text;\nUPDATE pile SET note = 'x' WHERE id < 10;\n\
         DO $$ BEGIN RAISE NOTICE 'half way'; END $$;\nCREATE VIEW seen AS SELECT * FROM pile;\nSELECT count(*) FROM seen;\n",
    ),
    ("V04__index.sql", "CREATE INDEX CONCURRENTLY pile_a ON pile (id);\n"),
    (
        "V05__indexes.sql",
        "SET lock_timeout = '20s';\nCREATE INDEX CONCURRENTLY pile_b ON pile (kind);\nVACUUM pile;\n\
         CREATE INDEX CONCURRENTLY IF NOT EXISTS pile_c ON pile ((id + 1));\n",
    ),
    (
        "V06__mixed.sql",
        "INSERT INTO effect VALUES ('V06');\nVACUUM effect;\nINSERT INTO effect VALUES ('V06+');\n",
    ),
    (
        "V07__copy.sql",
        "COPY effect (script) FROM stdin;\nV07\nV07+\n\\.\nINSERT INTO effect VALUES ('V07++');\n",
    ),
    (
        "V08__session.sql",
        "SET search_path = '';\nINSERT INTO public.effect VALUES ('V08');\nSET ROLE pg_monitor;\n",
    ),
    ("V09__empty.sql", "-- nothing at all\n"),
    ("R__last.sql", "INSERT INTO effect VALUES ('R');\nCREATE OR REPLACE VIEW last AS SELECT 1 AS one;\n"),
];

/// Effects that are there once the script's row is, and never without it.
const WITH_THE_ROW: [(&str, &str); 6] =
    [("01", "V01"), ("02", "V02"), ("03", "V03"), ("07", "V07"), ("07", "V07+"), ("08", "V08")];

struct Scene {
    project: Project,
    database: Database,
    proxy: MessageProxy,
}

impl Scene {
    fn new() -> Self {
        let project = Project::small();
        for (name, text) in SCRIPTS {
            project.write(&format!("sql/{name}"), text);
        }
        let database = Database::create("sweep");
        database.ask(&format!("GRANT pg_monitor TO \"{}\"", database.user));
        Self { project, database, proxy: MessageProxy::to(&host_and_port()) }
    }

    fn command(&self, host_and_port: &str) -> std::process::Command {
        let mut command = self.project.tool("whimbrel-migrate");
        let url = format!("{}?sslmode=disable", self.database.url_at(host_and_port));
        command.args(["migrate", "app", "--mixed"]).env("APP_DATABASE_URL", url);
        command
    }

    /// Everything as on the first day.
    fn start_over(&self) {
        self.database.ask(&format!(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION \"{}\"",
            self.database.user
        ));
    }

    fn run_through(&self) -> Ended {
        run(&mut self.command(&host_and_port()), MINUTE)
    }

    fn wait_for_backends(&self) {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", self.database.user);
        eventually("backends of the killed runner end", Duration::from_secs(20), || {
            (self.database.number(&query) == 0).then_some(())
        });
    }

    /// Rows of the history and effects, each with how often it is there.
    fn story(&self) -> (Vec<String>, Vec<String>) {
        let lines = |there: &str, query: &str| {
            if self.database.ask(&format!("SELECT to_regclass('public.{there}') IS NOT NULL")) != "t" {
                return Vec::new();
            }
            self.database.ask(query).lines().map(str::to_owned).collect()
        };
        let rows = lines(
            "flyway_schema_history",
            "SELECT coalesce(version, 'R') || ' ' || success || ' ' || count(*) FROM public.flyway_schema_history \
             GROUP BY version, success ORDER BY 1",
        );
        let effects =
            lines("effect", "SELECT script || ' ' || count(*) FROM public.effect GROUP BY script ORDER BY 1");
        (rows, effects)
    }

    /// Nothing twice; and what is recorded with its effect is there with it.
    fn check_between(&self, context: &str) {
        let (rows, effects) = self.story();
        for line in rows.iter().chain(&effects) {
            assert!(line.ends_with(" 1"), "{context}: {line}\n{rows:?}\n{effects:?}");
        }
        let has = |lines: &[String], line: String| lines.contains(&line);
        for (version, effect) in WITH_THE_ROW {
            let (row, effect) =
                (has(&rows, format!("{version} true 1")), has(&effects, format!("{effect} 1")));
            assert_eq!(row, effect, "{context}: row and effect of version {version}\n{rows:?}\n{effects:?}");
        }
    }

    fn check_end(&self, context: &str) {
        let (rows, effects) = self.story();
        let versions = ["01", "02", "03", "04", "05", "06", "07", "08", "09", "R"];
        let expected: Vec<String> = versions.iter().map(|version| format!("{version} true 1")).collect();
        assert_eq!(rows, expected, "{context}");
        let mut names = ["R", "V01", "V02", "V03", "V06", "V06+", "V07", "V07+", "V07++", "V08"];
        names.sort_unstable();
        let mut expected: Vec<String> = names.iter().map(|name| format!("{name} 1")).collect();
        let mut effects = effects;
        expected.sort();
        effects.sort();
        assert_eq!(effects, expected, "{context}");
        let indexes = "SELECT count(*), bool_and(indisvalid), (SELECT count(*) FROM public.pile) FROM pg_index \
            WHERE indrelid = 'public.pile'::regclass";
        assert_eq!(self.database.ask(indexes), "3|t|500", "{context}");
        assert_eq!(
            self.database.number("SELECT count(*) FROM public.whimbrel_script_progress"),
            0,
            "{context}"
        );
    }

    /// One run that is stopped at this point. Whether the point was reached.
    fn strike(&self, point: Point) -> bool {
        self.start_over();
        let reached = sweep::strike(&self.proxy, &mut self.command(&self.proxy.address), point);
        self.wait_for_backends();
        let context = point.to_string();
        self.check_between(&context);
        let ended = self.run_through();
        assert_eq!(ended.code, Some(0), "{context}: the next run\n{}", ended.said());
        self.check_end(&context);
        reached
    }
}

/// How many messages an undisturbed run has.
fn messages_of_a_run() -> u64 {
    let scene = Scene::new();
    scene.proxy.rule(|_| Act::Pass);
    run(&mut scene.command(&scene.proxy.address), MINUTE).expect_code(0);
    scene.check_end("an undisturbed run");
    scene.proxy.messages()
}

#[test]
fn row_3_and_4_killed_or_cut_off_at_any_message_nothing_is_lost_or_done_twice() {
    sweep(messages_of_a_run(), POINTS, Scene::new, Scene::strike);
}
