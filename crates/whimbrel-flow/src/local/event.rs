//! What `up` tells while it works: one event a step, as data. Whoever has a terminal renders it.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use whimbrel_cli::printer::counted;
use whimbrel_postgres::Progress;

use super::job::JobLine;
use super::takeback::Cause;
use crate::image::ImageFinding;

/// One step of `up`, `dev` or `down`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
#[non_exhaustive]
pub enum UpEvent {
    /// The project was found.
    Project {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// The databases that take part.
        databases: Vec<String>,
    },
    /// Somebody or something is waited for.
    Waiting {
        /// For what.
        what: String,
        /// How many seconds at most.
        seconds: u64,
    },
    /// The server is on its way.
    #[serde(serialize_with = "as_message")]
    Server(Progress),
    /// The server answers.
    ServerReady {
        /// Its version.
        version: String,
        /// Its port on 127.0.0.1.
        port: u16,
        /// Whether it was started just now.
        started: bool,
    },
    /// A server that somebody else runs is used.
    ServerOfOthers {
        /// Where its secrets come from.
        secrets: String,
    },
    /// All secrets can be used.
    SecretsVerified {
        /// How many databases they serve.
        databases: usize,
        /// Where they are.
        place: String,
    },
    /// Roles and databases are there.
    DatabasesReady {
        /// Those that were made just now.
        made: Vec<String>,
        /// How many there are.
        total: usize,
    },
    /// The image is in its layout folder.
    ImageReady {
        /// The folder.
        layout: PathBuf,
        /// The digest it is deployed by.
        digest: String,
        /// How many scripts it holds.
        scripts: usize,
        /// Whether it was there already.
        unchanged: bool,
        /// Why there is no program in it, if there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        without_program: Option<String>,
    },
    /// Something about the scripts.
    Finding(ImageFinding),
    /// The scripts have errors: no image, no run; everything stays as it is.
    ImageRefused {
        /// How many errors.
        errors: usize,
    },
    /// A database that is ours was taken back.
    TakenBack {
        /// The database.
        database: String,
        /// Why.
        cause: Cause,
        /// How many applied scripts stayed.
        kept: usize,
        /// How many connections of others were closed for it.
        closed: usize,
    },
    /// A failed run was undone.
    Undone {
        /// The database.
        database: String,
        /// The script that failed.
        script: String,
    },
    /// Connections of others were closed, since a copy of the database was made.
    ConnectionsClosed {
        /// The database.
        database: String,
        /// How many.
        closed: usize,
    },
    /// The Job begins.
    JobStarted {
        /// The program that runs.
        program: PathBuf,
        /// The databases.
        databases: Vec<String>,
    },
    /// The Job said something.
    #[serde(serialize_with = "as_line")]
    Job(JobLine),
    /// Saves are waited for.
    Watching {
        /// The folders.
        folders: Vec<PathBuf>,
    },
    /// A watched folder is not there.
    FolderGone {
        /// The folder.
        folder: PathBuf,
    },
    /// Something was saved and led to nothing to do.
    NothingToDo {
        /// The databases whose files changed.
        databases: Vec<String>,
    },
}

fn as_message<S: serde::Serializer>(progress: &Progress, serializer: S) -> Result<S::Ok, S::Error> {
    json!({ "message": progress.to_string() }).serialize(serializer)
}

fn as_line<S: serde::Serializer>(line: &JobLine, serializer: S) -> Result<S::Ok, S::Error> {
    match line {
        JobLine::Event(event) => json!({ "log": event }).serialize(serializer),
        JobLine::Text(text) => json!({ "text": text }).serialize(serializer),
    }
}

impl UpEvent {
    /// The event as one JSON object. A line of the Job's log is passed on as it is.
    pub fn to_json(&self) -> Value {
        if let Self::Job(JobLine::Event(event)) = self {
            return event.clone();
        }
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.shift_insert(0, "schema".to_owned(), json!(1));
        }
        value
    }
}

impl std::fmt::Display for UpEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project { name, path, databases } => {
                write!(f, "project     {name}: {} ({})", counted(databases.len(), "database"), path.display())
            }
            Self::Waiting { what, seconds } => write!(f, "waiting     for {what} (at most {seconds} s)"),
            Self::Server(progress) => write!(f, "postgresql  {progress}"),
            Self::ServerReady { version, port, started } => {
                let how = if *started { "started" } else { "runs already" };
                write!(f, "postgresql  {version} {how} on 127.0.0.1:{port}")
            }
            Self::ServerOfOthers { secrets } => {
                write!(
                    f,
                    "postgresql  the server that the secrets of {secrets} name; it is not ours to rebuild"
                )
            }
            Self::SecretsVerified { databases, place } => {
                write!(f, "secrets     verified for {} ({place})", counted(*databases, "database"))
            }
            Self::DatabasesReady { made, total } if made.is_empty() => {
                write!(f, "databases   {total} of {total} are there")
            }
            Self::DatabasesReady { made, total } => {
                write!(f, "databases   {} of {total} made, each with its role", made.len())
            }
            Self::ImageReady { layout, digest, scripts, unchanged, without_program } => {
                let how = if *unchanged { "unchanged" } else { "built" };
                let (scripts, short) = (counted(*scripts, "script"), digest.get(..19).unwrap_or(digest));
                write!(f, "image       {how}: {scripts}, {short}… in {}", layout.display())?;
                match without_program {
                    Some(reason) => write!(f, "; scripts only: {reason}"),
                    None => Ok(()),
                }
            }
            Self::Finding(finding) => {
                let word = if finding.is_error() { "error" } else { "warning" };
                let place = finding.place().unwrap_or_else(|| finding.database.clone());
                write!(f, "{word}       {place}: {}", finding.message)?;
                match &finding.next_step {
                    Some(next) => write!(f, "\n            {next}"),
                    None => Ok(()),
                }
            }
            Self::ImageRefused { errors } => {
                write!(f, "refused     {}: no image, and nothing was run", counted(*errors, "error"))
            }
            Self::TakenBack { database, cause, kept, closed } => {
                write!(f, "taken back  {database}: {cause}; ")?;
                match kept {
                    0 => f.write_str("all scripts are replayed; rows made by hand are gone")?,
                    kept => write!(
                        f,
                        "{} stay, the rest is replayed; rows made by hand since are gone",
                        counted(*kept, "script")
                    )?,
                }
                write_closed(f, *closed)
            }
            Self::Undone { database, script } => {
                write!(f, "taken back  {database}: what {script} did before it failed is undone")
            }
            Self::ConnectionsClosed { database, closed } => {
                write!(f, "snapshot    {database}")?;
                write_closed(f, *closed)
            }
            Self::JobStarted { program, databases } => {
                let name = program.file_name().unwrap_or_default().to_string_lossy();
                write!(f, "job         {name} migrate {}", databases.join(" "))
            }
            Self::Job(JobLine::Event(event)) => {
                f.write_str(event.get("message").and_then(Value::as_str).unwrap_or_default())
            }
            Self::Job(JobLine::Text(text)) => f.write_str(text),
            Self::Watching { folders } => {
                write!(
                    f,
                    "watching    {}; save a script, or stop with Ctrl-C",
                    counted(folders.len(), "folder")
                )
            }
            Self::FolderGone { folder } => write!(f, "watching    {} is not there", folder.display()),
            Self::NothingToDo { databases } => write!(f, "nothing to do for {}", databases.join(", ")),
        }
    }
}

fn write_closed(f: &mut std::fmt::Formatter<'_>, closed: usize) -> std::fmt::Result {
    match closed {
        0 => Ok(()),
        closed => write!(f, "; {} of others closed", counted(closed, "connection")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_an_object_with_a_schema() {
        let progress = UpEvent::Server(Progress::Starting { port: 5 }).to_json();
        assert_eq!(progress["event"], "server");
        assert_eq!(progress["schema"], 1);
        assert_eq!(progress["message"], "starting PostgreSQL on 127.0.0.1:5");
        let line = UpEvent::Job(JobLine::Event(json!({"schema": 1, "event": "run-started"}))).to_json();
        assert_eq!(line["event"], "run-started");
    }

    #[test]
    fn a_take_back_is_told_in_one_line() {
        let cause = Cause::Changed { script: "V4__x.sql".into() };
        let event = UpEvent::TakenBack { database: "shop".into(), cause, kept: 3, closed: 1 };
        let expected = "taken back  shop: V4__x.sql changed after it was applied; 3 scripts stay, the rest is \
                        replayed; rows made by hand since are gone; 1 connection of others closed";
        assert_eq!(event.to_string(), expected);
    }
}
