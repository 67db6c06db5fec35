//! The server's life: initialise, start, stop, forget.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep};

use crate::fetch::{self, FETCHED_VERSION};
use crate::home::Home;
use crate::installation::{self, BinarySource, Installation, Origin, ServerVersion};
use crate::postmaster::{self, Liveness, Postmaster};
use crate::{PostgresError, ServerUser, UpState, command, secret, sql, user};

const INITDB_DEADLINE: Duration = Duration::from_secs(120);
const START_DEADLINE: Duration = Duration::from_secs(60);
/// A fast shutdown waits for a checkpoint; after this long the server is told to end at once.
const FAST_STOP_DEADLINE: Duration = Duration::from_secs(30);
const IMMEDIATE_STOP_DEADLINE: Duration = Duration::from_secs(10);
/// The longest path that fits into a socket's address everywhere, less the socket's own name.
const LONGEST_SOCKET_FOLDER: usize = 80;

/// Our settings in the data folder, beside the server's own.
const CONFIGURATION: &str = "whimbrel.conf";

/// What is going on, for a status line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The programs are being fetched.
    Fetching {
        /// Their version.
        version: &'static str,
    },
    /// A new data folder is being made.
    Initialising {
        /// The server's version.
        version: ServerVersion,
        /// Who will run it, when that is not us.
        user: Option<String>,
    },
    /// The server is being started.
    Starting {
        /// The port that was chosen.
        port: u16,
    },
    /// A server that somebody else is starting or stopping is waited for.
    Waiting {
        /// For what.
        reason: &'static str,
        /// How long at most.
        deadline: Duration,
    },
    /// The old data cannot be used and is made anew.
    Discarded {
        /// Why.
        reason: String,
    },
    /// The server is being stopped.
    Stopping,
}

impl fmt::Display for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetching { version } => {
                write!(formatter, "fetching PostgreSQL {version} (15 MB, once): none is installed")
            }
            Self::Initialising { version, user: None } => {
                write!(formatter, "making a data folder for PostgreSQL {version}")
            }
            Self::Initialising { version, user: Some(user) } => {
                write!(
                    formatter,
                    "making a data folder for PostgreSQL {version}, run as {user}: it refuses root"
                )
            }
            Self::Starting { port } => write!(formatter, "starting PostgreSQL on 127.0.0.1:{port}"),
            Self::Waiting { reason, deadline } => {
                write!(formatter, "waiting for {reason} (at most {} s)", deadline.as_secs())
            }
            Self::Discarded { reason } => write!(formatter, "making the server's data anew: {reason}"),
            Self::Stopping => write!(formatter, "stopping PostgreSQL"),
        }
    }
}

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

/// How one attempt to start ended.
enum Attempt {
    Up(Postmaster),
    PortTaken,
    Busy,
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

    /// Makes sure that there is data and a program that can serve it. The flag says that the data is new.
    async fn provide_data(&self, say: Say<'_>) -> Result<(Installation, bool), PostgresError> {
        let data = self.home.data();
        let major = data_version(&data).filter(|_| self.home.superuser_password().exists());
        let installations = self.installations().await?;
        if let Some(major) = major {
            if let Some(found) = installations.iter().find(|installation| installation.version.major == major)
            {
                return Ok((found.clone(), false));
            }
            say(Progress::Discarded { reason: format!("no program of PostgreSQL {major} is here any more") });
        } else if data.exists() {
            say(Progress::Discarded { reason: "it is not whole".to_owned() });
        }
        let installation = match installations.into_iter().next() {
            Some(installation) => installation,
            None => self.fetch(say).await?,
        };
        self.stop_server(say).await?;
        self.home.discard_data().map_err(PostgresError::Files)?;
        self.initialise(&installation, say).await?;
        Ok((installation, true))
    }

    /// The programs that are here already, best first.
    async fn installations(&self) -> Result<Vec<Installation>, PostgresError> {
        if let BinarySource::Folder(folder) = &self.source {
            return Ok(vec![Installation::load(folder.clone(), Origin::Installed, self.user()).await?]);
        }
        let mut candidates = Vec::new();
        if self.source == BinarySource::InstalledOrFetched {
            let found = installation::find_installed(std::env::var_os("PATH").as_deref());
            candidates.extend(found.into_iter().map(|folder| (folder, Origin::Installed)));
        }
        let fetched = fetch::cache_folder(self.user()).ok().and_then(|cache| fetch::find_fetched(&cache));
        candidates.extend(fetched.map(|folder| (folder, Origin::Fetched)));
        let mut installations = Vec::new();
        for (folder, origin) in candidates {
            // Programs that the server's user cannot run do not count.
            match Installation::load(folder, origin, self.user()).await {
                Ok(installation) => installations.push(installation),
                Err(error) => tracing::debug!(%error, "passing over a PostgreSQL"),
            }
        }
        Ok(installations)
    }

    async fn fetch(&self, say: Say<'_>) -> Result<Installation, PostgresError> {
        say(Progress::Fetching { version: FETCHED_VERSION });
        let folder = fetch::fetch(&fetch::cache_folder(self.user())?).await?;
        Installation::load(folder, Origin::Fetched, self.user()).await
    }

    /// Runs initdb beside the data folder and renames the result: a killed run leaves no half data folder.
    async fn initialise(&self, installation: &Installation, say: Say<'_>) -> Result<(), PostgresError> {
        let user = match self.user() {
            ServerUser::Ourselves => None,
            ServerUser::Named { name, .. } => Some(name.clone()),
        };
        say(Progress::Initialising { version: installation.version.clone(), user });
        let password = secret::generate().map_err(PostgresError::Files)?;
        let unfinished = self.home.fresh_unfinished_data().map_err(PostgresError::Files)?;
        let password_file = self.home.run().join("initdb.password");
        secret::store(&password_file, &password)
            .and_then(|()| self.home.give_to_server(&password_file))
            .map_err(PostgresError::Files)?;
        let run = self.home.run();
        let initdb = installation.program("initdb", self.user(), &run, INITDB_DEADLINE);
        let pgdata = format!("--pgdata={}", unfinished.display());
        let pwfile = format!("--pwfile={}", password_file.display());
        let username = format!("--username={}", sql::SUPERUSER);
        let settled = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let arguments = [&*pgdata, &pwfile, &username].into_iter().chain(settled);
        let result = initdb.run(&arguments.map(AsRef::as_ref).collect::<Vec<_>>()).await;
        fs_err::remove_file(&password_file).map_err(PostgresError::Files)?;
        result?;
        self.finish_data(&unfinished, &password).map_err(PostgresError::Files)
    }

    fn finish_data(&self, unfinished: &Path, password: &SecretString) -> std::io::Result<()> {
        let configuration = unfinished.join("postgresql.conf");
        let mut text = fs_err::read_to_string(&configuration)?;
        text.push_str(&format!("\ninclude_if_exists = '{CONFIGURATION}'\n"));
        fs_err::write(&configuration, text)?;
        // The password first: data without one would be thrown away, a password without data is replaced.
        secret::store(&self.home.superuser_password(), password)?;
        fs_err::rename(unfinished, self.home.data())
    }

    /// Starts the server under a free port; when somebody takes the port first, under another one.
    async fn start_server(
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

fn render_configuration(port: u16, sockets: &Path) -> String {
    let sockets = sockets.display().to_string().replace('\'', "''");
    format!(
        "# Written at every start of the server.\n\
         listen_addresses = '127.0.0.1'\n\
         port = {port}\n\
         unix_socket_directories = '{sockets}'\n\
         max_connections = 200\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         logging_collector = off\n\
         # A crash of the machine may lose the last moments, but nothing becomes inconsistent.\n\
         synchronous_commit = off\n"
    )
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

/// The port of last time, so that an open `psql` line goes on working, or any free one.
fn choose_port(wanted: Option<u16>) -> std::io::Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = wanted.filter(|port| free(*port).is_ok()) {
        return Ok(port);
    }
    Ok(free(0)?.local_addr()?.port())
}

/// The port of the last start.
fn configured_port(data: &Path) -> Option<u16> {
    let text = fs_err::read_to_string(data.join(CONFIGURATION)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("port = ")?.parse().ok())
}

/// The major version that a data folder belongs to.
fn data_version(data: &Path) -> Option<u32> {
    fs_err::read_to_string(data.join("PG_VERSION")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_last_time_is_kept_while_it_is_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(choose_port(Some(port)).unwrap(), port);
        drop(taken);
        assert_eq!(choose_port(Some(port)).unwrap(), port);
    }

    #[test]
    fn the_servers_last_words_decide_about_another_attempt() {
        let taken = "could not bind IPv4 address \"127.0.0.1\": Address already in use";
        assert!(matches!(judge_log(taken), Some(Attempt::PortTaken)));
        let busy = "lock file \"postmaster.pid\" already exists";
        assert!(matches!(judge_log(busy), Some(Attempt::Busy)));
        assert!(judge_log("invalid value for parameter").is_none());
    }

    #[test]
    fn a_long_folder_gets_no_socket_and_quotes_are_doubled() {
        assert!(render_configuration(5, Path::new("")).contains("unix_socket_directories = ''\n"));
        assert!(render_configuration(5, Path::new("/it's")).contains("= '/it''s'\n"));
    }

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
