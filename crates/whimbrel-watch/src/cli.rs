//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser};
use whimbrel_cli::args::GlobalArgs;
use whimbrel_flow::image::Destination;
use whimbrel_image::{Platform, Reference, RegistryName};

/// Rebuild and deliver the migrations image when SQL changes
///
/// Scripts are checked first (names, duplicates, placeholders, encoding, PostgreSQL's syntax); a set with errors is
/// not delivered, and the last good image stays.
#[derive(Debug, Parser)]
#[command(name = "whimbrel-watch", version)]
pub struct Cli {
    /// Options of this tool.
    #[command(flatten)]
    pub watch: WatchArgs,
    /// Options of all tools.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Options of `watch`.
#[derive(Args, Clone, Debug, Default)]
pub struct WatchArgs {
    /// Run one round and end
    #[arg(long)]
    pub once: bool,

    /// Tell what would be delivered, and write nothing; implies --once
    #[arg(long)]
    pub dry_run: bool,

    /// Where to deliver.
    #[arg(
        long,
        value_name = "DESTINATION",
        help = "Deliver to registry://HOST/REPOSITORY[:TAG], oci:FOLDER or docker[:NAME]; default: the project's registry"
    )]
    pub to: Option<Destination>,

    /// Put this static program into the image; default: whimbrel-migrate beside this program
    #[arg(long, value_name = "PATH", conflicts_with_all = ["base", "sql_only"])]
    pub runner: Option<PathBuf>,

    /// Build on this image, whose layers the registry mounts
    #[arg(long, value_name = "REFERENCE", conflicts_with = "sql_only")]
    pub base: Option<Reference>,

    /// Build an image of scripts only
    #[arg(long)]
    pub sql_only: bool,

    /// Build for this platform; default: linux on this machine's processor
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<Platform>,

    /// Move this tag to the image (may be repeated); default: the destination's or the project's
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,

    /// Write the delivered reference into this file, with a tag that is a function of the content
    #[arg(long, value_name = "FILE")]
    pub ref_out: Option<PathBuf>,

    /// Speak to this registry without TLS (may be repeated); loopback registries are always spoken to so
    #[arg(long, value_name = "HOST[:PORT]")]
    pub plain_http: Vec<RegistryName>,

    /// Give a delivery so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,

    /// Look at the files every so many milliseconds, where the system tells no changes (mounts from another machine)
    #[arg(long, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u64).range(10..))]
    pub poll: Option<u64>,
}
