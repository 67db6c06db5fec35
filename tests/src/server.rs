//! A PostgreSQL server that a test has for itself: to fill its disk, crash it, restart it, or give it certificates.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use fs_err as fs;
use tempfile::TempDir;

use crate::postgres::psql;
use crate::program::{clean, run};

const PASSWORD: &str = "postgres";

/// The server; it is stopped, and its folder removed, with this value.
pub struct Server {
    folder: TempDir,
    port: u16,
}

impl Server {
    /// A new cluster that is not started yet, with these lines in `pg_hba.conf` (none: everybody by SCRAM).
    pub fn prepare(hba: &[&str]) -> Self {
        Self::prepare_in(&std::env::temp_dir(), hba)
    }

    /// The same in a folder of the test's choice, such as a small file system.
    pub fn prepare_in(parent: &Path, hba: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("whimbrel-server-").tempdir_in(parent).expect("there is room");
        let copied = run(Command::new("cp").arg("-a").arg(cluster()).arg(folder.path().join("data")), MINUTE);
        copied.expect_code(0);
        let server = Self { folder, port: free_port() };
        if !hba.is_empty() {
            fs::write(server.data().join("pg_hba.conf"), hba.join("\n") + "\n").expect("it can be written");
        }
        own(server.folder.path());
        server
    }

    /// A new cluster, started with these settings (`name=value`).
    pub fn start_new(settings: &[&str]) -> Self {
        let server = Self::prepare(&[]);
        server.start(settings);
        server
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// An empty folder beside its data that it may write.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir(&path).expect("folders can be made");
        own(&path);
        path
    }

    /// Where it listens.
    pub fn host_and_port(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's URL.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres:{PASSWORD}@{}/{database}", self.host_and_port())
    }

    /// The superuser's password.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Runs SQL as the superuser.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        psql(&self.url("postgres"), sql)
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(&self, settings: &[&str]) {
        self.launch("-w", settings);
    }

    /// Starts it without waiting until it answers.
    #[track_caller]
    pub fn start_without_waiting(&self, settings: &[&str]) {
        self.launch("-W", settings);
    }

    #[track_caller]
    fn launch(&self, wait: &str, settings: &[&str]) {
        let mut options =
            format!("-p {} -c unix_socket_directories='{}'", self.port, self.folder.path().display());
        for setting in ["fsync=off", "listen_addresses=127.0.0.1"].iter().chain(settings) {
            options.push_str(&format!(" -c '{setting}'"));
        }
        let mut command = as_postgres(&bin("pg_ctl"));
        command.arg("-D").arg(self.data()).arg("-l").arg(self.log_file());
        command.args([wait, "-t", "60", "-o", &options, "start"]);
        let ended = run(&mut command, MINUTE);
        assert_eq!(ended.code, Some(0), "{}\n{}", ended.said(), self.log());
    }

    /// Stops it, `fast` or `immediate` as pg_ctl has it, and waits for its end.
    pub fn stop(&self, mode: &str) {
        let mut command = as_postgres(&bin("pg_ctl"));
        command.arg("-D").arg(self.data()).args(["-m", mode, "-w", "-t", "30", "stop"]);
        let _ = run(&mut command, MINUTE);
    }

    /// Ends the recovery of a standby.
    #[track_caller]
    pub fn promote(&self) {
        let mut command = as_postgres(&bin("pg_ctl"));
        command.arg("-D").arg(self.data()).args(["-w", "-t", "60", "promote"]);
        run(&mut command, MINUTE).expect_code(0);
    }

    /// Sends its main process's child with this process id a SIGKILL, as the kernel does when memory is short.
    #[track_caller]
    pub fn kill_backend(&self, process: &str) {
        run(Command::new("kill").args(["-9", process]), MINUTE).expect_code(0);
    }

    /// What it wrote into its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Puts a file into the data folder that only the server may read.
    pub fn give(&self, name: &str, text: &[u8]) {
        let path = self.data().join(name);
        fs::write(&path, text).expect("it can be written");
        run(Command::new("chmod").arg("0600").arg(&path), MINUTE).expect_code(0);
        own(&path);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop("immediate");
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// A cluster that is copied for every server, since making one takes a second.
fn cluster() -> &'static Path {
    static CLUSTER: OnceLock<TempDir> = OnceLock::new();
    let folder = CLUSTER.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("whimbrel-cluster-").tempdir().expect("there is room");
        own(folder.path());
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("it can be written");
        own(&password);
        let mut command = as_postgres(&bin("initdb"));
        command.args(["-U", "postgres", "--auth=scram-sha-256", "--no-sync", "--locale=C.UTF-8"]);
        command.arg(format!("--pwfile={}", password.display())).arg("-D").arg(folder.path().join("data"));
        run(&mut command, MINUTE).expect_code(0);
        folder
    });
    Box::leak(folder.path().join("data").into_boxed_path())
}

fn bin(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/postgres").is_file())
        .collect();
    folders.sort();
    folders.pop().expect("PostgreSQL is installed").join("bin").join(name)
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = clean("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn own(path: &Path) {
    run(Command::new("chown").args(["-R", "postgres:postgres"]).arg(path), MINUTE).expect_code(0);
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}
