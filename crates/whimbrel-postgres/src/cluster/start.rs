//! Starting the server, again and again until it is up or the deadline has passed.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Cluster, Say};
use crate::configuration::{
    CONFIGURATION, LONGEST_SOCKET_FOLDER, choose_port, configured_port, render_configuration,
};
use crate::installation::Installation;
use crate::postmaster::{self, Liveness, Postmaster};
use crate::{PostgresError, Progress, command};

const START_DEADLINE: Duration = Duration::from_secs(60);

/// How one attempt to start ended.
enum Attempt {
    Up(Postmaster),
    PortTaken,
    Busy,
}

impl Cluster {
    /// Starts the server under a free port; when somebody takes the port first, under another one.
    pub(super) async fn start_server(
        &self,
        installation: &Installation,
        say: Say<'_>,
    ) -> Result<Postmaster, PostgresError> {
        let deadline = Instant::now() + START_DEADLINE;
        let mut wanted = configured_port(&self.home.data());
        let mut waiting = false;
        loop {
            let last_chance = Instant::now() >= deadline;
            match self.attempt_start(installation, wanted.take(), last_chance, say).await? {
                Attempt::Up(postmaster) => return Ok(postmaster),
                Attempt::PortTaken => {}
                Attempt::Busy => {
                    if !std::mem::replace(&mut waiting, true) {
                        let reason = "another process that starts or stops the server";
                        say(Progress::Waiting { reason, deadline: START_DEADLINE });
                    }
                    sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }

    async fn attempt_start(
        &self,
        installation: &Installation,
        wanted: Option<u16>,
        last_chance: bool,
        say: Say<'_>,
    ) -> Result<Attempt, PostgresError> {
        let data = self.home.data();
        match postmaster::observe(&data) {
            Liveness::Running(postmaster) if postmaster.ready && postmaster::accepts(postmaster.port) => {
                return Ok(Attempt::Up(postmaster));
            }
            Liveness::Running(_) if !last_chance => return Ok(Attempt::Busy),
            Liveness::Stale => remove_foreign_pid_file(&data).map_err(PostgresError::Files)?,
            _ => {}
        }
        let port = choose_port(wanted).map_err(PostgresError::Files)?;
        self.write_configuration(port).map_err(PostgresError::Files)?;
        say(Progress::Starting { port });
        let log_before = fs_err::metadata(self.home.log()).map_or(0, |metadata| metadata.len());
        let result = self.run_pg_ctl(installation).await;
        if let Liveness::Running(postmaster) = postmaster::observe(&data)
            && postmaster.ready
        {
            return Ok(Attempt::Up(postmaster));
        }
        let log = self.log_since(log_before);
        match judge_log(&log) {
            Some(attempt) if !last_chance => Ok(attempt),
            _ => {
                if log.is_empty() {
                    result?;
                }
                Err(PostgresError::Start { log: self.home.log(), tail: log })
            }
        }
    }

    async fn run_pg_ctl(&self, installation: &Installation) -> Result<(), PostgresError> {
        let (data, log, run) = (self.home.data(), self.home.log(), self.home.run());
        let seconds = START_DEADLINE.as_secs().to_string();
        let pg_ctl =
            installation.program("pg_ctl", self.user(), &run, START_DEADLINE + Duration::from_secs(5));
        let arguments: [&std::ffi::OsStr; 9] = [
            "start".as_ref(),
            "-D".as_ref(),
            data.as_os_str(),
            "-l".as_ref(),
            log.as_os_str(),
            "-w".as_ref(),
            "-s".as_ref(),
            "-t".as_ref(),
            seconds.as_ref(),
        ];
        pg_ctl.run(&arguments).await.map(drop)
    }

    fn log_since(&self, offset: u64) -> String {
        let bytes = fs_err::read(self.home.log()).unwrap_or_default();
        let offset = usize::try_from(offset).unwrap_or(0);
        command::tail(bytes.get(offset..).unwrap_or_default())
    }

    fn write_configuration(&self, port: u16) -> std::io::Result<()> {
        let run = self.home.run();
        let sockets = if run.as_os_str().len() <= LONGEST_SOCKET_FOLDER { &*run } else { Path::new("") };
        let path = self.home.data().join(CONFIGURATION);
        fs_err::write(&path, render_configuration(port, sockets))?;
        self.home.give_to_server(&path)
    }
}

/// What the server's last words mean for the next attempt.
fn judge_log(log: &str) -> Option<Attempt> {
    const TAKEN: [&str; 3] =
        ["Address already in use", "could not bind", "could not create any TCP/IP sockets"];
    const BUSY: [&str; 3] = ["is another postmaster", "pre-existing shared memory block", "already exists"];
    let says = |words: &[&str]| words.iter().any(|word| log.contains(word));
    if says(&TAKEN) {
        Some(Attempt::PortTaken)
    } else if says(&BUSY) {
        Some(Attempt::Busy)
    } else {
        None
    }
}

/// The server removes a file with a dead process's number itself, after looking for processes it left behind. Only
/// a number that now belongs to somebody else keeps it from starting.
fn remove_foreign_pid_file(data: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(data.join("postmaster.pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_last_words_decide_about_another_attempt() {
        let taken = "could not bind IPv4 address \"127.0.0.1\": Address already in use";
        assert!(matches!(judge_log(taken), Some(Attempt::PortTaken)));
        let busy = "lock file \"postmaster.pid\" already exists";
        assert!(matches!(judge_log(busy), Some(Attempt::Busy)));
        assert!(judge_log("invalid value for parameter").is_none());
    }
}
