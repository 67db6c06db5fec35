//! Where the real systems are. `tests/run` sets these variables, and so does `eval "$(tests/bench env)"`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The value of a variable that `tests/run` sets. A test without its server has failed, so this panics.
pub fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!("{name} is not set: start this through tests/run, or after eval \"$(tests/bench env)\""),
    }
}

/// URL of the PostgreSQL server's superuser, as tests reach it.
pub fn postgres() -> String {
    variable("WHIMBREL_TEST_POSTGRES")
}

/// URL of the superuser of PostgreSQL 17, as tests reach it.
pub fn postgres17() -> String {
    variable("WHIMBREL_TEST_POSTGRES17")
}

/// URL of the MariaDB server's administrator, as tests reach it.
pub fn mariadb() -> String {
    variable("WHIMBREL_TEST_MARIADB")
}

/// Host and port of the PostgreSQL server, as pods reach it.
pub fn postgres_in_cluster() -> String {
    variable("WHIMBREL_TEST_POSTGRES_IN_CLUSTER")
}

/// Host and port under which images are pushed.
pub fn registry() -> String {
    variable("WHIMBREL_TEST_REGISTRY")
}

/// Host and port under which the node pulls them.
pub fn registry_in_cluster() -> String {
    variable("WHIMBREL_TEST_REGISTRY_IN_CLUSTER")
}

/// An administrator's kubeconfig.
pub fn kubeconfig() -> PathBuf {
    variable("WHIMBREL_TEST_KUBECONFIG").into()
}

/// The checkout that these tests belong to.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the checkout").to_owned()
}

/// A name that no other test has, of this run or another: short, lower case, letters and digits.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}{:x}{:x}{number:x}", now.as_millis() & 0xff_ffff_ffff, std::process::id() & 0xffff)
}
