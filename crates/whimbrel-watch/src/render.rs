//! What the tool prints: results and findings on stdout, conversation on stderr.

use std::path::Path;

use serde::Serialize;
use whimbrel_cli::printer::Printer;
use whimbrel_flow::image::{ImageEvent, ImageFinding, ImageReport};
use whimbrel_migration::finding::Severity;

#[derive(Serialize)]
struct Line<'a> {
    schema: u32,
    #[serde(flatten)]
    event: &'a ImageEvent,
}

/// Prints one event: in JSON one object a line; as text what a person wants to know, with paths as seen from `here`.
pub(crate) fn event(event: &ImageEvent, here: &Path, printer: &Printer) {
    if printer.is_json() {
        return printer.json(&Line { schema: 1, event });
    }
    match event {
        ImageEvent::Finding(found) => finding(found, here, printer),
        ImageEvent::Checked { scripts, databases, millis, .. } => {
            let (scripts, databases) = (count(*scripts, "script"), count(databases.len(), "database"));
            printer.status(format!("checked {scripts} of {databases} ({millis} ms)"));
        }
        ImageEvent::Built { .. } => {}
        ImageEvent::Waiting { operation, attempt, pause_millis, reason } => {
            printer.status(format!("{operation}: {reason}; attempt {attempt}, again in {pause_millis} ms"));
        }
        ImageEvent::Planned(report) => printer.line(sent("would push", report)),
        ImageEvent::Pushed(report) => printer.line(sent("pushed", report)),
        ImageEvent::Unchanged(report) => {
            printer.line(format!("unchanged {} ({} ms)", name(report), report.millis.total));
        }
        ImageEvent::Refused { errors } => {
            printer.line(format!("not delivered: {}; the last good image stays", count(*errors, "error")));
        }
    }
}

/// A number with its word.
pub(crate) fn count(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

fn finding(found: &ImageFinding, here: &Path, printer: &Printer) {
    let word = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let place = found.place().unwrap_or_else(|| found.database.clone());
    let place =
        Path::new(&place).strip_prefix(here).map_or(&*place, |below| below.to_str().unwrap_or(&place));
    printer.line(format!("{place}: {word}[{}]: {}", found.slug, found.message));
    if let Some(next) = &found.next_step {
        printer.line(format!("  next: {next}"));
    }
}

fn sent(verb: &str, report: &ImageReport) -> String {
    let ImageReport { blobs_sent, blobs_reused, bytes, millis, .. } = report;
    let all = blobs_sent + blobs_reused;
    let (name, size) = (name(report), size(*bytes));
    format!("{verb} {name} ({blobs_sent} of {all} blobs, {size}, {} ms)", millis.total)
}

/// The most exact name that the destination has.
fn name(report: &ImageReport) -> String {
    match (&report.pushed, &report.folder) {
        (Some(pushed), _) => format!("{pushed}@{}", report.digest),
        (None, Some(folder)) => format!("oci:{}@{}", folder.display(), report.digest),
        (None, None) => report.digest.to_string(),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}
