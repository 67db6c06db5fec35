//! What counts: both answers in one form, and where they differ.

use serde_json::{Value, json};

/// One thing that is not the same.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The step, from 1, where a case has several.
    pub step: Option<usize>,
    /// What differs.
    pub what: String,
    pub expected: Value,
    pub got: Value,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(step) = self.step {
            write!(f, "step {step}: ")?;
        }
        write!(f, "{}\n      expected {}\n      got      {}", self.what, self.expected, self.got)
    }
}

/// The text of a value, or nothing.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What Flyway's API answered to a verb.
pub(super) fn expected_answer(verb: &str, expected: &Value) -> Value {
    if !expected["error"].is_null() {
        return json!({ "error": error_class(&expected["error"]["errorCode"]) });
    }
    answer(verb, &expected[verb])
}

/// What a program's JSON document says.
pub(super) fn given_answer(verb: &str, given: &Value) -> Value {
    if !given["error"].is_null() {
        return json!({ "error": error_class(&given["error"]["errorCode"]) });
    }
    answer(verb, given)
}

/// The command line tells a failed script from other errors, the API does not; an unexpected exception has no code.
fn error_class(code: &Value) -> Value {
    match code.as_str() {
        None => json!("FAULT"),
        Some("FAILED_VERSIONED_MIGRATION" | "FAILED_REPEATABLE_MIGRATION") => json!("ERROR"),
        Some(code) => json!(code),
    }
}

fn answer(verb: &str, answer: &Value) -> Value {
    match verb {
        "migrate" => json!({
            "initial": answer["initialSchemaVersion"], "target": answer["targetSchemaVersion"],
            "executed": answer["migrationsExecuted"], "success": answer["success"],
            "warnings": answer["warnings"],
            "migrations": list(&answer["migrations"], |entry| {
                json!([entry["category"], text(&entry["version"]), entry["description"], entry["type"]])
            }),
        }),
        "validate" => json!({
            "successful": answer["validationSuccessful"], "count": answer["validateCount"],
            "code": answer["errorCode"].as_str().or(answer["errorDetails"]["errorCode"].as_str()),
            "findings": list(&answer["invalidMigrations"], |entry| {
                let code = entry["errorCode"].as_str().or(entry["errorDetails"]["errorCode"].as_str());
                json!([text(&entry["version"]), code])
            }),
        }),
        "repair" => json!({
            "actions": answer["repairActions"], "removed": named(&answer["migrationsRemoved"]),
            "deleted": named(&answer["migrationsDeleted"]), "aligned": named(&answer["migrationsAligned"]),
        }),
        "baseline" => json!([answer["successfullyBaselined"], answer["baselineVersion"]]),
        "clean" => json!([answer["schemasCleaned"], answer["schemasDropped"]]),
        _ => Value::Null,
    }
}

fn list(entries: &Value, form: impl Fn(&Value) -> Value) -> Value {
    entries.as_array().into_iter().flatten().map(form).collect()
}

fn named(entries: &Value) -> Value {
    list(entries, |entry| json!([text(&entry["version"]), entry["description"]]))
}

/// The lines of `info`, without what only one side shows.
pub(super) fn info_lines(rows: &Value) -> Value {
    list(rows, |row| {
        json!([row["category"], text(&row["version"]), row["description"], row["type"], row["state"]])
    })
}

/// The same lines with their checksums.
pub(super) fn lines_with_checksums(rows: &Value) -> Value {
    list(rows, |row| {
        let version = text(&row["version"]);
        json!([row["category"], version, row["description"], row["type"], row["state"], row["checksum"]])
    })
}
