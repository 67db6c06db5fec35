//! A value that knows where it came from.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Where a value came from, weakest first: a later one wins over an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from", content = "name")]
pub enum Origin {
    /// Built in.
    Default,
    /// A Flyway configuration file.
    FlywayFile(PathBuf),
    /// The project file.
    ProjectFile(PathBuf),
    /// An environment variable.
    Environment(String),
    /// An option on the command line.
    Flag(String),
}

impl Origin {
    /// How strong it is: a value of a stronger origin wins, whatever its file or variable is called.
    pub fn strength(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::FlywayFile(_) => 1,
            Self::ProjectFile(_) => 2,
            Self::Environment(_) => 3,
            Self::Flag(_) => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::FlywayFile(path) | Self::ProjectFile(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "${name}"),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value and its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value with its origin.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A built-in value.
    pub fn default_value(value: T) -> Self {
        Self::new(value, Origin::Default)
    }

    /// This, unless something stronger is given.
    #[must_use]
    pub fn or_stronger(self, value: Option<T>, origin: Origin) -> Self {
        match value {
            Some(value) if origin.strength() >= self.origin.strength() => Self { value, origin },
            _ => self,
        }
    }
}

/// One line of `whimbrel config`: a setting by its path, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedSetting {
    /// The path of the setting, such as `registry.push`.
    pub name: String,
    /// The value as text; secrets never get here.
    pub value: String,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Origin,
}

#[cfg(test)]
mod tests {
    use super::{Origin, Setting};

    #[test]
    fn a_flag_wins_over_the_environment_over_a_file_over_the_default() {
        let setting = Setting::default_value(1)
            .or_stronger(Some(2), Origin::ProjectFile("whimbrel.toml".into()))
            .or_stronger(Some(4), Origin::Flag("jobs".into()))
            .or_stronger(Some(3), Origin::Environment("JOBS".into()))
            .or_stronger(None, Origin::Flag("jobs".into()));
        assert_eq!(setting, Setting::new(4, Origin::Flag("jobs".into())));
    }
}
