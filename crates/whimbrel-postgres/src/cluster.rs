//! The server's life: initialise, start, stop, forget.

mod data;
mod start;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use crate::configuration::data_version;
use crate::home::Home;
use crate::installation::{BinarySource, ServerVersion};
use crate::postmaster::{self, Liveness};
use crate::progress::Progress;
use crate::{PostgresError, ServerUser, UpState, secret, sql, user};

/// A fast shutdown waits for a checkpoint; after this long the server is told to end at once.
const FAST_STOP_DEADLINE: Duration = Duration::from_secs(30);
const IMMEDIATE_STOP_DEADLINE: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The port on 127.0.0.1.
    pub port: u16,
    /// The postmaster's process.
    pub pid: i32,
    /// The server's version.
    pub version: ServerVersion,
    /// The data folder.
    pub data: PathBuf,
    /// The password of [`sql::SUPERUSER`].
    pub superuser_password: SecretString,
    /// Whether this call started it.
    pub started: bool,
    /// Whether this call made its data.
    pub initialised: bool,
}

/// What [`Cluster::stop`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The server ran and was stopped.
    Stopped,
    /// Nothing ran.
    WasNotRunning,
}

/// The place of a project's server.
#[derive(Clone, Debug)]
pub struct Cluster {
    home: Home,
    project: PathBuf,
    state: PathBuf,
    source: BinarySource,
}

type Say<'a> = &'a mut dyn FnMut(Progress);

impl Cluster {
    /// Finds the place of a project's server; makes its folder, starts nothing.
    ///
    /// `project` is the project's folder, `state` the folder beside it for what must not be committed.
    pub fn locate(project: &Path, state: &Path, source: BinarySource) -> Result<Self, PostgresError> {
        fs_err::create_dir_all(state).map_err(PostgresError::Files)?;
        let project = fs_err::canonicalize(project).map_err(PostgresError::Files)?;
        let state = fs_err::canonicalize(state).map_err(PostgresError::Files)?;
        let effective_uid = rustix::process::geteuid().as_raw();
        let passwd = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
        let user = user::decide_server_user(effective_uid, &passwd)?;
        let home = Home::locate(&project, &state, user)?;
        Ok(Self { home, project, state, source })
    }

    /// Who runs the server.
    pub fn user(&self) -> &ServerUser {
        self.home.user()
    }

    /// Starts the server, or finds it running. Initialises it first where there is no usable data.
    pub async fn start(&self, say: Say<'_>) -> Result<Server, PostgresError> {
        self.home.prepare().map_err(PostgresError::Files)?;
        self.discard_foreign_data(say).await?;
        if let Some(server) = self.running_server().map_err(PostgresError::Files)? {
            self.store_state(&server).map_err(PostgresError::Files)?;
            return Ok(server);
        }
        let (installation, initialised) = self.provide_data(say).await?;
        let postmaster = self.start_server(&installation, say).await?;
        let server = Server {
            port: postmaster.port,
            pid: postmaster.pid,
            version: installation.version,
            data: self.home.data(),
            superuser_password: secret::load(&self.home.superuser_password())
                .map_err(PostgresError::Files)?,
            started: true,
            initialised,
        };
        self.store_state(&server).map_err(PostgresError::Files)?;
        Ok(server)
    }

    /// Stops the server if it runs.
    pub async fn stop(&self, say: Say<'_>) -> Result<Stopped, PostgresError> {
        let stopped = self.stop_server(say).await?;
        UpState::remove(&self.state).map_err(PostgresError::Files)?;
        Ok(stopped)
    }

    /// Stops the server and removes its data.
    pub async fn forget(&self, say: Say<'_>) -> Result<Stopped, PostgresError> {
        let stopped = self.stop(say).await?;
        self.home.forget().await.map_err(PostgresError::Files)?;
        match fs_err::remove_file(self.token_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PostgresError::Files(error)),
            _ => Ok(stopped),
        }
    }

    /// The server, if it runs and answers.
    pub fn running(&self) -> Option<Server> {
        self.running_server().ok().flatten()
    }

    fn running_server(&self) -> std::io::Result<Option<Server>> {
        let data = self.home.data();
        let Liveness::Running(postmaster) = postmaster::observe(&data) else { return Ok(None) };
        if !postmaster.ready
            || !self.home.superuser_password().exists()
            || !postmaster::accepts(postmaster.port)
        {
            return Ok(None);
        }
        let major = data_version(&data).unwrap_or(0);
        let known = UpState::load(&self.state).filter(|state| state.pid == postmaster.pid);
        let text = known.map_or_else(|| major.to_string(), |state| state.version);
        Ok(Some(Server {
            port: postmaster.port,
            pid: postmaster.pid,
            version: ServerVersion { major, text },
            data,
            superuser_password: secret::load(&self.home.superuser_password())?,
            started: false,
            initialised: false,
        }))
    }

    fn store_state(&self, server: &Server) -> std::io::Result<()> {
        UpState {
            schema: 1,
            port: server.port,
            pid: server.pid,
            data: server.data.clone(),
            version: server.version.text.clone(),
        }
        .store(&self.state)
    }

    fn token_path(&self) -> PathBuf {
        self.state.join("postgres.checkout")
    }

    /// Data outside the project may outlive it. A new checkout under the same path starts with nothing.
    async fn discard_foreign_data(&self, say: Say<'_>) -> Result<(), PostgresError> {
        let ours = fs_err::read_to_string(self.token_path()).ok();
        let theirs = fs_err::read_to_string(self.home.checkout()).ok();
        if ours.is_some() && ours == theirs {
            return Ok(());
        }
        if self.home.data().exists() {
            say(Progress::Discarded {
                reason: "it belongs to an earlier checkout in this folder".to_owned(),
            });
            self.stop_server(say).await?;
            self.home.discard_data().map_err(PostgresError::Files)?;
        }
        let write = || {
            let token = secret::random_hex(16)?;
            fs_err::write(self.home.project(), self.project.display().to_string())?;
            fs_err::write(self.home.checkout(), &token)?;
            fs_err::write(self.token_path(), &token)
        };
        write().map_err(PostgresError::Files)
    }

    async fn stop_server(&self, say: Say<'_>) -> Result<Stopped, PostgresError> {
        use rustix::process::{Pid, Signal, kill_process};
        let data = self.home.data();
        let Liveness::Running(postmaster) = postmaster::observe(&data) else {
            return Ok(Stopped::WasNotRunning);
        };
        say(Progress::Stopping);
        let signals = [(Signal::INT, FAST_STOP_DEADLINE), (Signal::QUIT, IMMEDIATE_STOP_DEADLINE)];
        for (signal, patience) in signals {
            if let Some(pid) = Pid::from_raw(postmaster.pid) {
                // The process may have ended by itself in between.
                let _ = kill_process(pid, signal);
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !matches!(postmaster::observe(&data), Liveness::Running(now) if now.pid == postmaster.pid)
                {
                    return Ok(Stopped::Stopped);
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        let deadline = FAST_STOP_DEADLINE + IMMEDIATE_STOP_DEADLINE;
        Err(PostgresError::Deadline { program: PathBuf::from("the server's shutdown"), deadline })
    }
}

impl Server {
    /// What a client needs to act as the superuser: user and password.
    pub fn superuser(&self) -> (&'static str, &SecretString) {
        (sql::SUPERUSER, &self.superuser_password)
    }

    /// The line of a password file for a role.
    pub fn pgpass_line(&self, database: &str, role: &str, password: &SecretString) -> SecretString {
        let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
        let password = escape(password.expose_secret());
        format!("127.0.0.1:{}:{}:{}:{password}\n", self.port, escape(database), escape(role)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_are_escaped_in_a_password_file() {
        let server = Server {
            port: 5,
            pid: 2,
            version: ServerVersion { major: 17, text: "17.5".into() },
            data: PathBuf::new(),
            superuser_password: SecretString::from(""),
            started: false,
            initialised: false,
        };
        let line = server.pgpass_line("shop", "sh:op", &SecretString::from("a:b\\c"));
        assert_eq!(line.expose_secret(), "127.0.0.1:5:shop:sh\\:op:a\\:b\\\\c\n");
    }
}
