//! The options that every tool takes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, ValueEnum};

use crate::env;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, or where FORCE_COLOR asks for it; never with NO_COLOR.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Options shared by all tools; flatten this into the top struct.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Write results as text or as JSON, one object a line
    #[arg(long, value_enum, global = true, env = env::FORMAT, default_value_t, hide_env = true)]
    pub format: Format,

    /// When to use colour
    #[arg(long, value_enum, global = true, default_value_t)]
    pub color: Color,

    /// Print results and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Tell more (-v), or everything (-vv)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Read this project file instead of the nearest whimbrel.toml
    #[arg(long, global = true, value_name = "FILE", env = env::CONFIG, hide_env = true)]
    pub config: Option<PathBuf>,
}

/// Parses the command line; a mistake is told and ends the process.
///
/// In place of [`Parser::parse_from`], which repeats a value that it refuses: not where that is a URL with a login.
pub fn parse<T: Parser>(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> T {
    T::try_parse_from(arguments).unwrap_or_else(|error| without_login(error).exit())
}

fn without_login(mut error: clap::Error) -> clap::Error {
    let holds_login = |value: &ContextValue| {
        let text = value.to_string();
        text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
    };
    for kind in [ContextKind::InvalidValue, ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        if error.get(kind).is_some_and(holds_login) {
            error.insert(kind, ContextValue::String("…".to_owned()));
        }
    }
    error
}

/// A length of time on the command line: `30`, `30s`, `1.5s`, `500ms`, `2m`, `1h`; a bare number is in seconds.
///
/// # Errors
/// In the words that clap shows.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a duration is a number with ms, s, m or h".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "a duration begins with a number".to_owned())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// `NAME=VALUE` on the command line.
///
/// # Errors
/// In the words that clap shows.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write it as NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::{Format, GlobalArgs, duration, pair, without_login};

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        _global: GlobalArgs,
    }

    #[test]
    fn a_login_on_the_command_line_is_not_repeated() {
        let told = |argument: &str| {
            let error = Cli::try_parse_from(["x", argument]).expect_err("this is refused");
            without_login(error).to_string()
        };
        for argument in
            ["--format=postgres://u:s3cret@h/d", "postgres://u:s3cret@h/d", "--url=a://u:s3cret@h"]
        {
            assert!(!told(argument).contains("s3cret"), "{}", told(argument));
        }
        assert!(told("--format=yaml").contains("yaml"));
        assert_eq!(Format::default(), Format::Text);
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert!(duration("soon").is_err() && duration("1d").is_err() && duration("").is_err());
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err());
    }
}
