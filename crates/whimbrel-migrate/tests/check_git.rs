//! `check` on real git repositories: what a merge would break is told before it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A clone with a branch of its own, and the repository that it came from.
struct Clone {
    folder: tempfile::TempDir,
}

const PROJECT: &str = "[databases.app]\nlocations = [\"db/sql\"]\n[databases.shop]\nengine = \"mysql\"\nlocations = [\"db/s*\"]\n\
     [databases.off]\nenabled = false\nlocations = [\"nowhere\"]\n";

impl Clone {
    /// Both sides begin with these scripts; `main` then gets the second ones.
    fn new(parted: &[(&str, &str)], main: &[(&str, &str)]) -> Self {
        let clone = Self { folder: tempfile::tempdir().expect("a folder") };
        let origin = clone.folder.path().join("origin");
        fs_err::create_dir_all(&origin).expect("folders can be made");
        git(&origin, &["init", "-q", "-b", "main"]);
        write(&origin, "whimbrel.toml", PROJECT);
        write_all(&origin, parted);
        commit(&origin);
        git(clone.folder.path(), &["clone", "-q", "origin", "here"]);
        write_all(&origin, main);
        commit(&origin);
        git(&clone.here(), &["fetch", "-q"]);
        clone
    }

    fn here(&self) -> PathBuf {
        self.folder.path().join("here")
    }

    fn check(&self, arguments: &[&str]) -> Output {
        check_in(&self.here(), arguments)
    }

    /// Slug and script of all findings about a database, with the exit code.
    fn found(&self, database: &str) -> (Vec<(String, String)>, Option<i32>) {
        let output = self.check(&["--against", "origin/main", "--format", "json", database]);
        let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = document["databases"][0]["findings"].as_array().expect("a list").iter();
        let found = findings.map(|each| (text(&each["slug"]), text(&each["script"]))).collect();
        assert_eq!(document["exit_code"].as_i64(), output.status.code().map(i64::from));
        (found, output.status.code())
    }
}

fn write(folder: &Path, path: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(path);
    fs_err::create_dir_all(path.parent().expect("it is in a folder")).expect("folders can be made");
    fs_err::write(path, text).expect("files can be written");
}

fn write_all(folder: &Path, scripts: &[(&str, &str)]) {
    for (name, text) in scripts {
        write(folder, &format!("db/sql/{name}"), text);
    }
}

fn commit(folder: &Path) {
    git(folder, &["add", "-A"]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
    git(folder, &[&who[..], &["commit", "-q", "--allow-empty", "-m", "x"]].concat());
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn check_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel-migrate"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(folder).arg("check").args(arguments).stdin(Stdio::null());
    command.output().expect("it starts")
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn pairs(found: &[(&str, &str)]) -> Vec<(String, String)> {
    found.iter().map(|(slug, script)| ((*slug).to_owned(), (*script).to_owned())).collect()
}

const BIRDS: (&str, &str) = ("V1__birds.sql", "CREATE TABLE bird (name text); -- Gru\u{df}\n");

#[test]
fn what_a_merge_would_break_is_told() {
    let gone = ("deep/V2__gone.sql", "SELECT 2;");
    let clone = Clone::new(&[BIRDS, gone], &[("V5__eggs.sql", "SELECT 5;")]);
    let (found, code) = clone.found("app");
    assert_eq!((found, code), (vec![], Some(0)), "only behind");
    let here = clone.here();
    write_all(
        &here,
        &[("V5__nests.sql", "SELECT 55;"), ("V4__late.sql", "SELECT 4;"), ("V6__new.sql", "SELECT 6;")],
    );
    write_all(&here, &[("V1__birds.sql", "CREATE TABLE bird (name text, wings int);\n")]);
    fs_err::remove_file(here.join("db/sql").join(gone.0)).expect("it is there");
    let expected = pairs(&[
        ("edited-after-merge", "V1__birds.sql"),
        ("older-than-base", "V4__late.sql"),
        ("version-taken", "V5__nests.sql"),
        ("removed-after-merge", gone.0),
    ]);
    assert_eq!(clone.found("app"), (expected, Some(1)));
    // The location of the other database is a pattern, and its scripts are named below the folder that matches.
    let (found, _) = clone.found("shop");
    assert!(found.contains(&("removed-after-merge".to_owned(), gone.0.to_owned())), "{found:?}");
    let text = said(&clone.check(&["--against", "origin/main"]));
    for part in [
        "app: error[version-taken]: V5__nests.sql: version 5 is taken: the base has V5__eggs.sql",
        "  next: give it a version above 5",
        "app: 4 scripts checked against origin/main, 4 errors",
        "shop: 4 scripts checked",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!text.contains("nowhere"), "{text}");
}

#[test]
fn a_script_that_was_only_saved_in_another_form_is_told_as_such() {
    let clone = Clone::new(&[BIRDS], &[]);
    let crlf = BIRDS.1.replace('\n', "\r\n");
    write_all(&clone.here(), &[(BIRDS.0, &crlf)]);
    assert_eq!(clone.found("app"), (vec![], Some(0)), "line ends are in no checksum");
    let latin1: Vec<u8> = BIRDS.1.chars().map(|character| character as u8).collect();
    write(&clone.here(), "db/sql/V1__birds.sql", latin1);
    write(&clone.here(), "db/sql/V1__birds.sql.conf", "encoding=ISO-8859-1\n");
    assert_eq!(clone.found("app").1, Some(0), "the side file says how it is read");
    fs_err::remove_file(clone.here().join("db/sql/V1__birds.sql.conf")).expect("it is there");
    write_all(&clone.here(), &[(BIRDS.0, &BIRDS.1.replace('\n', "  \n"))]);
    let text = said(&clone.check(&["--against", "origin/main", "app"]));
    assert!(text.contains("trailing-blanks-only"), "{text}");
}

#[test]
fn links_are_followed_inside_the_other_branch_and_told_where_they_lead_out() {
    let clone = Clone::new(&[("shared/V1__a.sql", "SELECT 1;")], &[]);
    let origin = clone.folder.path().join("origin");
    std::os::unix::fs::symlink("shared/V1__a.sql", origin.join("db/sql/V2__b.sql"))
        .expect("links can be made");
    std::os::unix::fs::symlink("/etc/hostname", origin.join("db/sql/V3__c.sql")).expect("links can be made");
    commit(&origin);
    git(&clone.here(), &["fetch", "-q"]);
    write_all(&clone.here(), &[("V2__b.sql", "SELECT 1;")]);
    let (found, code) = clone.found("app");
    assert_eq!((found, code), (pairs(&[("link-not-followed", "V3__c.sql")]), Some(0)));
}

#[test]
fn where_git_cannot_tell_the_reason_is_told() {
    let clone = Clone::new(&[BIRDS], &[]);
    for reference in ["origin/none", "--upload-pack=x", ""] {
        let output = clone.check(&[&format!("--against={reference}")]);
        assert_eq!(output.status.code(), Some(2), "{reference}: {}", said(&output));
        assert!(said(&output).contains("names no commit"), "{}", said(&output));
    }
    assert!(said(&clone.check(&["--against", "origin/none"])).contains("git fetch origin none"));
    let outside = tempfile::tempdir().expect("a folder");
    write(outside.path(), "whimbrel.toml", PROJECT);
    let output = check_in(outside.path(), &["--against", "main"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("is in no git repository"), "{}", said(&output));
    // Without git, and with one that hangs.
    let programs = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel-migrate"));
    command.env_clear().env("PATH", programs.path()).current_dir(clone.here());
    command.args(["check", "--against", "origin/main", "--deadline", "1s"]).stdin(Stdio::null());
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    let hanging = programs.path().join("git");
    fs_err::write(&hanging, "#!/bin/sh\nexec /bin/sleep 600\n").expect("files can be written");
    fs_err::set_permissions(&hanging, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is ours");
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(124), "{}", said(&output));
}

#[test]
fn a_history_without_a_common_commit_is_compared_as_far_as_it_goes() {
    let clone = Clone::new(&[BIRDS], &[("V2__b.sql", "SELECT 2;")]);
    git(&clone.here(), &["checkout", "-q", "--orphan", "alone"]);
    // A commit of the same content in the same second would be the same commit.
    write(&clone.here(), "README", "alone");
    commit(&clone.here());
    write_all(&clone.here(), &[("V2__c.sql", "SELECT 3;")]);
    let (found, code) = clone.found("app");
    assert_eq!((found, code), (pairs(&[("version-taken", "V2__c.sql")]), Some(1)));
    let text = said(&clone.check(&["--against", "origin/main", "app"]));
    assert!(text.contains("parted is not known"), "{text}");
}

#[test]
fn files_are_checked_without_another_side_and_without_a_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = "[databases.app]\nlocations = [\"sql\"]\nengine = \"mysql\"\nflyway = { sqlMigrationPrefix = \"M\" }\n";
    write(folder.path(), "whimbrel.toml", project);
    write(
        folder.path(),
        "sql/M1__a.sql",
        "CREATE TABLE `a` (id int); # a comment; and more\nSELECT '${gone}';\n",
    );
    write(folder.path(), "sql/M1.0__b.sql", "SELECT 1;");
    write(folder.path(), "sql/M2__c", "");
    let output = check_in(folder.path(), &["--placeholder", "x=y"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "app: error[placeholder-missing]: M1__a.sql:2:9: ",
        "app: error[duplicate-version]",
        "app: warning[no-extension]: M2__c",
        "app: 2 scripts checked, 2 errors, 1 warning",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    fs_err::remove_file(folder.path().join("sql/M1.0__b.sql")).expect("it is there");
    let output = check_in(folder.path(), &["--placeholder", "gone=x", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let misplaced = check_in(folder.path(), &["--report", "x"]);
    assert_eq!(misplaced.status.code(), Some(2), "{}", said(&misplaced));
    assert!(said(&misplaced).contains("--report means nothing to check"));
}
