//! The binary's options are a contract: this pins them.

use std::process::Command;

#[test]
fn help_is_what_it_was() {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-tail"))
        .arg("--help")
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn without_a_job_or_a_project_it_says_what_to_do() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-tail"))
        .env_clear()
        .current_dir(nowhere.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("no whimbrel.toml") && told.contains("whimbrel-tail job/NAME -n NAMESPACE"),
        "{told}"
    );
}

#[test]
fn an_unreachable_cluster_is_69_within_its_patience() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = r#"{"apiVersion":"v1","kind":"Config","current-context":"x",
        "clusters":[{"name":"x","cluster":{"server":"http://127.0.0.1:1"}}],
        "users":[{"name":"x","user":{"token":"canary-token"}}],
        "contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}]}"#;
    std::io::Write::write_all(&mut std::fs::File::create(&kubeconfig).unwrap(), text.as_bytes()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-tail"))
        .args(["job/x", "--timeout", "2", "-vv"])
        .env_clear()
        .env("KUBECONFIG", &kubeconfig)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(told.contains("could not watch jobs in default") && !told.contains("canary"), "{told}");
}
