//! The check of a set, as someone sees it who saves a file.

use test_case::test_case;
use whimbrel_migration::{
    check::{CheckReport, CheckRules, File, check},
    name::NamingRules,
    placeholder::Placeholders,
    settings::Settings,
};

fn report(files: &[(&str, &str)]) -> CheckReport {
    let mut placeholders = Placeholders::default();
    placeholders.set("schema", "app");
    let (naming, settings) = (NamingRules::default(), Settings::default());
    let rules = CheckRules::new(&naming, Some(&placeholders), &settings);
    let files: Vec<File<'_>> =
        files.iter().map(|(path, text)| File { path, contents: text.as_bytes() }).collect();
    check(&files, &rules)
}

/// Slug, script, line and column of every finding.
fn found(files: &[(&str, &str)]) -> Vec<(&'static str, String, Option<u64>, Option<u64>)> {
    let report = report(files);
    report
        .findings
        .iter()
        .map(|finding| {
            (finding.slug, finding.script.clone().unwrap_or_default(), finding.line, finding.column)
        })
        .collect()
}

#[test]
fn a_good_set_is_clean() {
    let report = report(&[
        ("V1__birds.sql", "CREATE TABLE ${schema}.bird (id int);"),
        ("deep/V2__index.sql", "CREATE INDEX CONCURRENTLY i ON bird (id);"),
        ("R__views.sql", "CREATE VIEW v AS SELECT 1;"),
        ("beforeMigrate.sql", "SELECT 1;"),
        ("README.md", "nothing"),
    ]);
    assert!(report.is_clean(), "{:?}", report.findings);
    assert!(report.findings.is_empty());
    assert_eq!(report.scripts.len(), 4);
}

#[test_case("v1__x.sql", "V1__x.sql")]
#[test_case("V1_x.sql", "V1__x.sql")]
#[test_case("V1_2_add_x.sql", "V1_2__add_x.sql")]
#[test_case("V1 __x.sql", "V1__x.sql")]
#[test_case("R_views.sql", "R__views.sql")]
#[test_case("r__views.sql", "R__views.sql")]
fn a_near_miss_is_an_error_that_says_what_was_meant(name: &str, meant: &str) {
    let report = report(&[(name, "SELECT 1;")]);
    assert!(!report.is_clean());
    assert_eq!(report.findings[0].slug, "invalid-name");
    assert_eq!(report.findings[0].next_step.as_deref(), Some(format!("name it {meant}").as_str()));
}

#[test_case("cleanup.sql"; "helper")]
#[test_case("README.sql"; "readme")]
#[test_case("U1__x.sql"; "undo")]
#[test_case("V1__a"; "without suffix")]
fn other_names_are_a_warning(name: &str) {
    let report = report(&[(name, "SELECT 1;")]);
    assert!(report.is_clean());
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
}

#[test]
fn contents_are_looked_at() {
    let none = None;
    assert_eq!(
        found(&[("V1__a.sql", "SELECT\n  ${nope};")]),
        [("placeholder-missing", "V1__a.sql".into(), Some(2), Some(3))]
    );
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 'a")]),
        [("unterminated-quote", "V1__a.sql".into(), Some(1), Some(8))]
    );
    assert_eq!(found(&[("V1__a.sql", "-- later")]), [("no-statements", "V1__a.sql".into(), none, none)]);
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 1;\nVACUUM;")]),
        [("mixed-statements", "V1__a.sql".into(), Some(2), Some(1))]
    );
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 1;\n COMMIT;")]),
        [("own-transaction-control", "V1__a.sql".into(), Some(2), Some(2))]
    );
    assert_eq!(
        found(&[("V1__a.sql", "BEGIN; COMMIT;"), ("V1__a.sql.conf", "executeInTransaction=false")]),
        []
    );
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 1;\n/* x */ copy (SELECT 1) to program 'sh';")]),
        [("runs-program", "V1__a.sql".into(), Some(2), Some(9))]
    );
    assert_eq!(found(&[("V1__a.sql", "COPY program TO '/tmp/x'; SELECT 'COPY a TO PROGRAM';")]), []);
    assert_eq!(found(&[("V1__a.sql", "SELECT 1;\0")]), [("nul-byte", "V1__a.sql".into(), Some(1), Some(10))]);
}

#[test]
fn duplicates_and_stray_side_files_are_found() {
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 1;"), ("sub/V1.0__b.sql", "SELECT 2;")]),
        [("duplicate-version", "sub/V1.0__b.sql".into(), None, None)]
    );
    assert_eq!(
        found(&[("V1__a.sql.conf", "executeInTransaction=false")]),
        [("conf-without-script", "V1__a.sql.conf".into(), None, None)]
    );
    assert_eq!(
        found(&[("V1__a.sql", "SELECT 1;"), ("V1__a.sql.conf", "foo=1")]),
        [("bad-script-conf", "V1__a.sql.conf".into(), None, None)]
    );
}

#[test]
fn undo_scripts_need_a_script_and_are_there_once() {
    let naming = NamingRules { undo_prefix: Some("U".into()), ..NamingRules::default() };
    let settings = Settings::default();
    let rules = CheckRules::new(&naming, None, &settings);
    let file = |path| File { path, contents: b"SELECT 1;" };
    let report = check(&[file("V1__a.sql"), file("U1__a.sql")], &rules);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let report =
        check(&[file("V1__a.sql"), file("U1__a.sql"), file("U1.0__b.sql"), file("U2__c.sql")], &rules);
    let slugs: Vec<_> = report.findings.iter().map(|finding| finding.slug).collect();
    assert_eq!(slugs, ["duplicate-undo", "undo-without-script"]);
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_with_their_line() {
    let (naming, settings) = (NamingRules::default(), Settings::default());
    let rules = CheckRules::new(&naming, None, &settings);
    let report = check(&[File { path: "V1__a.sql", contents: b"SELECT 1;\n-- \xE9" }], &rules);
    assert_eq!((report.findings[0].slug, report.findings[0].line), ("not-utf8", Some(2)));
}
