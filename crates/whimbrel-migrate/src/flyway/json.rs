//! Flyway's JSON documents, with its keys in its order.

use serde_json::{Value, json};
use whimbrel_database::ConnectError;
use whimbrel_migration::finding::{Finding, FlywayCode};
use whimbrel_migration::name::ScriptKind;
use whimbrel_migration::record::ScriptRecord;
use whimbrel_migration::repair::RepairAction;

use super::place::Place;
use super::{FOLLOWED_VERSION, answer, text, words};
use crate::engine::{InfoReport, RepairReport, UndoReport};
use crate::failure::{Failure, ScriptFailure};
use crate::set::SetError;
use crate::settings::{DatabaseSettings, RunSettings};
use crate::turn::{Report, Turn};
use crate::turns::Run;

/// What is said of every verb in a dry run.
pub(super) const DRY_RUN: &str =
    "dry run: nothing was changed, what would be run is in the file of dryRunOutput";

/// The document of one verb.
pub(super) fn document(settings: &RunSettings, place: &Place, run: &Run) -> Value {
    let (Some(turn), Some(database)) = (run.turns.first(), settings.databases.first()) else {
        return Value::Null;
    };
    let mut document = answer_of(database, place, turn);
    if settings.common.dry_run
        && let Some(warnings) = document.get_mut("warnings").and_then(Value::as_array_mut)
    {
        warnings.push(DRY_RUN.into());
    }
    document
}

fn answer_of(database: &DatabaseSettings, place: &Place, turn: &Turn) -> Value {
    match (&turn.report, &turn.failure) {
        (_, Some(failure @ Failure::Script(script))) if !script.undoes => {
            migrate(database, place, turn, Some(failure))
        }
        (_, Some(failure @ Failure::Refused(findings))) if words::is_old_failure(findings) => {
            migrate(database, place, turn, Some(failure))
        }
        (_, Some(failure)) => error(place, failure),
        (Some(Report::Migrate(_)), None) => migrate(database, place, turn, None),
        (Some(Report::Info(report)), None) => info(database, place, report),
        (Some(Report::Validate(report)), None) => {
            // Where there is no schema, Flyway says that and nothing else.
            let findings = if report.schema_missing { &[][..] } else { &report.findings };
            let invalid: Vec<Value> = findings.iter().map(|finding| invalid(turn, finding)).collect();
            let ok = findings.is_empty() && !report.schema_missing;
            let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
            let details = match (ok, report.schema_missing) {
                (true, _) => Value::Null,
                (false, true) => {
                    let message = format!("Schema {} doesn't exist yet", place.schema());
                    json!({"errorCode": "SCHEMA_DOES_NOT_EXIST", "errorMessage": message})
                }
                (false, false) => {
                    json!({"errorCode": "VALIDATE_ERROR", "errorMessage": "Migrations have failed validation"})
                }
            };
            json!({
                "flywayVersion": FOLLOWED_VERSION, "database": place.database(), "warnings": [], "operation": "validate",
                "errorDetails": details, "invalidMigrations": invalid, "validationSuccessful": ok,
                "validateCount": if ok { report.validated } else { 0 }, "allErrorMessages": messages.join("\n"),
            })
        }
        (Some(Report::Repair(report)), None) => repair(turn, place, report),
        (Some(Report::Baseline(report)), None) => json!({
            "flywayVersion": FOLLOWED_VERSION, "database": place.database(), "warnings": [], "operation": "baseline",
            "successfullyBaselined": true, "baselineVersion": report.version,
        }),
        (Some(Report::Undo(report)), None) => undo(database, place, turn, report),
        // Verbs that Flyway's command line does not have.
        (Some(Report::Stamp(_) | Report::Ping(_) | Report::Wait(_)), None) => json!({}),
        (Some(Report::Clean(report)), None) => json!({
            "flywayVersion": FOLLOWED_VERSION, "database": place.database(),
            "warnings": report.missing.iter().map(|schema| answer::unknown_schema(place, schema)).collect::<Vec<_>>(),
                "operation": "clean",
            "schemasCleaned": report.cleaned, "schemasDropped": report.dropped,
        }),
        (None, None) => Value::Null,
    }
}

/// Local time without zone, nine digits of fraction.
fn timestamp() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S.%9f").to_string()
}

/// The file of a script; nothing where there is none.
fn file(turn: &Turn, script: &str) -> String {
    let found = turn.set.as_ref().and_then(|set| set.find(script));
    found.map(|(_, path)| path.display().to_string()).unwrap_or_default()
}

/// Category and type of an applied script.
fn category(turn: &Turn, script: &ScriptRecord) -> (&'static str, &'static str) {
    let found = turn.set.as_ref().and_then(|set| set.find(&script.script));
    match found.map(|(script, _)| script.name.kind) {
        Some(ScriptKind::Baseline) => ("Baseline", "SQL_BASELINE"),
        _ if script.version.is_none() => ("Repeatable", "SQL"),
        _ => ("Versioned", "SQL"),
    }
}

fn migrate(database: &DatabaseSettings, place: &Place, turn: &Turn, failure: Option<&Failure>) -> Value {
    let applied = answer::applied(turn);
    let last = applied.iter().rev().find_map(|script| script.version.as_deref());
    let migrations: Vec<Value> = applied
        .iter()
        .map(|script| {
            let (category, row_type) = category(turn, script);
            json!({
                "category": category,
                "version": script.version.as_deref().unwrap_or_default(), "description": script.description,
                "type": row_type, "filepath": file(turn, &script.script), "executionTime": script.millis,
            })
        })
        .collect();
    let message = failure.map(|failure| words::message(place, failure));
    let warnings: Vec<String> =
        database.migration.out_of_order.then(|| text::out_of_order(place)).into_iter().collect();
    let mut document = json!({
        "timestamp": timestamp(), "operation": "migrate", "exception": message,
        "licenseFailed": false, "initialSchemaVersion": turn.record.before,
        "targetSchemaVersion": if failure.is_some() { None } else { last }, "schemaName": database.schemas.join(", "),
        "migrations": migrations, "migrationsExecuted": applied.len(), "success": failure.is_none(),
        "flywayVersion": FOLLOWED_VERSION, "database": place.database(), "warnings": warnings,
        "databaseType": place.dialect().name(),
    });
    if let Value::Object(object) = &mut document {
        if let Some(Failure::Script(script)) = failure {
            object.insert("error".to_owned(), script_error(script, message.as_deref()));
        }
        if let Some(Failure::Refused(findings)) = failure {
            let code = findings.first().and_then(|finding| finding.code).map_or("ERROR", FlywayCode::as_str);
            object.insert(
                "error".to_owned(),
                json!({
                    "errorCode": code, "sqlState": null, "sqlErrorCode": 0, "message": message,
                    "lineNumber": null, "path": null, "cause": null,
                }),
            );
        }
        object.insert("totalMigrationTime".to_owned(), turn.millis.into());
    }
    document
}

fn script_error(script: &ScriptFailure, message: Option<&str>) -> Value {
    let code =
        if script.version.is_some() { "FAILED_VERSIONED_MIGRATION" } else { "FAILED_REPEATABLE_MIGRATION" };
    let server = script.error.server();
    json!({
        "errorCode": code, "sqlState": server.and_then(words::state),
        "sqlErrorCode": server.map_or(0, |error| error.code), "message": message,
        "lineNumber": script.statement_line, "path": script.path.display().to_string(),
        // Flyway wraps what the driver said twice.
        "cause": server.map(|error| json!({
            "message": message, "stackTrace": "",
            "cause": {"message": words::server_message(error), "stackTrace": "", "cause": null},
        })),
    })
}

fn undo(database: &DatabaseSettings, place: &Place, turn: &Turn, report: &UndoReport) -> Value {
    let undone: Vec<Value> = answer::applied(turn)
        .iter()
        .map(|script| {
            json!({
                "version": script.version.as_deref().unwrap_or_default(), "description": script.description,
                "filepath": file(turn, &script.script), "executionTime": script.millis,
            })
        })
        .collect();
    json!({
        "flywayVersion": FOLLOWED_VERSION, "database": place.database(), "warnings": [], "operation": "undo",
        "initialSchemaVersion": report.before, "targetSchemaVersion": report.after,
        "schemaName": database.schemas.join(", "), "migrationsUndone": undone.len(), "undoneMigrations": undone,
    })
}

/// Java's driver wraps what the system said, and not what the server said.
fn connect_cause(place: &Place, error: &ConnectError) -> Value {
    let (said, cause) = (words::connect_cause(place, error), error.cause.to_string());
    let inner =
        (said != cause).then(|| json!({"message": "Connection refused", "stackTrace": "", "cause": null}));
    json!({"message": said, "stackTrace": "", "cause": inner})
}

/// As Java writes an instant: the fraction has no digits, three, six or nine.
fn instant(installed_on: &str) -> String {
    let (whole, fraction) = installed_on.split_once('.').unwrap_or((installed_on, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = fraction.len().div_ceil(3) * 3;
    let dot = if digits == 0 { "" } else { "." };
    format!("{}{dot}{fraction:0<digits$}Z", whole.replace(' ', "T"))
}

fn info(database: &DatabaseSettings, place: &Place, report: &InfoReport) -> Value {
    let migrations: Vec<Value> = report
        .migrations
        .iter()
        .map(|row| {
            let version = row.version.as_deref().unwrap_or_default();
            let installed = row.installed_on.as_deref().map(instant);
            json!({
                "category": row.category.as_str(), "version": version, "rawVersion": version,
                "description": row.description, "type": row.row_type.as_str(),
                "installedOnUTC": installed.unwrap_or_default(), "state": row.state.as_str(),
                "undoable": answer::undoable(row),
                "filepath": row.file.as_deref().unwrap_or_default(), "undoFilepath": row.undo.as_deref().unwrap_or_default(),
                "installedBy": row.installed_by.as_deref().unwrap_or_default(), "shouldExecuteExpression": null,
                "executionTime": row.execution_time.unwrap_or_default(),
            })
        })
        .collect();
    json!({
        "timestamp": timestamp(), "operation": "info", "exception": null, "licenseFailed": false,
        "schemaVersion": report.version, "schemaName": database.schemas.join(", "), "migrations": migrations,
        // Here, and only here, a database without a name has the empty one.
        "flywayVersion": FOLLOWED_VERSION, "database": place.database().unwrap_or_default(),
        "allSchemasEmpty": report.schema_empty,
    })
}

fn invalid(turn: &Turn, finding: &Finding) -> Value {
    let script = finding.script.as_deref().unwrap_or_default();
    json!({
        "version": finding.version.as_deref().unwrap_or_default(),
        "description": finding.description.as_deref().unwrap_or_default(),
        "filepath": file(turn, script),
        "errorDetails": {
            "errorCode": finding.code.map_or("ERROR", FlywayCode::as_str), "errorMessage": finding.message,
        },
    })
}

fn repair(turn: &Turn, place: &Place, report: &RepairReport) -> Value {
    let mut done: Vec<&str> = Vec::new();
    let (mut removed, mut deleted, mut aligned) = (Vec::new(), Vec::new(), Vec::new());
    for action in &report.actions {
        let (phrase, list, version, description, path) = match action {
            RepairAction::RemoveFailed { version, description, script, .. } => {
                ("Removed failed migrations", &mut removed, version, description, file(turn, script))
            }
            RepairAction::MarkDeleted { row, .. } => {
                let (version, description) = (&row.version, &row.description);
                ("Marked missing migrations as deleted", &mut deleted, version, description, String::new())
            }
            RepairAction::Align { installed_rank, version, description, .. } => {
                // Flyway names the row as it was.
                let was = report.descriptions.get(installed_rank).unwrap_or(description);
                let path = report.files.get(installed_rank).map(|path| path.display().to_string());
                ("Aligned applied migration checksums", &mut aligned, version, was, path.unwrap_or_default())
            }
        };
        if !done.contains(&phrase) {
            done.push(phrase);
        }
        list.push(json!({
            "version": version.as_deref().unwrap_or_default(), "description": description,
            "filepath": path,
        }));
    }
    json!({
        "flywayVersion": FOLLOWED_VERSION, "database": place.database(), "warnings": [], "operation": "repair",
        "repairActions": done, "migrationsRemoved": removed, "migrationsDeleted": deleted, "migrationsAligned": aligned,
    })
}

/// Any other error.
fn error(place: &Place, failure: &Failure) -> Value {
    let code = match failure {
        Failure::Refused(findings) => match findings.first().and_then(|finding| finding.code) {
            Some(
                code @ (FlywayCode::NonEmptySchemaWithoutSchemaHistoryTable
                | FlywayCode::DuplicateVersionedMigration
                | FlywayCode::DuplicateRepeatableMigration
                | FlywayCode::DuplicateDeletedMigration
                | FlywayCode::Error
                | FlywayCode::Fault
                | FlywayCode::DbConnection
                | FlywayCode::Configuration),
            ) => code.as_str(),
            Some(_) => "VALIDATE_ERROR",
            None => "ERROR",
        },
        Failure::Set(SetError::Refused(finding)) => finding.code.map_or("ERROR", FlywayCode::as_str),
        Failure::Connect(_) | Failure::Database { .. } => "DB_CONNECTION",
        _ => "ERROR",
    };
    let message = words::message(place, failure);
    match failure {
        Failure::Script(script) => json!({"error": script_error(script, Some(&message))}),
        Failure::Callback { failure: script, .. } => {
            let inner = script_error(script, Some(&words::block(place, script)));
            json!({"error": {"errorCode": code, "message": message, "cause": inner["cause"]}})
        }
        Failure::Connect(error) => json!({"error": {
            "errorCode": code, "subErrorCode": "CONNECTION_FAILURE", "sqlState": words::connect_state(error),
            "sqlErrorCode": 0, "message": message,
            "cause": connect_cause(place, error),
        }}),
        Failure::Database { error, .. } if error.server().is_some() => {
            let server = error.server();
            json!({"error": {
                "errorCode": code, "subErrorCode": null, "sqlState": server.and_then(words::state),
                "sqlErrorCode": server.map_or(0, |error| error.code), "message": message,
                "cause": {
                    "message": server.map(words::server_message), "stackTrace": "", "cause": null,
                },
            }})
        }
        _ => json!({"error": {"errorCode": code, "message": message, "cause": null}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_groups_of_three_digits() {
        assert_eq!(instant("2026-11-21 12:15:06.26581"), "2026-11-21T12:15:06.265810Z");
        assert_eq!(instant("2026-11-21 12:15:06.5"), "2026-11-21T12:15:06.500Z");
        assert_eq!(instant("2026-11-21 12:15:06"), "2026-11-21T12:15:06Z");
    }
}
