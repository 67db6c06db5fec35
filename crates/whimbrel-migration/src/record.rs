//! The record of a run: one schema for the log, the termination message, the report and the tail.

use serde::{Deserialize, Serialize};

/// The longest termination message that Kubernetes keeps.
pub const TERMINATION_MESSAGE_BYTES: usize = 4096;
/// The version of the schema.
pub const SCHEMA: u32 = 1;

/// How one database ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseOutcome {
    /// Scripts were applied.
    Applied,
    /// There was nothing to do.
    UpToDate,
    /// It could not be done.
    Failed,
    /// The run ended before its turn.
    Skipped,
}

/// How one script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptOutcome {
    /// Applied and recorded.
    Applied,
    /// It failed.
    Failed,
}

/// How the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// All is well.
    Ok,
    /// Something failed.
    Failed,
    /// It was stopped by a signal.
    Cancelled,
}

/// One script of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRecord {
    /// Path below its location.
    pub script: String,
    /// Its version; none for repeatables.
    pub version: Option<String>,
    /// Its description.
    pub description: String,
    /// How it ended.
    pub outcome: ScriptOutcome,
    /// How long it took.
    pub millis: u64,
}

/// One database of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRecord {
    /// Its name in the project.
    pub database: String,
    /// Its version before.
    pub before: Option<String>,
    /// Its version afterwards.
    pub after: Option<String>,
    /// How it ended.
    pub outcome: DatabaseOutcome,
    /// What ran; may be left out where there is no room.
    #[serde(default)]
    pub scripts: Vec<ScriptRecord>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A whole run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this schema.
    pub schema: u32,
    /// Id of the run.
    pub run: String,
    /// When it began, in UTC.
    pub started: String,
    /// When it ended, in UTC.
    pub finished: String,
    /// Name and version of the program.
    pub tool: String,
    /// Digest of the image, if it is known.
    pub image: Option<String>,
    /// The databases in their order.
    pub databases: Vec<DatabaseRecord>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The exit code.
    pub exit_code: u8,
}

impl RunRecord {
    /// The whole record on one line.
    pub fn to_json(&self) -> String {
        // Strings and numbers only: nothing in it can fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The record on one line of at most `limit` bytes: applied scripts go first, then all scripts, then
    /// long errors are cut, then databases that are well are left out, at last all of them.
    pub fn to_json_within(&self, limit: usize) -> String {
        let steps: [fn(&mut Self); 7] = [
            |_| {},
            drop_applied_scripts,
            drop_scripts,
            |record| cut_errors(record, 400),
            |record| cut_errors(record, 80),
            drop_quiet_databases,
            |record| record.databases.clear(),
        ];
        let mut record = self.clone();
        let mut json = String::new();
        for step in steps {
            step(&mut record);
            json = record.to_json();
            if json.len() <= limit {
                break;
            }
        }
        json
    }

    /// What goes to `/dev/termination-log`.
    pub fn to_termination_message(&self) -> String {
        self.to_json_within(TERMINATION_MESSAGE_BYTES)
    }

    /// Reads a record, whole or shortened.
    pub fn parse(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

fn drop_applied_scripts(record: &mut RunRecord) {
    for database in &mut record.databases {
        database.scripts.retain(|script| script.outcome == ScriptOutcome::Failed);
    }
}

fn drop_scripts(record: &mut RunRecord) {
    for database in &mut record.databases {
        database.scripts.clear();
    }
}

fn drop_quiet_databases(record: &mut RunRecord) {
    record.databases.retain(|database| database.outcome == DatabaseOutcome::Failed);
}

fn cut_errors(record: &mut RunRecord, limit: usize) {
    for error in record.databases.iter_mut().filter_map(|database| database.error.as_mut()) {
        if error.len() > limit {
            let end = error.floor_char_boundary(limit);
            error.truncate(end);
            error.push('…');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(databases: usize, scripts: usize, error: &str) -> RunRecord {
        let script = ScriptRecord {
            script: "V1__a.sql".into(),
            version: Some("1".into()),
            description: "a".into(),
            outcome: ScriptOutcome::Applied,
            millis: 1,
        };
        let database = DatabaseRecord {
            database: "platform".into(),
            before: None,
            after: Some("1".into()),
            outcome: DatabaseOutcome::Failed,
            scripts: vec![script; scripts],
            error: Some(error.into()),
        };
        RunRecord {
            schema: SCHEMA,
            run: "0198".into(),
            started: "2026-01-01T00:00:00Z".into(),
            finished: "2026-01-01T00:00:01Z".into(),
            tool: "whimbrel-migrate 0.1.0".into(),
            image: None,
            databases: vec![database; databases],
            outcome: RunOutcome::Failed,
            exit_code: 7,
        }
    }

    #[test]
    fn a_record_that_fits_is_whole() {
        let record = record(2, 2, "no");
        assert_eq!(RunRecord::parse(&record.to_termination_message()), Some(record));
    }

    #[test]
    fn a_long_record_is_shortened_and_still_a_record() {
        for (databases, scripts, error) in [(8, 200, "no"), (8, 0, "é".repeat(9000).as_str()), (500, 1, "no")]
        {
            let record = record(databases, scripts, error);
            let message = record.to_termination_message();
            assert!(message.len() <= TERMINATION_MESSAGE_BYTES, "{}", message.len());
            let short = RunRecord::parse(&message).expect("it is still a record");
            assert_eq!((short.outcome, short.exit_code), (RunOutcome::Failed, 7));
        }
    }
}
