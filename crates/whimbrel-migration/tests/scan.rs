//! The scanner's rules, one by one.

use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    scan::{Effect, Piece, ScanErrorKind, Scanner, facts},
};

fn statements(script: &str) -> Vec<(String, Effect)> {
    let mut scanner = Scanner::new(Dialect::PostgreSql);
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

fn effect(statement: &str) -> Effect {
    let mut found = statements(statement);
    assert_eq!(found.len(), 1, "{statement}: {found:?}");
    found.remove(0).1
}

#[test]
fn a_byte_order_mark_before_a_statement_is_no_part_of_it() {
    let mark = '\u{feff}';
    let script = format!("\n{mark}SELECT '{mark}';\r\n {mark}{mark}\nVACUUM;{mark}");
    let expected =
        [(format!("SELECT '{mark}'"), Effect::Transactional), ("VACUUM".to_owned(), effect("VACUUM"))];
    assert_eq!(statements(&script), expected);
}

fn error(script: &str) -> (ScanErrorKind, u64, u64) {
    let error = facts(Dialect::PostgreSql, script.as_bytes()).expect_err("it is not well formed");
    (error.kind, error.place.line, error.place.column)
}

#[test_case("CREATE INDEX CONCURRENTLY i ON t (a)")]
#[test_case("create unique index concurrently if not exists i on t (a)")]
#[test_case("DROP INDEX CONCURRENTLY i")]
#[test_case("REINDEX TABLE CONCURRENTLY t")]
#[test_case("REINDEX (CONCURRENTLY, VERBOSE) TABLE t")]
#[test_case("REINDEX (VERBOSE) DATABASE d")]
#[test_case("REINDEX SYSTEM")]
#[test_case("ALTER TABLE ONLY a.b DETACH PARTITION c.d CONCURRENTLY")]
#[test_case("ALTER DATABASE d SET TABLESPACE x")]
#[test_case("ALTER SUBSCRIPTION s REFRESH PUBLICATION")]
#[test_case("CLUSTER")]
#[test_case("CLUSTER VERBOSE")]
#[test_case("VACUUM (ANALYZE) t")]
#[test_case("ALTER SYSTEM SET a = 1")]
#[test_case("COMMIT PREPARED 'x'")]
#[test_case("/* CREATE */ DISCARD -- x\n ALL")]
fn some_statements_cannot_run_in_a_transaction(statement: &str) {
    assert!(matches!(effect(statement), Effect::NonTransactional(_)), "{statement}");
}

#[test_case("CREATE INDEX \"concurrently\" ON t (a)")]
#[test_case("CREATE INDEX i ON t (concurrently)")]
#[test_case("REFRESH MATERIALIZED VIEW CONCURRENTLY v")]
#[test_case("REINDEX TABLE t")]
#[test_case("REINDEX INDEX schema")]
#[test_case("ALTER TABLE a DETACH PARTITION b")]
#[test_case("ALTER TABLE a DETACH PARTITION b FINALIZE")]
#[test_case("CLUSTER t USING i")]
#[test_case("ALTER DATABASE d SET work_mem = '1MB'")]
#[test_case("ALTER TYPE t ADD VALUE 'x'")]
#[test_case("COMMENT ON TABLE t IS 'VACUUM; COMMIT'")]
#[test_case("ROLLBACK TO SAVEPOINT a")]
#[test_case("ROLLBACK WORK TO a")]
#[test_case("SAVEPOINT a")]
#[test_case("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")]
#[test_case("PREPARE p AS SELECT $1")]
#[test_case("COPY t TO STDOUT")]
#[test_case("COPY t FROM '/tmp/x'")]
fn most_statements_can(statement: &str) {
    assert_eq!(effect(statement), Effect::Transactional, "{statement}");
}

#[test_case("BEGIN" => "BEGIN")]
#[test_case("begin isolation level serializable" => "BEGIN")]
#[test_case("START TRANSACTION" => "START TRANSACTION")]
#[test_case("COMMIT AND CHAIN" => "COMMIT")]
#[test_case("END" => "END")]
#[test_case("ROLLBACK" => "ROLLBACK")]
#[test_case("ABORT" => "ABORT")]
#[test_case("PREPARE TRANSACTION 'x'" => "PREPARE TRANSACTION")]
fn transaction_control_is_seen(statement: &str) -> &'static str {
    match effect(statement) {
        Effect::TransactionControl(what) => what,
        other => panic!("{statement}: {other:?}"),
    }
}

#[test_case("SELECT 'a''b;'; SELECT 2", &["SELECT 'a''b;'", "SELECT 2"]; "doubled quote")]
#[test_case("SELECT 'a\\'; SELECT 2", &["SELECT 'a\\'", "SELECT 2"]; "backslash in a plain string")]
#[test_case("SELECT e'a\\';'; SELECT 2", &["SELECT e'a\\';'", "SELECT 2"]; "escape string")]
#[test_case("SELECT tablE'a\\'; SELECT 2", &["SELECT tablE'a\\'", "SELECT 2"]; "a word that ends in E")]
#[test_case("SELECT $$;$$, $a$ $$ ; $a$; SELECT 2", &["SELECT $$;$$, $a$ $$ ; $a$", "SELECT 2"]; "dollar quotes")]
#[test_case("SELECT $1; SELECT $2", &["SELECT $1", "SELECT $2"]; "parameters")]
#[test_case("SELECT a$b$; SELECT c$b$", &["SELECT a$b$", "SELECT c$b$"]; "dollars in words")]
#[test_case("/* /* ; */ ; */ SELECT 1;;-- ;", &["/* /* ; */ ; */ SELECT 1"]; "nested comments")]
#[test_case("SELECT 1 --;\n;SELECT 2", &["SELECT 1 --;", "SELECT 2"]; "line comment")]
#[test_case("CREATE RULE r AS ON INSERT TO t DO ALSO (a; b); SELECT 1", &["CREATE RULE r AS ON INSERT TO t \
    DO ALSO (a; b)", "SELECT 1"]; "parentheses")]
#[test_case("CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END; SELECT 3",
    &["CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END", "SELECT 3"]; "atomic body")]
#[test_case("SET standard_conforming_strings = off; SELECT 'a\\';'; SET standard_conforming_strings TO 'on'; SELECT '\\'; x",
    &["SET standard_conforming_strings = off", "SELECT 'a\\';'", "SET standard_conforming_strings TO \
        'on'", "SELECT '\\'", "x"]; "conforming strings")]
#[test_case("-- dump\n\\restrict abc\n\nSELECT 1;\n\\unrestrict abc\n", &["SELECT 1"]; "restrict of pg_dump")]
#[test_case("SELECT U&'\\0061;'; SELECT 2", &["SELECT U&'\\0061;'", "SELECT 2"]; "unicode string")]
fn scripts_are_cut_as_the_server_reads_them(script: &str, expected: &[&str]) {
    let found: Vec<String> = statements(script).into_iter().map(|(text, _)| text).collect();
    assert_eq!(found, expected);
}

#[test]
fn what_no_server_can_run_is_an_error_with_its_place() {
    let unterminated = |what| ScanErrorKind::Unterminated { what };
    assert_eq!(error("SELECT 1;\n SELECT 'a"), (unterminated("string"), 2, 9));
    assert_eq!(error("SELECT \"a"), (unterminated("quoted identifier"), 1, 8));
    assert_eq!(error("é $x$ $$"), (unterminated("dollar quote"), 1, 3));
    assert_eq!(error("/* /* */"), (unterminated("comment"), 1, 1));
    assert_eq!(error("SELECT (1;\nSELECT 2"), (ScanErrorKind::OpenParenthesis, 1, 8));
    assert_eq!(error("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;"), (ScanErrorKind::OpenBlock, 1, 27));
    assert_eq!(error("SELECT 1;\n\\d x"), (ScanErrorKind::PsqlCommand { command: "d".into() }, 2, 1));
    assert_eq!(error("SELECT 1\n\\gexec"), (ScanErrorKind::PsqlCommand { command: "gexec".into() }, 2, 1));
    assert_eq!(error("SELECT\n \0"), (ScanErrorKind::Nul, 2, 2));
    assert_eq!(error("COPY t FROM stdin;\n1\n"), (ScanErrorKind::CopyWithoutEnd, 1, 1));
    assert_eq!(error("COPY t FROM stdin; x\n"), (ScanErrorKind::TextAfterCopy, 1, 20));
    let not_utf8 = facts(Dialect::PostgreSql, b"SELECT\n'\xFF'").expect_err("not UTF-8");
    assert_eq!((not_utf8.kind, not_utf8.place.line, not_utf8.place.column), (ScanErrorKind::Encoding, 2, 2));
}

#[test]
fn data_of_copy_ends_with_its_line_and_nothing_else_in_it_counts() {
    let script = b"COPY t FROM STDIN; -- data\n1\t';\n \\.\n\\N\n\\.\nSELECT 1;";
    let mut scanner = Scanner::new(Dialect::PostgreSql);
    scanner.feed(script);
    scanner.finish();
    let mut data = Vec::new();
    let mut ends = 0;
    let mut statements = Vec::new();
    while let Some(piece) = scanner.next_piece().expect("well formed") {
        match piece {
            Piece::Statement(statement) => statements.push(statement.text.to_owned()),
            Piece::CopyData(piece) => data.extend_from_slice(piece),
            Piece::CopyEnd => ends += 1,
        }
    }
    assert_eq!(data, b"1\t';\n \\.\n\\N\n");
    assert_eq!((ends, statements), (1, vec!["COPY t FROM STDIN".to_owned(), "SELECT 1".to_owned()]));
}

#[test]
fn places_count_from_the_text_and_from_the_first_token() {
    let mut scanner = Scanner::new(Dialect::PostgreSql);
    scanner.feed("SELECT 1;\n  -- é\n  /* x */ SELECT 2".as_bytes());
    scanner.finish();
    let mut places = Vec::new();
    while let Some(Piece::Statement(statement)) = scanner.next_piece().expect("well formed") {
        let (text, token) = (statement.text_place, statement.place);
        places.push(((text.line, text.column), (token.line, token.column)));
    }
    assert_eq!(places, [((1, 1), (1, 1)), ((2, 3), (3, 11))]);
}
