//! The scanner's rules for MySQL and MariaDB, one by one.

use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    scan::{Effect, Piece, ScanErrorKind, Scanner, facts},
};

fn cut(dialect: Dialect, sql_mode: &str, script: &str) -> Vec<(String, Effect)> {
    let mut scanner = Scanner::new(dialect);
    scanner.set_sql_mode(sql_mode);
    scanner.feed(script.as_bytes());
    scanner.finish();
    let mut found = Vec::new();
    while let Some(piece) = scanner.next_piece().expect("the script is well formed") {
        if let Piece::Statement(statement) = piece {
            found.push((statement.text.to_owned(), statement.effect));
        }
    }
    found
}

fn texts(dialect: Dialect, script: &str) -> Vec<String> {
    cut(dialect, "", script).into_iter().map(|(text, _)| text).collect()
}

fn effect(statement: &str) -> Effect {
    let mut found = cut(Dialect::MySql, "", statement);
    assert_eq!(found.len(), 1, "{statement}: {found:?}");
    found.remove(0).1
}

fn error(script: &str) -> (ScanErrorKind, u64, u64) {
    let error = facts(Dialect::MySql, script.as_bytes()).expect_err("it is not well formed");
    (error.kind, error.place.line, error.place.column)
}

#[test_case("SELECT 'a\\';', \"b\\\";\"; SELECT 2", &["SELECT 'a\\';', \"b\\\";\"", "SELECT 2"]; "backslashes")]
#[test_case("SELECT 'a'';'; SELECT 2", &["SELECT 'a'';'", "SELECT 2"]; "doubled quotes")]
#[test_case("SELECT `a;``b`; SELECT 2", &["SELECT `a;``b`", "SELECT 2"]; "backticks")]
#[test_case("SELECT 1 # ;\n; SELECT 2", &["SELECT 1 # ;", "SELECT 2"]; "hash comments")]
#[test_case("SELECT 1-- ;\n; SELECT 2--;3", &["SELECT 1-- ;", "SELECT 2--", "3"]; "dashes need a blank")]
#[test_case("SELECT 1 --\n; SELECT 2", &["SELECT 1 --", "SELECT 2"]; "a line end is a blank")]
#[test_case("/* a /* ; */ SELECT 1; SELECT 2", &["/* a /* ; */ SELECT 1", "SELECT 2"]; "comments do not nest")]
#[test_case("/*!40101 SET NAMES utf8 */; /*! SELECT ';' */; SELECT 2", &["/*!40101 SET NAMES utf8 \
    */", "/*! SELECT ';' */", "SELECT 2"]; "version comments are statements")]
#[test_case("/*!50003 SELECT 1; SELECT '*/' */; SELECT 2", &["/*!50003 SELECT 1; SELECT '*/' \
    */", "SELECT 2"]; "no statement ends in a version comment")]
#[test_case("/*+ hint; */ SELECT 1; SELECT 2", &["/*+ hint; */ SELECT 1", "SELECT 2"]; "hints are comments")]
#[test_case("SELECT $$; SELECT 2", &["SELECT $$", "SELECT 2"]; "dollars are no quotes")]
#[test_case("CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $js$ a; b $js$; SELECT \
             2", &["CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $js$ a; b \
             $js$", "SELECT 2"]; "but for bodies in other languages")]
fn statements_are_cut_where_the_server_cuts_them(script: &str, expected: &[&str]) {
    assert_eq!(texts(Dialect::MySql, script), expected);
}

#[test_case("DELIMITER $$\nSELECT 1; SELECT 2$$\nDELIMITER ;\nSELECT 3;", &["SELECT 1; SELECT 2", "SELECT 3"]; "dollars")]
#[test_case("DELIMITER $$\nBEGIN END$$DELIMITER ;\nSELECT 3;", &["BEGIN END", "SELECT 3"]; "at the end of a word")]
#[test_case("delimiter   //  \r\nSELECT 1 / 2 //\nSELECT 3\n//\nDELIMITER ;\nSELECT 4", &["SELECT 1 / \
    2", "SELECT 3", "SELECT 4"]; "slashes")]
#[test_case("DELIMITER go\nSELECT category FROM gone go\nSELECT 1\ngo", &["SELECT category FROM gone", "SELECT 1"]; "a word")]
#[test_case("DELIMITER ;; -- now\nSELECT 1; ;;\nSELECT '\\';;' ;;", &["SELECT 1;", "SELECT '\\';;'"]; "two semicolons")]
#[test_case("DELIMITER #\nSELECT 1#\nSELECT 2#", &["SELECT 1", "SELECT 2"]; "hash")]
#[test_case("DELIMITER $$\nSELECT '$$', `$$` /* $$ */ -- $$\n$$", &["SELECT '$$', `$$` /* $$ */ -- \
    $$"]; "not in quotes and comments")]
#[test_case("SELECT 1 AS delimiter; SELECT 2", &["SELECT 1 AS delimiter", "SELECT 2"]; "the word elsewhere")]
#[test_case("DELIMITER//\nSELECT 1; SELECT 2//\nDELIMITER;\nSELECT 3;", &["SELECT 1; SELECT 2", "SELECT 3"]; "without a blank")]
fn the_delimiter_can_be_changed(script: &str, expected: &[&str]) {
    assert_eq!(texts(Dialect::MySql, script), expected);
    assert_eq!(texts(Dialect::MariaDb, script), expected);
}

#[test_case("CREATE PROCEDURE p() BEGIN DECLARE x INT; IF x THEN SELECT IF(x, 1, 2); END IF; END")]
#[test_case("CREATE PROCEDURE p() BEGIN CASE x WHEN 1 THEN SELECT CASE WHEN 1 THEN 2 END; END CASE; END")]
#[test_case("CREATE PROCEDURE p() BEGIN l: LOOP LEAVE l; END LOOP l; WHILE a DO SET b = 1; END WHILE; END")]
#[test_case("CREATE PROCEDURE p() a: BEGIN BEGIN SELECT 1; END; BEGIN END; SELECT 2; END a")]
#[test_case("CREATE PROCEDURE p() IF a THEN SELECT 1; ELSE IF b THEN SELECT 2; END IF; END IF")]
#[test_case("CREATE PROCEDURE IF NOT EXISTS p() WHILE a DO SELECT 1; END WHILE")]
#[test_case("CREATE PROCEDURE p() CASE a WHEN 1 THEN SELECT 1; ELSE SELECT 2; END CASE")]
#[test_case(
    "CREATE DEFINER = CURRENT_USER() TRIGGER t BEFORE INSERT ON u FOR EACH ROW BEGIN SET NEW.a = 1; END"
)]
#[test_case("CREATE DEFINER=`a`@`b` FUNCTION f() RETURNS INT DETERMINISTIC BEGIN RETURN 1; END")]
#[test_case("CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN CASE WHEN a THEN 1 END")]
#[test_case("CREATE FUNCTION f() RETURNS INT RETURN IF(a, REPEAT('x', 2), 1)")]
#[test_case("CREATE EVENT e ON SCHEDULE EVERY 1 DAY COMMENT 'a;' DO BEGIN DELETE FROM t; END")]
#[test_case("ALTER EVENT e DO BEGIN DELETE FROM t; END")]
#[test_case("CREATE TRIGGER t AFTER INSERT ON u FOR EACH ROW IF NEW.a THEN INSERT INTO v VALUES (1); END IF")]
#[test_case("CREATE TABLE event (`begin` INT, `case` INT)")]
#[test_case("CREATE PROCEDURE p() BEGIN SELECT `begin`, `end`, `case`; END")]
#[test_case("CREATE VIEW v AS SELECT CASE WHEN 1 THEN 2 END")]
fn a_body_is_one_statement_without_delimiter(statement: &str) {
    let script = format!("{statement};\nSELECT 'after';");
    assert_eq!(texts(Dialect::MySql, &script), [statement, "SELECT 'after'"]);
    assert_eq!(texts(Dialect::MariaDb, &script), [statement, "SELECT 'after'"]);
}

#[test_case("CREATE OR REPLACE PROCEDURE p() BEGIN SELECT 1; END")]
#[test_case("BEGIN NOT ATOMIC SELECT 1; END")]
#[test_case("IF @a THEN SELECT 1; END IF")]
#[test_case("FOR i IN 1..3 DO SELECT 1; END FOR")]
#[test_case("CREATE PROCEDURE p() BEGIN FOR i IN 1..3 DO SELECT i; END FOR; END")]
fn mariadb_has_more_statements_with_a_body(statement: &str) {
    let script = format!("{statement};\nSELECT 'after';");
    assert_eq!(texts(Dialect::MariaDb, &script), [statement, "SELECT 'after'"]);
}

#[test]
fn oracle_mode_has_declarations_before_begin() {
    let body = "CREATE PROCEDURE p AS x INT; y INT; BEGIN SELECT 1; END";
    let script = format!("SET sql_mode=ORACLE;\n{body};\nSELECT 2;");
    assert_eq!(texts(Dialect::MariaDb, &script), ["SET sql_mode=ORACLE", body, "SELECT 2"]);
}

#[test]
fn sql_mode_decides_what_quotes_and_backslashes_mean() {
    let script = "SELECT 'a\\'; SELECT \"b\\\"; SELECT 3";
    let expected = ["SELECT 'a\\'", "SELECT \"b\\\"", "SELECT 3"];
    let mode = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES";
    let found: Vec<String> = cut(Dialect::MySql, mode, script).into_iter().map(|(text, _)| text).collect();
    assert_eq!(found, expected);
    let script = format!("SET SESSION sql_mode='{mode}'; {script}; SET sql_mode = ''; SELECT '\\';'");
    assert_eq!(texts(Dialect::MySql, &script)[1..4], expected);
    assert_eq!(texts(Dialect::MySql, &script)[5], "SELECT '\\';'");
}

#[test_case("CREATE TABLE t (a INT)" => "CREATE TABLE")]
#[test_case("/*!40000 ALTER TABLE t DISABLE KEYS */" => "ALTER TABLE")]
#[test_case("DROP TABLE IF EXISTS t" => "DROP TABLE")]
#[test_case("CREATE OR REPLACE VIEW v AS SELECT 1" => "CREATE")]
#[test_case("truncate t" => "TRUNCATE")]
#[test_case("RENAME TABLE a TO b" => "RENAME")]
#[test_case("LOCK TABLES t WRITE" => "LOCK TABLES")]
#[test_case("GRANT SELECT ON t TO u" => "GRANT")]
#[test_case("ANALYZE LOCAL TABLE t" => "ANALYZE TABLE")]
fn ddl_commits(statement: &str) -> &'static str {
    match effect(statement) {
        Effect::ImplicitCommit(what) => what,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test_case("INSERT INTO t VALUES (1)")]
#[test_case("CREATE TEMPORARY TABLE t (a INT)")]
#[test_case("DROP TEMPORARY TABLE t")]
#[test_case("SET NAMES utf8")]
#[test_case("LOAD DATA INFILE 'x' INTO TABLE t")]
#[test_case("CALL p()")]
#[test_case("ROLLBACK TO SAVEPOINT a")]
#[test_case("DROP PREPARE s")]
fn other_statements_do_not(statement: &str) {
    assert_eq!(effect(statement), Effect::Transactional, "{statement}");
}

#[test_case("BEGIN")]
#[test_case("START TRANSACTION READ ONLY")]
#[test_case("COMMIT")]
#[test_case("ROLLBACK")]
#[test_case("XA START 'x'")]
#[test_case("SET autocommit=0")]
#[test_case("SET @@session.autocommit = 1")]
fn transaction_control_is_seen(statement: &str) {
    assert!(matches!(effect(statement), Effect::TransactionControl(_)), "{statement}");
}

#[test]
fn what_no_server_can_run_is_an_error_with_its_place() {
    let unterminated = |what| ScanErrorKind::Unterminated { what };
    assert_eq!(error("SELECT 1;\n SELECT 'a\\'"), (unterminated("string"), 2, 9));
    assert_eq!(error("SELECT `a"), (unterminated("quoted identifier"), 1, 8));
    assert_eq!(error("/*!50003 SELECT 1"), (unterminated("comment"), 1, 1));
    assert_eq!(error("CREATE PROCEDURE p() BEGIN SELECT 1;"), (ScanErrorKind::OpenBlock, 1, 22));
    assert_eq!(error("SELECT 1\nDELIMITER $$\n"), (ScanErrorKind::DelimiterInStatement, 2, 1));
    assert_eq!(error("SELECT 1;\nDELIMITER \nSELECT 2"), (ScanErrorKind::DelimiterMissing, 2, 1));
    assert_eq!(error("SELECT (1; SELECT 2"), (ScanErrorKind::OpenParenthesis, 1, 8));
}

#[test]
fn a_dump_is_read_to_its_end() {
    let dump = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n\
        /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\
        DROP TABLE IF EXISTS `t`;\nCREATE TABLE `t` (`a` int DEFAULT NULL COMMENT 'it''s; \\' ');\n\
        LOCK TABLES `t` WRITE;\nINSERT INTO `t` VALUES (1,'--'),(2,'/*');\nUNLOCK TABLES;\n\
        DELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `x` BEFORE \
        INSERT ON `t` FOR EACH ROW BEGIN\n\
        SET NEW.a = 1; END */;;\nDELIMITER ;\n/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n-- Dump completed\n";
    let found = texts(Dialect::MariaDb, dump);
    assert_eq!(found.len(), 8, "{found:#?}");
    assert!(found[0].starts_with("/*M!999999\\-"));
    assert!(found[6].ends_with("SET NEW.a = 1; END */"));
}
