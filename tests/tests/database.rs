//! `whimbrel-migrate` against a real PostgreSQL: what is applied, what is refused, and what is told.

mod common;

use std::time::Duration;

use common::Shop;
use rustix::process::Signal;
use whimbrel_tests::postgres::Database;
use whimbrel_tests::program::Running;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_fresh_database_gets_everything_and_a_second_run_nothing() {
    let shop = Shop::new(&[
        ("V1__birds.sql", "CREATE TABLE bird (id int PRIMARY KEY);\nINSERT INTO bird VALUES (1), (2);\n"),
        ("sub/V1_1__names.sql", "ALTER TABLE bird ADD COLUMN name text;\n"),
        ("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM bird;\n"),
    ]);
    let first = shop.migrate(&[]).expect_code(0);
    assert!(first.stdout.contains("app") && first.stdout.contains("1.1"), "{}", first.said());
    assert_eq!(
        shop.database.ask(
            "SELECT installed_rank, version, description, type, script, checksum IS NOT NULL, installed_by = current_user, \
             success FROM flyway_schema_history ORDER BY 1"
        ),
        "1|1|birds|SQL|V1__birds.sql|t|f|t\n2|1.1|names|SQL|sub/V1_1__names.sql|t|f|t\n3||v|SQL|R__v.sql|t|f|t"
    );
    assert_eq!(shop.database.number("SELECT count(*) FROM v"), 2);
    let history = shop.history();
    let second = shop.migrate(&[]).expect_code(0);
    assert!(second.stdout.contains("up to date"), "{}", second.said());
    assert_eq!(shop.history(), history);
    let info = shop.run("info", &["--format", "json"]).expect_code(0).json_lines();
    let states: Vec<&str> = info[0]["databases"][0]["migrations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| row["state"].as_str().expect("a text"))
        .collect();
    assert_eq!(states, ["Success", "Success", "Success"]);
    shop.run("validate", &[]).expect_code(0);
}

#[test]
fn row_78_and_80_a_changed_repeatable_or_placeholder_runs_it_again() {
    let shop = Shop::new(&[("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT '${Greeting}' AS greeting;\n")]);
    shop.migrate(&["--placeholder", "greeting=hello"]).expect_code(0);
    shop.migrate(&["--placeholder", "greeting=hello"]).expect_code(0);
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 1);
    shop.migrate(&["--placeholder", "greeting=bye"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT greeting FROM v"), "bye");
    shop.write("R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT '${greeting}!' AS greeting;\n");
    shop.migrate(&["--placeholder", "greeting=bye"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT greeting FROM v"), "bye!");
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 3);
    // The built-in ones, and a missing one before anything runs.
    shop.write("V2__b.sql", "CREATE TABLE b AS SELECT '${flyway:defaultSchema} ${flyway:filename}' AS a;\n");
    shop.write("V3__c.sql", "SELECT '${nowhere}';\n");
    let missing = shop.migrate(&["--placeholder", "greeting=bye"]).expect_code(2);
    assert!(missing.says("V3__c.sql:1:9") && missing.says("nowhere"), "{}", missing.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t");
    shop.remove("V3__c.sql");
    shop.migrate(&["--placeholder", "greeting=bye"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT a FROM b"), "public V2__b.sql");
}

#[test]
fn row_21_a_failing_script_leaves_nothing_and_tells_its_place() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        (
            "V2__b.sql",
            "CREATE TABLE b (id int);\n\nINSERT INTO b VALUES (1);\nSELECT id,\n       nope\n  FROM b;\n",
        ),
        ("V3__c.sql", "CREATE TABLE c (id int);\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(7);
    for part in
        ["sql/V2__b.sql:5:8", "42703", "column \"nope\" does not exist", "nothing of it was kept", "FROM b"]
    {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL, to_regclass('c') IS NULL"), "t|t");
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    shop.write("V2__b.sql", "CREATE TABLE b (id int);\n");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("3"));
}

#[test]
fn row_25_a_deferred_constraint_fails_the_script_and_nothing_is_recorded() {
    let shop = Shop::new(&[(
        "V1__a.sql",
        "CREATE TABLE p (id int PRIMARY KEY);\n\
         CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO c VALUES (7);\n",
    )]);
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("23503"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('p') IS NULL"), "t");
    assert_eq!(shop.database.number("SELECT count(*) FROM flyway_schema_history"), 0);
    // One that divides by zero is not taken for a transaction that the script has ended.
    shop.write(
        "V1__a.sql",
        "CREATE TABLE p (id int);\n\
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1/0; RETURN NULL; END $$;\n\
         CREATE CONSTRAINT TRIGGER t AFTER INSERT ON p DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f();\n\
         INSERT INTO p VALUES (1);\n",
    );
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("22012") && ended.says("nothing of it was kept"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('p') IS NULL"), "t");
}

#[test]
fn row_28_an_index_can_be_made_concurrently() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"),
        ("V2__i.sql", "-- alone\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (id);\n"),
        ("V3__v.sql", "VACUUM a;\nREINDEX INDEX CONCURRENTLY i;\n"),
    ]);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass"), "t");
    assert_eq!(shop.database.version().as_deref(), Some("3"));
    assert_eq!(shop.database.number("SELECT count(*) FROM whimbrel_script_progress"), 0);
}

#[test]
fn row_22_a_failed_concurrent_index_is_named_and_taken_up_again() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int, b int);\nINSERT INTO a VALUES (1, 1), (1, 1);\n"),
        (
            "V2__i.sql",
            "CREATE INDEX CONCURRENTLY first ON a (b);\nCREATE UNIQUE INDEX CONCURRENTLY second ON a (id);\nVACUUM a;\n",
        ),
        ("V3__c.sql", "CREATE TABLE c (id int);\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(8);
    for part in ["V2__i.sql:2:1", "23505", "public.second is INVALID", "1 of its 3 statements"] {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
    assert_eq!(
        shop.database.ask("SELECT version, success FROM flyway_schema_history ORDER BY installed_rank"),
        "1|t\n2|f"
    );
    // Not before its cause is gone, and never past it.
    shop.migrate(&[]).expect_code(8);
    shop.database.ask("DELETE FROM a WHERE ctid IN (SELECT max(ctid) FROM a)");
    let resumed = shop.migrate(&[]).expect_code(0);
    assert!(resumed.says("goes on with statement 2 of 3"), "{}", resumed.said());
    assert_eq!(
        shop.database.ask("SELECT version, success FROM flyway_schema_history ORDER BY installed_rank"),
        "1|t\n2|t\n3|t"
    );
    assert_eq!(
        shop.database.ask("SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'a'::regclass"),
        "t"
    );
}

#[test]
fn after_repair_a_failed_script_starts_anew() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n"),
        ("V2__i.sql", "VACUUM a;\nCREATE UNIQUE INDEX CONCURRENTLY i ON a (id);\n"),
    ]);
    shop.migrate(&[]).expect_code(8);
    // A changed script cannot be taken up again.
    shop.write("V2__i.sql", "VACUUM a;\nVACUUM a;\nCREATE INDEX CONCURRENTLY i ON a (id);\n");
    let refused = shop.migrate(&[]).expect_code(6);
    assert!(refused.says("repair"), "{}", refused.said());
    let repaired = shop.run("repair", &[]).expect_code(0);
    assert!(repaired.says("V2__i.sql"), "{}", repaired.said());
    // The INVALID index is not ours any more: it is named, and nothing is guessed.
    let stopped = shop.migrate(&[]).expect_code(8);
    assert!(stopped.says("is INVALID") && stopped.says("DROP INDEX CONCURRENTLY i"), "{}", stopped.said());
    shop.database.ask("DROP INDEX i");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.version().as_deref(), Some("2"));
}

#[test]
fn row_32_if_not_exists_does_not_hide_an_invalid_index() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1), (1);\n")]);
    shop.migrate(&[]).expect_code(0);
    shop.write("V2__i.sql", "CREATE UNIQUE INDEX CONCURRENTLY i ON a (id);\n");
    shop.migrate(&[]).expect_code(8);
    shop.run("repair", &[]).expect_code(0);
    shop.write("V2__i.sql", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON a (id);\n");
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("INVALID"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("1"));
}

#[test]
fn row_54_and_56_to_60_disagreement_of_files_and_history_has_its_own_code() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\n"),
    ]);
    shop.migrate(&[]).expect_code(0);
    // Line ends and a byte order mark are not a change, as Flyway sees it.
    shop.write("V1__a.sql", "\u{feff}CREATE TABLE a (id int);\r\n");
    shop.migrate(&[]).expect_code(0);
    shop.write("V1__a.sql", "CREATE TABLE a (id bigint);\n");
    shop.write("V3__c.sql", "CREATE TABLE c (id int);\n");
    for verb in ["migrate", "validate"] {
        let ended = shop.run(verb, &[]).expect_code(6);
        assert!(ended.says("checksum mismatch") && ended.says("V1__a.sql"), "{}", ended.said());
    }
    assert_eq!(shop.database.ask("SELECT to_regclass('c') IS NULL"), "t");
    shop.run("repair", &[]).expect_code(0);
    shop.migrate(&[]).expect_code(0);
    // Missing.
    shop.remove("V2__b.sql");
    let missing = shop.migrate(&[]).expect_code(6);
    assert!(missing.says("not resolved locally"), "{}", missing.said());
    shop.run("repair", &[]).expect_code(0);
    shop.migrate(&[]).expect_code(0);
    // Out of order.
    shop.write("V2_5__late.sql", "CREATE TABLE late (id int);\n");
    shop.migrate(&[]).expect_code(6);
    shop.migrate(&["--out-of-order"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT to_regclass('late') IS NOT NULL"), "t");
    // A failed row that is not ours.
    shop.database.ask(
        "INSERT INTO flyway_schema_history VALUES (99, '4', 'x', 'SQL', 'V4__x.sql', 1, 'x', now(), 1, false)",
    );
    shop.write("V4__x.sql", "SELECT 1;\n");
    let failed = shop.migrate(&[]).expect_code(6);
    assert!(failed.says("repair"), "{}", failed.said());
}

#[test]
fn row_55_a_schema_with_objects_and_no_history_wants_a_baseline() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\n"),
    ]);
    shop.database.ask("CREATE TABLE a (id int)");
    let refused = shop.migrate(&[]).expect_code(6);
    assert!(refused.says("baseline"), "{}", refused.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('flyway_schema_history') IS NULL"), "t");
    shop.run("baseline", &[]).expect_code(0);
    shop.run("baseline", &[]).expect_code(0);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(
        shop.database.ask("SELECT version, type FROM flyway_schema_history ORDER BY installed_rank"),
        "1|BASELINE\n2|SQL"
    );
}

#[test]
fn row_37_to_39_what_a_script_leaves_in_the_session_reaches_nobody() {
    let shop = Shop::new(&[
        (
            "V1__a.sql",
            "SELECT pg_catalog.set_config('search_path', '', false);\nSET statement_timeout = '55s';\n\
             SET TimeZone = 'Asia/Tokyo';\nSET default_transaction_read_only = on;\nCREATE TEMP TABLE leftover (id int);\n\
             SELECT pg_advisory_lock(42);\nLISTEN x;\nPREPARE p AS SELECT 1;\nCREATE TABLE public.a (id int);\n",
        ),
        ("V2__b.sql", "SET ROLE pg_monitor;\nSET standard_conforming_strings = off;\n"),
        (
            "V3__c.sql",
            "CREATE TABLE c AS SELECT current_user AS who, current_setting('search_path') AS path, \
             current_setting('TimeZone') AS zone, current_setting('standard_conforming_strings') AS strings, \
             current_setting('statement_timeout') AS timeout, to_regclass('leftover') AS leftover, \
             (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42) AS locks;\n",
        ),
    ]);
    shop.database.ask(&format!("GRANT pg_monitor TO \"{}\"", shop.database.user));
    shop.migrate(&[]).expect_code(0);
    assert_eq!(
        shop.database.ask("SELECT who, path, zone, strings, timeout, leftover IS NULL, locks FROM c"),
        format!("{}|\"public\", \"$user\", public|UTC|on|0|t|0", shop.database.user)
    );
    assert_eq!(
        shop.database.ask("SELECT DISTINCT installed_by FROM flyway_schema_history"),
        shop.database.user
    );
}

#[test]
fn row_38_another_role_that_a_script_takes_on_outside_of_a_transaction_keeps_nothing_from_being_recorded() {
    let shop = Shop::new(&[
        (
            "V1__a.sql",
            "SET ROLE pg_monitor;\nSELECT pg_catalog.set_config('search_path', '', false);\n\
             CREATE TEMP TABLE who AS SELECT current_user AS who;\nRESET ROLE;\n\
             CREATE TABLE public.a AS SELECT who FROM pg_temp.who;\n",
        ),
        ("V1__a.sql.conf", "executeInTransaction=false\n"),
        ("V2__b.sql", "SET ROLE pg_monitor;\nSELECT 1/0;\n"),
        ("V2__b.sql.conf", "executeInTransaction=false\n"),
    ]);
    let name = &shop.database.name;
    shop.database.ask(&format!(
        "GRANT pg_monitor TO \"{}\"; GRANT TEMP ON DATABASE \"{name}\" TO pg_monitor",
        shop.database.user
    ));
    let failed = shop.migrate(&[]).expect_code(8);
    assert!(failed.says("22012") && failed.says("1 of its 2 statements"), "{}", failed.said());
    assert_eq!(shop.database.ask("SELECT who FROM a"), "pg_monitor");
    assert_eq!(
        shop.database.ask("SELECT string_agg(success::text, ' ') FROM flyway_schema_history"),
        "true false"
    );
    assert_eq!(
        shop.database.ask("SELECT script, statements_done FROM whimbrel_script_progress"),
        "V2__b.sql|1"
    );
    // A role that is taken on at the login is not another one: it owns what is written to.
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\nINSERT INTO a VALUES (1);\n"),
        ("V1__a.sql.conf", "executeInTransaction=false\n"),
    ]);
    shop.database.ask(&format!(
        "GRANT pg_monitor TO \"{0}\"; GRANT CREATE, USAGE ON SCHEMA public TO pg_monitor; \
         ALTER ROLE \"{0}\" NOINHERIT; ALTER ROLE \"{0}\" SET role = 'pg_monitor'",
        shop.database.user
    ));
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT tableowner FROM pg_tables WHERE tablename = 'a'"), "pg_monitor");
}

#[test]
fn row_35_discard_all_gives_the_lock_away_and_is_told() {
    let shop = Shop::new(&[("V1__a.sql", "DISCARD ALL;\n"), ("V2__b.sql", "CREATE TABLE b (id int);\n")]);
    let ended = shop.migrate(&[]).expect_code(0);
    assert!(ended.says("DISCARD ALL"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("2"));
}

#[test]
fn row_23_a_script_with_its_own_transactions_is_refused_before_anything_runs() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\nCOMMIT;\nSELECT 1/0;\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(1);
    assert!(ended.says("V2__b.sql:2:1") && ended.says("COMMIT"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
    // Where it is declared, it runs as it is, and what it kept is told.
    shop.write("V2__b.sql.conf", "executeInTransaction=false\n");
    let ended = shop.migrate(&[]).expect_code(8);
    assert!(ended.says("22012"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NOT NULL"), "t");
    assert_eq!(shop.database.ask("SELECT success FROM flyway_schema_history WHERE version = '2'"), "f");
    shop.migrate(&[]).expect_code(6);
}

#[test]
fn row_29_statements_of_both_kinds_in_one_script_are_refused() {
    let shop =
        Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\nCREATE INDEX CONCURRENTLY i ON a (id);\n")]);
    let ended = shop.migrate(&[]).expect_code(1);
    assert!(ended.says("V1__a.sql:2:1"), "{}", ended.said());
    shop.migrate(&["--mixed"]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT to_regclass('i') IS NOT NULL"), "t");
}

#[test]
fn row_64_71_and_75_copy_data_dollar_quotes_and_a_byte_order_mark_go_through() {
    let shop = Shop::new(&[
        (
            "V1__a.sql",
            "\u{feff}CREATE TABLE a (id int, t text);\r\nCOPY a (id, t) FROM stdin;\n1\tone; \
             two\n2\t\\N\n\\.\n\nINSERT INTO a VALUES (3, 'é');\n",
        ),
        (
            "V2__f.sql",
            "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$\nBEGIN\n  RAISE NOTICE 'from f; \
             careful';\n  RETURN 1;\nEND\n$body$;\n\
             CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;\nDO $$ BEGIN PERFORM f(); END $$;\n",
        ),
        ("V3__empty.sql", "-- nothing\n;;\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(0);
    assert!(ended.says("from f; careful"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT count(*), count(t) FROM a"), "3|2");
    shop.write("V4__bad.sql", "COPY a (id, t) FROM stdin;\n4\tfour\nfive\tfive\n\\.\n");
    let ended = shop.migrate(&[]).expect_code(7);
    assert!(ended.says("22P02") && ended.says("V4__bad.sql:1:1"), "{}", ended.said());
    assert_eq!(shop.database.number("SELECT count(*) FROM a"), 3);
}

#[test]
fn row_62_names_are_warned_about_and_links_out_are_refused() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n"), ("v2__b.sql", "SELECT 1;\n")]);
    shop.write("V3__c", "#!/bin/sh\ntouch /tmp/never\n");
    let ended = shop.migrate(&[]).expect_code(0);
    assert!(ended.says("v2__b.sql") && ended.says("V3__c"), "{}", ended.said());
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    std::os::unix::fs::symlink("/etc/hostname", shop.project.file("sql/V9__z.sql"))
        .expect("a link can be made");
    let ended = shop.migrate(&[]).expect_code(2);
    assert!(ended.says("V9__z.sql"), "{}", ended.said());
}

#[test]
fn a_dry_run_writes_nothing() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__i.sql", "CREATE INDEX CONCURRENTLY i ON a (id);\n"),
    ]);
    let before = shop.database.schema();
    let ended = shop.migrate(&["--dry-run"]).expect_code(0);
    assert!(
        ended.stdout.contains("V1__a.sql") && ended.stdout.contains("cannot be rolled back"),
        "{}",
        ended.said()
    );
    assert_eq!(shop.database.schema(), before);
    assert_eq!(
        shop.database.number("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        0
    );
    for verb in ["repair", "baseline"] {
        shop.run(verb, &["--dry-run"]).expect_code(0);
        assert_eq!(shop.database.schema(), before);
    }
}

#[test]
fn clean_needs_permission() {
    let shop = Shop::new(&[(
        "V1__a.sql",
        "CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN d AS int; CREATE TABLE a (id serial PRIMARY KEY, m mood);\n\
         CREATE VIEW v AS SELECT * FROM a; CREATE MATERIALIZED VIEW m AS SELECT 1;\n\
         CREATE TABLE p (id int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT;\n\
         CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE SEQUENCE s; CREATE TYPE c AS (a int);\n\
         CREATE AGGREGATE agg(int) (sfunc = int4pl, stype = int); CREATE PROCEDURE pr() LANGUAGE sql AS 'SELECT 1';\n",
    )]);
    let fresh = shop.database.schema();
    shop.migrate(&[]).expect_code(0);
    let refused = shop.run("clean", &[]).expect_code(9);
    assert!(refused.says("--clean-enabled"), "{}", refused.said());
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    shop.run("clean", &["--clean-enabled"]).expect_code(0);
    assert_eq!(shop.database.schema(), fresh);
    shop.migrate(&[]).expect_code(0);
}

#[test]
fn several_databases_stop_at_the_first_failure_or_go_on() {
    let project = whimbrel_tests::project::Project::small();
    project.write(
        "whimbrel.toml",
        "[databases.a]\nlocations = ['a']\n[databases.b]\nlocations = ['b']\n[databases.c]\nlocations = ['c']\n\
         [databases.off]\nenabled = false\nlocations = ['off']\n",
    );
    project.write("a/V1__a.sql", "CREATE TABLE a (id int);\n");
    project.write("b/V1__b.sql", "SELECT nope;\n");
    project.write("c/V1__c.sql", "CREATE TABLE c (id int);\n");
    let databases: Vec<Database> = (0..3).map(|_| Database::create("runner")).collect();
    let run = |options: &[&str]| {
        let mut command = project.tool("whimbrel-migrate");
        for (name, database) in ["A", "B", "C"].iter().zip(&databases) {
            command.env(format!("{name}_DATABASE_URL"), database.url());
        }
        whimbrel_tests::program::run(command.args(["migrate", "--format", "json"]).args(options), MINUTE)
    };
    let stopped = run(&[]).expect_code(7).json_lines();
    let record = &stopped.last().expect("there are lines")["record"];
    let outcomes: Vec<&str> = record["databases"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|d| d["outcome"].as_str())
        .collect();
    assert_eq!(outcomes, ["applied", "failed", "skipped"]);
    assert_eq!((&record["exit_code"], &record["outcome"]), (&7.into(), &"failed".into()));
    for (index, line) in stopped.iter().enumerate() {
        assert_eq!(line["seq"], index + 1, "{line}");
        assert_eq!(line["run"], record["run"]);
    }
    let gone_on = run(&["--keep-going"]).expect_code(7).json_lines();
    let record = &gone_on.last().expect("there are lines")["record"];
    assert_eq!(record["databases"][2]["outcome"], "applied");
    assert_eq!(record["databases"][0]["outcome"], "up-to-date");
    run(&["c", "a"]).expect_code(0);
    run(&["nowhere"]).expect_code(2);
}

#[test]
fn the_record_is_left_as_termination_message() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    let log = shop.project.file("termination.log");
    let mut command = shop.command("migrate");
    command.env("WHIMBREL_TERMINATION_LOG", &log).env("WHIMBREL_RUN_ID", "run-7");
    command.env("WHIMBREL_IMAGE_DIGEST", "sha256:abc");
    whimbrel_tests::program::run(&mut command, MINUTE).expect_code(0);
    let record: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(&log).expect("it was written")).expect("it is JSON");
    assert_eq!(
        (&record["schema"], &record["run"], &record["image"]),
        (&1.into(), &"run-7".into(), &"sha256:abc".into())
    );
    assert_eq!(record["databases"][0]["after"], "1");
    assert_eq!(record["databases"][0]["scripts"][0]["script"], "V1__a.sql");
}

#[test]
fn row_48_and_49_no_right_and_read_only_are_explained() {
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.database.ask("ALTER SCHEMA public OWNER TO postgres; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let ended = shop.migrate(&[]).expect_code(1);
    assert!(ended.says("42501") && ended.says("GRANT"), "{}", ended.said());
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.migrate(&[]).expect_code(0);
    let (user, history) = (&shop.database.user, "flyway_schema_history");
    shop.database.ask(&format!(
        "ALTER TABLE {history} OWNER TO postgres; REVOKE ALL ON {history} FROM \"{user}\"; GRANT SELECT ON \
         {history} TO \"{user}\""
    ));
    shop.write("V2__b.sql", "CREATE TABLE b (id int);\n");
    let ended = shop.migrate(&[]).expect_code(1);
    assert!(
        ended.says("42501") && ended.says("GRANT") && ended.says("history row of V2__b.sql"),
        "{}",
        ended.said()
    );
    assert!(!ended.says("correct the script"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t");
    let shop = Shop::new(&[("V1__a.sql", "CREATE TABLE a (id int);\n")]);
    shop.database
        .ask(&format!("ALTER DATABASE \"{}\" SET default_transaction_read_only = on", shop.database.name));
    let ended = shop.migrate(&[]).expect_code(1);
    assert!(ended.says("25006") && ended.says("read-only"), "{}", ended.said());
}

#[test]
fn row_82_a_signal_lets_the_statement_end_and_keeps_nothing_half_done() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\nSELECT pg_sleep(1.5);\nCREATE TABLE c (id int);\n"),
    ]);
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V2__b.sql", MINUTE);
    running.signal(Signal::TERM);
    let ended = running.wait(MINUTE).expect_code(143);
    assert!(ended.took < Duration::from_secs(10), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t");
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    // A second signal cancels what runs.
    shop.write("V2__b.sql", "CREATE TABLE b (id int);\nSELECT pg_sleep(600);\n");
    let mut running = Running::start(&mut shop.command("migrate"));
    running.line_with("applying V2__b.sql", MINUTE);
    running.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(200));
    running.signal(Signal::INT);
    running.wait(Duration::from_secs(20)).expect_code(130);
    // The grace period cancels it as well, and so does the deadline.
    let mut command = shop.command("migrate");
    let mut running = Running::start(command.args(["--grace", "6s"]));
    running.line_with("applying V2__b.sql", MINUTE);
    running.signal(Signal::TERM);
    running.wait(Duration::from_secs(20)).expect_code(143);
    shop.migrate(&["--deadline", "1s"]).expect_code(124);
    assert_eq!(shop.database.version().as_deref(), Some("1"));
    assert_eq!(shop.database.advisory_locks(), 0);
}
