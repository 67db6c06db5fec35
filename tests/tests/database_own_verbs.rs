//! The verbs that only Whimbrel has, on a real PostgreSQL; and what real Flyway makes of the rows they leave.

mod common;

use std::process::Command;
use std::time::Duration;

use common::Shop;
use serde_json::Value;
use whimbrel_tests::pooler::Pooler;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::{Ended, Running, clean, run};
use whimbrel_tests::testbed;

const MINUTE: Duration = Duration::from_secs(60);

const BIRDS: [(&str, &str); 5] = [
    ("V1__birds.sql", "CREATE TABLE bird (id int);\n"),
    ("V2__names.sql", "ALTER TABLE bird ADD COLUMN name text;\n"),
    ("V3__nests.sql", "CREATE TABLE nest (id int);\nCREATE INDEX nest_id ON nest (id);\n"),
    ("U2__names.sql", "ALTER TABLE bird DROP COLUMN name;\n"),
    ("U3__nests.sql", "DROP TABLE nest;\n"),
];

/// Real Flyway, as JSON.
#[track_caller]
fn flyway(shop: &Shop, verb: &str) -> Value {
    let mut command = clean(testbed::variable("WHIMBREL_TEST_FLYWAY"));
    let url = shop.database.url();
    let (_, place) = url.rsplit_once('@').expect("a URL with a login");
    command.env("FLYWAY_URL", format!("jdbc:postgresql://{place}"));
    command.env("FLYWAY_USER", &shop.database.user).env("FLYWAY_PASSWORD", &shop.database.password);
    command.arg(format!("-locations=filesystem:{}", shop.project.file("sql").display()));
    command.args(["-skipCheckForUpdate", "-outputType=json", verb]);
    let ended = run(&mut command, Duration::from_secs(120)).expect_code(0);
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("not JSON\n{}", ended.said()))
}

/// (version, state) of every line.
fn states(rows: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = rows.as_array().expect("a list");
    rows.iter().map(|row| (text(&row["version"]), text(&row["state"]))).collect()
}

fn info(shop: &Shop, options: &[&str]) -> Value {
    let ended = shop.run("info", &[&["--format", "json"], options].concat()).expect_code(0);
    ended.json_lines()[0]["databases"][0].clone()
}

#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    for part in parts {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
}

#[test]
fn an_undo_is_a_delete_row_that_real_flyway_agrees_with() {
    let shop = Shop::new(&BIRDS);
    shop.migrate(&[]).expect_code(0);
    let history = shop.history();
    let dry = shop.run("undo", &["--dry-run"]).expect_code(0);
    says(&dry, &["would take version 3 back with U3__nests.sql", "DROP TABLE nest;"]);
    assert_eq!(shop.history(), history);

    let undone = shop.run("undo", &[]).expect_code(0);
    says(&undone, &["version 3 is taken back", "1 taken back, now at version 2"]);
    assert_eq!(shop.database.ask("SELECT to_regclass('nest') IS NULL"), "t");
    let last = "SELECT installed_rank, version, type, script, success FROM flyway_schema_history \
                ORDER BY installed_rank DESC LIMIT 1";
    assert_eq!(shop.database.ask(last), "4|3|DELETE|V3__nests.sql|t");
    let theirs = flyway(&shop, "info");
    assert_eq!(states(&info(&shop, &[])["migrations"]), states(&theirs["migrations"]));
    assert_eq!(theirs["schemaVersion"], "2");
    // Real Flyway applies it again, and we take it back again, with the one below.
    assert_eq!(flyway(&shop, "migrate")["migrationsExecuted"], 1);
    assert_eq!(flyway(&shop, "validate")["validationSuccessful"], true);
    let both = shop.run("undo", &["--target", "1"]).expect_code(0);
    says(&both, &["2 taken back, now at version 1"]);
    assert_eq!(states(&info(&shop, &[])["migrations"]), states(&flyway(&shop, "info")["migrations"]));
    shop.migrate(&[]).expect_code(0);
    assert_eq!(flyway(&shop, "validate")["validationSuccessful"], true);
    assert_eq!(shop.database.version().as_deref(), Some("3"));
}

#[test]
fn an_undo_that_is_missing_or_fails_changes_nothing() {
    let shop = Shop::new(&BIRDS);
    shop.migrate(&[]).expect_code(0);
    let history = shop.history();
    let all = shop.run("undo", &["--target", "0"]).expect_code(6);
    says(&all, &["no undo script for version 1", "U1__birds.sql", "propose-undo 1"]);
    shop.write("U3__nests.sql", "DROP TABLE nest;\nDROP TABLE nowhere;\n");
    let failed = shop.run("undo", &[]).expect_code(7);
    says(&failed, &["U3__nests.sql:2:1", "nothing of it was kept"]);
    assert_eq!(shop.history(), history);
    assert_eq!(shop.database.ask("SELECT to_regclass('nest') IS NULL"), "f");
}

#[test]
fn a_dry_run_shows_everything_and_writes_nothing() {
    let shop = Shop::new(&[
        (
            "V1__a.sql",
            "CREATE TABLE a (id serial);\nCREATE ROLE r PASSWORD 's3cret';\nSELECT '${api_token}', '${region}';\n",
        ),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\n"),
    ]);
    let options = ["--dry-run", "--placeholder", "api_token=canary-value", "--placeholder", "region=europe"];
    let ended = shop.migrate(&options).expect_code(0);
    says(&ended, &["would make the history table", "would apply V1__a.sql", "in one transaction"]);
    says(
        &ended,
        &["statement by statement, cannot be rolled back", "CREATE TABLE a (id serial);", "'europe'"],
    );
    assert!(!ended.says("s3cret") && !ended.says("canary-value"), "{}", ended.said());
    let objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(shop.database.number(objects), 0);
}

#[test]
fn a_rehearsal_runs_everything_and_takes_it_back() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\n"),
        ("V3__b.sql", "SET search_path = pg_catalog;\nSELECT 1;\n"),
        ("V4__c.sql", "INSERT INTO a VALUES (2);\n"),
    ]);
    let ended = shop.migrate(&["--dry-run=rollback"]).expect_code(0);
    says(&ended, &["rehearsed V1__a.sql", "left out V2__i.sql", "rehearsed V4__c.sql", "sequences keep"]);
    let objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(shop.database.number(objects), 0);
    assert_eq!(shop.database.advisory_locks(), 0);
    shop.write("V5__d.sql", "INSERT INTO a VALUES ('x');\n");
    let failed = shop.migrate(&["--dry-run=rollback"]).expect_code(7);
    says(&failed, &["V5__d.sql:1:", "left out what it cannot roll back: V2__i.sql"]);
    assert_eq!(shop.database.number(objects), 0);
}

#[test]
fn a_skip_and_a_stamp_write_rows_after_their_dangers_were_accepted() {
    let shop = Shop::new(&BIRDS);
    shop.migrate(&["--target", "1"]).expect_code(0);
    let history = shop.history();
    shop.run("skip", &["2"]).expect_code(2);
    let refused = shop.run("skip", &["2", "--reason", "made by hand"]).expect_code(9);
    says(&refused, &["runs nothing", "its script is not run", "--yes"]);
    let dry = shop.run("skip", &["2", "--reason", "made by hand", "--dry-run"]).expect_code(0);
    says(&dry, &["version 2 (V2__names.sql) would be recorded and was not run"]);
    assert_eq!(shop.history(), history);
    shop.run("skip", &["2", "app", "--reason", "made by hand", "--yes"]).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("2"));
    let rows = info(&shop, &[]);
    assert_eq!(rows["migrations"][1]["reason"], "made by hand");
    assert_eq!(flyway(&shop, "validate")["validationSuccessful"], false, "3 is pending");

    shop.run("stamp", &["3", "--yes"]).expect_code(0);
    assert_eq!(flyway(&shop, "validate")["validationSuccessful"], true);
    assert_eq!(shop.database.ask("SELECT to_regclass('nest') IS NULL"), "t");
    shop.run("stamp", &["1", "--yes"]).expect_code(0);
    assert_eq!(states(&info(&shop, &[])["migrations"]), states(&flyway(&shop, "info")["migrations"]));
    shop.run("stamp", &["9", "--yes"]).expect_code(2);
    assert!(shop.run("skip", &["1", "--reason", "x", "--yes"]).expect_code(1).says("not pending"));
}

#[test]
fn one_named_script_may_come_late_and_its_reason_is_kept() {
    let shop = Shop::new(&[("V1__a.sql", "SELECT 1;\n"), ("V4__d.sql", "SELECT 4;\n")]);
    shop.migrate(&[]).expect_code(0);
    shop.write("V2__b.sql", "SELECT 2;\n");
    shop.write("V3__c.sql", "SELECT 3;\n");
    shop.migrate(&["--allow-out-of-order", "2"]).expect_code(2);
    let late = ["--allow-out-of-order", "2", "--reason", "the fix of last night"];
    let other = shop.migrate(&late).expect_code(6);
    says(&other, &["V3__c.sql", "--allow-out-of-order"]);
    shop.remove("V3__c.sql");
    shop.migrate(&late).expect_code(0);
    let rows = info(&shop, &[]);
    let row = rows["migrations"].as_array().expect("a list").iter().find(|row| row["version"] == "2");
    assert_eq!(row.expect("a line")["reason"], "the fix of last night");
}

#[test]
fn info_knows_which_image_applied_what() {
    let shop = Shop::new(&BIRDS[..1]);
    let migrate = |digest: &str| {
        let mut command = shop.command("migrate");
        run(command.env("WHIMBREL_IMAGE_DIGEST", digest), MINUTE).expect_code(0);
    };
    migrate("sha256:aaaa");
    shop.write("V2__b.sql", "SELECT 2;\n");
    migrate("sha256:bbbb");
    migrate("sha256:cccc");
    let rows = info(&shop, &[]);
    let images: Vec<&str> = rows["migrations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["image"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(images, ["sha256:aaaa", "sha256:bbbb"]);
    says(&shop.run("info", &[]).expect_code(0), &["from 2 on by image sha256:bbbb"]);
    // A run that did nothing has nothing to tell; Flyway does not mind the table.
    assert_eq!(shop.database.number("SELECT count(*) FROM whimbrel_run"), 2);
    assert_eq!(flyway(&shop, "validate")["validationSuccessful"], true);
}

#[test]
fn a_role_that_may_not_make_our_table_still_migrates() {
    let shop = Shop::new(&BIRDS[..1]);
    shop.migrate(&[]).expect_code(0);
    shop.database.ask(&format!(
        "DROP TABLE whimbrel_run; REVOKE CREATE ON SCHEMA public FROM PUBLIC; ALTER SCHEMA public OWNER TO postgres; \
         REVOKE CREATE ON SCHEMA public FROM \"{}\"",
        shop.database.user
    ));
    shop.write("V2__b.sql", "INSERT INTO bird VALUES (1);\n");
    let ended = shop.migrate(&[]).expect_code(0);
    says(&ended, &["could not be written down", "permission denied"]);
    assert_eq!(shop.database.version().as_deref(), Some("2"));
}

#[test]
fn wait_ends_with_the_version_and_ping_answers() {
    let shop = Shop::new(&BIRDS);
    let ping = shop.run("ping", &[]).expect_code(0);
    says(&ping, &["app: PostgreSQL 1", &shop.database.name]);
    let never = shop.run("wait", &["--for-version", "3", "--wait", "1s"]).expect_code(124);
    says(&never, &["not at 3", "no version"]);
    let mut waiting = Running::start(shop.command("wait").args(["--for-version", "3"]));
    waiting.line_with("waiting for version 3", MINUTE);
    // The waiting one needs no scripts of its own.
    shop.migrate(&[]).expect_code(0);
    says(&waiting.wait(MINUTE).expect_code(0), &["version 3"]);
    shop.run("wait", &["--for-version", "2"]).expect_code(0);
    shop.run("wait", &[]).expect_code(2);
    let mut gone = shop.command("ping");
    gone.env("APP_DATABASE_URL", shop.database.url_at("127.0.0.1:1"));
    run(&mut gone, MINUTE).expect_code(4);
}

#[test]
fn risks_are_joined_with_the_sizes_of_the_tables_and_refused_above_a_level() {
    let shop =
        Shop::new(&[("V1__a.sql", "CREATE TABLE big (id int, t text);\nCREATE TABLE small (id int);\n")]);
    shop.migrate(&[]).expect_code(0);
    shop.database
        .ask("INSERT INTO big SELECT n, repeat('x', 1000) FROM generate_series(1, 30000) n; ANALYZE big");
    let rewrite = |table: &str| format!("ALTER TABLE {table} ALTER COLUMN id TYPE bigint;\n");
    shop.write("V2__b.sql", &rewrite("small"));
    shop.write("V3__c.sql", &rewrite("big"));
    let risks = info(&shop, &["--risk"])["risks"].clone();
    assert_eq!((&risks[0]["level"], &risks[1]["level"]), (&"low".into(), &"high".into()), "{risks}");
    assert_eq!(risks[1]["impacts"][0]["rows"], 30000);
    assert!(risks[1]["impacts"][0]["bytes"].as_u64() > Some(30_000_000), "{risks}");
    says(
        &shop.run("info", &["--risk"]).expect_code(0),
        &["V3__c.sql: risk high", "ACCESS EXCLUSIVE", "30000 rows"],
    );
    let refused = shop.migrate(&["--max-risk", "medium"]).expect_code(9);
    says(&refused, &["V3__c.sql: high", "line 1: ALTER TABLE", "--max-risk"]);
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    shop.migrate(&["--max-risk", "high"]).expect_code(0);
}

#[test]
fn an_undo_is_proposed_and_never_applied() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nCREATE INDEX i ON a (id);\n")]);
    let shown = shop.run("propose-undo", &["1"]).expect_code(0);
    says(&shown, &["U1__a.sql", "DROP INDEX i;", "DROP TABLE a;"]);
    assert!(!shop.project.file("sql/U1__a.sql").exists());
    shop.run("propose-undo", &["1", "--write"]).expect_code(0);
    shop.run("propose-undo", &["1", "--write"]).expect_code(9);
    shop.migrate(&[]).expect_code(0);
    shop.run("undo", &[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
    shop.run("propose-undo", &["7"]).expect_code(1);
    shop.write("V2__b.sql", "DROP TABLE a;\n");
    says(&shop.run("propose-undo", &["2"]).expect_code(0), &["no exact inverse", "-- missing, for line 1"]);
}

#[test]
fn several_databases_at_once_keep_the_rules_of_one_after_the_other() {
    let shop = Shop::new(&[]);
    let others: Vec<Database> = (0..3).map(|_| Database::create("runner")).collect();
    let all: Vec<String> =
        others.iter().chain([&shop.database]).map(|database| format!("'{}'", database.name)).collect();
    // Each script ends once there are sessions in all four databases.
    let together = format!(
        "DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_stat_clear_snapshot(); \
         IF (SELECT count(DISTINCT datname) FROM pg_stat_activity WHERE datname IN ({})) = 4 THEN \
         PERFORM pg_sleep(0.5); RETURN; END IF; \
         PERFORM pg_sleep(0.1); END LOOP; RAISE EXCEPTION 'one after the other'; END $$;\n",
        all.join(", ")
    );
    shop.write("V1__a.sql", &together);
    let text = fs_err::read_to_string(shop.project.file("whimbrel.toml")).expect("the file is there");
    let names = ["b", "c", "d"];
    let entries: String =
        names.iter().map(|name| format!("\n[databases.{name}]\nlocations = [\"{name}\"]\n")).collect();
    shop.project.write("whimbrel.toml", &format!("{text}{entries}"));
    let command = |verb: &str| -> Command {
        let mut command = shop.command(verb);
        for (name, database) in names.iter().zip(&others) {
            command.env(format!("{}_DATABASE_URL", name.to_uppercase()), database.url());
        }
        command
    };
    for name in names {
        shop.project.write(&format!("{name}/V1__a.sql"), &together);
    }
    let ended = run(command("migrate").args(["--jobs", "4"]), MINUTE).expect_code(0);
    let order: Vec<usize> =
        ["\napp ", "\nb ", "\nc ", "\nd "].iter().filter_map(|name| ended.stdout.find(name)).collect();
    assert!(order.len() == 4 && order.is_sorted(), "{}", ended.said());
    // A failure stops what has not begun, lets end what has, and gives the code.
    shop.project.write("sql/V2__b.sql", "SELECT 1 / 0;\n");
    for name in names {
        shop.project.write(&format!("{name}/V2__b.sql"), "SELECT pg_sleep(3);\n");
    }
    let failed = run(command("migrate").args(["--jobs", "2", "--format", "json"]), MINUTE).expect_code(7);
    let lines = failed.json_lines();
    let record = &lines.last().expect("a last line")["record"];
    let outcomes: Vec<&str> = record["databases"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|database| database["outcome"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(outcomes, ["failed", "applied", "skipped", "skipped"]);
}

#[test]
fn row_19_a_pool_in_transaction_mode_is_refused_before_anything_is_done_and_one_in_session_mode_serves() {
    let shop = Shop::new(&BIRDS);
    let through = |pooler: &Pooler| {
        let mut command = shop.command("migrate");
        command.env("APP_DATABASE_URL", shop.database.url_at(&pooler.address));
        run(&mut command, MINUTE)
    };
    let pooler = Pooler::start("transaction", &shop.database);
    let refused = through(&pooler).expect_code(2);
    says(&refused, &["changed its backend", "session mode"]);
    let objects = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(shop.database.number(objects), 0);
    assert_eq!(shop.database.advisory_locks(), 0);
    drop(pooler);
    let pooler = Pooler::start("session", &shop.database);
    through(&pooler).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("3"));
}

#[test]
fn a_checksum_that_differs_without_an_edit_is_explained() {
    let text = "CREATE TABLE ruf (laut text);\nINSERT INTO ruf VALUES ('kr\u{e4}chzen');\n";
    let view = "CREATE OR REPLACE VIEW v AS SELECT '${greeting}' AS g;\n";
    let shop = Shop::new(&[("V1__a.sql", text), ("V2__b.sql", "SELECT 2;\n"), ("R__v.sql", view)]);
    let hello = ["--placeholder", "greeting=hello"];
    let run = |verb: &str| shop.run(verb, &hello);
    run("migrate").expect_code(0);
    let mismatch = |shop: &Shop| {
        let ended = shop.run("validate", &[&hello[..], &["--format", "json"]].concat()).expect_code(6);
        let document: serde_json::Value = serde_json::from_str(&ended.stdout).expect("a document");
        let finding = document["databases"][0]["findings"][0].clone();
        assert_eq!(finding["slug"], "checksum-mismatch", "{document}");
        finding["next_step"].as_str().expect("a next step").to_owned()
    };
    // Saved as ISO-8859-1, as its side file says: the same letters, the same checksum.
    let latin1: Vec<u8> = text.chars().map(|character| character as u8).collect();
    fs_err::write(shop.project.file("sql/V1__a.sql"), &latin1).expect("files can be written");
    shop.write("V1__a.sql.conf", "encoding=ISO-8859-1\n");
    run("validate").expect_code(0);
    shop.remove("V1__a.sql.conf");
    // A tool read it wrongly and saved that as UTF-8.
    let twice: String = text.bytes().map(char::from).collect();
    shop.write("V1__a.sql", &twice);
    assert!(mismatch(&shop).contains("a tool read it as ISO-8859-1"), "{}", mismatch(&shop));
    // An editor that leaves blanks.
    shop.write("V1__a.sql", &text.replace('\n', " \n"));
    assert!(mismatch(&shop).contains("(trailing-blanks-only): save the file as it was, or run repair"));
    let refused = run("migrate").expect_code(6);
    says(&refused, &["trailing-blanks-only"]);
    let shown = run("info").expect_code(0);
    says(&shown, &["V1__a.sql has another checksum: only blanks at the ends of lines are new"]);
    // A row by a tool that counts line ends, which were CRLF.
    shop.write("V1__a.sql", text);
    // CRC-32 of "SELECT 2;" with CR and LF.
    shop.database.ask("UPDATE flyway_schema_history SET checksum = -1345757762 WHERE version = '2'");
    assert!(mismatch(&shop).contains("counts line ends (CRLF) (line-ends-only)"), "{}", mismatch(&shop));
    shop.run("repair", &hello).expect_code(0);
    run("validate").expect_code(0);
    // A file that is too large to be held is explained while it goes by.
    shop.write("V3__large.sql", &format!("-- {}\nSELECT 3;\n", "gr\u{fc}n ".repeat(1_000_000)));
    shop.write("V3__large.sql.conf", "encoding=ISO-8859-1\n");
    run("migrate").expect_code(0);
    shop.remove("V3__large.sql.conf");
    assert!(mismatch(&shop).contains("they were read as ISO-8859-1"), "{}", mismatch(&shop));
    run("repair").expect_code(0);
    // An edit stays an edit.
    shop.write("V2__b.sql", "SELECT 3;\n");
    assert!(mismatch(&shop).starts_with("revert the file to what was applied"));
}

/// What the process had in memory at most, in MiB.
fn peak(process: u32) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}

#[test]
fn a_dry_run_of_a_large_script_needs_no_room_for_it_and_hides_what_is_secret() {
    let rows = "1\ta row of a table with ${app_token} in it\n".repeat(600_000);
    let shop = Shop::new(&[(
        "V1__large.sql",
        &format!(
            "CREATE TABLE big (i int, t text);\nCOPY big FROM stdin;\n{rows}\\.\nINSERT INTO big VALUES (2, 'b');\n"
        ),
    )]);
    let options = ["--placeholder", "app_token=canary-of-rows", "--dry-run"];
    let mut running = Running::start(shop.command("migrate").args(options));
    let mut most = 0;
    while running.is_running() {
        most = peak(running.id()).unwrap_or_default().max(most);
        std::thread::sleep(Duration::from_millis(20));
    }
    let shown = running.wait(MINUTE).expect_code(0);
    let hidden = format!("COPY big FROM stdin;\n{}\\.\n", rows.replace("${app_token}", "***"));
    assert!(shown.stdout.contains(&hidden) && !shown.says("canary-of-rows"), "{} bytes", shown.stdout.len());
    assert!(shown.says("INSERT on big"), "the risk is told");
    assert!(most > 0 && most < 45, "{most} MiB for a script of {} MiB", hidden.len() >> 20);

    let rows = "1\ta row\n".repeat(200_000);
    shop.write(
        "V1__large.sql",
        &format!("CREATE TABLE big (i int, t text);\nCOPY big FROM stdin;\n{rows}\\.\n"),
    );
    let document = shop.migrate(&["--dry-run", "--format", "json"]).expect_code(0);
    let planned = &document.json_lines()[0]["databases"][0]["planned"][0];
    let text = fs_err::read_to_string(shop.project.file("sql/V1__large.sql")).expect("it is there");
    assert!(planned["sql"] == text.as_str(), "{} bytes", planned["sql"].to_string().len());
    assert_eq!(shop.database.ask("SELECT to_regclass('flyway_schema_history') IS NULL"), "t");
}

#[test]
fn a_report_that_cannot_be_written_is_found_before_anything_runs() {
    let shop = Shop::new(&BIRDS);
    let nowhere = shop.project.file("no/such/folder/report.json");
    let refused = shop.migrate(&["--report", nowhere.to_str().expect("UTF-8")]).expect_code(2);
    says(&refused, &["the run record cannot be written", "--report names a file"]);
    assert_eq!(shop.database.ask("SELECT to_regclass('flyway_schema_history') IS NULL"), "t");
    let report = shop.project.file("report.json");
    shop.migrate(&["--report", report.to_str().expect("UTF-8")]).expect_code(0);
    let text = fs_err::read_to_string(report).expect("it is written");
    let record: serde_json::Value = serde_json::from_str(&text).expect("a record");
    assert_eq!(record["exit_code"], 0);
}
