//! Locations with wildcards, as Flyway reads them.

use std::path::{Component, Path, PathBuf};

/// What a path below the pattern's folder has to look like.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// One for each name of the path.
    segments: Vec<String>,
    /// The last segment is about files and not about the folder that they are in.
    names_files: bool,
}

impl Pattern {
    /// A location's folder (what comes before the first wildcard) and its pattern; none where there is no wildcard.
    pub(super) fn of(location: &Path) -> Option<(PathBuf, Self)> {
        let is_wild = |part: &Component<'_>| part.as_os_str().to_string_lossy().contains(['*', '?']);
        let parts: Vec<Component<'_>> = location.components().collect();
        let first = parts.iter().position(is_wild)?;
        let folder: PathBuf = parts[..first].iter().collect();
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let segments: Vec<String> =
            parts[first..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        // `*.sql` is a file's name; `v1.0` without a wildcard is a folder's.
        let names_files = segments.last().is_some_and(|last| last.contains('.') && last.contains(['*', '?']));
        Some((folder, Self { segments, names_files }))
    }

    /// What the history calls a file of this path (below the folder, with `/`); none where it does not match.
    pub(super) fn script<'path>(&self, path: &'path str) -> Option<&'path str> {
        let names: Vec<&str> = path.split('/').collect();
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        if self.names_files {
            return matches(&segments, &names).then_some(path);
        }
        // The shortest folder that matches counts; a file has to be left below it.
        let depth = (1..names.len()).find(|depth| matches(&segments, &names[..*depth]))?;
        let start: usize = names[..depth].iter().map(|name| name.len() + 1).sum();
        Some(&path[start..])
    }
}

fn matches(segments: &[&str], names: &[&str]) -> bool {
    match (segments, names) {
        ([], []) => true,
        // Flyway's `**` stands for folders before something: at the end it matches nothing.
        (["**", rest @ ..], _) => {
            !rest.is_empty() && (0..=names.len()).any(|skipped| matches(rest, &names[skipped..]))
        }
        ([segment, segments @ ..], [name, names @ ..]) => {
            let (segment, name): (Vec<char>, Vec<char>) = (segment.chars().collect(), name.chars().collect());
            name_matches(&segment, &name) && matches(segments, names)
        }
        _ => false,
    }
}

/// `*` is at least one character.
fn name_matches(segment: &[char], name: &[char]) -> bool {
    match (segment, name) {
        ([], []) => true,
        (['*', rest @ ..], [_, ..]) => (1..=name.len()).any(|taken| name_matches(rest, &name[taken..])),
        (['?', rest @ ..], [_, name @ ..]) => name_matches(rest, name),
        ([first, rest @ ..], [character, name @ ..]) => first == character && name_matches(rest, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script<'path>(pattern: &str, path: &'path str) -> Option<&'path str> {
        let (folder, pattern) = Pattern::of(Path::new(pattern)).unwrap();
        assert_eq!(folder, Path::new("/sql"));
        pattern.script(path)
    }

    #[test]
    fn scripts_are_named_from_the_folder_that_matched() {
        assert_eq!(script("/sql/a*", "a1/x/V1.sql"), Some("x/V1.sql"));
        assert_eq!(script("/sql/a*", "a/V1.sql"), None);
        assert_eq!(script("/sql/*/sql", "b/sql/x/V1.sql"), Some("x/V1.sql"));
        assert_eq!(script("/sql/**/sql", "a/b/sql/V1.sql"), Some("V1.sql"));
        assert_eq!(script("/sql/**/sql", "sql/V1.sql"), Some("V1.sql"));
        assert_eq!(script("/sql/*/s?l", "b/sal/V1.sql"), Some("V1.sql"));
        assert_eq!(script("/sql/a?", "a22/V1.sql"), None);
        assert_eq!(script("/sql/*", "V1.sql"), None);
    }

    #[test]
    fn a_wildcard_with_a_dot_at_the_end_names_files() {
        assert_eq!(script("/sql/**/V*.sql", "a/V1.sql"), Some("a/V1.sql"));
        assert_eq!(script("/sql/**/V*.sql", "V1.sql"), Some("V1.sql"));
        assert_eq!(script("/sql/*.sql", "a/V1.sql"), None);
    }

    #[test]
    fn folders_at_the_end_match_nothing_as_in_flyway() {
        assert_eq!(script("/sql/a*/**", "a1/b/V1.sql"), None);
    }

    #[test]
    fn without_a_wildcard_there_is_no_pattern() {
        assert_eq!(Pattern::of(Path::new("/sql/a")), None);
    }
}
