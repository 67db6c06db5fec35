//! The SQL that Flyway's history needs, in each dialect: names, literals, the table, its rows, its lock.
//!
//! Statements are made as text: they are the interface that is shared with Flyway, and a dry run shows them. What all
//! engines say alike stands here; what only one of them says stands in its module.

pub mod mysql;
pub mod postgres;
pub mod sqlite;

use crate::dialect::Dialect;
use crate::history::{HistoryRow, NewRow, RowType};

/// A table with its schema, not quoted, in a database of some dialect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableName {
    /// How names are quoted.
    pub dialect: Dialect,
    /// The schema; on MySQL and MariaDB that is a database.
    pub schema: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Names a table.
    pub fn new(dialect: Dialect, schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { dialect, schema: schema.into(), table: table.into() }
    }

    /// Another table of the same schema.
    #[must_use]
    pub fn beside(&self, table: impl Into<String>) -> Self {
        Self { dialect: self.dialect, schema: self.schema.clone(), table: table.into() }
    }

    /// `"schema"."table"`, as the dialect quotes.
    pub fn quoted(&self) -> String {
        format!(
            "{}.{}",
            quote_identifier(self.dialect, &self.schema),
            quote_identifier(self.dialect, &self.table)
        )
    }
}

/// A name that means itself, whatever is in it.
pub fn quote_identifier(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::PostgreSql => postgres::quote_identifier(name),
        Dialect::MySql | Dialect::MariaDb => mysql::quote_identifier(name),
        Dialect::Sqlite => sqlite::quote_identifier(name),
    }
}

/// A string literal that means itself whatever is in it, and whatever the session is set to.
pub fn quote_literal(dialect: Dialect, text: &str) -> String {
    match dialect {
        Dialect::PostgreSql => postgres::quote_literal(text),
        Dialect::MySql | Dialect::MariaDb => mysql::quote_literal(text),
        Dialect::Sqlite => sqlite::quote_literal(text),
    }
}

/// Whether the schema exists: one row that [`is_true`] reads.
pub fn schema_exists(dialect: Dialect, schema: &str) -> String {
    match dialect {
        Dialect::PostgreSql => postgres::schema_exists(schema),
        Dialect::MySql | Dialect::MariaDb => mysql::schema_exists(schema),
        Dialect::Sqlite => sqlite::schema_exists(schema),
    }
}

/// Whether nothing that Flyway counts is in the schema: one row that [`is_true`] reads.
pub fn schema_is_empty(dialect: Dialect, schema: &str) -> String {
    match dialect {
        Dialect::PostgreSql => postgres::schema_is_empty(schema),
        Dialect::MySql | Dialect::MariaDb => mysql::schema_is_empty(schema),
        Dialect::Sqlite => sqlite::schema_is_empty(schema),
    }
}

/// Makes a schema; `None` where the engine has no such statement (SQLite).
pub fn create_schema(dialect: Dialect, schema: &str) -> Option<String> {
    match dialect {
        Dialect::PostgreSql => Some(postgres::create_schema(schema)),
        Dialect::MySql | Dialect::MariaDb => Some(mysql::create_schema(schema)),
        Dialect::Sqlite => None,
    }
}

/// Makes names without a schema mean this one; `None` where the engine has one schema (SQLite).
pub fn use_schema(dialect: Dialect, schema: &str) -> Option<String> {
    let quoted = quote_identifier(dialect, schema);
    match dialect {
        Dialect::PostgreSql => Some(format!(
            "SELECT pg_catalog.set_config('search_path', {} || pg_catalog.current_setting('search_path'), false)",
            quote_literal(dialect, &format!("{quoted}, "))
        )),
        Dialect::MySql | Dialect::MariaDb => Some(format!("USE {quoted}")),
        Dialect::Sqlite => None,
    }
}

/// Names as identifiers of the dialect.
pub fn quote_identifiers(dialect: Dialect, names: &[String]) -> Vec<String> {
    names.iter().map(|name| quote_identifier(dialect, name)).collect()
}

/// The statements that make the history table, with a first row where a baseline is wanted. They belong into one
/// transaction where DDL can be rolled back; elsewhere the row and the table are one statement.
pub fn create_history_table(
    table: &TableName,
    tablespace: Option<&str>,
    baseline: Option<(&NewRow, Option<&str>)>,
) -> Vec<String> {
    match table.dialect {
        Dialect::PostgreSql => postgres::create_history_table(table, tablespace, baseline),
        Dialect::MySql | Dialect::MariaDb => mysql::create_history_table(table, tablespace, baseline),
        Dialect::Sqlite => sqlite::create_history_table(table, baseline),
    }
}

/// The history's columns, in the order of [`read_row`].
const COLUMNS: [&str; 10] = [
    "installed_rank",
    "version",
    "description",
    "type",
    "script",
    "checksum",
    "installed_by",
    "installed_on",
    "execution_time",
    "success",
];

/// All rows by rank; the columns are those of [`read_row`], in its order.
pub fn select_rows(table: &TableName) -> String {
    select_rows_after(table, -1)
}

/// The rows above a rank, as [`select_rows`] gives them.
pub fn select_rows_after(table: &TableName, installed_rank: i32) -> String {
    let column = |name| quote_identifier(table.dialect, name);
    format!(
        "SELECT {} FROM {} WHERE {rank} > {installed_rank} ORDER BY {rank}",
        COLUMNS.map(column).join(", "),
        table.quoted(),
        rank = column("installed_rank"),
    )
}

/// A row of [`select_rows`] whose values arrive as text.
pub fn read_row(values: &[Option<&str>]) -> Option<HistoryRow> {
    let [rank, version, description, row_type, script, checksum, by, on, time, success] = values else {
        return None;
    };
    Some(HistoryRow {
        installed_rank: (*rank)?.parse().ok()?,
        version: version.map(str::to_owned),
        description: (*description)?.to_owned(),
        row_type: RowType::parse((*row_type)?),
        script: (*script)?.to_owned(),
        checksum: match checksum {
            None => None,
            Some(text) => Some(text.parse().ok()?),
        },
        installed_by: (*by)?.to_owned(),
        installed_on: (*on)?.to_owned(),
        execution_time: (*time)?.parse().ok()?,
        success: is_true((*success)?),
    })
}

/// A boolean as the engines write it.
pub fn is_true(text: &str) -> bool {
    matches!(text, "t" | "true" | "1")
}

/// Writes a row; without a name `installed_by` is the user as Flyway asks for it.
pub fn insert_row(table: &TableName, row: &NewRow, installed_by: Option<&str>) -> String {
    insert_values(table, row_values(table.dialect, row, installed_by))
}

fn insert_values(table: &TableName, values: [(&'static str, String); 9]) -> String {
    let (columns, values): (Vec<String>, Vec<String>) =
        values.into_iter().map(|(name, value)| (quote_identifier(table.dialect, name), value)).unzip();
    format!("INSERT INTO {} ({}) VALUES ({})", table.quoted(), columns.join(", "), values.join(", "))
}

/// The values of a new row with the names of their columns; `installed_on` is the column's default.
fn row_values(dialect: Dialect, row: &NewRow, installed_by: Option<&str>) -> [(&'static str, String); 9] {
    let literal = |text: &str| quote_literal(dialect, text);
    let user = match dialect {
        Dialect::PostgreSql => "current_user",
        Dialect::MySql | Dialect::MariaDb => mysql::CURRENT_USER,
        Dialect::Sqlite => "''",
    };
    [
        ("installed_rank", row.installed_rank.to_string()),
        ("version", row.version.as_deref().map_or_else(|| "NULL".into(), literal)),
        ("description", literal(&row.description)),
        ("type", literal(row.row_type.as_str())),
        ("script", literal(&row.script)),
        ("checksum", row.checksum.map_or_else(|| "NULL".into(), |checksum| checksum.to_string())),
        ("installed_by", installed_by.map_or_else(|| user.to_owned(), literal)),
        ("execution_time", row.execution_time.to_string()),
        ("success", row.success.to_string()),
    ]
}

/// Removes one failed row.
pub fn delete_failed_row(table: &TableName, installed_rank: i32) -> String {
    let column = |name| quote_identifier(table.dialect, name);
    format!(
        "DELETE FROM {} WHERE {} = {installed_rank} AND {} = false",
        table.quoted(),
        column("installed_rank"),
        column("success")
    )
}

/// Aligns one row with its file.
pub fn update_row(
    table: &TableName,
    installed_rank: i32,
    description: &str,
    row_type: &RowType,
    checksum: Option<i32>,
) -> String {
    let column = |name| quote_identifier(table.dialect, name);
    format!(
        "UPDATE {} SET {} = {}, {} = {}, {} = {} WHERE {} = {installed_rank}",
        table.quoted(),
        column("description"),
        quote_literal(table.dialect, description),
        column("type"),
        quote_literal(table.dialect, row_type.as_str()),
        column("checksum"),
        checksum.map_or_else(|| "NULL".into(), |checksum| checksum.to_string()),
        column("installed_rank")
    )
}

/// `String.hashCode` of Java, which Flyway's locks are named by.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
