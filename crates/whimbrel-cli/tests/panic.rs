//! What a panic tells. The hook belongs to a whole process, so this program starts itself again to panic.

use std::process::Command;

use whimbrel_cli::args::{Format, GlobalArgs};
use whimbrel_cli::{exit::ExitCode, main_with};

const FORMAT: &str = "WHIMBREL_TEST_PANIC_FORMAT";
const CANARY: &str = "c4n4ry@w4rbl3r";

#[test]
#[expect(clippy::exit, reason = "the child's exit code is what is looked at")]
fn a_panic_tells_its_place_and_not_its_message() {
    if let Ok(format) = std::env::var(FORMAT) {
        let format = if format == "json" { Format::Json } else { Format::Text };
        let args = GlobalArgs { format, verbose: 3, ..GlobalArgs::default() };
        // libtest's own end would hide the code.
        let code = main_with(&args, |_| async {
            let worker = tokio::spawn(async { panic!("the password is {CANARY}") });
            let thread = std::thread::spawn(|| panic!("the password is {CANARY}"));
            assert!(thread.join().is_err() && worker.await.is_err());
            let bad: Result<ExitCode, _> = std::hint::black_box(Err(CANARY));
            Ok(bad.expect("an error with a value in it"))
        });
        std::process::exit(if code == std::process::ExitCode::from(70) { 70 } else { 1 });
    }
    for format in ["text", "json"] {
        let mut command = Command::new(std::env::current_exe().expect("a test is a file"));
        command
            .args(["--exact", "a_panic_tells_its_place_and_not_its_message", "--nocapture"])
            .env(FORMAT, format)
            .env("RUST_BACKTRACE", "full")
            .env("WHIMBREL_LOG", "trace");
        let output = command.output().expect("it starts");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(70), "{said}");
        assert_eq!(said.matches("this is a bug in whimbrel at ").count(), 3, "{said}");
        assert!(!said.contains("c4n4ry") && !said.contains("w4rbl3r"), "{said}");
    }
}
