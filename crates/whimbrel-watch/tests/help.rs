//! The help text is a contract: a change of it is seen in review.

use std::process::Command;

#[test]
fn help_is_pinned() {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-watch"))
        .arg("--help")
        .env_clear()
        .env("COLUMNS", "100")
        .output()
        .expect("the program starts");
    assert!(output.status.success());
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("help is text"));
}

#[test]
fn wrong_destination_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel-watch"))
        .args(["--once", "--to", "localhost:5000/a"])
        .env_clear()
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).expect("messages are text");
    assert!(message.contains("registry://HOST/REPOSITORY[:TAG]"), "{message}");
}
