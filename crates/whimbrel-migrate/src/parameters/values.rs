//! The values of parameters, as text, each with its origin.

use std::collections::BTreeMap;
use std::fmt;

use whimbrel_cli::settings::{NamedSetting, Origin, Setting};
use whimbrel_migration::redact::redact;

use super::parameter::is_secret;

/// Values by the names of their parameters; `placeholders.…` and `jdbcProperties.…` among them.
#[derive(Clone, Default)]
pub struct Values(BTreeMap<String, Setting<String>>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, setting)| (name, &setting.origin))).finish()
    }
}

impl Values {
    /// Sets a value, unless there is one of a stronger origin.
    pub fn set(&mut self, name: &str, value: impl Into<String>, origin: Origin) {
        let name = match name.strip_prefix("placeholders.") {
            Some(placeholder) => format!("placeholders.{}", placeholder.to_lowercase()),
            None => name.to_owned(),
        };
        let value = value.into();
        match self.0.get_mut(&name) {
            Some(there) if there.origin.strength() > origin.strength() => {}
            Some(there) => *there = Setting::new(value, origin),
            None => {
                self.0.insert(name, Setting::new(value, origin));
            }
        }
    }

    /// The value of a parameter; an empty one counts.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|setting| setting.value.as_str())
    }

    /// The value of a parameter that means nothing when it is empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// Where a value came from.
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.0.get(name).map(|setting| &setting.origin)
    }

    /// The items of a list, trimmed; none where it is not set.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.text(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// `true` or `false`, in any letter case.
    ///
    /// # Errors
    /// When it is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, String> {
        match self.filled(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(format!("Invalid value for {name} (should be either true or false): {value}")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is something else.
    pub fn number(&self, name: &str) -> Result<Option<i64>, String> {
        let parse = |value: &str| {
            value.parse().map_err(|_| format!("Invalid value for {name} (should be an Integer): {value}"))
        };
        self.filled(name).map(parse).transpose()
    }

    /// The values below a prefix, by the rest of their names.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = self.0.iter();
        named.filter_map(move |(name, setting)| Some((name.strip_prefix(prefix)?, setting.value.as_str())))
    }

    /// Every value with its name, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting<String>)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// Every value with its name and origin, for people to see: secrets are hidden.
    pub fn shown(&self) -> Vec<NamedSetting> {
        let shown = |(name, setting): (&String, &Setting<String>)| NamedSetting {
            name: format!("flyway.{name}"),
            value: if is_secret(name) { "***".to_owned() } else { redact(&setting.value).into_owned() },
            origin: setting.origin.clone(),
        };
        self.0.iter().map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_origin_wins_and_a_later_one_of_the_same_strength() {
        let mut values = Values::default();
        values.set("target", "1", Origin::Environment("FLYWAY_TARGET".into()));
        values.set("target", "2", Origin::FlywayFile("flyway.conf".into()));
        assert_eq!(values.text("target"), Some("1"));
        values.set("table", "a", Origin::FlywayFile("b.conf".into()));
        values.set("table", "b", Origin::FlywayFile("a.conf".into()));
        assert_eq!(values.text("table"), Some("b"));
    }

    #[test]
    fn secrets_are_shown_nowhere() {
        let mut values = Values::default();
        for name in ["password", "placeholders.api_token", "licenseKey"] {
            values.set(name, "canary", Origin::Default);
        }
        values.set("url", "jdbc:postgresql://h/d?user=u&password=canary", Origin::Default);
        values.set("url2", "postgres://u:canary@h/d", Origin::Default);
        assert!(!format!("{values:?} {:?}", values.shown()).contains("canary"));
    }
}
