//! Which program we are: that depends on the name we were started under.

use std::ffi::OsString;
use std::path::Path;

use whimbrel_flow::local::PROGRAM;

/// The name that calls for Flyway's command line.
const FLYWAY: &str = "flyway";

/// A program that this file can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The front door.
    FrontDoor,
    /// The program in the image.
    Runner,
    /// The program in the image, called as Flyway.
    Flyway,
}

impl Role {
    /// The role under this first argument.
    pub(crate) fn of(name: Option<&OsString>) -> Self {
        let name = name.and_then(|name| Path::new(name).file_name()).unwrap_or_default();
        match name.to_str() {
            Some(PROGRAM) => Self::Runner,
            Some(FLYWAY) => Self::Flyway,
            _ => Self::FrontDoor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides() {
        let role = |name: &str| Role::of(Some(&OsString::from(name)));
        assert_eq!(role("/whimbrel-migrate"), Role::Runner);
        assert_eq!(role("/flyway/flyway"), Role::Flyway);
        assert_eq!(role("target/release/whimbrel"), Role::FrontDoor);
        assert_eq!(Role::of(None), Role::FrontDoor);
    }
}
