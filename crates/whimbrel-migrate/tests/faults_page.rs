//! `docs/faults.md` names, for every fault and every attack, tests that there are; and every test with a number stands there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The numbers that the page counts to: of faults, and of attacks.
const LAST: [(&str, u32); 2] = [("", 89), ("F", 34)];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs_err::read_to_string(repository().join("docs/faults.md")).expect("docs/faults.md is read")
}

/// The names of all functions below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs_err::read_dir(folder).expect("the sources are listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs_err::read_to_string(&path).expect("a source is read");
            let name = |after: &str| after.split(['(', '<', ' ', '\n']).next().unwrap_or_default().to_owned();
            names.extend(text.split("fn ").skip(1).map(name));
        }
    }
}

fn all_functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["tests", "crates"] {
        functions(&repository().join(folder), &mut names);
    }
    names
}

/// The rows of the tables: number, and the tests in the last column.
fn rows(page: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let (Some(number), Some(tests)) = (cells.first(), cells.last()) else { continue };
        if !number.trim_start_matches('F').chars().all(|c| c.is_ascii_digit()) || cells.len() != 4 {
            continue;
        }
        let tests = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(rows.insert((*number).to_owned(), tests).is_none(), "{number} stands there twice");
    }
    rows
}

/// The numbers that the page says are elsewhere: in its lists, as `- 8, 12: why`.
fn elsewhere(page: &str) -> BTreeSet<String> {
    let lists = page.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    lists.flat_map(|(numbers, _)| numbers.split(", ")).map(str::to_owned).collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let (page, functions) = (page(), all_functions());
    let rows = rows(&page);
    assert!(rows.len() > 80, "only {} rows", rows.len());
    for (number, tests) in rows {
        assert!(!tests.is_empty(), "{number} names no test");
        let missing: Vec<_> = tests.iter().filter(|test| !functions.contains(*test)).collect();
        assert!(missing.is_empty(), "{number} names {missing:?}, and there is no such test");
    }
}

#[test]
fn no_number_is_left_out() {
    let page = page();
    let (rows, elsewhere) = (rows(&page), elsewhere(&page));
    let all =
        LAST.iter().flat_map(|(letter, last)| (1..=*last).map(move |number| format!("{letter}{number}")));
    for number in all {
        let places = usize::from(rows.contains_key(&number)) + usize::from(elsewhere.contains(&number));
        assert_eq!(places, 1, "{number} stands in {places} places");
    }
}

/// `row_22_…` is about 22, `row_56_to_60_…` about 56 to 60, `f8_…` about F8: the first number at least has to name the test.
#[test]
fn every_test_with_a_number_stands_on_the_page() {
    let rows = rows(&page());
    for name in all_functions() {
        let (letter, rest) = match (name.strip_prefix("row_"), name.strip_prefix('f')) {
            (Some(rest), _) => ("", rest),
            (None, Some(rest)) => ("F", rest),
            (None, None) => continue,
        };
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        if digits.is_empty() || !rest[digits.len()..].starts_with('_') || rest.len() < 8 {
            continue;
        }
        let number = format!("{letter}{digits}");
        let named = rows.get(&number).is_some_and(|tests| tests.contains(&name));
        assert!(named, "{name} does not stand behind {number} in docs/faults.md");
    }
}
