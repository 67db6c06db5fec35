//! Which lock a statement takes, and what it does to the table.

use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    risk::{Assessment, Impact, Level, Lock, Reversal, TableSize, Work, assess},
};

fn impacts(dialect: Dialect, script: &str) -> Vec<Impact> {
    assess(dialect, script.as_bytes()).expect("the script is well formed")
}

/// Lock, work and table of the only impact.
fn only(dialect: Dialect, statement: &str) -> (Lock, Work, String) {
    let mut found = impacts(dialect, statement);
    assert_eq!(found.len(), 1, "{statement}: {found:?}");
    let impact = found.remove(0);
    (impact.lock, impact.work, impact.table.map(|table| table.name).unwrap_or_default())
}

#[test_case("CREATE UNIQUE INDEX i ON app.bird (a)", Lock::SHARE, Work::BuildIndex)]
#[test_case(
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY bird USING gin (a)",
    Lock::SHARE_UPDATE_EXCLUSIVE,
    Work::BuildIndex
)]
#[test_case("ALTER TABLE bird ADD COLUMN a int", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case(
    "ALTER TABLE bird ADD a numeric(10, 2) NOT NULL DEFAULT 0::numeric(10, 2)",
    Lock::ACCESS_EXCLUSIVE,
    Work::Catalog
)]
#[test_case("ALTER TABLE bird ADD a timestamptz DEFAULT now()", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird ADD a uuid DEFAULT gen_random_uuid()", Lock::ACCESS_EXCLUSIVE, Work::Rewrite)]
#[test_case("ALTER TABLE bird ADD a bigserial", Lock::ACCESS_EXCLUSIVE, Work::Rewrite)]
#[test_case(
    "ALTER TABLE bird ADD a int GENERATED ALWAYS AS (b + 1) STORED",
    Lock::ACCESS_EXCLUSIVE,
    Work::Rewrite
)]
#[test_case("ALTER TABLE bird ADD a int CHECK (a > 0)", Lock::ACCESS_EXCLUSIVE, Work::Scan)]
#[test_case(
    "ALTER TABLE IF EXISTS ONLY \"bird\" ALTER COLUMN a TYPE text",
    Lock::ACCESS_EXCLUSIVE,
    Work::Rewrite
)]
#[test_case("ALTER TABLE bird ALTER a SET NOT NULL", Lock::ACCESS_EXCLUSIVE, Work::Scan)]
#[test_case("ALTER TABLE bird ALTER a SET DEFAULT 1", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird ALTER a SET STATISTICS 100", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird ADD CONSTRAINT c CHECK (a > 0)", Lock::ACCESS_EXCLUSIVE, Work::Scan)]
#[test_case(
    "ALTER TABLE bird ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
    Lock::ACCESS_EXCLUSIVE,
    Work::Catalog
)]
#[test_case("ALTER TABLE bird ADD UNIQUE (a)", Lock::ACCESS_EXCLUSIVE, Work::BuildIndex)]
#[test_case("ALTER TABLE bird ADD CONSTRAINT c UNIQUE USING INDEX i", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird VALIDATE CONSTRAINT c", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Scan)]
#[test_case("ALTER TABLE bird DISABLE TRIGGER ALL", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird SET (fillfactor = 70)", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog)]
#[test_case("ALTER TABLE bird SET LOGGED", Lock::ACCESS_EXCLUSIVE, Work::Rewrite)]
#[test_case(
    "CREATE TRIGGER t AFTER INSERT ON bird EXECUTE FUNCTION f()",
    Lock::SHARE_ROW_EXCLUSIVE,
    Work::Catalog
)]
#[test_case("DROP TABLE IF EXISTS bird CASCADE", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case("TRUNCATE bird", Lock::ACCESS_EXCLUSIVE, Work::Catalog)]
#[test_case("VACUUM (FULL, ANALYZE) bird", Lock::ACCESS_EXCLUSIVE, Work::Rewrite)]
#[test_case("VACUUM bird", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Scan)]
#[test_case("REINDEX TABLE CONCURRENTLY bird", Lock::SHARE_UPDATE_EXCLUSIVE, Work::BuildIndex)]
#[test_case("CLUSTER bird USING i", Lock::ACCESS_EXCLUSIVE, Work::Rewrite)]
#[test_case("UPDATE bird SET a = 1", Lock::ROW_EXCLUSIVE, Work::EveryRow)]
#[test_case("UPDATE ONLY bird SET a = (SELECT b FROM c) WHERE d", Lock::ROW_EXCLUSIVE, Work::Rows)]
#[test_case("DELETE FROM bird", Lock::ROW_EXCLUSIVE, Work::EveryRow)]
#[test_case("COMMENT ON COLUMN app.bird.a IS 'x'", Lock::SHARE_UPDATE_EXCLUSIVE, Work::Catalog)]
#[test_case("LOCK TABLE bird IN SHARE ROW EXCLUSIVE MODE", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog)]
fn postgresql_locks(statement: &str, lock: Lock, work: Work) {
    assert_eq!(only(Dialect::PostgreSql, statement), (lock, work, "bird".to_owned()), "{statement}");
}

#[test_case("CREATE TABLE bird (a int)")]
#[test_case("SELECT * FROM bird")]
#[test_case("CREATE VIEW v AS SELECT 1")]
#[test_case("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ DELETE FROM bird $$")]
#[test_case("SET lock_timeout = '1s'")]
fn most_statements_are_in_nobodys_way(statement: &str) {
    assert_eq!(impacts(Dialect::PostgreSql, statement), []);
}

#[test]
fn both_sides_of_a_foreign_key_are_locked() {
    let found = impacts(
        Dialect::PostgreSql,
        "ALTER TABLE egg ADD CONSTRAINT f FOREIGN KEY (bird) REFERENCES bird (id), ADD COLUMN a int",
    );
    let found: Vec<_> = found
        .iter()
        .map(|impact| (impact.table.as_ref().expect("named").name.as_str(), impact.lock, impact.work))
        .collect();
    assert_eq!(
        found,
        [
            ("egg", Lock::SHARE_ROW_EXCLUSIVE, Work::Scan),
            ("bird", Lock::SHARE_ROW_EXCLUSIVE, Work::Catalog),
            ("egg", Lock::ACCESS_EXCLUSIVE, Work::Catalog),
        ]
    );
}

#[test]
fn nobody_waits_for_a_table_that_the_script_made() {
    let found = impacts(Dialect::PostgreSql, "CREATE TABLE bird (a int);\nCREATE INDEX i ON bird (a);");
    assert!(found[0].on_new_table);
    assert_eq!((found[0].place.line, found[0].level(TableSize::Unknown)), (2, Level::None));
}

#[test_case("CREATE INDEX i ON bird (a)", TableSize::Unknown => Level::High)]
#[test_case("CREATE INDEX i ON bird (a)", TableSize::Bytes(1 << 30) => Level::High)]
#[test_case("CREATE INDEX i ON bird (a)", TableSize::Bytes(8192) => Level::Low)]
#[test_case("CREATE INDEX i ON bird (a)", TableSize::Missing => Level::None)]
#[test_case("CREATE INDEX CONCURRENTLY i ON bird (a)", TableSize::Bytes(1 << 30) => Level::Medium)]
#[test_case("ALTER TABLE bird ADD a int", TableSize::Bytes(1 << 30) => Level::Medium)]
#[test_case("ALTER TABLE bird ADD a int", TableSize::Bytes(8192) => Level::Low)]
#[test_case("UPDATE bird SET a = 1 WHERE b", TableSize::Bytes(1 << 30) => Level::Low)]
#[test_case("UPDATE bird SET a = 1", TableSize::Bytes(1 << 30) => Level::Medium)]
fn the_level_depends_on_the_size(statement: &str, size: TableSize) -> Level {
    impacts(Dialect::PostgreSql, statement)[0].level(size)
}

#[test_case("DROP TABLE bird" => Reversal::LosesData)]
#[test_case("ALTER TABLE bird DROP COLUMN a" => Reversal::LosesData)]
#[test_case("DROP INDEX i" => Reversal::LosesDefinition)]
#[test_case("ALTER TYPE t ADD VALUE 'x'" => Reversal::Never)]
#[test_case("ALTER TABLE bird ADD a int" => Reversal::Possible)]
fn what_is_lost_is_told(statement: &str) -> Reversal {
    impacts(Dialect::PostgreSql, statement)[0].reversal
}

#[test_case("ALTER TABLE `app`.`bird` ADD COLUMN a INT", Lock::METADATA, Work::Catalog)]
#[test_case("ALTER TABLE bird MODIFY a BIGINT", Lock::METADATA_NO_WRITE, Work::Rewrite)]
#[test_case("ALTER TABLE bird ADD INDEX i (a)", Lock::METADATA_ONLINE, Work::BuildIndex)]
#[test_case(
    "ALTER TABLE bird ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES b (id)",
    Lock::METADATA_NO_WRITE,
    Work::Rewrite
)]
#[test_case("CREATE FULLTEXT INDEX i ON bird (a)", Lock::METADATA_NO_WRITE, Work::BuildIndex)]
#[test_case("DELETE FROM bird WHERE a", Lock::ROWS, Work::Rows)]
fn mysql_locks(statement: &str, lock: Lock, work: Work) {
    for dialect in [Dialect::MySql, Dialect::MariaDb] {
        assert_eq!(only(dialect, statement), (lock, work, "bird".to_owned()), "{statement}");
    }
}

#[test_case("ALTER TABLE bird ADD COLUMN a", Work::Catalog)]
#[test_case("ALTER TABLE [bird] DROP COLUMN a", Work::Rewrite)]
#[test_case("CREATE UNIQUE INDEX i ON bird (a)", Work::BuildIndex)]
fn sqlite_locks(statement: &str, work: Work) {
    assert_eq!(only(Dialect::Sqlite, statement), (Lock::DATABASE, work, "bird".to_owned()), "{statement}");
}

#[test]
fn what_changes_rows_of_one_table_is_told_once_with_the_number_of_its_statements() {
    let script = "INSERT INTO a VALUES (1);\nALTER TABLE a ADD b int;\nINSERT INTO a VALUES (2);\nINSERT INTO c VALUES (1);\n\
                  ALTER TABLE a ADD c int;\nINSERT INTO a VALUES (3);\n";
    let mut assessment = Assessment::new(Dialect::PostgreSql);
    for piece in script.as_bytes().chunks(5) {
        assessment.feed(piece).expect("well formed");
    }
    let impacts = assessment.finish().expect("well formed");
    let told: Vec<(u64, u64)> = impacts.iter().map(|impact| (impact.place.line, impact.statements)).collect();
    assert_eq!(told, [(1, 3), (2, 1), (4, 1), (5, 1)]);
    assert_eq!(impacts, assess(Dialect::PostgreSql, script.as_bytes()).expect("well formed"));
}
