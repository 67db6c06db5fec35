//! A password that must be found nowhere, and the search for it in every form in which it could get out.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// The password: what URLs, JSON, SQL and shells treat specially, between three marks. A URL that is cut at the wrong
/// character shows a piece only, so each piece has a mark.
pub const PASSWORD: &str = "c4n4ry@w4rbl3r/#%:é'\"\\n1ghtj4r";

const MARKS: [&str; 3] = ["c4n4ry", "w4rbl3r", "n1ghtj4r"];

/// The password as a URL wants it.
pub fn percent_encoded() -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric();
    PASSWORD
        .bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// What a text tells of the password: each form that was found, with its surroundings.
pub fn leaks(text: &str) -> Vec<String> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for mark in MARKS {
        search(&lower, mark, "raw", &mut found);
        search(&lower, &bytes(mark, "", |byte| format!("{byte:02x}")), "hexadecimal", &mut found);
        search(&lower, &bytes(mark, "", |byte| format!("%{byte:02x}")), "percent-encoded", &mut found);
        search(&lower, &bytes(mark, "", |byte| format!("\\u{byte:04x}")), "JSON-escaped", &mut found);
        search(&lower, &bytes(mark, ", ", |byte| byte.to_string()), "list of bytes", &mut found);
        for encoded in in_base64(mark) {
            search(text, &encoded, "base64", &mut found);
        }
    }
    found
}

/// Panics when a text tells anything of the password.
#[track_caller]
pub fn is_not_in(what: &str, text: &str) {
    let found = leaks(text);
    assert!(found.is_empty(), "{what} tells the password:\n{}", found.join("\n"));
}

/// Searches all files below a folder; those whose path holds one of `but` are passed over. Gives their number.
#[track_caller]
pub fn is_not_below(folder: &Path, but: &[&str]) -> usize {
    let mut searched = 0;
    for entry in fs_err::read_dir(folder).expect("the folder is there").flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        if but.iter().any(|but| name.contains(but)) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            searched += is_not_below(&path, but);
        } else if path.is_file() {
            let bytes = fs_err::read(&path).expect("it can be read");
            is_not_in(&name, &String::from_utf8_lossy(&bytes));
            searched += 1;
        }
    }
    searched
}

fn search(text: &str, needle: &str, form: &str, found: &mut Vec<String>) {
    if let Some(at) = text.find(needle) {
        let before = text[..at].char_indices().rev().nth(80).map_or(0, |(index, _)| index);
        let after = &text[at..];
        let after = after.char_indices().nth(80).map_or(after, |(index, _)| &after[..index]);
        found.push(format!("  {form}: …{}{after}…", &text[before..at]));
    }
}

fn bytes(mark: &str, between: &str, write: impl Fn(u8) -> String) -> String {
    mark.bytes().map(write).collect::<Vec<_>>().join(between)
}

/// The characters that stand for the mark alone, wherever in a longer text it begins.
fn in_base64(mark: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let padded = format!("{}{mark}", "~".repeat(before));
        let (first, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        forms.extend([&STANDARD, &URL_SAFE].map(|engine| engine.encode(&padded)[first..end].to_owned()));
    }
    forms
}
