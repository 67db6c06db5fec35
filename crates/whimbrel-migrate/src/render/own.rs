//! Lines about what only Whimbrel has: undo, rows without a run, risks, rehearsals.

use whimbrel_migration::stamp::StampAction;

use crate::engine::{InfoRow, Rehearsal, StampReport, UndoReport};
use crate::reach::{PingReport, WaitReport};
use crate::report::version;
use crate::risk::ScriptRisk;

/// As much of an image's digest is shown.
const SHOWN_DIGEST: usize = 19;

pub(super) fn undo(name: &str, report: &UndoReport) -> Vec<String> {
    let mut lines = vec![format!("{name}: {}", version(report.before.as_deref()))];
    if report.undone.is_empty() {
        lines.push("  nothing to take back".to_owned());
    }
    for undone in &report.undone {
        lines.push(format!("  would take version {} back with {}", undone.version, undone.script));
        lines.extend(undone.sql.iter().flat_map(|text| sql(&undone.script, text)));
    }
    lines
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

pub(super) fn sql(script: &str, text: &str) -> Vec<String> {
    let mut lines = vec![format!("-- {script}")];
    lines.extend(text.lines().map(str::to_owned));
    lines
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
