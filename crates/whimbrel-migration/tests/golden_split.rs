//! Statements as Flyway's parsers cut them, and where we cut otherwise on purpose.

use std::collections::BTreeMap;

use serde::Deserialize;
use test_case::test_case;
use whimbrel_migration::{
    dialect::Dialect,
    placeholder::Placeholders,
    scan::{Effect, Piece, Scanner},
};

#[derive(Deserialize)]
struct Recorded {
    file: String,
    statements: Vec<RecordedStatement>,
    error: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct RecordedStatement {
    line: u64,
    tx: bool,
    sql: String,
    #[serde(rename = "copyData")]
    copy_data: Option<String>,
}

/// Scripts that are cut or understood otherwise on purpose.
type OnPurpose = &'static [(&'static str, &'static str)];

const POSTGRESQL: OnPurpose = &[
    ("V006__lower_e.sql", "e'it\\'s' is an escape string for the server too, not only E'…'"),
    ("V036__positional_params.sql", "$1 is a parameter for the server, not the beginning of a dollar quote"),
    ("V042__unterminated_string.sql", "an unterminated string is an error, not a statement up to the end"),
    ("V018__reindex_index_conc.sql", "REINDEX INDEX CONCURRENTLY cannot run in a transaction"),
    ("V028__cluster.sql", "CLUSTER without a table cannot run in a transaction"),
];

const MYSQL: OnPurpose = &[
    ("V006__or_replace.sql", "the server takes the body after CREATE OR REPLACE whole; Flyway tears it"),
    (
        "V009__mariadb_directive.sql",
        "/*! … */ without digits (and /*M! … */ on MariaDB) is run by the server; Flyway drops it",
    ),
    ("V019__dash_comment_no_space.sql", "1--1 is arithmetic for the server, no comment"),
    ("V022__nested_comment.sql", "comments do not nest here; Flyway drops the whole script"),
    ("V030__definer_current_user.sql", "the body belongs to its statement; Flyway tears it"),
    ("V031__definer_quoted.sql", "the same"),
];

const MARIADB: OnPurpose = MYSQL;

const SQLITE: OnPurpose = &[
    ("V004__begin_tx.sql", "BEGIN is a statement: found as transaction control, not as an endless block"),
    ("V009__backtick_bracket.sql", "[e;f] is a name"),
    ("V012__end_column.sql", "end may be a name"),
    ("V015__commit_end.sql", "END is a statement: it commits"),
    ("V016__bracket_end.sql", "[end;x] is a name"),
];

fn ours(dialect: Dialect, bytes: &[u8]) -> Result<Vec<RecordedStatement>, String> {
    let mut scanner = Scanner::new(dialect);
    scanner.feed(bytes);
    scanner.finish();
    let mut found: Vec<RecordedStatement> = Vec::new();
    while let Some(piece) = scanner.next_piece().map_err(|error| error.to_string())? {
        match piece {
            Piece::Statement(statement) => found.push(RecordedStatement {
                line: statement.place.line,
                tx: !matches!(statement.effect, Effect::NonTransactional(_)),
                sql: statement.text.to_owned(),
                copy_data: (statement.effect == Effect::CopyFromStdin).then(String::new),
            }),
            Piece::CopyData(data) => {
                let last =
                    found.last_mut().and_then(|last| last.copy_data.as_mut()).expect("a COPY came before");
                last.push_str(std::str::from_utf8(data).expect("text"));
            }
            Piece::CopyEnd => {}
        }
    }
    Ok(found)
}

#[test_case(Dialect::PostgreSql, "postgresql", POSTGRESQL, 40)]
#[test_case(Dialect::MySql, "mysql", MYSQL, 20)]
#[test_case(Dialect::MariaDb, "mariadb", MARIADB, 20)]
#[test_case(Dialect::Sqlite, "sqlite", SQLITE, 10)]
fn statements_are_those_of_flyway(dialect: Dialect, name: &str, on_purpose: OnPurpose, at_least: usize) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/split");
    let mut placeholders = Placeholders::default();
    placeholders.set("tbl", "foo");
    placeholders.set("unset_quoted", "bar");
    let mut differences = BTreeMap::new();
    let mut total = 0;
    let lines = fs_err::read_to_string(format!("{folder}/{name}.jsonl")).expect("the recording is there");
    for line in lines.lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("JSON");
        let text =
            fs_err::read_to_string(format!("{folder}/{}", recorded.file)).expect("the script is there");
        let text = placeholders.replace(&text).unwrap_or(text.as_str().into());
        total += 1;
        let ours = ours(dialect, text.as_bytes());
        let agrees = match &recorded.error {
            Some(_) => ours.is_err(),
            None => ours.as_ref() == Ok(&recorded.statements),
        };
        if !agrees {
            let name = recorded.file.rsplit('/').next().unwrap_or_default().to_owned();
            let theirs = (&recorded.statements, &recorded.error);
            differences.insert(name, format!("\n  ours   {ours:?}\n  flyway {theirs:?}"));
        }
    }
    for (name, reason) in on_purpose {
        assert!(differences.remove(*name).is_some(), "{name} agrees, but is listed to differ: {reason}");
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(total >= at_least, "{total} scripts were compared");
}
