//! What scripts may hold: statements that the server refuses in a transaction, texts that are hard to cut, commands of
//! psql, other encodings. Numbers are those of docs/faults.md.

mod common;

use std::time::Duration;

use common::Shop;
use whimbrel_tests::postgres::{Database, psql};
use whimbrel_tests::program::run;
use whimbrel_tests::project::Project;
use whimbrel_tests::server::Server;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn row_27_savepoints_and_blocks_with_handlers_work_inside_of_a_script() {
    let shop = Shop::new(&[(
        "V1__a.sql",
        "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);\nSAVEPOINT s;\nINSERT INTO a VALUES (2);\n\
         ROLLBACK TO SAVEPOINT s;\nINSERT INTO a VALUES (3);\nRELEASE SAVEPOINT s;\n\
         DO $outer$ BEGIN\n  BEGIN INSERT INTO a VALUES (1); EXCEPTION WHEN unique_violation THEN NULL; END;\n\
         EXECUTE $inner$ DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN INSERT INTO a \
         VALUES (4); END $$ $inner$;\n\
         END $outer$;\n",
    )]);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(id::text, ' ' ORDER BY id) FROM a"), "1 3 4");
    assert_eq!(shop.database.version().as_deref(), Some("1"));
}

#[test]
fn row_33_each_statement_that_no_transaction_allows_runs_outside_of_one() {
    let server = Server::start_new(&["wal_level=logical"]);
    let publisher = Server::start_new(&["wal_level=logical"]);
    publisher.ask("CREATE PUBLICATION p");
    let space = server.folder("space");
    let project = Project::small();
    project.write(
        "sql/V1__a.sql",
        "CREATE TABLE a (id int);\nCREATE INDEX i ON a (id);\nCREATE INDEX j ON a (id);\n\
         CREATE TABLE p (id int) PARTITION BY LIST (id);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);\n",
    );
    let connection =
        format!("host=127.0.0.1 port={} user=postgres password={}", publisher.port(), server.password());
    let statements = [
        "VACUUM a".to_owned(),
        "ALTER SYSTEM SET work_mem = '5MB'".to_owned(),
        "CREATE DATABASE other".to_owned(),
        "DROP DATABASE other".to_owned(),
        format!("CREATE TABLESPACE space LOCATION '{}'", space.display()),
        "DROP TABLESPACE space".to_owned(),
        format!("CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION p"),
        "DROP SUBSCRIPTION s".to_owned(),
        "REINDEX INDEX CONCURRENTLY i".to_owned(),
        "REINDEX DATABASE postgres".to_owned(),
        "DROP INDEX CONCURRENTLY j".to_owned(),
        "CREATE INDEX CONCURRENTLY k ON a (id)".to_owned(),
        "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY".to_owned(),
        "DISCARD ALL".to_owned(),
    ];
    for (index, statement) in statements.iter().enumerate() {
        project.write(&format!("sql/V{}__s.sql", index + 2), &format!("{statement};\n"));
    }
    let migrate = || {
        let mut command = project.tool("whimbrel-migrate");
        run(command.arg("migrate").env("APP_DATABASE_URL", server.url("postgres")), MINUTE)
    };
    migrate().expect_code(0);
    let history = "SELECT count(*), bool_and(success) FROM flyway_schema_history";
    assert_eq!(server.ask(history), format!("{}|t", statements.len() + 1));
    // Who insists on a transaction hears it from the server.
    project.write("sql/V90__t.sql", "VACUUM a;\n");
    project.write("sql/V90__t.sql.conf", "executeInTransaction=true\n");
    let refused = migrate().expect_code(7);
    assert!(refused.says("25001"), "{}", refused.said());
}

#[test]
fn row_34_a_new_enum_value_is_for_the_next_script() {
    let shop = Shop::new(&[
        ("V1__mood.sql", "CREATE TYPE mood AS ENUM ('fine');\nCREATE TABLE a (m mood);\n"),
        ("V2__both.sql", "ALTER TYPE mood ADD VALUE 'sad';\nINSERT INTO a VALUES ('sad');\n"),
    ]);
    let ended = shop.migrate(&[]).expect_code(7);
    for part in ["55P04", "V2__both.sql:2:", "the next script", "nothing of it was kept"] {
        assert!(ended.says(part), "{part:?} is missing\n{}", ended.said());
    }
    shop.write("V2__both.sql", "ALTER TYPE mood ADD VALUE 'sad';\n");
    shop.write("V3__use.sql", "INSERT INTO a VALUES ('sad');\n");
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT m FROM a"), "sad");
}

#[test]
fn row_65_a_nul_byte_is_refused_before_anything_is_sent() {
    let shop = Shop::new(&[
        ("V1__a.sql", "CREATE TABLE a (id int);\n"),
        ("V2__b.sql", "CREATE TABLE b (id int);\nINSERT INTO b VALUES (1);\0DROP TABLE b;\n"),
    ]);
    let ended = shop.migrate(&[]);
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert!(ended.says("V2__b.sql:2:") && ended.says("NUL"), "{}", ended.said());
    assert_eq!(shop.database.ask("SELECT to_regclass('a') IS NULL"), "t");
}

#[test]
fn row_67_a_database_of_another_encoding_keeps_what_the_script_says() {
    for (encoding, bytes) in [("LATIN1", "e9"), ("SQL_ASCII", "c3a9"), ("UTF8", "c3a9")] {
        let database = Database::encoded("encoding", encoding);
        let shop = Shop { project: Project::small(), database };
        shop.write(
            "V1__café.sql",
            "CREATE TABLE a (t text);\nINSERT INTO a VALUES ('é');\nCOMMENT ON TABLE a IS 'é';\n",
        );
        shop.migrate(&[]).expect_code(0);
        // Byte by byte: SQL_ASCII has no other encoding to be told in.
        let kept = "SELECT encode(t::bytea, 'hex') FROM a";
        assert_eq!(shop.database.ask(kept), bytes, "{encoding}");
        shop.migrate(&[]).expect_code(0);
        shop.run("validate", &[]).expect_code(0);
        assert!(shop.run("info", &[]).expect_code(0).says("caf\u{e9}"), "{encoding}");
        if encoding == "LATIN1" {
            shop.write("V2__arrow.sql", "INSERT INTO a VALUES ('→');\n");
            let ended = shop.migrate(&[]).expect_code(7);
            assert!(ended.says("22P05"), "{}", ended.said());
        }
    }
}

const HARD_TO_CUT: &str = r#"
CREATE FUNCTION f(a int) RETURNS text LANGUAGE plpgsql AS $a$
DECLARE x text := $b$ ; $a b$ $b$;
BEGIN /* a ; /* nested ; */ still ; */ -- ; '
  RETURN x || ';' || CASE WHEN a > 1 THEN ';' ELSE E'\';' END;
END $a$;
CREATE TABLE "odd;name" (U&"d\0061t" int, note text DEFAULT U&'\003B', "it""s;" text DEFAULT 'a''; b');
CREATE FUNCTION g(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT 1; SELECT CASE WHEN a = 1 THEN 2 ELSE (SELECT 3) END; END;
CREATE VIEW v AS SELECT '1;2'::text AS "one;", $$;$$ AS two, 3::int, E'\\' AS four;
CREATE RULE r AS ON INSERT TO "odd;name" DO ALSO (SELECT 1; SELECT 2);
CREATE PROCEDURE p(INOUT a int) LANGUAGE plpgsql AS 'BEGIN a := 1; END';
COMMENT ON VIEW v IS 'a
;
b -- no comment';
"#;

#[test]
fn row_69_what_is_hard_to_cut_is_cut_as_psql_cuts_it() {
    let shop = Shop::new(&[("V1__hard.sql", HARD_TO_CUT)]);
    shop.migrate(&[]).expect_code(0);
    for table in ["flyway_schema_history", "whimbrel_run", "whimbrel_script_progress"] {
        shop.database.ask(&format!("DROP TABLE IF EXISTS {table}"));
    }
    let by_psql = Database::create("psql");
    let file = shop.project.file("sql/V1__hard.sql");
    let mut command = whimbrel_tests::program::clean("psql");
    command.env("PGPASSWORD", &by_psql.password).args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(file);
    command.arg(by_psql.url().replace(&format!(":{}@", by_psql.password), "@"));
    run(&mut command, MINUTE).expect_code(0);
    let renamed = by_psql.schema().replace(&by_psql.name, &shop.database.name);
    assert_eq!(shop.database.schema(), renamed);
}

#[test]
fn row_70_strings_follow_standard_conforming_strings() {
    let script = "CREATE TABLE a (t text);\nSET standard_conforming_strings = off;\nSET escape_string_warning = off;\n\
                  INSERT INTO a VALUES ('x\\';y');\nINSERT INTO a VALUES ('z');\n";
    let shop = Shop::new(&[("V1__a.sql", script), ("V2__b.sql", "INSERT INTO a VALUES ('back\\');\n")]);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.ask("SELECT string_agg(t, ' ' ORDER BY t) FROM a"), "back\\ x';y z");
}

#[test]
fn row_72_commands_of_psql_are_refused_with_their_line_and_never_run() {
    let shop = Shop::new(&[]);
    let mark = shop.project.file("mark");
    let dump =
        "\\restrict abc\nCREATE TABLE a (id int);\nCOPY a (id) FROM stdin;\n1\n\\.\n\\unrestrict abc\n";
    shop.write("V1__dump.sql", dump);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(shop.database.number("SELECT count(*) FROM a"), 1);
    for command in [
        format!("\\! touch {}", mark.display()),
        format!("\\copy a TO PROGRAM 'touch {}'", mark.display()),
        format!("\\o |touch {}", mark.display()),
        format!("SELECT 1 \\g |touch {}", mark.display()),
        "\\i /etc/passwd".to_owned(),
        "\\connect postgres".to_owned(),
    ] {
        shop.write("V2__meta.sql", &format!("CREATE TABLE b (id int);\n{command}\n"));
        let refused = shop.migrate(&[]);
        assert_ne!(refused.code, Some(0), "{command}: {}", refused.said());
        assert!(refused.says("V2__meta.sql:2:"), "{command}: {}", refused.said());
        assert_eq!(shop.database.ask("SELECT to_regclass('b') IS NULL"), "t", "{command}");
        assert!(!mark.exists(), "{command}");
    }
}

#[test]
fn row_71_copy_takes_empty_data_and_text_that_looks_like_its_end() {
    let shop = Shop::new(&[(
        "V1__a.sql",
        "CREATE TABLE a (id int, t text);\nCOPY a FROM stdin;\n\\.\nCOPY a (id, t) FROM stdin WITH (FORMAT csv);\n\
         1,\"a \\. b;\"\n2,\\\\.\n\\.\nCOPY a FROM stdin (DELIMITER ';');\n3;x\n\\.\nINSERT INTO a VALUES (4, '\\.');\n",
    )]);
    shop.migrate(&[]).expect_code(0);
    assert_eq!(
        psql(&shop.database.url(), "SELECT string_agg(id || '=' || t, ' ' ORDER BY id) FROM a"),
        "1=a \\. b; 2=\\\\. 3=x 4=\\."
    );
}
