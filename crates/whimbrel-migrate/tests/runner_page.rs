//! `docs/runner.md` names every finding, verb, option and exit code that there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, ValueEnum as _};
use whimbrel_cli::exit::ExitCode;
use whimbrel_migrate::cli::{Cli, Task};

/// What stands before a slug in the code.
const MAKERS: [&str; 6] =
    ["Finding::error(", "Finding::warning(", "Finding::new(", "mismatch(", "not_applied(", "fn slug("];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs_err::read_to_string(repository().join("docs/runner.md")).expect("docs/runner.md is read")
}

fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs_err::read_dir(folder).expect("the sources are listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs_err::read_to_string(&path).expect("a source is read");
            // Tests make findings of their own.
            texts.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

fn is_slug(text: &str) -> bool {
    text.contains('-') && text.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit())
}

/// The string literals of a piece of code that look like a slug.
fn slugs_in(code: &str) -> impl Iterator<Item = &str> {
    code.split('"').skip(1).step_by(2).filter(|text| is_slug(text))
}

fn slugs() -> BTreeSet<String> {
    let mut texts = Vec::new();
    for folder in ["crates/whimbrel-migration/src", "crates/whimbrel-migrate/src"] {
        sources(&repository().join(folder), &mut texts);
    }
    let mut slugs = BTreeSet::new();
    for text in &texts {
        for maker in MAKERS {
            for (at, _) in text.match_indices(maker) {
                let rest = &text[at + maker.len()..];
                if maker == "fn slug(" {
                    let body = rest.split("\n    }\n").next().unwrap_or_default();
                    slugs.extend(slugs_in(body).map(str::to_owned));
                } else {
                    let arguments = &rest[..rest.floor_char_boundary(120)];
                    slugs.extend(slugs_in(arguments).take(1).map(str::to_owned));
                }
            }
        }
    }
    slugs
}

#[test]
fn every_finding_is_on_the_page() {
    let (page, slugs) = (page(), slugs());
    assert!(slugs.len() > 40, "the code is read: {slugs:?}");
    let missing: Vec<_> = slugs.iter().filter(|slug| !page.contains(&format!("`{slug}`"))).collect();
    assert!(missing.is_empty(), "docs/runner.md does not name {missing:?}");
}

#[test]
fn every_verb_option_and_exit_code_is_on_the_page() {
    let page = page();
    let mut missing = Vec::new();
    for verb in Task::value_variants() {
        missing.extend((!page.contains(&format!("`{}", verb.name()))).then(|| verb.name().to_owned()));
    }
    for option in Cli::command().get_arguments().filter_map(clap::Arg::get_long) {
        missing.extend((!page.contains(&format!("`--{option}"))).then(|| format!("--{option}")));
    }
    for exit in ExitCode::ALL {
        let row = format!("| {} |", exit.code());
        missing.extend((!page.contains(&row)).then_some(row));
    }
    assert!(missing.is_empty(), "docs/runner.md does not name {missing:?}");
}
