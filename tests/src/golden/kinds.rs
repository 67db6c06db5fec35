//! What a file holds is told by its content, not by its name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::server::Engine;

/// A file, read.
pub enum Kind {
    /// Situations with Flyway's answers.
    Cases(Vec<Value>),
    /// Scripts, and the statements that Flyway's parser makes of them; the scripts are in this folder.
    Split(PathBuf, Vec<Value>),
    /// Contents and their checksums.
    Checksums(Vec<Value>),
    /// File names and how they are read.
    Names(Vec<(String, String)>),
    /// Pairs of versions and their order.
    Versions(Vec<(String, String)>),
    /// Calls of Flyway's command line with what they printed.
    Calls(Vec<Value>),
    /// Something else: there is nothing to play in it.
    Other,
}

/// Reads a file and tells what it is.
///
/// # Errors
/// When it cannot be read, or is not what its first character promises; the message names the file.
pub fn recognise(path: &Path) -> Result<Kind, String> {
    let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
    let first = text.trim_start().chars().next();
    if first == Some('[') {
        let vectors: Vec<Value> =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let are_checksums = vectors.iter().all(|vector| vector.get("checksum").is_some());
        return Ok(if are_checksums { Kind::Checksums(vectors) } else { Kind::Other });
    }
    if first != Some('{') {
        let pairs: Option<Vec<_>> = text.lines().map(pair).collect();
        let Some(pairs) = pairs else { return Ok(Kind::Other) };
        let quoted = pairs.iter().all(|(name, _)| name.starts_with('"'));
        return Ok(if quoted { Kind::Names(pairs) } else { Kind::Versions(pairs) });
    }
    // One document over many lines is no list of cases.
    if text.trim().contains('\n') && serde_json::from_str::<Value>(&text).is_ok() {
        return Ok(Kind::Other);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<Value> = lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let all_have =
        |names: &[&str]| lines.iter().all(|line| names.iter().all(|name| line.get(name).is_some()));
    Ok(if all_have(&["id", "expect"]) {
        Kind::Cases(lines)
    } else if all_have(&["file", "statements"]) {
        Kind::Split(path.parent().unwrap_or(Path::new(".")).to_owned(), lines)
    } else if all_have(&["name", "args", "exit", "stdout"]) {
        Kind::Calls(lines)
    } else {
        Kind::Other
    })
}

/// The engines whose servers the cases of these files ask for.
///
/// # Errors
/// As [`recognise`].
pub fn engines(files: &[PathBuf]) -> Result<BTreeSet<Engine>, String> {
    let mut engines = BTreeSet::new();
    for file in files {
        match recognise(file)? {
            Kind::Cases(cases) => engines.extend(cases.iter().map(Engine::of)),
            Kind::Calls(calls) => {
                engines.insert(calls.first().map_or(Engine::PostgreSql, Engine::of));
            }
            _ => {}
        }
    }
    Ok(engines)
}

fn pair(line: &str) -> Option<(String, String)> {
    line.split_once('\t').map(|(left, right)| (left.to_owned(), right.to_owned()))
}
