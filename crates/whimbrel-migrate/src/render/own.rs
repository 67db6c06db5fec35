//! Lines about what only Whimbrel has: undo, rows without a run, risks, rehearsals.

use std::convert::Infallible;

use whimbrel_cli::printer::Printer;
use whimbrel_migration::stamp::StampAction;

use crate::engine::{InfoRow, Rehearsal, StampReport, UndoReport};
use crate::reach::{PingReport, WaitReport};
use crate::report::version;
use crate::risk::ScriptRisk;
use crate::set::ShownSql;

/// As much of an image's digest is shown.
const SHOWN_DIGEST: usize = 19;

pub(super) fn undo(printer: &Printer, name: &str, report: &UndoReport) {
    printer.line(format!("{name}: {}", version(report.before.as_deref())));
    if report.undone.is_empty() {
        printer.line("  nothing to take back");
    }
    for undone in &report.undone {
        printer.line(format!("  would take version {} back with {}", undone.version, undone.script));
        undone.sql.iter().for_each(|shown| sql(printer, &undone.script, shown));
    }
}

pub(super) fn stamp(name: &str, report: &StampReport) -> Vec<String> {
    if report.actions.is_empty() {
        return vec![format!("{name}: nothing to write; {}", version(report.before.as_deref()))];
    }
    let would = if report.written { "is" } else { "would be" };
    let mut lines: Vec<String> = report
        .actions
        .iter()
        .map(|action| {
            let row = action.row();
            let version = row.version.as_deref().unwrap_or_default();
            match action {
                StampAction::Mark { .. } => {
                    format!("{name}: version {version} ({}) {would} recorded and was not run", row.script)
                }
                StampAction::Forget { .. } => {
                    format!("{name}: version {version} ({}) {would} forgotten and stays", row.script)
                }
            }
        })
        .collect();
    lines.extend(report.dangers.iter().map(|danger| format!("  danger: {danger}")));
    if report.written {
        lines.push(format!("{name}: now at {}", version(report.after.as_deref())));
    }
    lines
}

pub(super) fn ping(name: &str, report: &PingReport) -> Vec<String> {
    let read_only = if report.read_only { ", read-only" } else { "" };
    let user = if report.user.is_empty() { String::new() } else { format!(", as {}", report.user) };
    vec![format!(
        "{name}: {} {} at {}{user}{read_only}, {} ms",
        report.engine, report.server_version, report.target, report.millis
    )]
}

pub(super) fn waited(name: &str, report: &WaitReport) -> Vec<String> {
    vec![format!("{name}: {}, after {} ms", version(report.version.as_deref()), report.waited_millis)]
}

pub(super) fn risk(risk: &ScriptRisk) -> Vec<String> {
    let mut lines = vec![format!("  {}: risk {}", risk.script, risk.level)];
    for impact in &risk.impacts {
        lines.push(format!("    {impact}"));
        lines.extend(impact.impact.advice.map(|advice| format!("      {advice}")));
    }
    lines
}

/// The SQL of a script, on its way from the file to the screen where it is large.
pub(super) fn sql(printer: &Printer, script: &str, sql: &ShownSql) {
    printer.line(format!("-- {script}"));
    if let Some(text) = sql.at_hand() {
        return text.lines().for_each(|line| printer.line(line));
    }
    let mut ended = true;
    let shown: Result<(), Infallible> = sql.each(|text| {
        printer.text(text);
        ended = if text.is_empty() { ended } else { text.ends_with('\n') };
        Ok(())
    });
    let Ok(()) = shown;
    printer.text(if ended { "" } else { "\n" });
}

pub(super) fn rehearsal(rehearsal: &Rehearsal) -> Vec<String> {
    let ran = rehearsal.ran.iter().map(|(script, millis)| format!("  rehearsed {script} in {millis} ms"));
    let left_out =
        rehearsal.left_out.iter().map(|script| format!("  left out {script}: it cannot be rolled back"));
    let limits = rehearsal.limits.iter().map(|limit| format!("  note: {limit}"));
    ran.chain(left_out).chain(limits).collect()
}

/// Files whose checksum is not the recorded one although nobody edited their text.
pub(super) fn differences(rows: &[InfoRow]) -> Vec<String> {
    let differing = rows.iter().filter_map(|row| Some((row, row.difference.as_ref()?)));
    differing
        .map(|(row, difference)| format!("  {} has another checksum: {difference}", row.script))
        .collect()
}

/// Which image applied what, and why where somebody had to say it.
pub(super) fn origins(rows: &[InfoRow]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut last = None;
    for row in rows.iter().filter(|row| row.image.is_some() || row.reason.is_some()) {
        let what = row.version.as_deref().unwrap_or(&row.description);
        let image = row.image.as_deref().unwrap_or("no image");
        let shown: String = image.chars().take(SHOWN_DIGEST).collect();
        if last != Some(image) && row.image.is_some() {
            lines.push(format!("  from {what} on by image {shown}"));
        }
        last = Some(image);
        lines.extend(row.reason.as_ref().map(|reason| format!("  {what}: {reason}")));
    }
    lines
}
