//! The one way to a stream: stdout carries data, stderr the conversation.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Effects, Style};
use serde::Serialize;

use crate::args::{Color, Format, GlobalArgs};
use crate::error::CommandError;

const ERROR: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const WARNING: Style = AnsiColor::Yellow.on_default().effects(Effects::BOLD);
const HINT: Style = AnsiColor::Cyan.on_default();

/// Lines up to so many bytes are written at once.
const LINE: usize = 64 * 1024;

type Stream = Arc<Mutex<Box<dyn Write + Send>>>;

/// Writes lines. Clones write to the same streams, and a line is never torn.
#[derive(Clone)]
pub struct Printer {
    out: Stream,
    err: Stream,
    format: Format,
    quiet: bool,
    terminal: bool,
}

impl Printer {
    /// A printer on the streams of this process.
    pub fn new(args: &GlobalArgs) -> Self {
        let choice = match args.color {
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
            Color::Auto => ColorChoice::Auto,
        };
        Self {
            out: stream(AutoStream::new(io::stdout(), resolve(choice, &io::stdout()))),
            err: stream(AutoStream::new(io::stderr(), resolve(choice, &io::stderr()))),
            format: args.format,
            quiet: args.quiet,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// A printer on given streams, without colour, for tests and for output that is read by our own code.
    pub fn to_writers(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        format: Format,
    ) -> Self {
        let plain = |writer: Box<dyn Write + Send>| -> Stream { Arc::new(Mutex::new(writer)) };
        Self { out: plain(Box::new(out)), err: plain(Box::new(err)), format, quiet: false, terminal: false }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// The chosen format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a person watches, so that a line may be rewritten. Never under Tilt or in a pipe.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One line of data.
    pub fn line(&self, line: impl AsRef<str>) {
        write_line(&self.out, line.as_ref());
    }

    /// A part of the data that ends its lines itself.
    pub fn text(&self, text: &str) {
        if let Ok(mut stream) = self.out.lock() {
            let _ = stream.write_all(text.as_bytes());
        }
    }

    /// One line of data as JSON. What is written so is a contract: keys are added, never taken away.
    pub fn json(&self, value: &impl Serialize) {
        if let Err(error) = self.json_line(value) {
            // Nobody is left to tell where the stream itself is closed.
            if !error.is_io() {
                self.warn(format!("a result could not be written as JSON: {error}"));
            }
        }
    }

    /// What is large goes on while it is made; a line of usual length is written in one piece.
    fn json_line(&self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        let Ok(mut stream) = self.out.lock() else { return Ok(()) };
        let mut line = BufWriter::with_capacity(LINE, &mut *stream);
        serde_json::to_writer(&mut line, value)?;
        line.write_all(b"\n").and_then(|()| line.flush()).map_err(serde_json::Error::io)
    }

    /// One line of conversation; silent with `--quiet`.
    pub fn status(&self, line: impl AsRef<str>) {
        if !self.quiet {
            write_line(&self.err, line.as_ref());
        }
    }

    /// A warning; silent with `--quiet`.
    pub fn warn(&self, line: impl AsRef<str>) {
        if !self.quiet {
            write_line(&self.err, &format!("{WARNING}warning:{WARNING:#} {}", line.as_ref()));
        }
    }

    /// One thing to do next.
    pub fn hint(&self, line: impl AsRef<str>) {
        write_line(&self.err, &format!("{HINT}hint:{HINT:#} {}", line.as_ref()));
    }

    /// An error, its causes, and what to do next; in JSON an object with `error`, `causes`, `hints` and `code`.
    pub fn error(&self, error: &CommandError) {
        let messages = error.messages();
        let (first, causes) =
            messages.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        if self.is_json() {
            self.json(&serde_json::json!({
                "schema": 1, "error": first, "causes": causes, "hints": error.hints(),
                "code": error.exit_code().code(),
            }));
            return;
        }
        let mut text = format!("{ERROR}error:{ERROR:#} {first}");
        for cause in causes {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if !error.hints().is_empty() {
            text.push('\n');
        }
        for hint in error.hints() {
            text.push_str(&format!("\n{HINT}hint:{HINT:#} {hint}"));
        }
        write_line(&self.err, &text);
    }
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer")
            .field("format", &self.format)
            .field("quiet", &self.quiet)
            .finish_non_exhaustive()
    }
}

/// A number with its noun: `1 script`, `8 databases`.
pub fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn stream(writer: impl Write + Send + 'static) -> Stream {
    Arc::new(Mutex::new(Box::new(writer)))
}

/// `Auto` follows NO_COLOR, CLICOLOR_FORCE and the terminal by itself; FORCE_COLOR, which Tilt sets, is ours.
fn resolve(choice: ColorChoice, raw: &impl anstream::stream::RawStream) -> ColorChoice {
    if choice != ColorChoice::Auto {
        return choice;
    }
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if set("FORCE_COLOR") && !set("NO_COLOR") { ColorChoice::Always } else { AutoStream::choice(raw) }
}

/// Nobody is left to tell when a stream is closed, so a failed write is a quiet end of the conversation.
fn write_line(stream: &Stream, line: &str) {
    let Ok(mut stream) = stream.lock() else { return };
    // In one piece: lines of programs that share a stream stay whole.
    let _ = stream.write_all(format!("{line}\n").as_bytes()).and_then(|()| stream.flush());
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::Printer;
    use crate::args::Format;
    use crate::error::CommandError;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            anstream::adapter::strip_str(&String::from_utf8(self.0.lock().unwrap().clone()).unwrap())
                .to_string()
        }
    }

    #[test]
    fn data_and_conversation_go_to_different_streams() {
        let (out, err) = (Buffer::default(), Buffer::default());
        let printer = Printer::to_writers(out.clone(), err.clone(), Format::Text);
        printer.line("data");
        printer.status("talk");
        printer.error(&CommandError::usage("no such database: x").hinted("see whimbrel.toml"));
        assert_eq!(out.text(), "data\n");
        assert_eq!(err.text(), "talk\nerror: no such database: x\n\nhint: see whimbrel.toml\n");
    }

    #[test]
    fn an_error_in_json_is_data() {
        let (out, err) = (Buffer::default(), Buffer::default());
        let printer = Printer::to_writers(out.clone(), err.clone(), Format::Json);
        printer.error(&CommandError::usage("no such database: x"));
        let document: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(document["code"], 2);
        assert_eq!(document["schema"], 1);
        assert_eq!(err.text(), "");
    }
}
