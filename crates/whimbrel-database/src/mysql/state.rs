//! What a statement leaves behind in its session.

use crate::target::Target;

/// Statements that change tables and nothing about the session, by their first word.
const HARMLESS: [&str; 14] = [
    "ALTER", "ANALYZE", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "OPTIMIZE", "RENAME", "REPLACE",
    "REVOKE", "SELECT", "TRUNCATE", "UPDATE",
];

/// Whether a statement may leave something behind: a variable, a temporary table, a prepared statement, a lock.
///
/// In doubt it may. That costs a new connection.
pub(super) fn changes_session(statement: &str) -> bool {
    let text = after_comments(statement);
    let mut words =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    let is_temporary = words.take(3).any(|word| word.eq_ignore_ascii_case("temporary"));
    !HARMLESS.contains(&first.as_str()) || is_temporary || text.contains('@') || text.contains("_lock")
}

/// Without the comments before its first word. What stands in `/*! … */` is no comment.
fn after_comments(statement: &str) -> &str {
    let mut text = statement.trim_start();
    loop {
        let rest = if text.starts_with("--") || text.starts_with('#') {
            text.split_once('\n').map(|(_, rest)| rest)
        } else if text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!") {
            text.split_once("*/").map(|(_, rest)| rest)
        } else {
            return text;
        };
        text = rest.unwrap_or_default().trim_start();
    }
}

/// The statement that gives a session the server's own mode, which the driver changes when it logs in (it asks for
/// `IGNORE_SPACE`), and the settings of its URL.
pub(super) fn settings(target: &Target) -> String {
    let of_url = target.settings.iter().map(|(name, value)| format!(", {name} = {value}"));
    format!("SET sql_mode = DEFAULT{}", of_url.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_changes_tables_leaves_the_session_as_it_was() {
        for statement in
            ["CREATE TABLE a (i int)", "-- x\n/* y */ insert into a values (1)", "# z\nDROP VIEW v"]
        {
            assert!(!changes_session(statement), "{statement}");
        }
        for statement in [
            "SET sql_mode = ''",
            "/*!40101 SET NAMES utf8 */",
            "CREATE TEMPORARY TABLE a (i int)",
            "SELECT 1 INTO @a",
            "CALL p()",
            "LOCK TABLES a WRITE",
            "SELECT get_lock('x', 1)",
        ] {
            assert!(changes_session(statement), "{statement}");
        }
    }
}
