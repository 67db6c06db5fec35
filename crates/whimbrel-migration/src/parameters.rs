//! Flyway's parameters that decide how files are read: the same for whoever runs scripts and whoever only checks them.
//!
//! Where values come from (files, variables, a command line) is for the caller to know: it hands them in by name.
//!
//! ```
//! use whimbrel_migration::parameters::FileRules;
//!
//! let value = |name: &str| match name {
//!     "sqlMigrationPrefix" => Some("M".to_owned()),
//!     "sqlMigrationSuffixes" => Some(".sql, .pgsql".to_owned()),
//!     _ => None,
//! };
//! let mut rules = FileRules::default();
//! rules.set(&value)?;
//! assert!(rules.naming.parse("M1__birds.pgsql").is_ok());
//! # Ok::<(), String>(())
//! ```

use crate::{
    encoding::Reading,
    name::NamingRules,
    placeholder::{BuiltIn, Placeholders},
};

/// How files are named, decoded, and what is replaced in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRules {
    /// How scripts are named.
    pub naming: NamingRules,
    /// How they are decoded.
    pub reading: Reading,
    /// Whether placeholders are replaced at all.
    pub replaces: bool,
    /// What a placeholder begins and ends with.
    pub marks: (String, String),
    /// What stands between `flyway` and the rest of the name of a placeholder of Flyway's own.
    pub separator: String,
}

impl Default for FileRules {
    fn default() -> Self {
        Self {
            naming: NamingRules::default(),
            reading: Reading::default(),
            replaces: true,
            marks: ("${".to_owned(), "}".to_owned()),
            separator: ":".to_owned(),
        }
    }
}

impl FileRules {
    /// Sets what the parameters say; everything else stays.
    ///
    /// # Errors
    /// When a value means nothing, in Flyway's words where it has some.
    pub fn set(&mut self, value: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let filled = |name: &str| value(name).filter(|value| !value.is_empty());
        let naming = &mut self.naming;
        replace(&mut naming.versioned_prefix, value("sqlMigrationPrefix"));
        replace(&mut naming.repeatable_prefix, value("repeatableSqlMigrationPrefix"));
        replace(&mut naming.baseline_prefix, value("baselineMigrationPrefix"));
        if let Some(prefix) = filled("undoSqlMigrationPrefix") {
            naming.undo_prefix = Some(prefix);
        }
        replace(&mut naming.separator, value("sqlMigrationSeparator"));
        let suffixes = list(&value("sqlMigrationSuffixes").unwrap_or_default());
        replace(&mut naming.suffixes, Some(suffixes).filter(|suffixes| !suffixes.is_empty()));
        if let Some(encoding) = value("encoding") {
            self.reading.encoding = encoding.parse().map_err(|error| format!("{error}"))?;
        }
        replace(&mut self.reading.detect, boolean(value, "detectEncoding")?);
        replace(&mut self.replaces, boolean(value, "placeholderReplacement")?);
        replace(&mut self.marks.0, filled("placeholderPrefix"));
        replace(&mut self.marks.1, filled("placeholderSuffix"));
        replace(&mut self.separator, filled("placeholderSeparator"));
        Ok(())
    }

    /// Placeholders for a check without a database: the given ones, and a word for each of Flyway's own, which have
    /// values only at run time.
    pub fn placeholders_for_check<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a String, &'a String)>,
        word: &str,
    ) -> Placeholders {
        let mut placeholders = Placeholders::new(&self.marks.0, &self.marks.1);
        for (name, value) in given {
            placeholders.set(name, value);
        }
        for built_in in BuiltIn::ALL {
            placeholders.set(&built_in.name(&self.separator), word);
        }
        placeholders
    }
}

/// The items of a list, trimmed.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// `true` or `false`, in any letter case.
///
/// # Errors
/// When it is something else.
pub fn boolean(value: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<bool>, String> {
    match value(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(value) => Err(format!("Invalid value for {name} (should be either true or false): {value}")),
    }
}

fn replace<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(values: &[(&str, &str)]) -> Result<FileRules, String> {
        let mut rules = FileRules::default();
        let find =
            |name: &str| values.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        rules.set(&find)?;
        Ok(rules)
    }

    #[test]
    fn what_is_said_is_set_and_the_rest_stays() {
        assert_eq!(rules(&[]), Ok(FileRules::default()));
        let rules = rules(&[
            ("sqlMigrationPrefix", ""),
            ("undoSqlMigrationPrefix", ""),
            ("sqlMigrationSuffixes", ".sql, .ddl,"),
            ("encoding", "ISO-8859-1"),
            ("placeholderReplacement", "FALSE"),
            ("placeholderPrefix", "[["),
        ])
        .expect("legal values");
        assert_eq!((rules.naming.versioned_prefix.as_str(), &rules.naming.undo_prefix), ("", &None));
        assert_eq!(rules.naming.suffixes, [".sql", ".ddl"]);
        assert_eq!(rules.reading.encoding.name(), "ISO-8859-1");
        assert!(!rules.replaces && !rules.reading.detect);
        assert_eq!((rules.marks.0.as_str(), rules.marks.1.as_str()), ("[[", "}"));
    }

    #[test]
    fn a_value_that_means_nothing_is_refused() {
        assert!(
            rules(&[("detectEncoding", "yes")]).expect_err("no boolean").contains("either true or false")
        );
        assert!(rules(&[("encoding", "KLINGON")]).expect_err("no encoding").contains("KLINGON"));
    }
}
