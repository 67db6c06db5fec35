//! Our settings of a server, beside its own file.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

/// The longest path that fits into a socket's address everywhere, less the socket's own name.
pub(crate) const LONGEST_SOCKET_FOLDER: usize = 80;

/// Our settings in the data folder, beside the server's own.
pub(crate) const CONFIGURATION: &str = "whimbrel.conf";

pub(crate) fn render_configuration(port: u16, sockets: &Path) -> String {
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

/// The port of last time, so that an open `psql` line goes on working, or any free one.
pub(crate) fn choose_port(wanted: Option<u16>) -> std::io::Result<u16> {
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = wanted.filter(|port| free(*port).is_ok()) {
        return Ok(port);
    }
    Ok(free(0)?.local_addr()?.port())
}

/// The port of the last start.
pub(crate) fn configured_port(data: &Path) -> Option<u16> {
    let text = fs_err::read_to_string(data.join(CONFIGURATION)).ok()?;
    text.lines().find_map(|line| line.strip_prefix("port = ")?.parse().ok())
}

/// The major version that a data folder belongs to.
pub(crate) fn data_version(data: &Path) -> Option<u32> {
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
    fn a_long_folder_gets_no_socket_and_quotes_are_doubled() {
        assert!(render_configuration(5, Path::new("")).contains("unix_socket_directories = ''\n"));
        assert!(render_configuration(5, Path::new("/it's")).contains("= '/it''s'\n"));
    }
}
