//! A real server: started by whoever runs the tests, root included.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use whimbrel_postgres::{BinarySource, Cluster, Stopped, UpState};

fn cluster(project: &Path) -> Cluster {
    let source = match std::env::var_os("WHIMBREL_POSTGRES") {
        Some(value) if value == "fetch" => BinarySource::Fetched,
        _ => BinarySource::InstalledOrFetched,
    };
    Cluster::locate(project, &project.join(".whimbrel"), source).expect("a temporary folder can be written")
}

#[tokio::test]
async fn a_server_starts_is_found_again_stops_and_is_forgotten() {
    let project = tempfile::tempdir().unwrap();
    let cluster = cluster(project.path());
    let server = cluster.start(&mut |progress| println!("{progress}")).await.unwrap();
    assert!(server.started && server.initialised);

    let again = cluster.start(&mut |progress| panic!("nothing is to do, but: {progress}")).await.unwrap();
    assert_eq!((again.pid, again.port), (server.pid, server.port));
    assert!(!again.started && !again.initialised);
    assert_eq!(again.version, server.version);

    assert_eq!(cluster.stop(&mut |_| {}).await.unwrap(), Stopped::Stopped);
    assert_eq!(cluster.stop(&mut |_| {}).await.unwrap(), Stopped::WasNotRunning);
    assert!(cluster.running().is_none());

    let third = cluster.start(&mut |_| {}).await.unwrap();
    assert!(third.started && !third.initialised, "the data outlives the server");
    cluster.forget(&mut |_| {}).await.unwrap();
    assert!(!third.data.exists());
}

#[tokio::test]
async fn a_killed_server_and_a_taken_port_stop_nobody() {
    let project = tempfile::tempdir().unwrap();
    let cluster = cluster(project.path());
    let server = cluster.start(&mut |_| {}).await.unwrap();
    let pid = rustix::process::Pid::from_raw(server.pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let port = loop {
        if let Ok(listener) = std::net::TcpListener::bind(("127.0.0.1", server.port)) {
            break listener;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let again = cluster.start(&mut |_| {}).await.unwrap();
    assert!(again.started && !again.initialised);
    assert_ne!(again.port, server.port);
    drop(port);
    cluster.forget(&mut |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_process_number_that_belongs_to_somebody_else_stops_nobody() {
    let project = tempfile::tempdir().unwrap();
    let cluster = cluster(project.path());
    let server = cluster.start(&mut |_| {}).await.unwrap();
    cluster.stop(&mut |_| {}).await.unwrap();
    let stale = format!("{}\n{}\n1\n1\n\n127.0.0.1\n1 1\nready\n", std::process::id(), server.data.display());
    fs_err::write(server.data.join("postmaster.pid"), stale).unwrap();
    let again = cluster.start(&mut |_| {}).await.unwrap();
    assert!(again.started);
    cluster.forget(&mut |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_new_checkout_under_an_old_path_starts_with_nothing() {
    let project = tempfile::tempdir().unwrap();
    let first = cluster(project.path()).start(&mut |_| {}).await.unwrap();
    fs_err::remove_file(project.path().join(".whimbrel/postgres.checkout")).unwrap();
    let cluster = cluster(project.path());
    let second = cluster.start(&mut |_| {}).await.unwrap();
    assert!(second.initialised);
    assert_ne!(first.pid, second.pid);
    cluster.forget(&mut |_| {}).await.unwrap();
}

#[tokio::test]
async fn the_state_file_tells_where_the_server_is_and_no_secret() {
    use secrecy::ExposeSecret;
    let project = tempfile::tempdir().unwrap();
    let cluster = cluster(project.path());
    let server = cluster.start(&mut |_| {}).await.unwrap();
    let state = project.path().join(".whimbrel");
    assert_eq!(UpState::load(&state).unwrap().port, server.port);
    let text = fs_err::read_to_string(UpState::path(&state)).unwrap();
    assert!(!text.contains(server.superuser_password.expose_secret()));
    let mode = fs_err::metadata(&server.data).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "the data folder is closed to others");
    cluster.forget(&mut |_| {}).await.unwrap();
    assert_eq!(UpState::load(&state), None);
}
