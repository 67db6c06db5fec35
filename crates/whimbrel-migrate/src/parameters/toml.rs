//! `flyway.toml`: the tables `[flyway]` and `[environments.…]`, as keys and values.

/// Keys as on the command line (`target`, `placeholders.color`, `environments.dev.url`) with their values as text;
/// lists are joined by commas.
///
/// # Errors
/// When it is not TOML, or a key has no meaning; the text says which.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let table: ::toml::Table = text.parse().map_err(|error: ::toml::de::Error| error.message().to_owned())?;
    let mut found = Vec::new();
    for (key, value) in &table {
        match (key.as_str(), value) {
            ("flyway", ::toml::Value::Table(table)) => flatten("", table, &mut found),
            ("environments", ::toml::Value::Table(table)) => flatten("environments.", table, &mut found),
            // What Flyway Desktop and Redgate's other tools keep in the same file.
            ("flywayDesktop" | "redgateCompare" | "databaseType" | "id" | "name", _) => {}
            (key, _) => {
                return Err(format!("there is no meaning to {key} outside of [flyway] and [environments]"));
            }
        }
    }
    Ok(found)
}

fn flatten(prefix: &str, table: &::toml::Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            ::toml::Value::Table(table) => flatten(&format!("{name}."), table, found),
            ::toml::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(text).collect();
                found.push((name, items.join(",")));
            }
            value => found.push((name, text(value))),
        }
    }
}

fn text(value: &::toml::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_names_and_lists_become_text() {
        let text = "id = \"x\"\n[flyway]\nlocations = [\"filesystem:a\", \"filesystem:b\"]\noutOfOrder = true\n\
            [flyway.placeholders]\nColor = \"red\"\n[flyway.postgresql.transactional]\nlock = false\n\
            [environments.dev]\nurl = \"jdbc:postgresql://h/d\"\nconnectRetries = 3\n\
            [environments.dev.flyway]\ntarget = \"2\"\n";
        let found = parse(text).unwrap();
        let value = |name: &str| found.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert_eq!(value("locations"), Some("filesystem:a,filesystem:b"));
        assert_eq!(value("outOfOrder"), Some("true"));
        assert_eq!(value("placeholders.Color"), Some("red"));
        assert_eq!(value("postgresql.transactional.lock"), Some("false"));
        assert_eq!(value("environments.dev.connectRetries"), Some("3"));
        assert_eq!(value("environments.dev.flyway.target"), Some("2"));
    }

    #[test]
    fn what_is_no_toml_or_has_no_meaning_is_refused() {
        assert!(parse("[flyway").is_err());
        assert!(parse("[flywey]\na = 1").unwrap_err().contains("flywey"));
    }
}
