//! Values of an environment in `flyway.toml` that are found elsewhere: `${env.NAME}` and its like.
//!
//! | resolver | found in |
//! |---|---|
//! | `env` | an environment variable |
//! | `file` | a file; a line break at its end does not count (Whimbrel's own: how clusters hand out secrets) |
//! | `flywayPlaceholder` | the placeholders of the same settings |
//!
//! `$${…}` stays as `${…}`, and a value that is wholly in `!{…}` is taken as it stands. A filter after a colon keeps
//! only characters of the kinds `A` (letters), `a` (ASCII letters), `D` (digits), `d` (ASCII digits).

use whimbrel_cli::env::Environment;

/// What references can be resolved from.
pub(super) struct Resolver<'a, E> {
    /// For `env`.
    pub(super) environment: &'a E,
    /// For `flywayPlaceholder`: the value of a placeholder by its name in lower case.
    pub(super) placeholder: &'a dyn Fn(&str) -> Option<String>,
}

impl<E: Environment> Resolver<'_, E> {
    /// The value with every reference replaced.
    ///
    /// # Errors
    /// When a reference leads nowhere, or its resolver is not one of ours.
    pub(super) fn resolve(&self, value: &str) -> Result<String, String> {
        if let Some(literal) = value.strip_prefix("!{").and_then(|value| value.strip_suffix('}')) {
            return Ok(literal.to_owned());
        }
        let mut resolved = String::with_capacity(value.len());
        let mut rest = value;
        while let Some(at) = rest.find("${") {
            let (before, after) = (&rest[..at], &rest[at + 2..]);
            let Some((reference, behind)) = after.split_once('}') else { break };
            if let Some(before) = before.strip_suffix('$') {
                resolved.push_str(before);
                resolved.push_str(&rest[at..rest.len() - behind.len()]);
            } else {
                resolved.push_str(before);
                resolved.push_str(&self.reference(reference)?);
            }
            rest = behind;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn reference(&self, reference: &str) -> Result<String, String> {
        let Some((resolver, key)) = reference.split_once('.') else {
            // Without a resolver's name it is no reference.
            return Ok(format!("${{{reference}}}"));
        };
        let (key, filter) = match key.rsplit_once(':') {
            Some((key, filter)) if is_filter(filter) => (key, Some(filter)),
            _ => (key, None),
        };
        let value = match resolver.trim() {
            "env" => self
                .environment
                .get(key)
                .ok_or_else(|| format!("Unable to resolve environment variable: {key}")),
            "flywayPlaceholder" => (self.placeholder)(&key.to_lowercase())
                .ok_or_else(|| format!("Unable to resolve placeholder: {key}")),
            "file" => fs_err::read_to_string(key)
                .map(|text| {
                    text.strip_suffix('\n')
                        .map_or_else(|| text.clone(), |text| text.trim_end_matches('\r').to_owned())
                })
                .map_err(|error| format!("Unable to resolve ${{file.…}}: {error}")),
            other => Err(format!(
                "Unknown resolver '{other}': here there are env, file and flywayPlaceholder only"
            )),
        }?;
        Ok(match filter {
            Some(filter) => value.chars().filter(|character| passes(filter, *character)).collect(),
            None => value,
        })
    }
}

fn is_filter(filter: &str) -> bool {
    !filter.is_empty() && filter.chars().all(|kind| matches!(kind, 'A' | 'a' | 'D' | 'd'))
}

fn passes(filter: &str, character: char) -> bool {
    filter.chars().any(|kind| match kind {
        'A' => character.is_alphabetic(),
        'a' => character.is_ascii_alphabetic(),
        'D' => character.is_numeric(),
        _ => character.is_ascii_digit(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn resolve(value: &str) -> Result<String, String> {
        let environment = BTreeMap::from([("USER_1".to_owned(), "@bc-123".to_owned())]);
        let placeholder = |name: &str| (name == "color").then(|| "red".to_owned());
        Resolver { environment: &environment, placeholder: &placeholder }.resolve(value)
    }

    #[test]
    fn references_are_resolved_within_a_value() {
        assert_eq!(resolve("x${env.USER_1}y").as_deref(), Ok("x@bc-123y"));
        assert_eq!(resolve("${env.USER_1:AD}").as_deref(), Ok("bc123"));
        assert_eq!(resolve("${flywayPlaceholder.Color}").as_deref(), Ok("red"));
        assert_eq!(resolve("please $${do.not} resolve").as_deref(), Ok("please ${do.not} resolve"));
        assert_eq!(resolve("!{${do.not}}").as_deref(), Ok("${do.not}"));
        assert_eq!(resolve("${plain} ${").as_deref(), Ok("${plain} ${"));
    }

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs_err::write(&path, "secret \n").unwrap();
        assert_eq!(resolve(&format!("${{file.{}}}", path.display())).as_deref(), Ok("secret "));
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        assert!(resolve("${env.NOPE}").unwrap_err().contains("NOPE"));
        assert!(resolve("${vault.x}").unwrap_err().contains("vault"));
        assert!(resolve("${file./does/not/exist}").is_err());
    }
}
