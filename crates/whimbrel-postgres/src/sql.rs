//! The statements that make roles, databases and snapshots. Pure text: whoever holds a superuser's connection
//! sends them, one at a time, since most cannot run in a transaction.

use secrecy::{ExposeSecret, SecretString};

/// The name of the superuser that initdb makes; no project's role is called so.
pub const SUPERUSER: &str = "whimbrel_superuser";

/// The database in which statements about other databases are run; a project may have any other one.
pub const MAINTENANCE_DATABASE: &str = "template1";

/// Sent first on a connection that sets passwords: a failing statement would otherwise be written, whole, into the
/// server's log.
pub const KEEP_STATEMENTS_OUT_OF_THE_LOG: &str =
    "SET log_min_error_statement = panic; SET log_statement = none; SET log_min_duration_statement = -1";

/// Every database but the templates: its name, its owner, whether people may connect (`t` or `f`), and the comment
/// on it.
pub const LIST_DATABASES: &str = "SELECT datname, pg_get_userbyid(datdba), datallowconn, \
     coalesce(shobj_description(oid, 'pg_database'), '') \
     FROM pg_catalog.pg_database WHERE NOT datistemplate ORDER BY datname";

/// The names of all roles that may log in.
pub const LIST_ROLES: &str = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolcanlogin ORDER BY rolname";

/// `name` as an identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `text` as a literal, whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Makes a login role.
pub fn create_role(name: &str) -> String {
    format!("CREATE ROLE {} LOGIN", identifier(name))
}

/// Sets a role's password. The statement holds the password.
pub fn set_password(role: &str, password: &SecretString) -> SecretString {
    format!("ALTER ROLE {} PASSWORD {}", identifier(role), literal(password.expose_secret())).into()
}

/// Makes an empty database.
pub fn create_database(name: &str, owner: &str) -> String {
    format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'",
        identifier(name),
        identifier(owner)
    )
}

/// Makes a database as a copy of another, to which nobody may be connected.
pub fn copy_database(name: &str, template: &str, owner: &str) -> String {
    format!(
        "CREATE DATABASE {} OWNER {} TEMPLATE {}",
        identifier(name),
        identifier(owner),
        identifier(template)
    )
}

/// Gives a database to a role.
pub fn set_owner(name: &str, owner: &str) -> String {
    format!("ALTER DATABASE {} OWNER TO {}", identifier(name), identifier(owner))
}

/// Lets people connect to a database, or no longer.
pub fn allow_connections(name: &str, allowed: bool) -> String {
    format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", identifier(name))
}

/// Closes all other connections to a database; answers with one row for each client's.
pub fn terminate_connections(name: &str) -> String {
    format!(
        "SELECT pid FROM (SELECT pid, backend_type, pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
         WHERE datname = {} AND pid <> pg_backend_pid()) AS ended WHERE backend_type = 'client backend'",
        literal(name)
    )
}

/// Counts the connections to a database.
pub fn count_connections(name: &str) -> String {
    format!("SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = {}", literal(name))
}

/// Drops a database, to which nobody may be connected.
pub fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {}", identifier(name))
}

/// Sets the comment on a database.
pub fn comment_on_database(name: &str, comment: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {}", identifier(name), literal(comment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_break_out() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn a_statement_with_a_password_does_not_print_it() {
        let statement = set_password("shop", &SecretString::from("marked-value"));
        assert!(!format!("{statement:?}").contains("marked-value"));
        assert_eq!(statement.expose_secret(), "ALTER ROLE \"shop\" PASSWORD 'marked-value'");
    }
}
