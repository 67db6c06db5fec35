//! `postmaster.pid`: what the server says about itself, and whether it is still true.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// The lines of `postmaster.pid` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: i32,
    pub(crate) port: u16,
    pub(crate) ready: bool,
}

/// What the data folder says about a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// No server.
    Absent,
    /// The file names a process that is not the server of this data folder.
    Stale,
    /// The server runs; it may still be starting.
    Running(Postmaster),
}

/// Reads the data folder and looks at the process.
pub(crate) fn observe(data: &Path) -> Liveness {
    let Ok(text) = fs_err::read_to_string(data.join("postmaster.pid")) else { return Liveness::Absent };
    let Some(postmaster) = parse(&text) else { return Liveness::Stale };
    if is_server_of(postmaster.pid, data) { Liveness::Running(postmaster) } else { Liveness::Stale }
}

/// Whether somebody accepts connections under the port.
pub(crate) fn accepts(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
}

/// Lines: pid, data folder, start time, port, socket folder, listen address, shared memory, status.
fn parse(text: &str) -> Option<Postmaster> {
    let mut lines = text.lines().map(str::trim);
    let pid = lines.next()?.parse().ok().filter(|pid| *pid > 1)?;
    let port = lines.nth(2).and_then(|line| line.parse().ok()).unwrap_or(0);
    let ready = lines.nth(3) == Some("ready");
    Some(Postmaster { pid, port, ready })
}

/// After a reboot or in another container the number may belong to anybody. The server works in its data folder;
/// where the system does not show that, a living process is taken at its word.
fn is_server_of(pid: i32, data: &Path) -> bool {
    let Some(process) = rustix::process::Pid::from_raw(pid) else { return false };
    let alive = match rustix::process::test_kill_process(process) {
        Ok(()) => true,
        Err(errno) => errno == rustix::io::Errno::PERM,
    };
    alive
        && match fs_err::read_link(format!("/proc/{pid}/cwd")) {
            Ok(folder) => folder == fs_err::canonicalize(data).unwrap_or_else(|_| data.to_owned()),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound || !Path::new("/proc/self").exists(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "4711\n/data\n1763710000\n54321\n/run\n127.0.0.1\n  1234567  8901\nready   \n";

    #[test]
    fn a_ready_server_is_read() {
        assert_eq!(parse(READY), Some(Postmaster { pid: 4711, port: 54321, ready: true }));
    }

    #[test]
    fn a_starting_server_is_not_ready() {
        let text = READY.replace("ready", "starting");
        assert_eq!(parse(&text), Some(Postmaster { pid: 4711, port: 54321, ready: false }));
    }

    #[test]
    fn a_half_written_file_is_read_as_far_as_it_goes() {
        assert_eq!(parse("4711\n/data\n"), Some(Postmaster { pid: 4711, port: 0, ready: false }));
        assert_eq!(parse(""), None);
        assert_eq!(parse("x\n"), None);
    }

    #[test]
    fn a_living_process_in_another_folder_is_not_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let text = READY.replace("4711", &std::process::id().to_string());
        fs_err::write(folder.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(observe(folder.path()), Liveness::Stale);
    }

    #[test]
    fn no_file_is_no_server() {
        assert_eq!(observe(Path::new("/nonexistent")), Liveness::Absent);
    }
}
