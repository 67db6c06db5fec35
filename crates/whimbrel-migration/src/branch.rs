//! Conflicts between two branches of a repository, before they meet.
//!
//! Git merges two scripts with one version without a word, and an edited script too. Whoever has the files of both
//! sides, and best those of the revision where they parted, can know it beforehand:
//!
//! | finding | when |
//! |---|---|
//! | `version-taken` | both sides have a new script of the same version |
//! | `edited-after-merge` | a versioned script that the base has was changed here |
//! | `edited-in-base` | the base changed a versioned script; here is the old one |
//! | `renamed-after-merge` | the same text under another name: its history row has the old description |
//! | `removed-after-merge` | a script that the base has was removed here |
//! | `older-than-base` | a new script whose version is below the highest of the base: it would be ignored |
//! | `repeatable-edited-on-both` | both sides changed the same repeatable: whichever is merged last, wins |
//! | `repeatable-taken` | both sides have a new repeatable with the same description |
//!
//! ```
//! use whimbrel_migration::{branch, checksum, name::NamingRules, script::ResolvedScript};
//!
//! let script = |path: &str, text: &str| {
//!     let name = NamingRules::default().parse(path).expect("a good name");
//!     ResolvedScript::new(name, path, checksum::of_bytes(text.as_bytes()).expect("UTF-8"))
//! };
//! let parted = [script("V1__birds.sql", "a")];
//! let base = [script("V1__birds.sql", "a"), script("V2__nests.sql", "b")];
//! let here = [script("V1__birds.sql", "a"), script("V2__eggs.sql", "c")];
//!
//! let sides = branch::Sides { base: &base, here: &here, parted: Some(&parted) };
//! let findings = branch::conflicts(&sides, &branch::BranchRules::default());
//! assert_eq!(findings[0].slug, "version-taken");
//! assert_eq!(findings[0].next_step.as_deref(), Some("give it a version above 2"));
//! ```

use std::collections::HashMap;

use crate::{
    finding::{Finding, FlywayCode, Severity},
    history::History,
    name::ScriptKind,
    script::ResolvedScript,
    version::Version,
};

/// The scripts of both sides.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// Those of the branch that this one will be merged into.
    pub base: &'a [ResolvedScript],
    /// Those of this branch.
    pub here: &'a [ResolvedScript],
    /// Those of the revision where the branches parted (`git merge-base`). Without it, nobody can tell which side
    /// changed something, nor whether a script was removed or is only not yet here.
    pub parted: Option<&'a [ResolvedScript]>,
}

/// What decides how grave a conflict is.
#[derive(Debug, Clone, Copy, Default)]
pub struct BranchRules<'a> {
    /// `outOfOrder` is on: an older version runs all the same.
    pub out_of_order: bool,
    /// The history of a database that runs the base: a conflict about what it has applied is told as such.
    pub applied: Option<&'a History>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Version(ScriptKind, &'a Version),
    Repeatable(&'a str),
}

type Scripts<'a> = HashMap<Key<'a>, &'a ResolvedScript>;

fn key(script: &ResolvedScript) -> Option<Key<'_>> {
    match (script.name.kind, script.version()) {
        (ScriptKind::Callback(_), _) => None,
        (kind, Some(version)) => Some(Key::Version(kind, version)),
        (_, None) => Some(Key::Repeatable(&script.name.description)),
    }
}

fn by_key(scripts: &[ResolvedScript]) -> Scripts<'_> {
    scripts.iter().filter_map(|script| Some((key(script)?, script))).collect()
}

/// Every conflict, in the order of the scripts here; what was removed comes last.
pub fn conflicts(sides: &Sides<'_>, rules: &BranchRules<'_>) -> Vec<Finding> {
    let compared = Compared {
        base: by_key(sides.base),
        parted: sides.parted.map(by_key),
        highest: sides
            .base
            .iter()
            .filter(|script| script.name.kind == ScriptKind::Versioned)
            .filter_map(ResolvedScript::version)
            .max(),
        rules,
    };
    let mut findings: Vec<Finding> =
        sides.here.iter().filter_map(|script| compared.script(script, &key(script)?)).collect();
    findings.extend(compared.removed(sides.base, &by_key(sides.here)));
    findings
}

struct Compared<'a> {
    base: Scripts<'a>,
    parted: Option<Scripts<'a>>,
    /// The highest version of the base.
    highest: Option<&'a Version>,
    rules: &'a BranchRules<'a>,
}

impl Compared<'_> {
    fn script(&self, here: &ResolvedScript, key: &Key<'_>) -> Option<Finding> {
        let parted = self.parted.as_ref().and_then(|parted| parted.get(key).copied());
        let Some(base) = self.base.get(key).copied() else {
            return if parted.is_some() { None } else { self.older(here) };
        };
        if is_same(here, base) {
            return None;
        }
        // New on both sides, or not known to be old: another file for the same thing.
        let is_other_file = here.script != base.script && here.raw_checksum != base.raw_checksum;
        if is_other_file && parted.is_none() {
            return Some(self.taken(here, base));
        }
        if here.version().is_none() {
            return self.repeatable(here, base, parted);
        }
        Some(self.edited(here, base, parted))
    }

    fn taken(&self, here: &ResolvedScript, base: &ResolvedScript) -> Finding {
        match here.version() {
            Some(version) => {
                let above = self.highest.max(Some(version)).unwrap_or(version);
                Finding::error(
                    "version-taken",
                    format!("version {version} is taken: the base has {}", base.script),
                )
                .coded(FlywayCode::DuplicateVersionedMigration)
                .of_version(version.as_str())
                .next_step(format!("give it a version above {above}"))
            }
            None => Finding::error(
                "repeatable-taken",
                format!("the base has a repeatable of the same description: {}", base.script),
            )
            .coded(FlywayCode::DuplicateRepeatableMigration)
            .next_step("give it another description, or bring both together in one file"),
        }
        .in_script(here.script.clone())
    }

    fn older(&self, here: &ResolvedScript) -> Option<Finding> {
        let (version, highest) = (here.version()?, self.highest?);
        if here.name.kind != ScriptKind::Versioned || version > highest {
            return None;
        }
        let severity = if self.rules.out_of_order { Severity::Warning } else { Severity::Error };
        Some(
            Finding::new(
                severity,
                "older-than-base",
                format!(
                    "version {version} is below {highest}, which the base has: where that is applied, it {}",
                    if self.rules.out_of_order {
                        "runs out of order"
                    } else {
                        "is ignored, and validate fails"
                    }
                ),
            )
            .coded(FlywayCode::ResolvedVersionedMigrationNotApplied)
            .of_version(version.as_str())
            .in_script(here.script.clone())
            .next_step(format!("give it a version above {highest}")),
        )
    }

    fn repeatable(
        &self,
        here: &ResolvedScript,
        base: &ResolvedScript,
        parted: Option<&ResolvedScript>,
    ) -> Option<Finding> {
        let finding = match parted {
            // One side only: git merges that.
            Some(parted) if is_same(parted, here) || is_same(parted, base) => return None,
            Some(_) => Finding::error(
                "repeatable-edited-on-both",
                "both sides changed this repeatable: whichever text is merged last, wins",
            ),
            None => {
                Finding::warning("repeatable-edited-on-both", "the base has another text of this repeatable")
            }
        };
        Some(
            finding
                .of_description(here.name.description.clone())
                .in_script(here.script.clone())
                .next_step("merge the base, and look at the text that comes out"),
        )
    }

    fn edited(
        &self,
        here: &ResolvedScript,
        base: &ResolvedScript,
        parted: Option<&ResolvedScript>,
    ) -> Finding {
        let version = here.version().map(Version::as_str).unwrap_or_default();
        let applied = if self.is_applied(here) { " and is applied already" } else { "" };
        let finding = if parted.is_some_and(|parted| is_same(parted, here)) {
            Finding::warning(
                "edited-in-base",
                format!("the base changed it since the branches parted{applied}"),
            )
            .next_step("merge the base")
        } else if here.raw_checksum == base.raw_checksum {
            Finding::error(
                "renamed-after-merge",
                format!("the base has it as {}{applied}: its history row has the old name", base.script),
            )
            .coded(FlywayCode::DescriptionMismatch)
            .next_step("give it its old name")
        } else {
            Finding::error(
                "edited-after-merge",
                format!("the base has another text of it{applied}: its checksum will not match"),
            )
            .coded(FlywayCode::ChecksumMismatch)
            .next_step("take it back, and write a new script for the change")
        };
        finding.of_version(version).in_script(here.script.clone())
    }

    fn removed(&self, base: &[ResolvedScript], here: &Scripts<'_>) -> Vec<Finding> {
        let Some(parted) = &self.parted else { return Vec::new() };
        let is_removed = |script: &&ResolvedScript| {
            key(script).is_some_and(|key| parted.contains_key(&key) && !here.contains_key(&key))
        };
        base.iter()
            .filter(is_removed)
            .map(|script| {
                let applied = if self.is_applied(script) { ", and it is applied already" } else { "" };
                let finding = Finding::error(
                    "removed-after-merge",
                    format!("the base has it, this branch removed it{applied}"),
                )
                .in_script(script.script.clone())
                .next_step("bring it back, and take its changes back in a new script");
                match script.version() {
                    Some(version) => finding.of_version(version.as_str()),
                    None => finding,
                }
            })
            .collect()
    }

    fn is_applied(&self, script: &ResolvedScript) -> bool {
        let Some(history) = self.rules.applied else { return false };
        history.read_rows().iter().any(|read| match script.version() {
            Some(version) => read.version.as_ref() == Some(version) && !read.row.row_type.is_synthetic(),
            None => read.version.is_none() && read.row.description == script.stored_description(),
        })
    }
}

/// Side files count: a script that runs in another way is another script.
fn is_same(mine: &ResolvedScript, theirs: &ResolvedScript) -> bool {
    mine.raw_checksum == theirs.raw_checksum
        && mine.name.description == theirs.name.description
        && (mine.version().is_none()
            || mine.version().map(Version::as_str) == theirs.version().map(Version::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{name::NamingRules, settings::Settings};

    fn scripts(files: &[(&str, i32)]) -> Vec<ResolvedScript> {
        let rules = NamingRules { undo_prefix: Some("U".into()), ..NamingRules::default() };
        files
            .iter()
            .map(|(path, checksum)| {
                let name = path.rsplit('/').next().unwrap_or(path);
                ResolvedScript::new(rules.parse(name).expect("a good name"), *path, *checksum)
            })
            .collect()
    }

    /// Slugs and scripts of what is found.
    fn found(
        parted: &[(&str, i32)],
        base: &[(&str, i32)],
        here: &[(&str, i32)],
    ) -> Vec<(&'static str, String)> {
        let (parted, base, here) = (scripts(parted), scripts(base), scripts(here));
        let sides = Sides { base: &base, here: &here, parted: Some(&parted) };
        conflicts(&sides, &BranchRules::default())
            .into_iter()
            .map(|finding| (finding.slug, finding.script.unwrap_or_default()))
            .collect()
    }

    const A: (&str, i32) = ("V1__a.sql", 1);

    #[test]
    fn new_scripts_above_the_base_are_no_conflict() {
        assert_eq!(found(&[A], &[A, ("V2__b.sql", 2)], &[A, ("V3__c.sql", 3), ("R__v.sql", 4)]), []);
        assert_eq!(found(&[A], &[A, ("V2__b.sql", 2)], &[A]), [], "only behind");
    }

    #[test]
    fn a_version_on_both_sides_is_taken() {
        let taken = found(&[A], &[A, ("V2__b.sql", 2)], &[A, ("V2.0__c.sql", 3)]);
        assert_eq!(taken, [("version-taken", "V2.0__c.sql".to_owned())]);
        assert_eq!(found(&[A], &[A, ("V2__b.sql", 2)], &[A, ("V2__b.sql", 2)]), [], "the same file");
        assert_eq!(found(&[A], &[A, ("V2__b.sql", 2)], &[A, ("x/V2__b.sql", 2)]), [], "moved only");
    }

    #[test]
    fn a_version_below_the_base_is_told() {
        let older = [("older-than-base", "V2__c.sql".to_owned())];
        assert_eq!(found(&[A], &[A, ("V3__b.sql", 2)], &[A, ("V2__c.sql", 3)]), older);
    }

    #[test]
    fn edits_renames_and_removals_of_what_the_base_has_are_told() {
        let edited = |slug| vec![(slug, "V1__a.sql".to_owned())];
        assert_eq!(found(&[A], &[A], &[("V1__a.sql", 9)]), edited("edited-after-merge"));
        assert_eq!(found(&[A], &[("V1__a.sql", 9)], &[A]), edited("edited-in-base"));
        assert_eq!(found(&[A], &[A], &[]), edited("removed-after-merge"));
        let renamed = found(&[A], &[A], &[("V1__b.sql", 1)]);
        assert_eq!(renamed, [("renamed-after-merge", "V1__b.sql".to_owned())]);
    }

    #[test]
    fn a_repeatable_edited_on_both_sides_is_told() {
        let r = |checksum| ("R__v.sql", checksum);
        assert_eq!(found(&[r(1)], &[r(2)], &[r(1)]), []);
        assert_eq!(found(&[r(1)], &[r(1)], &[r(2)]), []);
        assert_eq!(found(&[r(1)], &[r(2)], &[r(2)]), []);
        let both = [("repeatable-edited-on-both", "R__v.sql".to_owned())];
        assert_eq!(found(&[r(1)], &[r(2)], &[r(3)]), both);
        let taken = [("repeatable-taken", "y/R__v.sql".to_owned())];
        assert_eq!(found(&[], &[("x/R__v.sql", 1)], &[("y/R__v.sql", 2)]), taken);
    }

    #[test]
    fn without_the_parting_nobody_can_say_what_was_removed() {
        let (base, here) = (scripts(&[A, ("V2__b.sql", 2)]), scripts(&[A]));
        let sides = Sides { base: &base, here: &here, parted: None };
        assert_eq!(conflicts(&sides, &BranchRules::default()), []);
    }

    #[test]
    fn out_of_order_makes_an_older_version_a_warning_and_history_says_what_is_applied() {
        let (base, here) = (scripts(&[A, ("V3__b.sql", 2)]), scripts(&[("V1__a.sql", 5), ("V2__c.sql", 3)]));
        let row = crate::history::NewRow::of_script(&base[0], 1, 1, true);
        let row = crate::history::HistoryRow {
            installed_rank: 1,
            version: row.version,
            description: row.description,
            row_type: row.row_type,
            script: row.script,
            checksum: row.checksum,
            installed_by: String::new(),
            installed_on: String::new(),
            execution_time: 1,
            success: true,
        };
        let history = History::read(vec![row]).expect("a good row");
        let rules = BranchRules { out_of_order: true, applied: Some(&history) };
        let findings = conflicts(&Sides { base: &base, here: &here, parted: None }, &rules);
        assert!(findings[0].message.contains("is applied already"), "{}", findings[0].message);
        assert_eq!((findings[1].slug, findings[1].severity), ("older-than-base", Severity::Warning));
        assert!(!Settings::default().out_of_order);
    }
}
