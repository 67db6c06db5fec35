//! What users of PostgreSQL's own clients have in their home folder, and expect to count here: the password file, and
//! certificates in `~/.postgresql`.

mod pgpass;

use std::path::Path;

use whimbrel_cli::env::Environment;
use whimbrel_database::{EngineKind, Target};

/// Adds what the target does not say itself. Gives a warning about a password file that may not be used.
pub(crate) fn complete(target: Target, environment: &impl Environment) -> (Target, Option<String>) {
    if target.engine != EngineKind::PostgreSql {
        return (target, None);
    }
    let mut target = with_certificates(target, environment);
    if target.password.is_some() {
        return (target, None);
    }
    let found = pgpass::look_up(&target, environment);
    target.password = found.password;
    (target, found.warning)
}

fn with_certificates(mut target: Target, environment: &impl Environment) -> Target {
    let Some(home) = environment.get("HOME") else { return target };
    let file =
        |name: &str| Some(Path::new(&home).join(".postgresql").join(name)).filter(|path| path.is_file());
    target.root_certificate = target.root_certificate.or_else(|| file("root.crt"));
    if target.client_certificate.is_none() && target.client_key.is_none() {
        let pair = file("postgresql.crt").zip(file("postgresql.key"));
        (target.client_certificate, target.client_key) = pair.unzip();
    }
    target
}
