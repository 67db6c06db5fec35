//! Programs with a deadline: run to the end, or in the background with their lines in reach.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::testbed;

/// One of our binaries, as `tests/run` built it, with an environment that holds nothing by chance.
pub fn whimbrel(name: &str) -> Command {
    let path = Path::new(&testbed::variable("WHIMBREL_BIN_DIR")).join(name);
    assert!(path.is_file(), "{} is missing: tests/run builds it", path.display());
    let mut command = clean(path);
    // helm and kubectl of the testbed come before those of the machine.
    command.env("PATH", path_with_testbed());
    if let Ok(kubeconfig) = std::env::var("WHIMBREL_TEST_KUBECONFIG") {
        command.env("KUBECONFIG", kubeconfig);
    }
    command
}

/// A program with a cleared environment: path and home only.
pub fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The search path with the folders of our binaries and of the testbed's helm, kubectl and tilt in front.
pub fn path_with_testbed() -> std::ffi::OsString {
    let mut folders = Vec::new();
    if let Some(ours) = std::env::var_os("WHIMBREL_BIN_DIR") {
        folders.push(PathBuf::from(ours));
    }
    for name in ["HELM", "KUBECTL", "TILT"] {
        let program = std::env::var_os(format!("WHIMBREL_TEST_{name}")).map(PathBuf::from);
        folders.extend(program.as_deref().and_then(Path::parent).map(Path::to_owned));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("no folder has a colon in its name")
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    /// Panics with everything the program said unless it ended with this code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "wrong exit code\n{}", self.said());
        self
    }

    /// Both streams, for messages.
    pub fn said(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }

    /// Whether either stream holds this text.
    pub fn says(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }

    /// The lines of stdout, each as JSON.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line| match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {line}\n{}", self.said()),
        };
        self.stdout.lines().map(parse).collect()
    }
}

/// Runs a program to its end; kills it and panics when the deadline passes.
#[track_caller]
pub fn run(command: &mut Command, deadline: Duration) -> Ended {
    Running::start(command).wait(deadline)
}

/// A program in the background. It is killed when this value goes.
pub struct Running {
    name: String,
    child: Child,
    began: Instant,
    stdout: Stream,
    stderr: Stream,
}

struct Stream {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    fn read(source: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                kept.lock().expect("no reader panics").push(text);
                line.clear();
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<String> {
        self.lines.lock().expect("no reader panics").clone()
    }
}

impl Running {
    /// Starts a program and reads what it says.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = match command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {name}: {error}"),
        };
        let stdout = Stream::read(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Stream::read(child.stderr.take().expect("stderr is a pipe"));
        Self { name, child, began: Instant::now(), stdout, stderr }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The time that its threads have computed.
    pub fn processor_time(&self) -> Duration {
        // Fields 14 and 15 in hundredths of a second, counted from behind the name, which may hold anything.
        let stat =
            fs_err::read_to_string(format!("/proc/{}/stat", self.id())).expect("it is a child of ours");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        let fields: Vec<u64> = fields.split_whitespace().skip(11).take(2).flat_map(str::parse).collect();
        Duration::from_millis(10 * fields.iter().sum::<u64>())
    }

    /// Sends a signal; a process that has ended is left alone.
    pub fn signal(&mut self, signal: Signal) {
        if self.child.try_wait().expect("a child can be asked").is_none() {
            // Not yet waited for, so the number still belongs to it.
            kill_process(Pid::from_child(&self.child), signal).expect("a child can be signalled");
        }
    }

    /// What it said so far, on both streams.
    pub fn so_far(&self) -> String {
        format!(
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout.so_far().join("\n"),
            self.stderr.so_far().join("\n")
        )
    }

    /// Waits for a line (of either stream) that holds this text, and gives it back.
    #[track_caller]
    pub fn line_with(&mut self, text: &str, deadline: Duration) -> String {
        let until = Instant::now() + deadline;
        loop {
            let over = self.child.try_wait().expect("a child can be asked").is_some();
            let lines = self.stdout.so_far().into_iter().chain(self.stderr.so_far());
            if let Some(line) = lines.into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(!over, "{} ended without saying {text:?}\n{}", self.name, self.so_far());
            assert!(Instant::now() < until, "{} did not say {text:?} in time\n{}", self.name, self.so_far());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Waits for the end; kills it and panics when the deadline passes.
    #[track_caller]
    pub fn wait(mut self, deadline: Duration) -> Ended {
        let until = Instant::now() + deadline;
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            if Instant::now() > until {
                let said = self.so_far();
                self.child.kill().expect("a child can be killed");
                panic!("{} had not ended after {deadline:?}\n{said}", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = self.began.elapsed();
        // Grandchildren may hold the pipes open; what they say later is not waited for.
        let patience = Instant::now() + Duration::from_secs(2);
        for stream in [&mut self.stdout, &mut self.stderr] {
            while stream.reader.as_ref().is_some_and(|reader| !reader.is_finished())
                && Instant::now() < patience
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            stream.reader.take();
        }
        let text = |stream: &Stream| {
            let lines = stream.so_far();
            lines.iter().map(|line| format!("{line}\n")).collect()
        };
        Ended { code: status.code(), stdout: text(&self.stdout), stderr: text(&self.stderr), took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
