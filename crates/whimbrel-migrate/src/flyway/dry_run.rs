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
            self.0.write_all(text(piece).as_bytes())?;
        }
        self.0.flush()
    }
}

fn text(piece: &Intended) -> String {
    match piece {
        Intended::Part(part) => {
            format!("\n-- Executing: {part} (with callbacks)\n-- {}\n", "-".repeat(RULE))
        }
        Intended::Script { path, sql } => {
            let head = format!("-- Source: {}", path.display());
            let rule = "-".repeat(head.chars().count().saturating_sub(3));
            format!("\n{head}\n-- {rule}\n{}\n", ended(sql))
        }
        Intended::Statement(sql) => format!("{}\n", ended(sql)),
        Intended::Note(note) => format!("-- {note}\n"),
    }
}

/// A script may leave out its last semicolon; what follows it here must not become a part of it.
fn ended(sql: &str) -> String {
    let sql = sql.trim_end();
    let last = sql.lines().last().unwrap_or_default();
    match last {
        _ if sql.is_empty() || last.ends_with(';') || last == "\\." => sql.to_owned(),
        // The semicolon would be a part of the comment.
        _ if last.contains("--") || last.contains('#') => format!("{sql}\n;"),
        _ => format!("{sql};"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_ends_its_statement() {
        assert_eq!(ended("SELECT 1;\n"), "SELECT 1;");
        assert_eq!(ended("SELECT 1"), "SELECT 1;");
        assert_eq!(ended("SELECT 1 -- one"), "SELECT 1 -- one\n;");
        assert_eq!(ended("COPY a FROM stdin;\n1\n\\.\n"), "COPY a FROM stdin;\n1\n\\.");
        assert_eq!(ended(""), "");
    }

    #[test]
    fn a_script_is_headed_by_its_file() {
        let piece = Intended::Script { path: "/p/V1__a.sql".into(), sql: "SELECT 1".to_owned() };
        assert_eq!(text(&piece), "\n-- Source: /p/V1__a.sql\n-- --------------------\nSELECT 1;\n");
        let part = text(&Intended::Part("migrate -> v1".to_owned()));
        assert!(part.starts_with("\n-- Executing: migrate -> v1 (with callbacks)\n-- ---"), "{part}");
    }
}
