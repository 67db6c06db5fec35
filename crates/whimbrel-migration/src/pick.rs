//! `cherryPick`: the scripts that a verb considers, in the order in which they are named.
//!
//! The rules are those of Flyway's documentation, and of the places in its open source where its paid editions hook in;
//! the open-source edition itself refuses the parameter.
//!
//! | what | with picks |
//! |---|---|
//! | a picked script without a row | Pending, whatever is applied above it; at or below a baseline it stays what it is |
//! | any other script without a row | Ignored |
//! | order | as named, repeatables among versions |
//! | validation, repair | only what is picked; a failed row is found all the same |
//! | undo | picked versions, in the reverse of the order named |
//! | a pick that neither a script nor a row is | refused |
//! | a target beside it | both count: a pick above it is Above Target. Refused: `next`, and any for undo |

use crate::{
    finding::{Finding, FlywayCode},
    history::History,
    name::ScriptKind,
    script::ResolvedScript,
    settings::{Settings, Target},
    version::Version,
};

/// One entry of `cherryPick`: a version, or a description with `_` for blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    text: String,
    version: Option<Version>,
    description: String,
}

impl Pick {
    /// Reads one entry of the list; every text is one.
    pub fn new(text: &str) -> Self {
        let is_version = |text: &str| text.split('.').all(is_number);
        let version = Some(text.replace('_', ".")).filter(|text| is_version(text));
        Self {
            text: text.to_owned(),
            version: version.and_then(|text| Version::parse(&text).ok()),
            description: text.replace('_', " "),
        }
    }

    /// What was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it names a script or row of this version and description. A number is no description of what has a
    /// version.
    pub fn names(&self, version: Option<&Version>, description: &str) -> bool {
        match (version, &self.version) {
            (Some(version), Some(picked)) => version == picked,
            _ => self.description == description,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Settings {
    /// Whether a script or row is considered: everything is where nothing is picked.
    pub fn considers(&self, version: Option<&Version>, description: &str) -> bool {
        self.cherry_pick.is_empty() || self.pick_place(version, description).is_some()
    }

    /// The place in the list of what is picked.
    pub fn pick_place(&self, version: Option<&Version>, description: &str) -> Option<usize> {
        self.cherry_pick.iter().position(|pick| pick.names(version, description))
    }
}

/// What speaks against the picks themselves.
pub(crate) fn check(
    scripts: &[ResolvedScript],
    history: &History,
    settings: &Settings,
) -> Result<(), Finding> {
    if settings.cherry_pick.is_empty() {
        return Ok(());
    }
    if settings.target == Target::Next {
        return Err(beside_a_target("which one is the next, by version or by the picks, is not known"));
    }
    let known = |pick: &Pick| {
        let is_script = |script: &ResolvedScript| {
            script.name.kind != ScriptKind::Undo && pick.names(script.version(), &script.name.description)
        };
        scripts.iter().any(is_script)
            || history.read_rows().iter().any(|read| pick.names(read.version.as_ref(), &read.row.description))
    };
    match settings.cherry_pick.iter().find(|pick| !known(pick)) {
        None => Ok(()),
        Some(pick) => Err(Finding::error(
            "pick-unknown",
            format!("cherryPick names {}, and neither a script nor a row is that", pick.as_str()),
        )
        .coded(FlywayCode::Error)
        .next_step("name versions (2.1), or descriptions as in the files' names (create_view)")),
    }
}

/// Both are set where only one of them can tell what is meant.
pub(crate) fn beside_a_target(why: &str) -> Finding {
    Finding::error("pick-and-target", format!("cherryPick and target are both set: {why}"))
        .coded(FlywayCode::Error)
        .next_step("leave one of them out")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("2", Some("2"), "a", true; "a version")]
    #[test_case("2.0", Some("2"), "a", true; "a version as a number")]
    #[test_case("1_2", Some("1.2"), "a", true; "a version as in a name")]
    #[test_case("3", Some("2"), "3", false; "a number is no description of a version")]
    #[test_case("create_view", None, "create view", true; "a repeatable")]
    #[test_case("create_table", Some("2"), "create table", true; "a version by its description")]
    #[test_case("create", None, "create view", false; "not a part of it")]
    #[test_case("2024", None, "2024", true; "a repeatable with a number for a description")]
    fn a_pick_names_versions_and_descriptions(
        pick: &str,
        version: Option<&str>,
        description: &str,
        names: bool,
    ) {
        let version = version.map(|text| Version::parse(text).expect("a version"));
        assert_eq!(Pick::new(pick).names(version.as_ref(), description), names);
    }
}
