//! Statements as Flyway's parser for PostgreSQL cuts them, and where we cut otherwise on purpose.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_migration::{
    dialect::Dialect,
    placeholder::Placeholders,
    scan::{Effect, Piece, Scanner},
};

#[derive(Deserialize)]
struct Recorded {
    file: String,
    statements: Vec<RecordedStatement>,
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
const ON_PURPOSE: &[(&str, &str)] = &[
    ("V006__lower_e.sql", "e'it\\'s' is an escape string for the server too, not only E'…'"),
    ("V036__positional_params.sql", "$1 is a parameter for the server, not the beginning of a dollar quote"),
    ("V042__unterminated_string.sql", "an unterminated string is an error, not a statement up to the end"),
    ("V018__reindex_index_conc.sql", "REINDEX INDEX CONCURRENTLY cannot run in a transaction"),
    ("V028__cluster.sql", "CLUSTER without a table cannot run in a transaction"),
];

fn ours(bytes: &[u8]) -> Result<Vec<RecordedStatement>, String> {
    let mut scanner = Scanner::new(Dialect::PostgreSql);
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

#[test]
fn statements_are_those_of_flyway() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/split");
    let mut placeholders = Placeholders::default();
    placeholders.set("tbl", "foo");
    placeholders.set("unset_quoted", "bar");
    let mut differences = BTreeMap::new();
    let mut total = 0;
    for line in include_str!("data/split/postgresql.jsonl").lines() {
        let recorded: Recorded = serde_json::from_str(line).expect("JSON");
        let text =
            fs_err::read_to_string(format!("{folder}/{}", recorded.file)).expect("the script is there");
        let text = placeholders.replace(&text).unwrap_or(text.as_str().into());
        total += 1;
        let ours = ours(text.as_bytes());
        if ours.as_ref() != Ok(&recorded.statements) {
            let name = recorded.file.rsplit('/').next().unwrap_or_default().to_owned();
            differences.insert(name, format!("\n  ours   {ours:?}\n  flyway {:?}", recorded.statements));
        }
    }
    for (name, reason) in ON_PURPOSE {
        assert!(differences.remove(*name).is_some(), "{name} agrees, but is listed to differ: {reason}");
    }
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(total > 40, "{total} scripts were compared");
}
