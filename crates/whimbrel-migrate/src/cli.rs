//! The command line, as types.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, Parser, ValueEnum};
use whimbrel_cli::args::{GlobalArgs, duration, pair};
use whimbrel_cli::env;
use whimbrel_cli::project::Migrate;
use whimbrel_migration::risk::Level;

use crate::timeouts::Timeouts;

/// Apply SQL migrations to PostgreSQL, MySQL, MariaDB or SQLite, with Flyway's schema history
#[derive(Clone, Debug, Parser)]
#[command(name = "whimbrel-migrate", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Options of every tool.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do and where.
    #[command(flatten)]
    pub migrate: MigrateArgs,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Verb {
    /// Apply what is pending
    Migrate,
    /// Show every script and its state
    Info,
    /// Compare files and history
    Validate,
    /// Remove failed rows, mark missing scripts, align checksums
    Repair,
    /// Start a history on a database that has objects already
    Baseline,
    /// Drop everything in the schema; refused unless it is allowed
    Clean,
    /// Take back the last version, or those above --target, with U__ scripts
    Undo,
    /// Record a version as applied without running it: skip VERSION --reason TEXT
    Skip,
    /// Say that a database is at a version without running anything: stamp VERSION
    Stamp,
    /// Wait until a database has a version: wait --for-version VERSION
    Wait,
    /// Connect, ask one question, and go
    Ping,
}

/// What is done with the files alone: no database is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FilesVerb {
    /// Look at the files alone; --against BRANCH finds conflicts before they are merged
    Check,
    /// Show what would take a version back, as a U__ script: propose-undo VERSION
    ProposeUndo,
}

impl FilesVerb {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::ProposeUndo => "propose-undo",
        }
    }
}

/// The word on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Databases are worked on.
    Databases(Verb),
    /// Files are looked at.
    Files(FilesVerb),
}

impl Task {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Databases(verb) => verb.name(),
            Self::Files(verb) => verb.name(),
        }
    }

    /// Whether the first name behind it is a version.
    pub fn takes_version(self) -> bool {
        matches!(self, Self::Databases(Verb::Skip | Verb::Stamp) | Self::Files(FilesVerb::ProposeUndo))
    }
}

impl ValueEnum for Task {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Databases(Verb::Migrate),
            Self::Databases(Verb::Info),
            Self::Databases(Verb::Validate),
            Self::Databases(Verb::Repair),
            Self::Databases(Verb::Baseline),
            Self::Databases(Verb::Clean),
            Self::Databases(Verb::Undo),
            Self::Databases(Verb::Skip),
            Self::Databases(Verb::Stamp),
            Self::Databases(Verb::Wait),
            Self::Databases(Verb::Ping),
            Self::Files(FilesVerb::Check),
            Self::Files(FilesVerb::ProposeUndo),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Databases(verb) => verb.to_possible_value(),
            Self::Files(verb) => verb.to_possible_value(),
        }
    }
}

impl Verb {
    /// The word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Info => "info",
            Self::Validate => "validate",
            Self::Repair => "repair",
            Self::Baseline => "baseline",
            Self::Clean => "clean",
            Self::Undo => "undo",
            Self::Skip => "skip",
            Self::Stamp => "stamp",
            Self::Wait => "wait",
            Self::Ping => "ping",
        }
    }
}

/// What is done instead of applying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Print what would be done; write nothing at all
    Plan,
    /// Run everything in one transaction and roll it back (PostgreSQL)
    Rollback,
}

/// The verb, the databases, the options.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// What to do
    #[arg(value_enum)]
    pub verb: Task,
    /// The rest.
    #[command(flatten)]
    pub options: Options,
}

/// Everything but the verb, for those who bring their own.
#[derive(Clone, Debug, Default, Args)]
pub struct Options {
    /// Databases of whimbrel.toml; skip, stamp and propose-undo take a VERSION before them [default: all that are enabled, or $WHIMBREL_DATABASES]
    #[arg(value_name = "DATABASE")]
    pub databases: Vec<String>,

    /// Print what would be done and write nothing; =rollback runs it and rolls it back [default: plan]
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1,
        require_equals = true, default_missing_value = "plan", hide_possible_values = true)]
    pub dry_run: Option<DryRun>,

    /// Work on so many databases at once [default: 1]
    #[arg(long, value_name = "NUMBER", env = env::JOBS, hide_env = true)]
    pub jobs: Option<NonZeroUsize>,

    /// Go on with the next database after a failure and end with the gravest code
    #[arg(long, env = env::KEEP_GOING, hide_env = true)]
    pub keep_going: bool,

    /// Wait so long for a database that cannot be reached yet [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::WAIT, hide_env = true)]
    pub wait: Option<Duration>,

    /// Wait so long for the lock of another runner [default: 50s]
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::LOCK_WAIT, hide_env = true)]
    pub lock_wait: Option<Duration>,

    /// Stop after this time, with exit code 124
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::DEADLINE, hide_env = true)]
    pub deadline: Option<Duration>,

    /// After SIGTERM, cancel what still runs 5 s before this is over [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::GRACE, hide_env = true)]
    pub grace: Option<Duration>,

    /// Let a statement wait so long for a lock; 0: for ever [default: 5s in scripts that can be rolled back]
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::LOCK_TIMEOUT, hide_env = true)]
    pub lock_timeout: Option<Duration>,

    /// Let a statement run so long; 0: for ever [default: as the server says]
    #[arg(long, value_name = "DURATION", value_parser = duration, env = env::STATEMENT_TIMEOUT, hide_env = true)]
    pub statement_timeout: Option<Duration>,

    /// Try a script so often again that lost a lock and was rolled back [default: 10]
    #[arg(long, value_name = "NUMBER", env = env::LOCK_RETRIES, hide_env = true)]
    pub lock_retries: Option<u32>,

    /// Go up to this version only: a version, latest, current or next
    #[arg(long, value_name = "VERSION", env = env::TARGET, hide_env = true)]
    pub target: Option<String>,

    /// Consider only these, in this order: versions, or descriptions such as create_view
    #[arg(long, value_name = "PICK", value_delimiter = ',')]
    pub cherry_pick: Vec<String>,

    /// Apply scripts whose version is below the highest applied one
    #[arg(long, env = env::OUT_OF_ORDER, hide_env = true)]
    pub out_of_order: bool,

    /// Apply this version although higher ones are applied; needs --reason
    #[arg(long, value_name = "VERSION")]
    pub allow_out_of_order: Vec<String>,

    /// Why: kept beside the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Accept the dangers of skip and stamp
    #[arg(long)]
    pub yes: bool,

    /// The version that wait waits for
    #[arg(long, value_name = "VERSION")]
    pub for_version: Option<String>,

    /// With info: show what pending scripts lock and rewrite, and how big those tables are
    #[arg(long)]
    pub risk: bool,

    /// Refuse scripts that others would notice more than: none, low, medium, high
    #[arg(long, value_name = "LEVEL", env = env::MAX_RISK, hide_env = true)]
    pub max_risk: Option<Level>,

    /// With check: compare with this branch or commit, as git names it
    #[arg(long, value_name = "REF")]
    pub against: Option<String>,

    /// With propose-undo: write the file beside its script
    #[arg(long)]
    pub write: bool,

    /// The version of the row that baseline writes [default: 1]
    #[arg(long, value_name = "VERSION")]
    pub baseline_version: Option<String>,

    /// The description of the row that baseline writes
    #[arg(long, value_name = "TEXT")]
    pub baseline_description: Option<String>,

    /// Write a baseline first where a schema has objects but no history
    #[arg(long, env = env::BASELINE_ON_MIGRATE, hide_env = true)]
    pub baseline_on_migrate: bool,

    /// Pass over what matches, such as "*:missing" [default: *:future]
    #[arg(long, value_name = "TYPE:STATE")]
    pub ignore: Vec<String>,

    /// Run scripts that hold both kinds of statements, outside of a transaction
    #[arg(long)]
    pub mixed: bool,

    /// Give a placeholder a value
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub placeholder: Vec<(String, String)>,

    /// Read credentials from this folder: one folder a secret, one file a key
    #[arg(long, value_name = "FOLDER", env = env::SECRETS, hide_env = true)]
    pub secrets: Option<PathBuf>,

    /// Allow clean to drop everything
    #[arg(long)]
    pub clean_enabled: bool,

    /// Write the run record to this file as well
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Options {
    /// The limits: the command line's and the environment's, else the project's, else the usual ones.
    pub fn timeouts(&self, project: &Migrate) -> Timeouts {
        let usual = Timeouts::usual();
        Timeouts {
            lock: self.lock_timeout.or(project.lock_timeout),
            statement: self.statement_timeout.or(project.statement_timeout),
            lock_retries: self.lock_retries.or(project.lock_retries).unwrap_or(usual.lock_retries),
            ..usual
        }
    }
}
