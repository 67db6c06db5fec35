//! What a round tells, while it runs and at its end. The JSON form is a contract: fields are added, never changed.

use std::path::PathBuf;

use serde::Serialize;
use whimbrel_image::Digest;

use super::ImageFinding;

/// How long the parts of a round took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Millis {
    /// Scanning and checking.
    pub check: u64,
    /// Building the image.
    pub build: u64,
    /// Delivering it.
    pub deliver: u64,
    /// Everything.
    pub total: u64,
}

/// An image that is where it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageReport {
    /// The digest to deploy by: that of the index.
    pub digest: Digest,
    /// The digest of the manifest for the platform.
    pub manifest: Digest,
    /// The digest of the scripts alone.
    pub sql_digest: Digest,
    /// The platform.
    pub platform: String,
    /// The databases with scripts.
    pub databases: Vec<String>,
    /// How many scripts there are.
    pub scripts: usize,
    /// Where the image went, as it would be written on the command line.
    pub destination: String,
    /// The full name with tag under which it was delivered, for a registry and for Docker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed: Option<String>,
    /// The name by digest under which a cluster pulls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<String>,
    /// Docker's id of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The folder of an OCI layout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Whether it was there already and nothing was sent.
    pub unchanged: bool,
    /// Whether the image holds a program, or scripts only.
    pub has_runner: bool,
    /// How many blobs were sent.
    pub blobs_sent: usize,
    /// How many were there, or were mounted.
    pub blobs_reused: usize,
    /// The bytes that were sent.
    pub bytes: u64,
    /// How long it took.
    pub millis: Millis,
}

/// What happens in a round.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ImageEvent {
    /// Something about the scripts.
    Finding(ImageFinding),
    /// The scripts are known and nothing speaks against them.
    Checked {
        /// How many scripts there are.
        scripts: usize,
        /// The databases with scripts.
        databases: Vec<String>,
        /// The digest of the scripts.
        sql_digest: Digest,
        /// How long it took.
        millis: u64,
    },
    /// The image exists in memory.
    Built {
        /// The digest to deploy by.
        digest: Digest,
        /// How long it took.
        millis: u64,
    },
    /// A step failed and will be tried again.
    Waiting {
        /// What is being done.
        operation: String,
        /// How often it has been tried.
        attempt: u32,
        /// How long until the next try.
        pause_millis: u64,
        /// What went wrong.
        reason: String,
    },
    /// What a delivery would do; nothing was written.
    Planned(Box<ImageReport>),
    /// The image was delivered.
    Pushed(Box<ImageReport>),
    /// The image was there already.
    Unchanged(Box<ImageReport>),
    /// Nothing was delivered: the last good image stays.
    Refused {
        /// How many findings stand against the scripts.
        errors: usize,
    },
}
