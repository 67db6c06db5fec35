//! Back and forth with real Flyway 11 on one database: each reads what the other wrote.

mod common;

use std::time::Duration;

use common::Shop;
use serde_json::Value;
use whimbrel_tests::postgres::superuser;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::testbed;

/// Real Flyway with the same scripts, the same database and the same placeholder.
fn flyway(shop: &Shop, verb: &str, greeting: &str) -> Ended {
    flyway_as(shop, &shop.database.user, verb, greeting)
}

/// The same with a role that has the same password.
fn flyway_as(shop: &Shop, role: &str, verb: &str, greeting: &str) -> Ended {
    let mut command = clean(testbed::variable("WHIMBREL_TEST_FLYWAY"));
    let (_, place) =
        shop.database.url().rsplit_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).expect("a URL");
    command.env("FLYWAY_URL", format!("jdbc:postgresql://{place}"));
    command.env("FLYWAY_USER", role).env("FLYWAY_PASSWORD", &shop.database.password);
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    command.args([
        format!("-placeholders.greeting={greeting}").as_str(),
        "-skipCheckForUpdate",
        "-outputType=json",
        verb,
    ]);
    run(&mut command, Duration::from_secs(120))
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("not JSON\n{}", ended.said()))
}

fn ours(shop: &Shop, verb: &str, greeting: &str) -> Ended {
    shop.run(verb, &["--format", "json", "--placeholder", &format!("greeting={greeting}")])
}

/// (version, description, state) of every line.
fn states(rows: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| (text(&row["version"]), text(&row["description"]), text(&row["state"]))).collect()
}

/// Both say that all is well, and show the same lines.
#[track_caller]
fn assert_both_agree(shop: &Shop, greeting: &str) {
    let validated = json(&flyway(shop, "validate", greeting).expect_code(0));
    assert_eq!(validated["validationSuccessful"], true, "{validated}");
    ours(shop, "validate", greeting).expect_code(0);
    assert_same_info(shop, greeting);
}

#[track_caller]
fn assert_same_info(shop: &Shop, greeting: &str) {
    let theirs = json(&flyway(shop, "info", greeting).expect_code(0));
    let ours = &ours(shop, "info", greeting).expect_code(0).json_lines()[0]["databases"][0];
    assert_eq!(states(&ours["migrations"]), states(&theirs["migrations"]));
    assert_eq!(ours["version"], theirs["schemaVersion"]);
}

#[test]
fn four_alternations_with_a_repeatable_that_has_placeholders() {
    let view =
        |suffix: &str| format!("CREATE OR REPLACE VIEW v AS SELECT '${{greeting}}{suffix}' AS greeting;\n");
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n"), ("R__v.sql", &view(""))]);
    ours(&shop, "migrate", "hello").expect_code(0);
    assert_both_agree(&shop, "hello");

    shop.write("V2__b.sql", "CREATE TABLE b (id int);\n");
    shop.write("R__v.sql", &view("!"));
    let answer = json(&flyway(&shop, "migrate", "hello").expect_code(0));
    assert_eq!(answer["migrationsExecuted"], 2, "{answer}");
    assert_both_agree(&shop, "hello");

    // A new value is a change as well; an index that cannot be made in a transaction goes along.
    shop.write("V3__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\n");
    shop.write("sub/V3_1__c.sql", "CREATE TABLE c (t text);\nCOPY c FROM stdin;\none\ntwo\n\\.\n");
    ours(&shop, "migrate", "bye").expect_code(0);
    assert_eq!(shop.database.ask("SELECT greeting FROM v"), "bye!");
    assert_both_agree(&shop, "bye");

    shop.write("V4__d.sql", "CREATE TABLE d (id int);\n");
    shop.write("R__v.sql", &view("?"));
    flyway(&shop, "migrate", "bye").expect_code(0);
    assert_both_agree(&shop, "bye");

    shop.write("V5__e.sql", "CREATE TABLE e (id int);\n");
    ours(&shop, "migrate", "bye").expect_code(0);
    let nothing = json(&flyway(&shop, "migrate", "bye").expect_code(0));
    assert_eq!(nothing["migrationsExecuted"], 0, "{nothing}");
    assert_both_agree(&shop, "bye");
}

#[test]
fn a_failed_row_of_ours_stops_flyway_until_its_repair() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n"),
        ("V2__i.sql", "VACUUM a;\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (id);\n"),
    ]);
    ours(&shop, "migrate", "").expect_code(8);
    assert_same_info(&shop, "");
    flyway(&shop, "migrate", "").expect_code(1);
    flyway(&shop, "repair", "").expect_code(0);
    shop.database.ask("DROP INDEX i; DELETE FROM a WHERE ctid = (SELECT max(ctid) FROM a)");
    // Its repair took our right to go on with the second statement away: the script starts anew.
    let anew = ours(&shop, "migrate", "").expect_code(0);
    assert!(!anew.says("goes on with"), "{}", anew.said());
    assert_both_agree(&shop, "");
}

#[test]
fn missing_changed_and_baselined_scripts_look_the_same_to_both() {
    let shop = Shop::new(&[
        ("V1__a.sql", "SELECT 1;\n"),
        ("V2__b.sql", "SELECT 2;\n"),
        ("V3__c.sql", "SELECT 3;\n"),
    ]);
    shop.database.ask("CREATE TABLE legacy (id int)");
    flyway(&shop, "baseline", "").expect_code(0);
    assert_same_info(&shop, "");
    ours(&shop, "migrate", "").expect_code(0);
    assert_both_agree(&shop, "");
    shop.remove("V2__b.sql");
    shop.write("V3__c.sql", "SELECT 33;\n");
    assert_same_info(&shop, "");
    assert_eq!(json(&flyway(&shop, "validate", ""))["validationSuccessful"], false);
    ours(&shop, "validate", "").expect_code(6);
    ours(&shop, "repair", "").expect_code(0);
    assert_both_agree(&shop, "");
    let nothing = json(&flyway(&shop, "repair", "").expect_code(0));
    assert_eq!(nothing["repairActions"].as_array().map(Vec::len), Some(0), "{nothing}");
}

#[test]
fn row_17_flyway_waits_for_a_run_of_a_hundred_scripts_and_gets_its_turn_before_the_end() {
    let ended = apply_a_hundred_beside_flyway(|shop| shop.database.user.clone());
    assert!(ended.says("another runner waits for the lock"), "{}", ended.said());
}

/// Its role has what ours has, and ours may not see what it asks for.
#[test]
fn row_17_flyway_of_another_role_gets_its_turn_although_nobody_sees_it_wait() {
    let ended = apply_a_hundred_beside_flyway(|shop| {
        let role = format!("{}_other", shop.database.user);
        let (user, password) = (&shop.database.user, &shop.database.password);
        superuser(&format!("CREATE ROLE \"{role}\" LOGIN PASSWORD '{password}' IN ROLE \"{user}\""));
        role
    });
    assert!(ended.says("sessions of other roles may wait for the lock"), "{}", ended.said());
    assert!(!ended.says("another runner waits"), "{}", ended.said());
}

fn apply_a_hundred_beside_flyway(role: impl FnOnce(&Shop) -> String) -> Ended {
    let shop =
        Shop::new(&[("V1__runs.sql", "CREATE TABLE runs (script int);\nINSERT INTO runs VALUES (1);\n")]);
    for version in 2..=100 {
        let text = format!("INSERT INTO runs VALUES ({version});\nSELECT pg_sleep(0.07);\n");
        shop.write(&format!("V{version}__r.sql"), &text);
    }
    let role = role(&shop);
    let ended = std::thread::scope(|scope| {
        let mut command = shop.command("migrate");
        let mut ours = Running::start(command.args(["--placeholder", "greeting="]));
        ours.line_with("applied V2__r.sql", Duration::from_secs(60));
        // Their JVM takes a second until it asks for the lock; who applied a script is told by the program that did it.
        let theirs = scope.spawn(|| flyway_as(&shop, &role, "migrate", ""));
        let ended = ours.wait(Duration::from_secs(60)).expect_code(0);
        let theirs = json(&theirs.join().expect("it does not panic").expect_code(0));
        let applied = theirs["migrationsExecuted"].as_u64().expect("a number");
        assert!(applied > 0, "Flyway came too late for any script\n{}", ended.said());
        ended
    });
    assert_eq!(shop.database.ask("SELECT count(*), count(DISTINCT script) FROM runs"), "100|100");
    assert_eq!(
        shop.database
            .ask("SELECT count(*), count(DISTINCT version), max(installed_rank) FROM flyway_schema_history"),
        "100|100|100"
    );
    assert_both_agree(&shop, "");
    if role != shop.database.user {
        superuser(&format!("DROP ROLE \"{role}\""));
    }
    ended
}
