//! The file of `-dryRunOutput`: what would be sent to the server, in the layout of Flyway's paid editions.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::engine::Intended;
use crate::turns::Run;

/// A file that is being written.
pub(super) struct DryRun(BufWriter<fs_err::File>);

/// As long as Flyway draws its lines below a part.
const RULE: usize = 87;

impl DryRun {
    /// Makes the file, with the folders that it is in.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(fs_err::File::create(path)?);
        let rule = "-- -====================================";
        let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
        writeln!(file, "{rule}\n-- Flyway Dry Run ({now})\n{rule}")?;
        file.flush()?;
        Ok(Self(file))
    }

    /// Adds what one verb would have done.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, run: &Run) -> io::Result<()> {
        for piece in run.turns.iter().flat_map(|turn| &turn.intended) {
            write(&mut self.0, piece)?;
        }
        self.0.flush()
    }
}

fn write(file: &mut impl Write, piece: &Intended) -> io::Result<()> {
    match piece {
        Intended::Part(part) => {
            write!(file, "\n-- Executing: {part} (with callbacks)\n-- {}\n", "-".repeat(RULE))
        }
        Intended::Script { path, sql } => {
            let head = format!("-- Source: {}", path.display());
            let rule = "-".repeat(head.chars().count().saturating_sub(3));
            write!(file, "\n{head}\n-- {rule}\n")?;
            let mut ending = Ending::default();
            sql.each(|text| file.write_all(ending.pass(text).as_bytes()))?;
            writeln!(file, "{}", ending.mark())
        }
        Intended::Statement(sql) => {
            let mut ending = Ending::default();
            let sql = ending.pass(sql);
            writeln!(file, "{sql}{}", ending.mark())
        }
        Intended::Note(note) => writeln!(file, "-- {note}"),
    }
}

/// How a text that comes in pieces ends. A script may leave out its last semicolon; what follows it here must not become a
/// part of it.
#[derive(Default)]
struct Ending {
    /// Blanks that are left out if nothing comes behind them.
    blanks: String,
    /// What the last line begins with, as far as it is known, and what it has.
    line: String,
    has_comment: bool,
    last: Option<char>,
}

impl Ending {
    /// The next piece without the blanks at its end, which may be the end of all.
    fn pass(&mut self, piece: &str) -> String {
        let text = piece.trim_end();
        if text.is_empty() {
            self.blanks.push_str(piece);
            return String::new();
        }
        let passed = format!("{}{text}", std::mem::take(&mut self.blanks));
        self.blanks.push_str(&piece[text.len()..]);
        self.look_at(&passed);
        passed
    }

    fn look_at(&mut self, passed: &str) {
        let line = match passed.rsplit_once('\n') {
            Some((_, line)) => {
                (self.line, self.has_comment) = (String::new(), false);
                line
            }
            None => passed,
        };
        let torn = self.last == Some('-') && line.starts_with('-') && !self.line.is_empty();
        self.has_comment |= torn || line.contains("--") || line.contains('#');
        self.line.extend(line.chars().take(3_usize.saturating_sub(self.line.chars().count())));
        self.last = passed.chars().next_back();
    }

    /// What has to follow the text.
    fn mark(&self) -> &'static str {
        match self.last {
            None | Some(';') => "",
            _ if self.line == "\\." => "",
            // The semicolon would be a part of the comment.
            _ if self.has_comment => "\n;",
            _ => ";",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::set::ShownSql;

    fn text(piece: &Intended) -> String {
        let mut file = Vec::new();
        write(&mut file, piece).unwrap();
        String::from_utf8(file).unwrap()
    }

    fn ended(sql: &str) -> String {
        let cut_anywhere = |size: usize| {
            let (mut ending, mut passed) = (Ending::default(), String::new());
            for piece in sql.as_bytes().chunks(size) {
                passed.push_str(&ending.pass(std::str::from_utf8(piece).unwrap()));
            }
            format!("{passed}{}", ending.mark())
        };
        let whole = cut_anywhere(sql.len().max(1));
        assert!((1..sql.len()).all(|size| cut_anywhere(size) == whole), "{sql}");
        whole
    }

    #[test]
    fn every_piece_ends_its_statement() {
        assert_eq!(ended("SELECT 1;\n"), "SELECT 1;");
        assert_eq!(ended("SELECT 1"), "SELECT 1;");
        assert_eq!(ended("SELECT 1 -- one"), "SELECT 1 -- one\n;");
        assert_eq!(ended("COPY a FROM stdin;\n1\n\\.\n"), "COPY a FROM stdin;\n1\n\\.");
        assert_eq!(ended("SELECT 1;\n \n"), "SELECT 1;");
        assert_eq!(ended("-- one\nSELECT 1"), "-- one\nSELECT 1;");
        assert_eq!(ended(""), "");
    }

    #[test]
    fn a_script_is_headed_by_its_file() {
        let piece = Intended::Script { path: "/p/V1__a.sql".into(), sql: ShownSql::of("SELECT 1") };
        assert_eq!(text(&piece), "\n-- Source: /p/V1__a.sql\n-- --------------------\nSELECT 1;\n");
        let part = text(&Intended::Part("migrate -> v1".to_owned()));
        assert!(part.starts_with("\n-- Executing: migrate -> v1 (with callbacks)\n-- ---"), "{part}");
    }
}
