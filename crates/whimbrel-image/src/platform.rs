//! The platform of an image: `linux/amd64`, `linux/arm64`.

use std::fmt;
use std::str::FromStr;

/// The platform that an image and its program are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// `linux/amd64`
    #[default]
    LinuxAmd64,
    /// `linux/arm64`
    LinuxArm64,
}

impl Platform {
    /// The operating system in OCI's words.
    #[must_use]
    pub fn os(self) -> &'static str {
        "linux"
    }

    /// The architecture in OCI's words.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::LinuxAmd64 => "amd64",
            Self::LinuxArm64 => "arm64",
        }
    }

    /// The image platform that runs on a machine of this processor, given in Rust's words.
    #[must_use]
    pub fn of_processor(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::LinuxAmd64),
            "aarch64" => Some(Self::LinuxArm64),
            _ => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os(), self.architecture())
    }
}

/// A text names no platform that images are built for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a platform of ours: linux/amd64 or linux/arm64")]
pub struct PlatformError(pub String);

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        [Self::LinuxAmd64, Self::LinuxArm64]
            .into_iter()
            .find(|platform| platform.to_string() == text)
            .ok_or_else(|| PlatformError(text.to_owned()))
    }
}
