//! Names of tables and other objects.

use std::fmt;

use serde::Serialize;

/// The name of a table, view, index … as a statement has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ObjectName {
    /// The schema (for MySQL the database), if the statement names one.
    pub schema: Option<String>,
    /// The name as the server stores it: without quotes, and folded as the engine folds what is not quoted.
    pub name: String,
    /// As written in the statement.
    pub written: String,
}

impl ObjectName {
    pub(crate) fn of_parts(mut parts: Vec<String>, written: String) -> Option<Self> {
        let name = parts.pop()?;
        Some(Self { schema: parts.pop(), name, written })
    }

    /// What stands before the last dot: of a column, its table.
    pub(crate) fn qualifier(&self) -> Option<Self> {
        let written = self.schema_written()?.to_owned();
        Some(Self { schema: None, name: self.schema.clone()?, written })
    }

    /// The last part as written.
    pub(crate) fn last_written(&self) -> &str {
        self.split_written().1
    }

    /// The schema as written.
    pub(crate) fn schema_written(&self) -> Option<&str> {
        self.split_written().0
    }

    /// The name of something in the same schema.
    pub(crate) fn beside(&self, other: &str) -> String {
        match self.schema_written() {
            Some(schema) => format!("{schema}.{other}"),
            None => other.to_owned(),
        }
    }

    /// What is before and behind the last dot outside of quotes.
    fn split_written(&self) -> (Option<&str>, &str) {
        let mut quote = None;
        let mut dot = None;
        for (index, character) in self.written.char_indices() {
            match (quote, character) {
                (None, '"' | '`') => quote = Some(character),
                (None, '[') => quote = Some(']'),
                (None, '.') => dot = Some(index),
                (Some(open), close) if open == close => quote = None,
                _ => {}
            }
        }
        match dot {
            Some(dot) => (Some(self.written[..dot].trim()), self.written[dot + 1..].trim()),
            None => (None, &self.written),
        }
    }

    /// Whether both stand for the same object, as far as the statements say: one without a schema may be in
    /// any.
    pub fn may_be(&self, other: &Self) -> bool {
        self.name == other.name
            && match (&self.schema, &other.schema) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => true,
            }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.written)
    }
}
