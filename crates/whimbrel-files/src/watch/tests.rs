//! With the real system underneath.

use std::path::Path;
use std::time::Duration;

use super::*;

/// A watcher of one folder for which a whole file is no reason to hurry.
fn start_patient(folder: &Path, options: WatchOptions) -> Watcher {
    let paths = WatchedPaths { folders: vec![folder.to_owned()], files: Vec::new() };
    Watcher::start(paths, WatchOptions { settled: options.quiet, ..options }).unwrap()
}

fn start(folders: &[&Path], files: &[&Path], poll: Option<Duration>) -> Watcher {
    let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect();
    let paths = WatchedPaths { folders: owned(folders), files: owned(files) };
    Watcher::start(paths, WatchOptions { poll, ..WatchOptions::default() }).unwrap()
}

async fn change(watcher: &mut Watcher) -> Change {
    tokio::time::timeout(Duration::from_secs(10), watcher.changed()).await.expect("a change in time").unwrap()
}

async fn silence(watcher: &mut Watcher) {
    let change = tokio::time::timeout(Duration::from_millis(400), watcher.changed()).await;
    assert!(change.is_err(), "unexpected {change:?}");
}

fn write(path: &Path, content: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

#[tokio::test]
async fn save_is_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = start(&[folder.path()], &[], None);
    write(&folder.path().join("V1__a.sql"), "select 1;");
    let change = change(&mut watcher).await;
    assert!(change.paths.iter().any(|path| path.ends_with("V1__a.sql")), "{change:?}");
    silence(&mut watcher).await;
}

#[tokio::test]
async fn five_hundred_files_are_one_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = start(&[folder.path()], &[], None);
    for number in 0..500 {
        write(&folder.path().join(format!("sub{}/V{number}__a.sql", number % 7)), "select 1;");
    }
    change(&mut watcher).await;
    silence(&mut watcher).await;
}

#[tokio::test]
async fn change_that_nobody_waited_for_to_the_end_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut watcher = start_patient(folder.path(), WatchOptions::default());
    write(&folder.path().join("V1__a.sql"), "select 1;");
    let dropped = tokio::time::timeout(Duration::from_millis(50), watcher.changed()).await;
    assert!(dropped.is_err(), "the burst has not ended yet");
    let change = change(&mut watcher).await;
    assert!(change.paths.iter().any(|path| path.ends_with("V1__a.sql")), "{change:?}");
}

#[tokio::test]
async fn burst_that_does_not_end_is_reported_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let options = WatchOptions { longest: Duration::from_millis(300), ..WatchOptions::default() };
    let mut watcher = start_patient(folder.path(), options);
    let script = folder.path().join("V1__a.sql");
    let writing = tokio::spawn(async move {
        for number in 0.. {
            write(&script, &format!("select {number};"));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    change(&mut watcher).await;
    change(&mut watcher).await;
    writing.abort();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn closed_file_is_not_waited_for_and_open_one_is() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let paths = WatchedPaths { folders: vec![folder.path().to_owned()], files: Vec::new() };
    let options = WatchOptions { quiet: hour, longest: hour, ..WatchOptions::default() };
    let mut watcher = Watcher::start(paths, options).unwrap();
    let mut script = fs_err::File::create(folder.path().join("V1__a.sql")).unwrap();
    script.write_all(b"select ").unwrap();
    silence(&mut watcher).await;
    script.write_all(b"1;").unwrap();
    drop(script);
    change(&mut watcher).await;
}

#[tokio::test]
async fn replacing_by_rename_is_one_change_and_temporary_files_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("V1__a.sql");
    write(&script, "select 1;");
    let mut watcher = start(&[folder.path()], &[], None);
    write(&folder.path().join(".V1__a.sql.swp"), "x");
    write(&folder.path().join("4913"), "x");
    silence(&mut watcher).await;
    let temporary = folder.path().join("V1__a.sql___jb_tmp___");
    write(&temporary, "select 2;");
    fs_err::rename(&temporary, &script).unwrap();
    assert!(change(&mut watcher).await.paths.contains(&script));
    silence(&mut watcher).await;
}

#[tokio::test]
async fn folder_that_goes_and_comes_back_is_watched_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("sql");
    write(&folder.join("V1__a.sql"), "select 1;");
    let mut watcher = start(&[&folder], &[], None);
    for round in 0..3 {
        fs_err::remove_dir_all(&folder).unwrap();
        assert_eq!(change(&mut watcher).await.gone, std::slice::from_ref(&folder), "round {round}");
        write(&folder.join("V1__a.sql"), "select 1;");
        assert!(change(&mut watcher).await.gone.is_empty());
        write(&folder.join("deep/er/V2__b.sql"), "select 1;");
        change(&mut watcher).await;
        write(&folder.join("deep/er/V3__c.sql"), "select 1;");
        change(&mut watcher).await;
    }
}

#[tokio::test]
async fn folder_renamed_away_and_replaced_is_watched_again() {
    let parent = tempfile::tempdir().unwrap();
    let (folder, aside) = (parent.path().join("db/sql"), parent.path().join("db/aside"));
    write(&folder.join("V1__a.sql"), "select 1;");
    let mut watcher = start(&[&folder], &[], None);
    fs_err::rename(&folder, &aside).unwrap();
    write(&folder.join("V1__a.sql"), "select 2;");
    assert!(change(&mut watcher).await.gone.is_empty());
    write(&folder.join("V2__b.sql"), "select 2;");
    change(&mut watcher).await;
    write(&aside.join("V9__old.sql"), "select 2;");
    silence(&mut watcher).await;
}

#[tokio::test]
async fn folder_that_is_not_there_yet_is_seen_when_it_comes() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("not/yet");
    let mut watcher = start(&[&folder], &[], None);
    write(&folder.join("V1__a.sql"), "select 1;");
    assert!(change(&mut watcher).await.gone.is_empty());
    silence(&mut watcher).await;
    write(&folder.join("V2__b.sql"), "select 1;");
    change(&mut watcher).await;
}

#[tokio::test]
async fn single_file_is_watched_and_its_neighbours_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("whimbrel.toml");
    write(&file, "");
    let mut watcher = start(&[], &[&file], None);
    write(&folder.path().join("README.md"), "x");
    silence(&mut watcher).await;
    write(&file, "[project]");
    assert!(change(&mut watcher).await.paths.contains(&file));
}

#[tokio::test]
async fn polling_sees_saves_and_removals() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("V1__a.sql");
    let mut watcher = start(&[folder.path()], &[], Some(Duration::from_millis(30)));
    write(&script, "select 1;");
    assert!(change(&mut watcher).await.paths.contains(&script));
    fs_err::remove_file(&script).unwrap();
    assert!(change(&mut watcher).await.paths.contains(&script));
    silence(&mut watcher).await;
}
