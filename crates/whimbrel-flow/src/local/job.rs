//! The Job as a local process: the program that is in the image, as a child, its log followed to the end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;
use whimbrel_cli::signals::{Cause, Stop, Urgency};
use whimbrel_migration::record::RunRecord;

/// The program's name in the image, and the first argument under which the front door becomes it.
pub const PROGRAM: &str = "whimbrel-migrate";

/// What the child inherits; everything else of ours stays away, above all somebody's `…_DATABASE_URL`.
const INHERITED: [&str; 7] = ["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE", "WHIMBREL_LOG", "TZ"];

/// The program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerProgram {
    /// The file.
    pub path: PathBuf,
    /// Whether it is the front door, which becomes the runner by the name it is called.
    pub is_front_door: bool,
}

impl RunnerProgram {
    /// The runner that stands beside the front door, else the front door itself.
    pub fn decide(front_door: &Path, exists: impl Fn(&Path) -> bool) -> Self {
        let beside = front_door.with_file_name(PROGRAM);
        if exists(&beside) {
            Self { path: beside, is_front_door: false }
        } else {
            Self { path: front_door.to_owned(), is_front_door: true }
        }
    }
}

/// A run that is asked for.
#[derive(Clone, Debug)]
pub struct JobRequest {
    /// The program.
    pub program: RunnerProgram,
    /// The project file that it reads.
    pub config: PathBuf,
    /// The folder that it works in.
    pub folder: PathBuf,
    /// The databases, in their order.
    pub databases: Vec<String>,
    /// Its variables, beside those that every run has.
    pub environment: BTreeMap<String, OsString>,
    /// How long it may take.
    pub deadline: Duration,
}

/// Something that the run said.
#[derive(Clone, Debug, PartialEq)]
pub enum JobLine {
    /// An event of its log.
    Event(Value),
    /// A line that is no event.
    Text(String),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct JobOutcome {
    /// Its exit code; 128 plus the signal when one ended it.
    pub code: i32,
    /// The run record of its last line.
    pub record: Option<RunRecord>,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The program could not be started.
    #[error("cannot run {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Its end could not be seen.
    #[error("lost sight of the run")]
    Wait(#[source] std::io::Error),
    /// It took too long and was stopped.
    #[error("the run did not end within {} s and was stopped", deadline.as_secs())]
    Deadline {
        /// The deadline.
        deadline: Duration,
    },
}

/// Runs the program to its end. Requests to stop are passed on to it.
pub async fn run_job(
    request: &JobRequest,
    stop: &Stop,
    on_line: &dyn Fn(JobLine),
) -> Result<JobOutcome, JobError> {
    let mut child = command(request)
        .spawn()
        .map_err(|source| JobError::Spawn { program: request.program.path.clone(), source })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let follow = async {
        let mut record = None;
        let log = read_lines(stdout, |line| {
            let line = parse_line(line);
            if let JobLine::Event(event) = &line
                && let Some(found) = event.get("record")
            {
                record = serde_json::from_value(found.clone()).ok();
            }
            on_line(line);
        });
        let conversation = read_lines(stderr, |line| on_line(JobLine::Text(line.to_owned())));
        tokio::join!(log, conversation);
        record
    };
    let pid = child.id();
    let end = async {
        let (record, status) = tokio::join!(follow, child.wait());
        Ok(JobOutcome { code: exit_code(status.map_err(JobError::Wait)?), record })
    };
    tokio::select! {
        outcome = end => outcome,
        never = pass_on(stop.clone(), pid) => match never {},
        // Dropping the child kills it; its transaction is rolled back by the server.
        () = tokio::time::sleep(request.deadline) => Err(JobError::Deadline { deadline: request.deadline }),
    }
}

fn command(request: &JobRequest) -> Command {
    let mut command = std::process::Command::new(&request.program.path);
    if request.program.is_front_door {
        std::os::unix::process::CommandExt::arg0(&mut command, PROGRAM);
    }
    command.arg("migrate").args(&request.databases).args(["--format", "json"]);
    command.current_dir(&request.folder).env_clear();
    let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    command.envs(inherited).envs(&request.environment).env(whimbrel_cli::env::CONFIG, &request.config);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Signals of the terminal reach us; the child hears of them from us, once.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut command = Command::from(command);
    command.kill_on_drop(true);
    command
}

async fn read_lines(stream: Option<impl AsyncRead + Unpin>, mut each: impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(count) if count > 0) {
        each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
}

fn parse_line(line: &str) -> JobLine {
    match serde_json::from_str(line) {
        Ok(event @ Value::Object(_)) => JobLine::Event(event),
        _ => JobLine::Text(line.to_owned()),
    }
}

/// Passes the first and the second request on, then waits for ever.
async fn pass_on(mut stop: Stop, pid: Option<u32>) -> std::convert::Infallible {
    for urgency in [Urgency::Finish, Urgency::Now] {
        let request = stop.asked(urgency).await;
        let signal = match request.cause {
            Some(Cause::Interrupt) => rustix::process::Signal::INT,
            _ => rustix::process::Signal::TERM,
        };
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
    std::future::pending().await
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn request(script: &str, folder: &Path) -> JobRequest {
        let path = folder.join("runner");
        fs_err::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        JobRequest {
            program: RunnerProgram { path, is_front_door: false },
            config: folder.join("whimbrel.toml"),
            folder: folder.to_owned(),
            databases: vec!["shop".into()],
            environment: BTreeMap::new(),
            deadline: Duration::from_secs(10),
        }
    }

    async fn run(script: &str) -> (Result<JobOutcome, JobError>, Vec<JobLine>) {
        let folder = tempfile::tempdir().unwrap();
        let lines = RefCell::new(Vec::new());
        let (_sender, stop) = Stop::by_hand();
        let outcome =
            run_job(&request(script, folder.path()), &stop, &|line| lines.borrow_mut().push(line)).await;
        (outcome, lines.into_inner())
    }

    #[tokio::test]
    async fn events_and_text_are_told_apart_and_the_record_is_kept() {
        let record = r#"{"schema":1,"run":"r","started":"","finished":"","tool":"t","image":null,"databases":[],"outcome":"failed","exit_code":7}"#;
        let script = format!(r#"echo '{{"event":"run-finished","record":{record}}}'; echo plain; exit 7"#);
        let (outcome, lines) = run(&script).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.code, 7);
        assert_eq!(outcome.record.unwrap().exit_code, 7);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], JobLine::Text("plain".into()));
    }

    #[tokio::test]
    async fn somebodys_database_url_does_not_reach_the_run() {
        // `cargo test` always sets CARGO; it stands for any variable that is not ours to pass on.
        let (_, lines) = run("echo \"${CARGO-none} $*\"").await;
        assert_eq!(lines, [JobLine::Text("none migrate shop --format json".into())]);
    }

    #[tokio::test]
    async fn a_signal_counts_as_an_exit_code() {
        let (outcome, _) = run("kill -9 $$").await;
        assert_eq!(outcome.unwrap().code, 137);
    }

    #[tokio::test]
    async fn a_request_to_stop_is_passed_on() {
        use whimbrel_cli::signals::StopRequest;
        let folder = tempfile::tempdir().unwrap();
        let (sender, stop) = Stop::by_hand();
        let script = "trap 'exit 43' TERM; echo ready; while :; do sleep 0.05; done";
        let request = request(script, folder.path());
        let on_line = |line: JobLine| {
            if line == JobLine::Text("ready".into()) {
                let asked = StopRequest { urgency: Urgency::Finish, cause: Some(Cause::Terminate) };
                sender.send_replace(asked);
            }
        };
        assert_eq!(run_job(&request, &stop, &on_line).await.unwrap().code, 43);
    }

    #[test]
    fn the_runner_beside_the_front_door_is_taken_first() {
        let beside = RunnerProgram::decide(Path::new("/bin/whimbrel"), |_| true);
        assert_eq!(beside.path, Path::new("/bin/whimbrel-migrate"));
        let alone = RunnerProgram::decide(Path::new("/bin/whimbrel"), |_| false);
        assert!(alone.is_front_door && alone.path == Path::new("/bin/whimbrel"));
    }
}
