//! `tests/golden FILE…`: the comparison with recorded Flyway as a program. The servers are in the environment.

use std::path::PathBuf;
use std::process::ExitCode;

use whimbrel_tests::golden;

#[expect(clippy::print_stdout, reason = "the comparison is what this program is for")]
fn main() -> ExitCode {
    let (mut files, mut only, mut engines) = (Vec::new(), Vec::new(), false);
    let mut faces = golden::Faces { own: true, lines: false };
    for argument in std::env::args().skip(1) {
        if let Some(prefixes) = argument.strip_prefix("--only=") {
            only.extend(prefixes.split(',').map(str::to_owned));
        } else if argument == "--engines" {
            engines = true;
        } else if argument == "--flyway-only" {
            faces.own = false;
        } else if argument == "--lines" {
            faces.lines = true;
        } else {
            files.push(PathBuf::from(argument));
        }
    }
    if engines {
        return match golden::engines(&files) {
            Ok(engines) => {
                engines.iter().for_each(|engine| println!("{engine}"));
                ExitCode::SUCCESS
            }
            Err(message) => unusable(&message),
        };
    }
    let wanted =
        |id: &str| only.is_empty() || only.iter().any(|prefix: &String| id.starts_with(prefix.as_str()));
    match golden::play_all(&files, &wanted, faces) {
        Ok(report) => {
            print!("{}", report.text());
            ExitCode::from(u8::from(report.differs()[0]))
        }
        Err(message) => unusable(&message),
    }
}

#[expect(clippy::print_stderr, reason = "what cannot be read is told to whoever named it")]
fn unusable(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(2)
}
