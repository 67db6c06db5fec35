//! The scanner's rules for SQLite, one by one.

use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    scan::{Effect, Piece, ScanErrorKind, Scanner, facts},
};

fn statements(script: &str) -> Vec<(String, Effect)> {
    let mut scanner = Scanner::new(Dialect::Sqlite);
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

#[test_case("SELECT 'a\\'; SELECT 2", &["SELECT 'a\\'", "SELECT 2"]; "backslashes mean nothing")]
#[test_case("SELECT [a;b], `c;``d`, \"e;\"\"f\"; SELECT 2", &["SELECT [a;b], `c;``d`, \"e;\"\"f\"", "SELECT 2"]; "quoted names")]
#[test_case("/* /* ; */ SELECT 1; SELECT 2 /* ; ", &["/* /* ; */ SELECT 1", "SELECT 2 /* ;"]; "comments do \
    not nest, the end closes them")]
#[test_case("SELECT 1--;\n; SELECT 2", &["SELECT 1--;", "SELECT 2"]; "line comments need no blank")]
#[test_case("SELECT end, begin FROM t; SELECT CASE a WHEN 1 THEN 2 END; SELECT 2", &["SELECT end, begin \
    FROM t", "SELECT CASE a WHEN 1 THEN 2 END", "SELECT 2"]; "END outside of triggers")]
fn statements_are_cut_where_sqlite_cuts_them(script: &str, expected: &[&str]) {
    let found: Vec<String> = statements(script).into_iter().map(|(text, _)| text).collect();
    assert_eq!(found, expected);
}

#[test_case(
    "CREATE TRIGGER t AFTER INSERT ON u BEGIN UPDATE v SET a = CASE WHEN b THEN 1 END; DELETE FROM w; END"
)]
#[test_case("CREATE TEMP TRIGGER IF NOT EXISTS t AFTER INSERT ON u BEGIN SELECT 1; -- x\n /* ; */ END")]
#[test_case("create temporary trigger t INSTEAD OF DELETE ON u BEGIN SELECT ';'; SELECT (1); end")]
fn a_trigger_is_one_statement(trigger: &str) {
    let found = statements(&format!("{trigger};\nSELECT 2;"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].0, trigger);
}

#[test_case("VACUUM")]
#[test_case("PRAGMA foreign_keys = OFF")]
#[test_case("pragma main.foreign_keys(1)")]
#[test_case("PRAGMA synchronous=OFF")]
fn some_statements_cannot_run_in_a_transaction(statement: &str) {
    assert!(matches!(statements(statement)[0].1, Effect::NonTransactional(_)), "{statement}");
}

#[test_case("CREATE TABLE foreign_keys (a)")]
#[test_case("PRAGMA journal_mode = WAL")]
#[test_case("PRAGMA user_version = 1")]
#[test_case("ROLLBACK TO a")]
#[test_case("RELEASE a")]
fn most_can(statement: &str) {
    assert_eq!(statements(statement)[0].1, Effect::Transactional, "{statement}");
}

#[test_case("BEGIN IMMEDIATE")]
#[test_case("END TRANSACTION")]
#[test_case("COMMIT")]
#[test_case("ROLLBACK")]
fn transaction_control_is_seen(statement: &str) {
    assert!(matches!(statements(statement)[0].1, Effect::TransactionControl(_)), "{statement}");
}

#[test]
fn what_sqlite_cannot_run_is_an_error_with_its_place() {
    let error = |script: &str| {
        let error = facts(Dialect::Sqlite, script.as_bytes()).expect_err("it is not well formed");
        (error.kind, error.place.line, error.place.column)
    };
    let unterminated = |what| ScanErrorKind::Unterminated { what };
    assert_eq!(error("SELECT [a;"), (unterminated("quoted identifier"), 1, 8));
    assert_eq!(error("CREATE TRIGGER t AFTER INSERT ON u BEGIN SELECT 1;"), (ScanErrorKind::OpenBlock, 1, 8));
    assert_eq!(error("SELECT\n'a;"), (unterminated("string"), 2, 1));
}
