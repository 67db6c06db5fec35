//! `flyway.conf`: Java properties with Flyway's own reading of backslashes, and `${VARIABLE}` from the environment.

use whimbrel_cli::env::Environment;

/// Keys and values in their order; a later one wins.
///
/// A backslash is only itself, so that Windows paths can be written plainly, except at the end of a line that the
/// next line continues. A line continues another one when it is not empty and sets no `flyway.` key.
pub(super) fn parse(text: &str, environment: &impl Environment) -> Vec<(String, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while whole.ends_with('\\') && lines.peek().is_some_and(|next| continues(next)) {
            whole.pop();
            whole.push_str(lines.next().unwrap_or_default());
        }
        let (key, value) = divide(&whole);
        found.push((key.to_owned(), expand(value, environment)));
    }
    found
}

fn continues(next: &str) -> bool {
    let is_key = next.starts_with("flyway.") && next.contains('=');
    !next.is_empty() && !is_key
}

fn divide(line: &str) -> (&str, &str) {
    let blank = [' ', '\t', '\u{c}'];
    let end = line.find(['=', ':', ' ', '\t', '\u{c}']).unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(blank);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_matches(blank))
}

/// `${NAME}` becomes the variable's value, or nothing where it is not set.
fn expand(value: &str, environment: &impl Environment) -> String {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 2..];
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match after.split_once('}') {
            Some((name, behind)) if is_name(name) => {
                expanded.push_str(&environment.get(name).unwrap_or_default());
                rest = behind;
            }
            _ => {
                expanded.push_str("${");
                rest = after;
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let environment = BTreeMap::from([("HOST_1".to_owned(), "db".to_owned())]);
        parse(text, &environment)
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn keys_and_values_are_divided_as_properties_are() {
        let text = "# comment\n! another\n\nflyway.url = \
                    jdbc:postgresql://h/d\r\nflyway.user:u\nflyway.table t\nflyway.target=\n";
        let expected = [
            pair("flyway.url", "jdbc:postgresql://h/d"),
            pair("flyway.user", "u"),
            pair("flyway.table", "t"),
            pair("flyway.target", ""),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_backslash_is_itself_unless_the_line_goes_on() {
        let text = "flyway.locations=filesystem:C:\\sql\\a,\\\n  filesystem:b\nflyway.jarDirs=C:\\jars\\\nflyway.table=t";
        let expected = [
            pair("flyway.locations", "filesystem:C:\\sql\\a,filesystem:b"),
            pair("flyway.jarDirs", "C:\\jars\\"),
            pair("flyway.table", "t"),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn variables_are_put_in_and_missing_ones_are_empty() {
        let text =
            "flyway.url=jdbc:postgresql://${HOST_1}:${PORT}/x\nflyway.placeholderPrefix=${\nflyway.a=${b c}";
        let values: Vec<String> = read(text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["jdbc:postgresql://db:/x", "${", "${b c}"]);
    }
}
