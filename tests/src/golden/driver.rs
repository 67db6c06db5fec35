//! Real Flyway in one long-lived process, through its Java API.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::Value;

use crate::program::clean;
use crate::testbed;

/// One version of Flyway that waits for questions.
pub struct Driver {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts it: `10` or `11`.
    pub fn start(version: &str) -> Self {
        let mut command = clean(testbed::variable("WHIMBREL_TEST_FLYWAY_DRIVER"));
        command.arg(version).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the testbed has built the driver");
        let questions = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Self { child, questions, answers }
    }

    /// Asks, and waits for the answer.
    pub fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").expect("the driver listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the driver answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the driver said {line:?}: {error}"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
