//! The files alone: duplicates, and one entry for each.

use std::collections::{HashMap, hash_map::Entry};

use crate::{
    finding::{Finding, FlywayCode},
    name::ScriptKind,
    script::{ResolvedScript, ScriptId},
    version::Version,
};

/// What makes two scripts the same one.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Version(ScriptKind, &'a Version),
    Description(&'a str),
    Callback(ScriptKind, &'a str),
}

fn key(script: &ResolvedScript) -> Key<'_> {
    match (script.name.kind, script.version()) {
        (ScriptKind::Callback(_), _) => Key::Callback(script.name.kind, &script.name.description),
        (kind, Some(version)) => Key::Version(kind, version),
        (_, None) => Key::Description(&script.name.description),
    }
}

/// The scripts without exact doubles (the same file seen through two locations).
///
/// Two different scripts for one version, repeatable description or callback are a finding.
pub(super) fn distinct(scripts: &[ResolvedScript]) -> Result<Vec<ScriptId>, Finding> {
    let mut seen: HashMap<Key<'_>, usize> = HashMap::with_capacity(scripts.len());
    let mut ids = Vec::with_capacity(scripts.len());
    for (index, script) in scripts.iter().enumerate() {
        match seen.entry(key(script)) {
            Entry::Vacant(entry) => {
                entry.insert(index);
                ids.push(ScriptId(u32::try_from(index).unwrap_or(u32::MAX)));
            }
            Entry::Occupied(entry) => {
                let first = &scripts[*entry.get()];
                if !is_same(first, script) {
                    return Err(duplicate(first, script));
                }
            }
        }
    }
    Ok(ids)
}

/// Every pair of scripts that stand for the same thing.
pub fn find_duplicates(scripts: &[ResolvedScript]) -> Vec<Finding> {
    let mut seen: HashMap<Key<'_>, &ResolvedScript> = HashMap::with_capacity(scripts.len());
    let mut findings = Vec::new();
    for script in scripts {
        match seen.entry(key(script)) {
            Entry::Vacant(entry) => {
                entry.insert(script);
            }
            Entry::Occupied(entry) if !is_same(entry.get(), script) => {
                findings.push(duplicate(entry.get(), script));
            }
            Entry::Occupied(_) => {}
        }
    }
    findings
}

fn is_same(first: &ResolvedScript, second: &ResolvedScript) -> bool {
    first.script == second.script
        && first.checksum() == second.checksum()
        && first.name.description == second.name.description
}

fn duplicate(first: &ResolvedScript, second: &ResolvedScript) -> Finding {
    let offenders = format!("Offenders:\n-> {} (SQL)\n-> {} (SQL)", first.script, second.script);
    let finding = match (first.name.kind, first.version()) {
        (ScriptKind::Callback(event), _) => {
            let mut name = event.as_str().to_owned();
            if !first.name.description.is_empty() {
                name = format!("{name}__{}", first.name.description);
            }
            Finding::error(
                "duplicate-callback",
                format!("Found more than 1 SQL callback script called {name}!\n{offenders}"),
            )
            .coded(FlywayCode::Error)
        }
        (ScriptKind::Undo, Some(version)) => Finding::error(
            "duplicate-undo",
            format!("Found more than one undo migration with version {version}\n{offenders}"),
        )
        .coded(FlywayCode::DuplicateUndoMigration)
        .of_version(version.as_str()),
        (_, Some(version)) => Finding::error(
            "duplicate-version",
            format!("Found more than one migration with version {version}\n{offenders}"),
        )
        .coded(FlywayCode::DuplicateVersionedMigration)
        .of_version(version.as_str()),
        (_, None) => Finding::error(
            "duplicate-repeatable",
            format!(
                "Found more than one repeatable migration with description {}\n{offenders}",
                first.name.description
            ),
        )
        .coded(FlywayCode::DuplicateRepeatableMigration),
    };
    finding
        .in_script(second.script.clone())
        .next_step("give one of them another version or description, or remove it")
}
