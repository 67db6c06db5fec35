//! Where Flyway's lines go: stdout, stderr, and with `-outputFile` a file that has them all.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;

use whimbrel_cli::printer::Printer;

/// Flyway's levels, each with its place.
#[derive(Clone)]
pub(super) struct Console {
    printer: Printer,
    quiet: bool,
    debug: bool,
    file: Option<Rc<RefCell<fs_err::File>>>,
    /// What is known already and said when its turn comes.
    later: Rc<RefCell<Vec<Saying>>>,
    /// What waits until the verb has answered.
    held: Rc<RefCell<Option<Vec<String>>>>,
    /// How the last script that was begun is marked.
    mode: Rc<Cell<&'static str>>,
    /// Whether the sum of a migrate was said.
    summed: Rc<Cell<bool>>,
}

/// Something to say, of one of Flyway's levels.
#[derive(Clone)]
pub(super) enum Saying {
    Line(String),
    Warning(String),
    Error(String),
}

impl Console {
    /// With `-q` only warnings and errors, with `-X` what happens beneath as well.
    ///
    /// # Errors
    /// When the output file cannot be made.
    pub(super) fn new(
        printer: Printer,
        (quiet, debug): (bool, bool),
        file: Option<&Path>,
    ) -> std::io::Result<Self> {
        let file = file.map(fs_err::File::create).transpose()?;
        Ok(Self {
            printer,
            quiet,
            debug,
            file: file.map(|file| Rc::new(RefCell::new(file))),
            later: Rc::default(),
            held: Rc::default(),
            mode: Rc::default(),
            summed: Rc::default(),
        })
    }

    /// Keeps something until [`Console::flush`].
    pub(super) fn later(&self, saying: Saying) {
        self.later.borrow_mut().push(saying);
    }

    /// Says what was kept.
    pub(super) fn flush(&self) {
        for saying in self.later.take() {
            match saying {
                Saying::Line(text) => self.line(text),
                Saying::Warning(text) => self.warning(&text),
                Saying::Error(text) => self.error(&text),
            }
        }
    }

    /// Keeps how a script that begins is marked.
    pub(super) fn note_mode(&self, mode: &'static str) {
        self.mode.set(mode);
    }

    /// The mark of the last script that was begun: outside of a transaction or not.
    pub(super) fn mode(&self) -> &'static str {
        self.mode.get()
    }

    /// From now on everything for stdout waits until [`Console::release`].
    pub(super) fn hold(&self) {
        self.held.borrow_mut().get_or_insert_default();
    }

    /// What waited, to be said with [`Console::out`]; nothing waits any more.
    pub(super) fn release(&self) -> Vec<String> {
        self.held.take().unwrap_or_default()
    }

    /// Whether the sum of a migrate is to be said now: once.
    pub(super) fn sums_up(&self) -> bool {
        !self.summed.replace(true)
    }

    /// The next verb begins.
    pub(super) fn begin(&self) {
        self.later.take();
        self.held.take();
        self.summed.set(false);
    }

    /// A line of the usual kind.
    pub(super) fn line(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.out(line.as_ref());
        }
    }

    /// `WARNING: `, on stdout.
    pub(super) fn warning(&self, text: &str) {
        self.out(&format!("WARNING: {text}"));
    }

    /// `ERROR: `, on stderr.
    pub(super) fn error(&self, text: &str) {
        let line = format!("ERROR: {text}");
        let _ = writeln!(std::io::stderr().lock(), "{line}");
        self.keep(&line);
    }

    /// `DEBUG: `, on stdout, where it was asked for.
    pub(super) fn debug(&self, text: impl FnOnce() -> String) {
        if self.debug {
            self.out(&format!("DEBUG: {}", text()));
        }
    }

    /// A line on stdout.
    pub(super) fn out(&self, line: &str) {
        if let Some(held) = self.held.borrow_mut().as_mut() {
            return held.push(line.to_owned());
        }
        self.printer.line(line);
        self.keep(line);
    }

    fn keep(&self, line: &str) {
        if let Some(file) = &self.file {
            // What was said is on the terminal too.
            let _ = writeln!(file.borrow_mut(), "{line}");
        }
    }
}
