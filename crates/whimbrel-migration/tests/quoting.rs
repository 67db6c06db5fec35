//! Whatever stands in a name or in a text: quoted it is one token, so that no setting can become SQL.

use proptest::prelude::*;
use whimbrel_migration::{
    dialect::Dialect,
    history::{NewRow, RowType},
    scan::{Piece, Scanner},
    sql::{self, TableName},
};

const DIALECTS: [Dialect; 4] = [Dialect::PostgreSql, Dialect::MySql, Dialect::MariaDb, Dialect::Sqlite];

/// How a session may read strings and names.
#[derive(Debug, Clone, Copy)]
struct Session {
    dialect: Dialect,
    conforming: bool,
    sql_mode: &'static str,
}

fn sessions() -> impl Iterator<Item = Session> {
    let modes = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"];
    DIALECTS.into_iter().flat_map(move |dialect| {
        [true, false].into_iter().flat_map(move |conforming| {
            modes.into_iter().map(move |sql_mode| Session { dialect, conforming, sql_mode })
        })
    })
}

/// The statements that the server would see.
fn cut(session: Session, script: &str) -> Vec<String> {
    let mut scanner = Scanner::new(session.dialect);
    scanner.set_standard_conforming_strings(session.conforming);
    scanner.set_sql_mode(session.sql_mode);
    scanner.feed(script.as_bytes());
    scanner.finish();
    let mut statements = Vec::new();
    while let Some(piece) =
        scanner.next_piece().unwrap_or_else(|error| panic!("{session:?} {script}: {error}"))
    {
        if let Piece::Statement(statement) = piece {
            statements.push(statement.text.to_owned());
        }
    }
    statements
}

/// Names and texts that would like to be SQL.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(&["\"", "'", "`", "\\", ";", "--", "/*", "*/", "#", "$$", "]", "[", "\n", "\r\n"][..])
            .prop_map(str::to_owned),
        2 => prop::sample::select(&["; DROP TABLE birds; --", "' OR 1 = 1 --", "DELIMITER //", "/*!", "\u{ff07}"][..])
            .prop_map(str::to_owned),
        2 => "[a-zA-Z0-9_ .]{1,4}",
        1 => any::<char>().prop_filter("no name and no text of a server holds it", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

fn row(text: &str) -> NewRow {
    NewRow {
        installed_rank: 1,
        version: Some(text.to_owned()),
        description: text.to_owned(),
        row_type: RowType::Sql,
        script: text.to_owned(),
        checksum: Some(-1),
        execution_time: 1,
        success: true,
    }
}

/// All SQL that names of settings and texts of scripts go into, a statement each.
fn statements(table: &TableName, text: &str) -> Vec<String> {
    let (dialect, row) = (table.dialect, row(text));
    let mut all = vec![
        sql::schema_exists(dialect, text),
        sql::schema_is_empty(dialect, text),
        sql::select_rows(table),
        sql::insert_row(table, &row, Some(text)),
        sql::delete_failed_row(table, 1),
        sql::update_row(table, 1, text, &RowType::Unknown(text.to_owned()), None),
    ];
    all.extend(sql::create_schema(dialect, text));
    all.extend(sql::create_history_table(table, Some(text), Some((&row, Some(text)))));
    all
}

proptest! {
    #[test]
    fn a_quoted_name_is_one_token_and_means_itself(name in hostile()) {
        for session in sessions() {
            let quoted = sql::quote_identifier(session.dialect, &name);
            let statement = format!("SELECT 1 AS {quoted}");
            let expected = [statement.clone(), "SELECT 2".to_owned()];
            prop_assert_eq!(cut(session, &format!("{statement};SELECT 2")), expected);
            let mark = quoted.chars().next().expect("it begins with a quote").to_string();
            let inner = quoted.strip_prefix(&mark).and_then(|rest| rest.strip_suffix(&mark)).expect("both ends");
            prop_assert_eq!(inner.replace(&mark.repeat(2), &mark), name.as_str());
        }
    }

    #[test]
    fn a_quoted_text_is_one_token_in_every_session(text in hostile()) {
        for session in sessions() {
            let statement = format!("SELECT {}", sql::quote_literal(session.dialect, &text));
            let expected = [statement.clone(), "SELECT 2".to_owned()];
            prop_assert_eq!(cut(session, &format!("{statement};SELECT 2")), expected);
        }
    }

    #[test]
    fn no_name_of_a_schema_or_a_table_makes_two_statements_of_one(schema in hostile(), table in hostile(), text in hostile()) {
        for session in sessions() {
            let table = TableName::new(session.dialect, &schema, &table);
            for statement in statements(&table, &text) {
                prop_assert_eq!(cut(session, &format!("{statement};SELECT 2")), [statement, "SELECT 2".to_owned()]);
            }
        }
    }
}
