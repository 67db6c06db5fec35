//! What takes a statement back.

use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    inverse::{Inverse, of_statement, propose},
};

fn exact(dialect: Dialect, statement: &str) -> String {
    match of_statement(dialect, statement) {
        Inverse::Exact(statements) => statements.join("; "),
        other => panic!("{statement}: {other:?}"),
    }
}

#[test_case("CREATE TABLE app.\"Bird\" (id int)" => "DROP TABLE app.\"Bird\"")]
#[test_case("CREATE UNLOGGED TABLE t AS SELECT 1" => "DROP TABLE t")]
#[test_case("CREATE UNIQUE INDEX i ON app.bird (a)" => "DROP INDEX app.i")]
#[test_case("CREATE INDEX CONCURRENTLY i ON bird (a)" => "DROP INDEX CONCURRENTLY i")]
#[test_case("CREATE VIEW v AS SELECT 1" => "DROP VIEW v")]
#[test_case("CREATE MATERIALIZED VIEW v AS SELECT 1" => "DROP MATERIALIZED VIEW v")]
#[test_case("CREATE SCHEMA s" => "DROP SCHEMA s")]
#[test_case("CREATE SEQUENCE s START 5" => "DROP SEQUENCE s")]
#[test_case("CREATE TYPE t AS ENUM ('a')" => "DROP TYPE t")]
#[test_case("CREATE EXTENSION hstore" => "DROP EXTENSION hstore")]
#[test_case("CREATE FUNCTION f(a int, b text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$" => "DROP ROUTINE f( a int , b text )")]
#[test_case("CREATE TRIGGER t AFTER INSERT ON app.bird EXECUTE FUNCTION f()" => "DROP TRIGGER t ON app.bird")]
#[test_case("CREATE POLICY p ON bird USING (true)" => "DROP POLICY p ON bird")]
#[test_case("ALTER TABLE bird ADD COLUMN a int, ADD b text DEFAULT 'x,y'" => "ALTER TABLE bird DROP COLUMN \
    b; ALTER TABLE bird DROP COLUMN a")]
#[test_case("ALTER TABLE ONLY bird ADD CONSTRAINT c PRIMARY KEY (a)" => "ALTER TABLE ONLY bird DROP CONSTRAINT c")]
#[test_case("ALTER TABLE app.bird RENAME TO fowl" => "ALTER TABLE app.fowl RENAME TO bird")]
#[test_case("ALTER TABLE bird RENAME a TO b" => "ALTER TABLE bird RENAME COLUMN b TO a")]
#[test_case("ALTER TABLE bird RENAME CONSTRAINT a TO b" => "ALTER TABLE bird RENAME CONSTRAINT b TO a")]
#[test_case("ALTER TABLE app.bird SET SCHEMA other" => "ALTER TABLE other.bird SET SCHEMA app")]
#[test_case("ALTER INDEX app.a RENAME TO b" => "ALTER INDEX app.b RENAME TO a")]
#[test_case("ALTER TYPE t RENAME VALUE 'a' TO 'b'" => "ALTER TYPE t RENAME VALUE 'b' TO 'a'")]
#[test_case("ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)" => "ALTER TABLE p DETACH PARTITION q")]
fn postgresql_has_an_exact_inverse(statement: &str) -> String {
    exact(Dialect::PostgreSql, statement)
}

#[test_case("CREATE INDEX i ON bird (a)" => "DROP INDEX i ON bird")]
#[test_case("ALTER TABLE bird ADD UNIQUE KEY k (a), ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b \
             (a)" => "ALTER TABLE bird DROP FOREIGN KEY f; ALTER TABLE bird DROP INDEX k")]
#[test_case("ALTER TABLE bird ADD PRIMARY KEY (a)" => "ALTER TABLE bird DROP PRIMARY KEY")]
#[test_case("RENAME TABLE a TO b, c TO `d e`" => "RENAME TABLE `d e` TO c, b TO a")]
#[test_case("CREATE DEFINER=`a`@`b` TRIGGER t BEFORE INSERT ON u FOR EACH ROW SET NEW.a = 1" => "DROP TRIGGER t")]
fn mysql_has_an_exact_inverse(statement: &str) -> String {
    exact(Dialect::MySql, statement)
}

#[test_case("CREATE TABLE IF NOT EXISTS t (a int)")]
#[test_case("CREATE OR REPLACE VIEW v AS SELECT 1")]
#[test_case("CREATE INDEX ON t (a)")]
#[test_case("ALTER TABLE t ADD CHECK (a > 0)")]
#[test_case("ALTER TABLE t ADD COLUMN IF NOT EXISTS a int")]
#[test_case("ALTER TABLE t ADD a int, DROP b")]
#[test_case("ALTER TABLE t ALTER a TYPE text")]
#[test_case("ALTER TYPE t ADD VALUE 'x'")]
#[test_case("CREATE FUNCTION f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$")]
#[test_case("INSERT INTO t VALUES (1)")]
#[test_case("COMMENT ON TABLE t IS 'x'")]
#[test_case("SET search_path = a")]
#[test_case("DO $$ BEGIN END $$")]
fn some_statements_have_none(statement: &str) {
    let found = of_statement(Dialect::PostgreSql, statement);
    assert!(matches!(found, Inverse::None(_)), "{statement}: {found:?}");
}

#[test]
fn a_proposal_goes_backwards_and_names_what_is_missing() {
    let script = "SELECT 1;\nCREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nCREATE INDEX i ON t (a);\n";
    let proposal = propose(Dialect::PostgreSql, script.as_bytes()).expect("well formed");
    assert!(!proposal.is_complete());
    assert_eq!(
        proposal.script(),
        "DROP INDEX i;\n-- missing, for line 3: INSERT INTO t VALUES ( 1\n--   rows were changed: what \
         they were before, only a backup knows\nDROP TABLE t;\n"
    );
    assert_eq!(proposal.missing()[0].place.line, 3);
}
