//! What a run has to know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use whimbrel_database::Target;
use whimbrel_migration::dialect::Dialect;
use whimbrel_migration::encoding::{Encoding, Reading};
use whimbrel_migration::history::DEFAULT_TABLE;
use whimbrel_migration::name::NamingRules;
use whimbrel_migration::parameters::FileRules;
use whimbrel_migration::settings::Settings;

use crate::cli::Verb;
use crate::request::Request;
use crate::timeouts::Timeouts;

/// How long another runner's lock is waited for: Flyway's own patience.
pub const LOCK_WAIT: Duration = Duration::from_secs(50);

/// How long `wait` waits where nobody says it.
pub const VERSION_WAIT: Duration = Duration::from_secs(300);

/// What the name of an undo script begins with.
pub const UNDO_PREFIX: &str = "U";

/// How long a container usually has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(30);

/// One run over some databases.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// What is done.
    pub verb: Verb,
    /// Where, in this order.
    pub databases: Vec<DatabaseSettings>,
    /// Everything but the databases.
    pub common: CommonSettings,
}

impl RunSettings {
    /// Verbs that change something tell how it goes, line by line; the others only answer.
    pub fn is_followed(&self) -> bool {
        matches!(self.verb, Verb::Migrate | Verb::Undo) && !self.common.dry_run
    }
}

/// What is the same for all databases of a run.
#[derive(Clone, Debug)]
pub struct CommonSettings {
    /// Id of the run.
    pub run_id: String,
    /// Digest of the image, if we are in one.
    pub image: Option<String>,
    /// Print the plan, write nothing.
    pub dry_run: bool,
    /// Go on after a failure.
    pub keep_going: bool,
    /// Patience with a database that is not there yet.
    pub wait: Duration,
    /// Patience with another runner.
    pub lock_wait: Duration,
    /// The time between the first signal and the end.
    pub grace: Duration,
    /// Our own deadline.
    pub deadline: Option<Duration>,
    /// How long statements wait and run.
    pub timeouts: Timeouts,
    /// What was asked for beyond Flyway's verbs.
    pub request: Request,
    /// Whether `clean` may do it.
    pub clean_enabled: bool,
    /// Where the run record goes for Kubernetes.
    pub termination_log: Option<PathBuf>,
    /// Where else the run record goes.
    pub report: Option<PathBuf>,
}

/// One database of a run.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Its name in the project.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// Whose SQL the project says that its scripts are in; none: it does not say.
    pub dialect: Option<Dialect>,
    /// What of its URL is not used: said once, when it is connected to.
    pub warnings: Vec<String>,
    /// The folders of its scripts.
    pub locations: Vec<PathBuf>,
    /// Values of placeholders. Those whose name says that they are secret are not shown.
    pub placeholders: BTreeMap<String, String>,
    /// Whether placeholders are replaced at all.
    pub replace_placeholders: bool,
    /// What a placeholder begins and ends with.
    pub placeholder_marks: (String, String),
    /// What stands between `flyway` and the rest of the name of a placeholder of Flyway's own.
    pub placeholder_separator: String,
    /// The folders of SQL callbacks; none: they lie beside the scripts.
    pub callback_locations: Vec<PathBuf>,
    /// SQL callbacks are passed over (`skipDefaultCallbacks`).
    pub skip_callbacks: bool,
    /// Scripts are passed over (`skipDefaultResolvers`): only callbacks are left.
    pub skip_scripts: bool,
    /// The schema of the history; none: the first of the search path.
    pub schema: Option<String>,
    /// The schemas that belong to the database's scripts, as they were named; see [`DatabaseSettings::all_schemas`].
    pub schemas: Vec<String>,
    /// The history table's name.
    pub table: String,
    /// The tablespace that the history table is made in; none: the database's.
    pub tablespace: Option<String>,
    /// SQL that every session begins with. Placeholders are replaced in it.
    pub init_sql: Option<String>,
    /// Who is named in the history; none: the database's user.
    pub installed_by: Option<String>,
    /// The name of the environment, which is a placeholder of Flyway's own.
    pub environment: String,
    /// The working directory as it was named, which is a placeholder of Flyway's own; none: that of the process.
    pub working_directory: Option<PathBuf>,
    /// How script names are read.
    pub naming: NamingRules,
    /// An invalid name is an error.
    pub validate_naming: bool,
    /// A missing location is an error.
    pub fail_on_missing_locations: bool,
    /// That all locations are missing is an error: probably the path is wrong.
    pub refuse_without_locations: bool,
    /// The encoding of scripts whose `.conf` names none.
    pub encoding: Encoding,
    /// The encoding of such a script is guessed from its bytes instead.
    pub detect_encoding: bool,
    /// A missing schema is made.
    pub create_schemas: bool,
    /// What decides between files and history.
    pub migration: Settings,
}

impl DatabaseSettings {
    /// How its files are read, as the check of a project's files asks it too.
    pub fn file_rules(&self) -> FileRules {
        FileRules {
            naming: self.naming.clone(),
            reading: Reading { encoding: self.encoding, detect: self.detect_encoding },
            replaces: self.replace_placeholders,
            marks: self.placeholder_marks.clone(),
            separator: self.placeholder_separator.clone(),
        }
    }

    /// Reads its files by these rules.
    pub fn follow(&mut self, rules: FileRules) {
        self.naming = rules.naming;
        self.encoding = rules.reading.encoding;
        self.detect_encoding = rules.reading.detect;
        self.replace_placeholders = rules.replaces;
        self.placeholder_marks = rules.marks;
        self.placeholder_separator = rules.separator;
    }

    /// All schemas that belong to the scripts, in the order of their names in the settings and each once; that of the
    /// history is among them, or comes first.
    pub fn all_schemas(&self, of_history: &str) -> Vec<String> {
        let is_named = self.schemas.iter().any(|schema| schema == of_history);
        let first = (!is_named).then(|| of_history.to_owned());
        let mut schemas: Vec<String> = Vec::with_capacity(self.schemas.len() + 1);
        for schema in first.into_iter().chain(self.schemas.iter().cloned()) {
            if !schemas.contains(&schema) {
                schemas.push(schema);
            }
        }
        schemas
    }

    /// A database with the usual settings.
    pub fn new(name: impl Into<String>, target: Target, locations: Vec<PathBuf>) -> Self {
        let migration = Settings { dialect: target.engine.dialect(), ..Settings::default() };
        Self {
            name: name.into(),
            target,
            dialect: None,
            warnings: Vec::new(),
            locations,
            placeholders: BTreeMap::new(),
            replace_placeholders: true,
            placeholder_marks: ("${".to_owned(), "}".to_owned()),
            placeholder_separator: ":".to_owned(),
            callback_locations: Vec::new(),
            skip_callbacks: false,
            skip_scripts: false,
            schema: None,
            schemas: Vec::new(),
            table: DEFAULT_TABLE.to_owned(),
            tablespace: None,
            init_sql: None,
            installed_by: None,
            environment: "default".to_owned(),
            working_directory: None,
            naming: NamingRules::default(),
            validate_naming: false,
            fail_on_missing_locations: false,
            refuse_without_locations: true,
            encoding: Encoding::default(),
            detect_encoding: false,
            create_schemas: true,
            migration,
        }
    }
}
