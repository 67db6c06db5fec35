//! The password file of PostgreSQL's own clients, by libpq's rules.
//!
//! A line is `host:port:database:user:password`; a field `*` matches everything, `\` takes the meaning from the character
//! behind it, the first line that matches counts. A file that others may read is passed over and told about.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use secrecy::SecretString;
use whimbrel_cli::env::Environment;
use whimbrel_database::{Endpoint, Target};

/// Where libpq looks for the file, if not in the home folder.
const PGPASSFILE: &str = "PGPASSFILE";

/// What the file gave.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) password: Option<SecretString>,
    /// Why the file was passed over.
    pub(crate) warning: Option<String>,
}

/// Looks for the password of a target that has none.
pub(crate) fn look_up(target: &Target, environment: &impl Environment) -> Found {
    let Some(path) = file(environment) else { return Found::default() };
    let Some(user) = target.user.as_deref() else { return Found::default() };
    match load(&path) {
        Ok(Some(text)) => {
            let password = target.endpoints.iter().find_map(|endpoint| {
                password(&text, &host(endpoint), endpoint.port, target.database_name(), user)
            });
            Found { password: password.map(SecretString::from), warning: None }
        }
        Ok(None) => Found::default(),
        Err(warning) => Found { password: None, warning: Some(warning) },
    }
}

fn file(environment: &impl Environment) -> Option<PathBuf> {
    let named = environment.get(PGPASSFILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    named.or_else(|| environment.get("HOME").map(|home| Path::new(&home).join(".pgpass")))
}

/// A socket's folder counts as `localhost` where it is the usual one.
fn host(endpoint: &Endpoint) -> String {
    let usual = ["/tmp", "/var/run/postgresql", "/run/postgresql"];
    if usual.contains(&endpoint.host.as_str()) { "localhost".to_owned() } else { endpoint.host.clone() }
}

/// The text of the file; none where there is no file, and a reason where it may not be used.
fn load(path: &Path) -> Result<Option<String>, String> {
    let Ok(found) = fs::metadata(path) else { return Ok(None) };
    if !found.is_file() {
        return Err(format!("password file {} is not a plain file: it is not used", path.display()));
    }
    if found.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "password file {} can be read by others: it is not used (chmod 0600 {0})",
            path.display()
        ));
    }
    fs::read_to_string(path).map(Some).map_err(|error| error.to_string())
}

/// The password of the first line that matches.
fn password(text: &str, host: &str, port: u16, database: &str, user: &str) -> Option<String> {
    let port = port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line.strip_suffix('\r').unwrap_or(line);
        for wanted in [host, port.as_str(), database, user] {
            let (field, after) = field(rest);
            if field.raw != "*" && field.value != wanted {
                return None;
            }
            rest = after?;
        }
        let (password, _) = field(rest);
        (!password.value.is_empty()).then_some(password.value)
    })
}

struct Field<'a> {
    raw: &'a str,
    value: String,
}

/// The text up to the next colon that stands for itself, and what comes behind it.
fn field(text: &str) -> (Field<'_>, Option<&str>) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            ':' => return (Field { raw: &text[..at], value }, Some(&text[at + 1..])),
            '\\' => value.push(characters.next().map_or('\\', |(_, next)| next)),
            character => value.push(character),
        }
    }
    (Field { raw: text, value }, None)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret as _;

    use super::*;

    const FILE: &str = "# a comment:5432:*:*:no\n\
        db:5432:shop:app:first\n\
        db:5432:shop:app:second\n\
        *:*:shop:colon\\:user:a\\:b\\\\c:rest is no part of it\n\
        fe80\\:\\:1:*:*:app:six\r\n\
        db:*:*:empty:\n\
        short:5432\n\
        *:*:*:app:any\n";

    fn asked(host: &str, port: u16, database: &str, user: &str) -> Option<String> {
        password(FILE, host, port, database, user)
    }

    #[test]
    fn the_first_line_that_matches_counts() {
        assert_eq!(asked("db", 5432, "shop", "app").as_deref(), Some("first"));
        assert_eq!(asked("db", 5433, "shop", "app").as_deref(), Some("any"));
        assert_eq!(asked("db", 5432, "shop", "nobody"), None);
    }

    #[test]
    fn a_backslash_takes_the_meaning_from_colons_and_backslashes() {
        assert_eq!(asked("x", 1, "shop", "colon:user").as_deref(), Some("a:b\\c"));
        assert_eq!(asked("fe80::1", 1, "x", "app").as_deref(), Some("six"));
    }

    #[test]
    fn an_empty_password_and_a_short_line_give_none() {
        assert_eq!(asked("db", 5432, "shop", "empty"), None);
        assert_eq!(asked("short", 5432, "shop", "x"), None);
    }

    #[test]
    fn a_star_that_is_escaped_is_a_star() {
        assert_eq!(password("\\*:*:*:*:x", "db", 1, "d", "u"), None);
        assert_eq!(password("\\*:*:*:*:x", "*", 1, "d", "u").as_deref(), Some("x"));
    }

    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".pgpass");
        fs::write(&path, "*:*:*:*:canary").unwrap();
        let target = Target::from_parts("db", None, Some("d")).with_user("u");
        let environment: BTreeMap<String, String> =
            [("HOME".to_owned(), folder.path().display().to_string())].into();
        for (mode, usable) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = look_up(&target, &environment);
            let password = found.password.as_ref().map(|password| password.expose_secret().to_owned());
            assert_eq!(password.as_deref(), usable.then_some("canary"), "{mode:o}");
            assert_eq!(found.warning.is_some(), !usable);
            assert!(!found.warning.unwrap_or_default().contains("canary"));
        }
    }
}
