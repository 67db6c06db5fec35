//! Names that are no scripts' or cannot be kept, told as findings.

use super::{NameError, NamingRules, ScriptName};
use crate::{
    dialect::Dialect,
    finding::{Finding, FlywayCode, Severity},
    script::MAX_DESCRIPTION_UNITS,
    version::MAX_VERSION_CHARS,
};

impl ScriptName {
    /// The finding about a version that the history has no room for. SQLite does not mind how long a text is.
    pub fn version_too_long(&self, dialect: Dialect) -> Option<Finding> {
        let version = self.version.as_ref().filter(|_| dialect != Dialect::Sqlite)?;
        (version.as_str().chars().count() > MAX_VERSION_CHARS).then(|| {
            Finding::error(
                "version-too-long",
                format!(
                    "the version has more than {MAX_VERSION_CHARS} characters: its row cannot be written"
                ),
            )
            .coded(FlywayCode::DbConnection)
            .next_step("shorten the version")
        })
    }

    /// The finding about a description that is cut when it is recorded.
    pub fn description_too_long(&self) -> Option<Finding> {
        (self.description.encode_utf16().count() > MAX_DESCRIPTION_UNITS).then(|| {
            Finding::warning(
                "description-too-long",
                format!("the description has more than {MAX_DESCRIPTION_UNITS} characters: Flyway's repair fails on it"),
            )
            .next_step("shorten the description")
        })
    }
}

/// A file named like a script but without a suffix.
pub fn no_extension(file_name: &str, naming: &NamingRules) -> Finding {
    let suffix = naming.suffixes.first().map_or(".sql", String::as_str);
    Finding::warning(
        "no-extension",
        format!(
            "{file_name} has no suffix: real Flyway would run it as a shell script, here it is never run"
        ),
    )
    .next_step(format!("name it {file_name}{suffix} if it is a script"))
}

impl NameError {
    /// As a finding. A name that is nearly right is an error, since it would silently not run; any other file is a
    /// warning.
    pub fn to_finding(&self, naming: &NamingRules) -> Finding {
        let near = near_miss(self.name(), naming);
        let severity = if near.is_some() { Severity::Error } else { Severity::Warning };
        let next_step = match (near, self) {
            (Some(name), _) => format!("name it {name}"),
            (None, Self::VersionMissing { example, .. } | Self::VersionUnexpected { example, .. }) => {
                format!("if it is to run, name it like {example}")
            }
            (None, Self::Unrecognised { .. } | Self::VersionMalformed { .. }) => {
                "if it is to run, name it like V1__description.sql; else move it out of the location"
                    .to_owned()
            }
        };
        invalid(severity, format!("{self}; it would silently not run"), next_step)
    }

    fn name(&self) -> &str {
        match self {
            Self::Unrecognised { name }
            | Self::VersionMissing { name, .. }
            | Self::VersionMalformed { name, .. }
            | Self::VersionUnexpected { name, .. } => name,
        }
    }
}

/// A well-formed name that is nonetheless passed over (`R.sql`), see [`NamingRules::is_seen`].
pub fn not_seen(file_name: &str, name: &ScriptName, naming: &NamingRules) -> Finding {
    invalid(
        Severity::Error,
        format!("{file_name} is not seen: there is nothing between its prefix and its suffix"),
        format!("name it {}{}description{}", name.prefix, naming.separator, name.suffix),
    )
}

fn invalid(severity: Severity, message: String, next_step: String) -> Finding {
    Finding::new(severity, "invalid-name", message).coded(FlywayCode::Error).next_step(next_step)
}

/// The name that was probably meant: another letter case of the prefix, one separator character instead of
/// two, blanks around the version.
fn near_miss(file_name: &str, naming: &NamingRules) -> Option<String> {
    let half: String = naming.separator.chars().take(naming.separator.chars().count() / 2).collect();
    let mut candidates = Vec::new();
    for prefix in [&naming.versioned_prefix, &naming.repeatable_prefix, &naming.baseline_prefix] {
        let Some(start) = file_name.get(..prefix.len()) else { continue };
        if !start.eq_ignore_ascii_case(prefix) {
            continue;
        }
        let rest = &file_name[prefix.len()..];
        candidates.push(format!("{prefix}{rest}"));
        candidates.push(format!("{prefix}{}", rest.replace(' ', "")));
        if !half.is_empty() && !rest.contains(&naming.separator) {
            // The separator stands where the version ends: at the last half that leaves a version.
            for (index, _) in rest.match_indices(half.as_str()).collect::<Vec<_>>().into_iter().rev() {
                let (version, description) = (&rest[..index], &rest[index + half.len()..]);
                candidates.push(format!("{prefix}{version}{}{description}", naming.separator));
            }
        }
    }
    candidates.into_iter().find(|name| {
        naming.parse(name).is_ok_and(|parsed| {
            !parsed.description.is_empty()
                && parsed.version.is_none_or(|version| !version.as_str().contains('-'))
        })
    })
}
