//! A pgbouncer between the tests and the testbed's PostgreSQL.

use std::time::Duration;

use crate::eventually;
use crate::postgres::{Database, host_and_port};
use crate::program::{Running, clean};

const MINUTE: Duration = Duration::from_secs(60);

/// A pgbouncer of this test alone; it goes with this value.
pub struct Pooler {
    _running: Running,
    _folder: tempfile::TempDir,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
}

impl Pooler {
    /// Starts it in this `pool_mode`, for the role of one database.
    pub fn start(mode: &str, database: &Database) -> Self {
        let folder = tempfile::Builder::new().prefix("whimbrel-pooler-").tempdir().expect("there is room");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let server = host_and_port();
        let (host, server_port) = server.split_once(':').expect("host and port");
        let file = folder.path().join("pgbouncer.ini");
        let users = folder.path().join("users.txt");
        fs_err::write(&users, format!("\"{}\" \"{}\"\n", database.user, database.password)).expect("written");
        let text = format!(
            "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\nunix_socket_dir =\n\
             ignore_startup_parameters = extra_float_digits\n",
            users.display()
        );
        fs_err::write(&file, text).expect("written");
        for path in [folder.path(), &users, &file] {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs_err::set_permissions(path, permissions).expect("it is ours");
        }
        let mut command = clean("/usr/sbin/pgbouncer");
        // It refuses to run as root.
        command.args(["-u", "nobody"]).arg(&file);
        let running = Running::start(&mut command);
        let address = format!("127.0.0.1:{port}");
        eventually("pgbouncer listens", MINUTE, || std::net::TcpStream::connect(&address).ok());
        Self { _running: running, _folder: folder, address }
    }
}
