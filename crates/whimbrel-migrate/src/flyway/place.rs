//! The database in Flyway's words: its URL, schema and table, quoted as its engine quotes.

use serde_json::Value;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::sql::{TableName, quote_identifier};

use crate::parameters::values::Values;
use crate::parameters::without_secrets;
use crate::settings::DatabaseSettings;
use crate::turns::Run;

/// What Flyway's lines and documents name.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The URL as it was given, without what is secret.
    pub(super) url: String,
    /// The user as it was given.
    pub(super) user: Option<String>,
    /// Whether a statement that failed is shown: with `-X`.
    pub(super) shows_statements: bool,
    /// The catalog's name; empty where the engine has none.
    database: String,
    table: TableName,
}

impl Place {
    /// As far as the settings tell; an open session knows better.
    pub(super) fn of(database: &DatabaseSettings, url: Option<String>, shows_statements: bool) -> Self {
        let (target, dialect) = (&database.target, database.target.engine.dialect());
        let schema = database.schema.clone().unwrap_or_else(|| match dialect {
            Dialect::PostgreSql => "public".to_owned(),
            Dialect::Sqlite => "main".to_owned(),
            _ => target.database_name().to_owned(),
        });
        Self {
            url: url.unwrap_or_else(|| target.public_url()),
            user: target.user.clone(),
            shows_statements,
            database: target.database_name().to_owned(),
            table: TableName::new(dialect, schema, &database.table),
        }
    }

    /// What a session told when it was opened.
    pub(super) fn see(&mut self, connected: &Value) {
        if let Ok(dialect) = serde_json::from_value(connected["dialect"].clone()) {
            self.table.dialect = dialect;
        }
        if let Some(schema) = connected["schema"].as_str() {
            schema.clone_into(&mut self.table.schema);
        }
    }

    /// The table that a run worked on.
    pub(super) fn seen_by(mut self, run: &Run) -> Self {
        if let Some(table) = run.turns.first().and_then(|turn| turn.table.clone()) {
            self.table = table;
        }
        self
    }

    /// The quoted schema.
    pub(super) fn schema(&self) -> String {
        self.quoted(&self.table.schema)
    }

    /// The quoted history table.
    pub(super) fn table(&self) -> String {
        self.table.quoted()
    }

    /// Any name, quoted.
    pub(super) fn quoted(&self, name: &str) -> String {
        quote_identifier(self.table.dialect, name)
    }

    /// The engine.
    pub(super) fn dialect(&self) -> Dialect {
        self.table.dialect
    }

    /// What JSON documents call the database: SQLite has no name for it.
    pub(super) fn database(&self) -> Option<&str> {
        (self.table.dialect != Dialect::Sqlite).then_some(self.database.as_str())
    }
}

/// A URL in the form that Flyway shows; none where it is not one of Java's, which Flyway would not understand.
pub(super) fn shown_url(values: &Values) -> Option<String> {
    let url = values.filled("url").filter(|url| url.starts_with("jdbc:"))?;
    let url = without_secrets(url);
    // That driver adds what it logs in with.
    let is_mysql = url.starts_with("jdbc:mariadb:") || url.starts_with("jdbc:mysql:");
    match values.filled("user") {
        Some(user) if is_mysql && !url.contains('?') => {
            let password = if values.filled("password").is_some() { "&password=********" } else { "" };
            Some(format!("{url}?user={user}{password}"))
        }
        _ => Some(url),
    }
}
