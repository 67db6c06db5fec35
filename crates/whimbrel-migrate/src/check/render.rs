//! What `check` found, for people and for programs.

use serde_json::json;
use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::printer::{Printer, counted};
use whimbrel_migration::finding::{Finding, Severity};

use super::{Against, Checked};

pub(super) fn render(printer: &Printer, against: Option<&Against>, checked: &[Checked], exit: ExitCode) {
    if printer.is_json() {
        printer.json(&json!({
            "schema": 1, "verb": "check", "against": against, "databases": checked, "exit_code": exit.code(),
        }));
        return;
    }
    if let Some(against) = against
        && against.parted.is_none()
    {
        printer.warn(format!(
            "where this branch and {} parted is not known (a shallow clone? git fetch --unshallow): nobody can tell \
             which side changed something, nor what was removed",
            against.reference
        ));
    }
    for found in checked {
        for line in found.findings.iter().flat_map(|finding| lines(&found.database, finding)) {
            printer.line(line);
        }
        printer.line(summary(found, against));
    }
}

fn lines(database: &str, finding: &Finding) -> Vec<String> {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let text = finding.to_string();
    let mut text = text.lines();
    let first = text.next().unwrap_or_default();
    let mut lines = vec![format!("{database}: {severity}[{}]: {first}", finding.slug)];
    lines.extend(text.map(|line| format!("    {line}")));
    lines.extend(finding.next_step.as_ref().map(|step| format!("  next: {step}")));
    lines
}

fn summary(found: &Checked, against: Option<&Against>) -> String {
    let of = |severity| found.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let against = against.map(|against| format!(" against {}", against.reference)).unwrap_or_default();
    let scripts = counted(found.scripts, "script");
    let result = match (errors, warnings) {
        (0, 0) => "nothing found".to_owned(),
        (0, warnings) => counted(warnings, "warning"),
        (errors, 0) => counted(errors, "error"),
        (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    format!("{}: {scripts} checked{against}, {result}", found.database)
}
