//! The program called `flyway` on a real PostgreSQL, in what Flyway's open-source edition does not have: undo and dry runs.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use common::Shop;
use serde_json::{Value, json};
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, clean, run, whimbrel};
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(120);

const BIRDS: [(&str, &str); 6] = [
    ("V1__birds.sql", "CREATE TABLE bird (id int);\n"),
    ("V2__names.sql", "ALTER TABLE bird ADD COLUMN name text;\n"),
    ("V3__nests.sql", "CREATE TABLE nest (id int);\n"),
    ("R__view.sql", "CREATE OR REPLACE VIEW birds AS SELECT id, '${kind}' AS kind FROM bird;\n"),
    ("U2__drop_names.sql", "ALTER TABLE bird DROP COLUMN name;\n"),
    ("U3__drop_nests.sql", "DROP TABLE nest;\n"),
];

fn at(mut command: Command, shop: &Shop, arguments: &[&str]) -> Ended {
    let url = shop.database.url();
    let (_, place) = url.rsplit_once('@').expect("a URL with a login");
    command.env("FLYWAY_URL", format!("jdbc:postgresql://{place}")).env("TZ", "UTC");
    command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
    command.env("FLYWAY_PLACEHOLDERS_KIND", "wader").current_dir(shop.project.file("sql"));
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    run(command.arg("-skipCheckForUpdate").args(arguments), MINUTE)
}

/// Our program, under Flyway's name.
fn face(shop: &Shop, arguments: &[&str]) -> Ended {
    let mut command = whimbrel("whimbrel-migrate");
    command.arg0("flyway");
    at(command, shop, arguments)
}

/// The real one.
fn real(shop: &Shop, arguments: &[&str]) -> Ended {
    at(clean(testbed::variable("WHIMBREL_TEST_FLYWAY")), shop, arguments)
}

#[track_caller]
fn document(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("not JSON\n{}", ended.said()))
}

#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
}

/// These texts stand there, one after the other.
#[track_caller]
fn in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(at) = rest.find(part) else { panic!("{part:?} is missing, or too early\n{text}") };
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn undo_takes_versions_back_down_to_its_target_and_real_flyway_goes_on_from_there() {
    let shop = Shop::new(&BIRDS);
    face(&shop, &["migrate"]).expect_code(0);
    shop.write("beforeUndo.sql", "CREATE TABLE undone (id int);\n");
    let last = face(&shop, &["undo"]).expect_code(0);
    shop.remove("beforeUndo.sql");
    assert_eq!(shop.database.ask("SELECT count(*) FROM undone"), "0");
    in_order(
        &last.stdout,
        &[
            "Executing SQL callback: beforeUndo",
            "Current version of schema \"public\": 3",
            "Undoing migration of schema \"public\" to version 3 - drop nests",
            "Successfully undid 1 migration to schema \"public\", now at version v2 (execution time ",
        ],
    );
    assert_eq!(shop.database.ask("SELECT to_regclass('nest') IS NULL"), "t");

    // What real Flyway reads there, and applies again, is taken back once more with what is below it.
    assert_eq!(
        document(&real(&shop, &["-outputType=json", "migrate"]).expect_code(0))["migrationsExecuted"],
        1
    );
    real(&shop, &["validate"]).expect_code(0);
    let both = document(&face(&shop, &["-outputType=json", "-target=2", "undo"]).expect_code(0));
    assert_eq!(both["operation"], "undo");
    assert_eq!((&both["initialSchemaVersion"], &both["targetSchemaVersion"]), (&json!("3"), &json!("1")));
    assert_eq!((&both["migrationsUndone"], &both["warnings"]), (&json!(2), &json!([])));
    let first = &both["undoneMigrations"][0];
    assert_eq!((&first["version"], &first["description"]), (&json!("3"), &json!("drop nests")));
    let path = shop.project.file("sql/U3__drop_nests.sql").display().to_string();
    assert_eq!(first["filepath"], path);
    let theirs = document(&real(&shop, &["-outputType=json", "info"]).expect_code(0));
    let ours = document(&face(&shop, &["-outputType=json", "info"]).expect_code(0));
    assert_eq!(ours["migrations"], theirs["migrations"]);
    assert_eq!(theirs["schemaVersion"], "1");
}

#[test]
fn an_undo_that_cannot_be_is_refused_and_what_can_be_undone_is_told() {
    let shop = Shop::new(&BIRDS);
    let nothing = face(&shop, &["undo"]).expect_code(0);
    says(&nothing, &["Schema \"public\" has no migration to undo."]);
    face(&shop, &["migrate"]).expect_code(0);
    let history = shop.history();
    says(&face(&shop, &["-target=1", "undo"]).expect_code(1), &["no undo script for version 1"]);
    says(&face(&shop, &["-cherryPick=9", "undo"]).expect_code(1), &["cherryPick names 9"]);
    assert_eq!(shop.history(), history);

    shop.write("U3__drop_nests.sql", "DROP TABLE nest;\nDROP TABLE nowhere;\n");
    let failed = document(&face(&shop, &["-outputType=json", "undo"]).expect_code(1));
    assert_eq!(failed["error"]["sqlState"], "42P01", "{failed}");
    assert_eq!(shop.history(), history);

    let known = document(&face(&shop, &["-outputType=json", "-undoSqlMigrationPrefix=U", "info"]));
    let undoable = |index: usize| known["migrations"][index]["undoable"].clone();
    assert_eq!([undoable(0), undoable(1), undoable(3)], ["No", "Yes", ""]);
    let file = shop.project.file("sql/U2__drop_names.sql").display().to_string();
    assert_eq!(known["migrations"][1]["undoFilepath"], file);
}

/// Nobody without a licence sees where the paid edition calls what belongs to an undo: here it is where the open-source
/// edition calls what belongs to a migration.
#[test]
fn callbacks_of_an_undo_are_called_where_real_flyway_calls_those_of_a_migration() {
    let shop = Shop::new(&[("V1__trail.sql", "CREATE TABLE trail (id serial, event text);\n")]);
    shop.write("V2__two.sql", "CREATE TABLE egg (id int);\nALTER TABLE egg ADD COLUMN name text;\n");
    shop.write("U2__two.sql", "ALTER TABLE egg DROP COLUMN name;\nDROP TABLE egg;\n");
    real(&shop, &["-target=1", "migrate"]).expect_code(0);
    let places =
        ["before#", "beforeEach#", "beforeEach#Statement", "afterEach#Statement", "afterEach#", "after#"];
    let errors = ["afterEach#StatementError", "afterEach#Error", "after#Error"];
    for verb in ["Migrate", "Undo"] {
        for event in places.iter().chain(&errors).map(|place| place.replace('#', verb)) {
            shop.write(&format!("{event}.sql"), &format!("INSERT INTO trail (event) VALUES ('{event}');\n"));
        }
    }
    let trail = || shop.database.ask("SELECT string_agg(event, ' ' ORDER BY id) FROM trail");
    real(&shop, &["migrate"]).expect_code(0);
    let migrated = trail();
    assert_eq!(migrated.matches("afterEachMigrateStatement").count(), 2, "{migrated}");
    shop.database.ask("TRUNCATE trail");
    let undone = face(&shop, &["undo"]).expect_code(0);
    assert_eq!(trail(), migrated.replace("Migrate", "Undo"));
    in_order(
        &undone.stdout,
        &["Executing SQL callback: beforeEachUndo", "Undoing migration of", "callback: afterEachUndo"],
    );

    // What they do belongs to the transaction of their script; those of an error come after it.
    real(&shop, &["migrate"]).expect_code(0);
    shop.write("U2__two.sql", "ALTER TABLE egg DROP COLUMN name;\nDROP TABLE nowhere;\n");
    let (history, dry) = (shop.history(), face(&shop, &["-dryRunOutput=there/dry.sql", "undo"]));
    dry.expect_code(0);
    let script = fs_err::read_to_string(shop.project.file("sql/there/dry.sql")).expect("it was written");
    let values = ["'beforeUndo'", "'beforeEachUndo'", "DROP TABLE nowhere", "'afterEachUndo'", "'afterUndo'"];
    in_order(&script, &values);
    shop.database.ask("TRUNCATE trail");
    let failed = document(&face(&shop, &["-outputType=json", "undo"]).expect_code(1));
    assert_eq!(failed["error"]["sqlState"], "42P01", "{failed}");
    assert_eq!(trail(), "beforeUndo afterEachUndoStatementError afterEachUndoError afterUndoError");
    assert_eq!((shop.history(), shop.database.ask("SELECT count(name) FROM egg")), (history, "0".to_owned()));

    // One that fails takes its script back with it.
    shop.write("U2__two.sql", "DROP TABLE egg;\n");
    shop.write("afterEachUndo.sql", "SELECT nowhere;\n");
    says(&face(&shop, &["undo"]).expect_code(1), &["afterEachUndo"]);
    assert_eq!(shop.database.ask("SELECT count(*) FROM egg"), "0");
}

/// Real Flyway cannot pick; what it makes of the rows that picking leaves is its own rule for what was passed over.
#[test]
fn what_is_picked_runs_in_its_order_and_real_flyway_takes_the_history_as_it_is() {
    let shop = Shop::new(&BIRDS);
    shop.write("R__audit.sql", "CREATE OR REPLACE VIEW audit AS SELECT 1 AS one;\n");
    let order = "SELECT string_agg(coalesce(version, description), ' ' ORDER BY installed_rank) \
                 FROM flyway_schema_history";
    let picked = face(&shop, &["-cherryPick=view,1", "-validateOnMigrate=false", "migrate"]).expect_code(1);
    says(&picked, &["R__view.sql"]);
    face(&shop, &["-cherryPick=1,view,3", "migrate"]).expect_code(0);
    assert_eq!(shop.database.ask(order), "1 view 3");

    // Nothing more is picked, and what was passed over is no obstacle to it.
    let again = face(&shop, &["-cherryPick=1,view,3", "migrate"]).expect_code(0);
    says(&again, &["is up to date"]);
    let info = document(&face(&shop, &["-cherryPick=3", "-outputType=json", "info"]).expect_code(0));
    let state = |info: &Value, name: &str| {
        let rows = info["migrations"].as_array().expect("a list");
        let is_it = |row: &&Value| row["version"] == name || row["description"] == name;
        rows.iter().find(is_it).expect("it is listed")["state"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(["2", "audit"].map(|name| state(&info, name)), ["Ignored", "Ignored"]);
    face(&shop, &["-cherryPick=3", "validate"]).expect_code(0);

    let theirs = document(&real(&shop, &["-outputType=json", "info"]).expect_code(0));
    let ours = document(&face(&shop, &["-outputType=json", "info"]).expect_code(0));
    assert_eq!(ours["migrations"], theirs["migrations"]);
    assert_eq!(["2", "3", "audit"].map(|name| state(&theirs, name)), ["Ignored", "Success", "Pending"]);
    for ended in [face(&shop, &["validate"]), real(&shop, &["validate"])] {
        says(&ended.expect_code(1), &["Detected resolved migration not applied to database: 2."]);
    }

    // Afterwards the version that was passed over, without outOfOrder; then the rest by the real one.
    face(&shop, &["-cherryPick=names", "migrate"]).expect_code(0);
    assert_eq!(shop.database.ask(order), "1 view 3 2");
    real(&shop, &["migrate"]).expect_code(0);
    assert_eq!(shop.database.ask(order), "1 view 3 2 audit");
    real(&shop, &["validate"]).expect_code(0);

    // An undo goes through the list from its end, and what is not applied is told.
    shop.write("U1__drop_birds.sql", "DROP TABLE bird CASCADE;\n");
    let undone = face(&shop, &["-cherryPick=2,3", "undo"]).expect_code(0);
    in_order(&undone.stdout, &["to version 3 - drop nests", "to version 2 - drop names"]);
    says(&face(&shop, &["-cherryPick=3", "undo"]).expect_code(0), &["no version that is applied is that"]);
    assert_eq!(shop.database.ask(order), "1 view 3 2 audit 3 2");
    let theirs = document(&real(&shop, &["-outputType=json", "info"]).expect_code(0));
    let versions = ["1", "audit"].map(|name| state(&theirs, name));
    assert_eq!(
        (versions, &theirs["schemaVersion"]),
        (["Success", "Success"].map(str::to_owned), &json!("1"))
    );
}

#[test]
fn a_pick_that_is_nowhere_or_has_two_meanings_is_refused() {
    let shop = Shop::new(&BIRDS);
    for (arguments, part) in [
        (vec!["-cherryPick=1,7", "migrate"], "cherryPick names 7"),
        (vec!["-cherryPick=nowhere", "info"], "cherryPick names nowhere"),
        (vec!["-cherryPick=1", "-target=next", "migrate"], "cherryPick and target are both set"),
        (vec!["-cherryPick=1", "-target=1", "undo"], "cherryPick and target are both set"),
    ] {
        says(&face(&shop, &arguments).expect_code(1), &[part]);
    }
    assert_eq!(shop.database.ask("SELECT to_regclass('flyway_schema_history') IS NULL"), "t");
    shop.remove("R__view.sql");
    says(&shop.run("migrate", &["--cherry-pick", "7"]).expect_code(2), &["cherryPick names 7"]);
    says(
        &shop.run("stamp", &["1", "--yes", "--cherry-pick", "1"]).expect_code(2),
        &["means nothing to stamp"],
    );
    shop.run("migrate", &["--cherry-pick", "2,1"]).expect_code(7);
    let dry = shop.run("migrate", &["--cherry-pick", "1,3", "--dry-run"]).expect_code(0);
    in_order(&dry.stdout, &["V1__birds.sql", "V3__nests.sql"]);
    assert!(!dry.says("V2__names.sql"), "{}", dry.said());
    shop.run("migrate", &["--cherry-pick", "3,1", "--target", "1"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(version, ',') FROM flyway_schema_history"), "1");
    face(&shop, &["-cherryPick=1,3", "-target=3", "migrate"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT count(*) FROM flyway_schema_history"), "2");
}

/// What a dry run wrote is run by another program: afterwards the database is as if it had been migrated.
#[test]
fn the_sql_of_a_dry_run_is_what_would_have_been_run() {
    let shop = Shop::new(&BIRDS);
    shop.write("afterEachMigrate__count.sql", "SELECT 'an event';\n");
    shop.write("V4__late.sql", "CREATE INDEX CONCURRENTLY late ON bird (id)\n");
    let answer = face(&shop, &["-dryRunOutput=there/dry.sql", "-outputType=json", "-schemas=app", "migrate"]);
    let answer = document(&answer.expect_code(0));
    assert_eq!((&answer["migrationsExecuted"], &answer["success"]), (&json!(5), &json!(true)), "{answer}");
    assert!(answer["warnings"].to_string().contains("nothing was changed"), "{answer}");
    let objects = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                   WHERE nspname IN ('public', 'app')";
    assert_eq!(shop.database.ask(objects), "0");

    let path = shop.project.file("sql/there/dry.sql");
    let script = fs_err::read_to_string(&path).expect("it was written");
    in_order(
        &script,
        &[
            "-- Flyway Dry Run (",
            "-- Executing: validate (with callbacks)\n",
            "-- Executing: migrate (with callbacks)\n",
            "CREATE SCHEMA \"app\";\n",
            "CREATE TABLE \"app\".\"flyway_schema_history\"",
            "'\"app\"'",
            "-- Executing: migrate -> v1 (with callbacks)\n",
            "V1__birds.sql\n-- --",
            "CREATE TABLE bird (id int);\n",
            "-- Source: ",
            "SELECT 'an event';\n",
            "INSERT INTO \"app\".\"flyway_schema_history\"",
            "-- Executing: migrate -> v4 (with callbacks)\n",
            "ON bird (id);\n",
            "-- Executing: migrate -> view (with callbacks)\n",
            "'wader' AS kind",
        ],
    );
    psql_file(&shop.database, &path);
    real(&shop, &["-schemas=app", "validate"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT count(*) FROM app.flyway_schema_history WHERE success"), "6");

    let text = face(&shop, &["-dryRunOutput=there/dry.sql", "-schemas=app", "migrate"]).expect_code(0);
    says(&text, &["WARNING: dry run: nothing was changed", "Schema \"app\" is up to date."]);
}

fn psql_file(database: &Database, path: &std::path::Path) {
    let mut command = clean("psql");
    let url = database.url().replace(&format!(":{}@", database.password), "@");
    command.env("PGPASSWORD", &database.password).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", &url, "-f"]);
    run(command.arg(path), MINUTE).expect_code(0);
}

#[test]
fn every_verb_that_changes_something_has_a_dry_run() {
    let shop = Shop::new(&BIRDS);
    face(&shop, &["migrate"]).expect_code(0);
    shop.write("V1__birds.sql", "CREATE TABLE bird (id int); -- a comment\n");
    let history = shop.history();
    let dry = |arguments: &[&str]| {
        let path = shop.project.file("dry.sql");
        let _ = fs_err::remove_file(&path);
        let output = format!("-dryRunOutput={}", path.display());
        let ended = face(&shop, &[&[output.as_str()], arguments].concat()).expect_code(0);
        says(&ended, &["WARNING: dry run: nothing was changed"]);
        fs_err::read_to_string(&path).expect("it was written")
    };
    in_order(
        &dry(&["-target=2", "undo"]),
        &["undo -> v3", "DROP TABLE nest;", "'DELETE'", "undo -> v2", "U2__drop_names.sql", "'DELETE'"],
    );
    in_order(&dry(&["repair"]), &["-- Executing: repair", "UPDATE \"public\".\"flyway_schema_history\" SET"]);
    in_order(&dry(&["-cleanDisabled=false", "clean"]), &["-- Executing: clean", "DROP %s IF EXISTS"]);
    in_order(
        &dry(&["-table=other", "baseline"]),
        &["-- Executing: baseline", "CREATE TABLE \"public\".\"other\""],
    );
    assert!(!dry(&["info"]).contains("Executing"), "an info sends nothing");
    assert_eq!(shop.history(), history);
    assert_eq!(shop.database.ask("SELECT to_regclass('other') IS NULL, to_regclass('nest') IS NULL"), "t|f");
}

#[test]
fn a_schema_that_is_named_later_is_made_and_recorded_as_real_flyway_does_it() {
    let shop = Shop::new(&BIRDS);
    face(&shop, &["-schemas=public,one", "migrate"]).expect_code(0);
    says(&real(&shop, &["-schemas=public,two", "migrate"]).expect_code(0), &["Creating schema \"two\" ..."]);
    says(
        &face(&shop, &["-schemas=public,three", "migrate"]).expect_code(0),
        &["Creating schema \"three\" ..."],
    );
    let markers = "SELECT string_agg(script || installed_rank || success, ' ' ORDER BY installed_rank) \
                   FROM flyway_schema_history WHERE type = 'SCHEMA'";
    assert_eq!(shop.database.ask(markers), "\"one\"0true \"two\"5true \"three\"6true");
    real(&shop, &["-schemas=public,three", "validate"]).expect_code(0);
    let clean = ["-schemas=public,two,three", "-cleanDisabled=false", "clean"];
    says(&face(&shop, &clean).expect_code(0), &["Successfully dropped schema \"three\""]);
}

#[test]
fn the_own_verbs_refuse_what_only_the_other_name_takes() {
    let shop = Shop::new(&BIRDS);
    let mut command = shop.command("migrate");
    let ended = run(command.env("FLYWAY_DRYRUN_OUTPUT", "dry.sql"), MINUTE).expect_code(2);
    says(&ended, &["flyway.dryRunOutput", "--dry-run"]);
    assert_eq!(shop.database.ask("SELECT to_regclass('bird') IS NULL"), "t");
}
