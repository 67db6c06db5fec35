//! How to call this program again: what we print must work when it is pasted.

use std::ffi::OsStr;
use std::path::Path;

/// The words before a subcommand.
pub(crate) fn decide_invocation(argument: Option<&OsStr>, program: &Path, under_cargo: bool) -> String {
    let profile = program.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    if under_cargo {
        return match profile {
            Some("release") => "cargo run --release --".to_owned(),
            _ => "cargo run --".to_owned(),
        };
    }
    // A bare name was found on the PATH, and will be again.
    match argument.and_then(OsStr::to_str) {
        Some(name) if !name.is_empty() => quote(name),
        _ => quote(&program.display().to_string()),
    }
}

/// The invocation of this very process.
pub(crate) fn invocation() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let argument = std::env::args_os().next();
    decide_invocation(argument.as_deref(), &program, std::env::var_os("CARGO").is_some())
}

/// The text as one word of a shell.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(argument: &str, program: &str, under_cargo: bool) -> String {
        decide_invocation(Some(OsStr::new(argument)), Path::new(program), under_cargo)
    }

    #[test]
    fn started_by_cargo_the_line_is_cargos() {
        let program = "/src/target/x86_64-unknown-linux-gnu/release/whimbrel";
        assert_eq!(decide(program, program, true), "cargo run --release --");
        assert_eq!(decide("x", "/src/target/debug/whimbrel", true), "cargo run --");
    }

    #[test]
    fn otherwise_it_is_what_was_typed() {
        assert_eq!(decide("whimbrel", "/usr/bin/whimbrel", false), "whimbrel");
        assert_eq!(decide("./my dir/whimbrel", "/x/my dir/whimbrel", false), "'./my dir/whimbrel'");
    }

    #[test]
    fn quotes_are_quoted() {
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}
