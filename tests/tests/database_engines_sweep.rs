//! Killed, or cut off, at every message that the runner and MariaDB exchange (spec: kill sweep).
//!
//! As on PostgreSQL (`database_sweep.rs`), but for what nobody can know there: a DDL commits by itself, so that it may be
//! done without a word about it. Then the next run stops there and says so, and goes on once a person has taken it back.

mod common;

use std::process::Command;
use std::time::Duration;

use common::engines::Shop;
use whimbrel_tests::engines::Place;
use whimbrel_tests::eventually;
use whimbrel_tests::messages::{Act, MessageProxy};
use whimbrel_tests::program::{Ended, run};
use whimbrel_tests::sweep::{self, Point, sweep};
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(60);
/// Points that a run without a variable tries, of both ways together.
const POINTS: u64 = 40;

const SCRIPTS: [(&str, &str); 7] = [
    ("V1__effect.sql", "CREATE TABLE effect (script varchar(9) NOT NULL);\n"),
    ("V2__single.sql", "INSERT INTO effect VALUES ('V2');\n"),
    (
        "V3__rows.sql",
        "INSERT INTO effect VALUES ('V3');\nUPDATE effect SET script = 'V3+' WHERE script = 'V3';\n",
    ),
    (
        "V4__mixed.sql",
        "INSERT INTO effect VALUES ('V4');\nCREATE TABLE one (i int);\nINSERT INTO effect VALUES ('V4+');\n\
         ALTER TABLE one ADD COLUMN j int;\nINSERT INTO effect VALUES ('V4++');\n",
    ),
    (
        "V5__routine.sql",
        "CREATE TABLE IF NOT EXISTS two (i int);\nDELIMITER //\nCREATE PROCEDURE note_it()\n\
         BEGIN INSERT INTO effect VALUES ('V5'); END//\nDELIMITER ;\nCALL note_it();\n",
    ),
    ("V6__empty.sql", "-- nothing at all\n"),
    ("R__last.sql", "INSERT INTO effect VALUES ('R');\nCREATE OR REPLACE VIEW last AS SELECT 1 AS one;\n"),
];

/// What a person does where the server had done a statement all the same, by what the next run is told.
const TAKEN_BACK: [(&str, &str); 4] = [
    ("'effect' already exists", "DROP TABLE effect"),
    ("'one' already exists", "DROP TABLE one"),
    ("Duplicate column name 'j'", "ALTER TABLE one DROP COLUMN j"),
    ("note_it already exists", "DROP PROCEDURE note_it"),
];

const END: &str = "1 1 1,2 1 1,3 1 1,4 1 1,5 1 1,6 1 1,R 1 1,R 1,V2 1,V3+ 1,V4 1,V4+ 1,V4++ 1,V5 1";

struct Scene {
    shop: Shop,
    proxy: MessageProxy,
}

impl Scene {
    fn new() -> Self {
        let shop = Shop::new(Place::mariadb(), &SCRIPTS);
        Self { shop, proxy: MessageProxy::to_mysql(&server()) }
    }

    fn command(&self, host_and_port: &str) -> Command {
        let url = self.shop.place.url().replace(&server(), host_and_port);
        let mut command = self.shop.command("migrate");
        command.env("APP_DATABASE_URL", format!("{url}?sslMode=disable")).arg("--mixed");
        command
    }

    fn run_through(&self) -> Ended {
        run(&mut self.command(&server()), MINUTE)
    }

    fn wait_for_sessions(&self) {
        let query = format!(
            "SELECT count(*) FROM information_schema.processlist WHERE db = '{}' AND id <> CONNECTION_ID()",
            self.shop.place.name
        );
        eventually("sessions of the killed runner end", MINUTE, || {
            (self.shop.ask(&query) == "0").then_some(())
        });
    }

    /// Rows of the history (version, success, how often) and effects (which, how often).
    fn story(&self) -> String {
        let rows = "SELECT concat(coalesce(version, 'R'), ' ', success, ' ', count(*)) FROM flyway_schema_history \
            GROUP BY version, success ORDER BY 1";
        let effects = "SELECT concat(script, ' ', count(*)) FROM effect GROUP BY script ORDER BY 1";
        let mut story = Vec::new();
        for (table, query) in [("flyway_schema_history", rows), ("effect", effects)] {
            let there = format!(
                "SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '{table}'"
            );
            if self.shop.ask(&there) == "1" {
                story.extend(self.shop.ask(query).lines().map(str::to_owned));
            }
        }
        story.join(",")
    }

    /// One run that is stopped at this point. Whether the point was reached.
    fn strike(&self, point: Point) -> bool {
        let name = &self.shop.place.name;
        self.shop.ask(&format!("DROP DATABASE {name}; CREATE DATABASE {name}"));
        let reached = sweep::strike(&self.proxy, &mut self.command(&self.proxy.address), point);
        self.wait_for_sessions();
        let between = self.story();
        let twice = between.split(',').any(|line| !line.is_empty() && !line.ends_with(" 1"));
        assert!(!twice, "{point}: {between}");
        let has = |line: &str| between.split(',').any(|found| found == line);
        assert_eq!((has("2 1 1"), has("3 1 1")), (has("V2 1"), has("V3+ 1")), "{point}: {between}");
        let mut next = self.run_through();
        if next.code != Some(0) {
            self.take_back(point, &next);
            next = self.run_through();
        }
        assert_eq!(next.code, Some(0), "{point}: the next run\n{}", next.said());
        assert_eq!(self.story(), END, "{point}\n{}", next.said());
        assert_eq!(self.shop.ask("SELECT count(*) FROM whimbrel_script_progress"), "0", "{point}");
        reached
    }

    /// The next run says that the server may have done what it was asked, and it has.
    fn take_back(&self, point: Point, next: &Ended) {
        let told = next.code == Some(8) && next.stderr.contains("the server may have done it");
        assert!(told, "{point}: {:?}\n{}", next.code, next.said());
        let undo = TAKEN_BACK.iter().find(|(error, _)| next.stderr.contains(error));
        let (_, undo) = undo.unwrap_or_else(|| panic!("{point}: nothing was done\n{}", next.said()));
        self.shop.ask(undo);
    }
}

fn server() -> String {
    let url = testbed::mariadb();
    let (_, place) = url.split_once('@').expect("the URL has a login");
    place.split('/').next().expect("and a place").to_owned()
}

#[test]
fn row_87_killed_or_cut_off_at_any_message_nothing_is_lost_or_done_twice() {
    let scene = Scene::new();
    scene.proxy.rule(|_| Act::Pass);
    run(&mut scene.command(&scene.proxy.address), MINUTE).expect_code(0);
    assert_eq!(scene.story(), END);
    sweep(scene.proxy.messages(), POINTS, Scene::new, Scene::strike);
}
