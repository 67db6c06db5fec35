//! Flyway's parameters, each with what it does here. A name that is not in this table is refused.

/// What a parameter does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The same as in Flyway.
    Honoured,
    /// The same as in Flyway for the program called `flyway`; Whimbrel's own verbs have this instead.
    AsFlyway(&'static str),
    /// Nothing that is done here depends on it, for this reason.
    WithoutEffect(&'static str),
    /// It is refused, for this reason, unless it has this value or none.
    OnlyDefault(&'static str, &'static str),
}

/// A parameter of Flyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name without `flyway.`.
    pub name: &'static str,
    /// What it does here.
    pub effect: Effect,
}

const JVM: &str = "there is no Java here, and no driver to choose";
const DRIVER: &str = "it decides how Flyway's driver sends statements, not what they do";
const OUTPUT: &str = "it decides how Flyway shows its output";
const EDITION: &str = "there are no editions here";
const SHELL: &str = "scripts of a shell are never run here";
const OTHER_DATABASE: &str = "it is about a database that is not supported here";
const CLASSES: &str = "it names Java classes, and there is no Java here";
const INFO: &str = "info --format json";
const PAID: &str = "only Flyway's paid editions have it";
const REPORTS: &str = "there are no reports in Flyway's form here (whimbrel-migrate has --report)";

use Effect::{AsFlyway, Honoured, OnlyDefault, WithoutEffect};

/// Every parameter that is known, in the order of their names.
pub const PARAMETERS: &[Parameter] = &parameters([
    ("baselineDescription", Honoured),
    ("baselineMigrationPrefix", Honoured),
    ("baselineOnMigrate", Honoured),
    ("baselineVersion", Honoured),
    ("batch", WithoutEffect(DRIVER)),
    ("callbackLocations", Honoured),
    ("callbacks", OnlyDefault("", CLASSES)),
    ("check.buildEnvironment", OnlyDefault("", PAID)),
    ("cherryPick", Honoured),
    ("cleanDisabled", Honoured),
    ("cleanOnValidationError", OnlyDefault("false", "cleanOnValidationError has been removed")),
    ("color", Honoured),
    ("communityDBSupportEnabled", WithoutEffect(OTHER_DATABASE)),
    ("configFileEncoding", Honoured),
    ("configFiles", Honoured),
    ("connectRetries", Honoured),
    ("connectRetriesInterval", Honoured),
    ("createSchemas", Honoured),
    ("defaultSchema", Honoured),
    ("detectEncoding", Honoured),
    ("driver", WithoutEffect(JVM)),
    ("dryRunOutput", AsFlyway("--dry-run")),
    ("edition", WithoutEffect(EDITION)),
    ("email", WithoutEffect(EDITION)),
    ("encoding", Honoured),
    ("environment", Honoured),
    ("errorOverrides", OnlyDefault("", PAID)),
    ("executeInTransaction", Honoured),
    ("failOnMissingLocations", Honoured),
    ("group", Honoured),
    ("ignoreMigrationPatterns", Honoured),
    ("infoOfState", AsFlyway(INFO)),
    ("infoSinceDate", AsFlyway(INFO)),
    ("infoSinceVersion", AsFlyway(INFO)),
    ("infoUntilDate", AsFlyway(INFO)),
    ("infoUntilVersion", AsFlyway(INFO)),
    ("initSql", Honoured),
    ("installedBy", Honoured),
    ("jarDirs", WithoutEffect(JVM)),
    ("kerberosConfigFile", OnlyDefault("", PAID)),
    ("licenseKey", WithoutEffect(EDITION)),
    ("locations", Honoured),
    ("lockRetryCount", Honoured),
    ("loggers", WithoutEffect(OUTPUT)),
    ("mixed", Honoured),
    ("oracle.kerberosCacheFile", WithoutEffect(OTHER_DATABASE)),
    ("oracle.sqlplus", WithoutEffect(OTHER_DATABASE)),
    ("oracle.sqlplusWarn", WithoutEffect(OTHER_DATABASE)),
    ("oracle.walletLocation", WithoutEffect(OTHER_DATABASE)),
    ("outOfOrder", Honoured),
    ("outputFile", AsFlyway("--report")),
    ("outputLogsInJson", OnlyDefault("false", "log lines have no JSON form of Flyway's here")),
    ("outputQueryResults", WithoutEffect(OUTPUT)),
    ("outputType", AsFlyway("--format")),
    ("password", Honoured),
    ("placeholderPrefix", Honoured),
    ("placeholderReplacement", Honoured),
    ("placeholderSeparator", Honoured),
    ("placeholderSuffix", Honoured),
    ("postgresql.transactional.lock", WithoutEffect("the lock here excludes either kind of Flyway's")),
    ("powershellExecutable", WithoutEffect(SHELL)),
    ("provisionMode", WithoutEffect("no database is provisioned here")),
    ("publishResult", OnlyDefault("false", PAID)),
    ("repeatableSqlMigrationPrefix", Honoured),
    ("reportEnabled", OnlyDefault("false", REPORTS)),
    ("reportFilename", WithoutEffect(REPORTS)),
    ("resolvers", OnlyDefault("", CLASSES)),
    ("schemas", Honoured),
    ("scriptPlaceholderPrefix", WithoutEffect(SHELL)),
    ("scriptPlaceholderSuffix", WithoutEffect(SHELL)),
    ("skipDefaultCallbacks", Honoured),
    ("skipDefaultResolvers", Honoured),
    ("skipExecutingMigrations", Honoured),
    ("sqlMigrationPrefix", Honoured),
    ("sqlMigrationSeparator", Honoured),
    ("sqlMigrationSuffixes", Honoured),
    ("sqlserver.kerberos.login.file", WithoutEffect(OTHER_DATABASE)),
    ("stream", WithoutEffect("scripts are always read piece by piece where that is possible")),
    ("table", Honoured),
    ("tablespace", Honoured),
    ("target", Honoured),
    ("token", WithoutEffect(EDITION)),
    ("undoSqlMigrationPrefix", Honoured),
    ("url", Honoured),
    ("user", Honoured),
    ("validateMigrationNaming", Honoured),
    ("validateOnMigrate", Honoured),
    ("workingDirectory", Honoured),
]);

const fn parameters<const N: usize>(rows: [(&'static str, Effect); N]) -> [Parameter; N] {
    let mut all = [Parameter { name: "", effect: Honoured }; N];
    let mut index = 0;
    while index < N {
        all[index] = Parameter { name: rows[index].0, effect: rows[index].1 };
        index += 1;
    }
    all
}

/// Parameters that only the command line knows: no file and no variable sets them.
const COMMAND_LINE_ONLY: [&str; 9] = [
    "outputType",
    "outputFile",
    "outputLogsInJson",
    "color",
    "infoOfState",
    "infoSinceDate",
    "infoSinceVersion",
    "infoUntilDate",
    "infoUntilVersion",
];

/// Parameters that have names below them, such as `placeholders.color`.
const WITH_NAMES: [&str; 2] = ["placeholders.", "jdbcProperties."];

/// The parameter of this name (without `flyway.`); for those with names below them, the whole name counts.
pub fn find(name: &str) -> Option<Parameter> {
    if WITH_NAMES.iter().any(|prefix| name.len() > prefix.len() && name.starts_with(prefix)) {
        return Some(Parameter { name: "placeholders", effect: Honoured });
    }
    PARAMETERS.iter().find(|parameter| parameter.name == name).copied()
}

/// The parameters that an environment variable sets, with the variable's name.
pub fn variables() -> impl Iterator<Item = (&'static str, String)> {
    let without =
        |name: &str| COMMAND_LINE_ONLY.contains(&name) || matches!(name, "environment" | "reportEnabled");
    let names = PARAMETERS.iter().map(|parameter| parameter.name);
    names.filter(move |name| !without(name)).map(|name| (name, variable(name)))
}

/// `baselineOnMigrate` is `FLYWAY_BASELINE_ON_MIGRATE` in the environment.
fn variable(name: &str) -> String {
    if name == "dryRunOutput" {
        return "FLYWAY_DRYRUN_OUTPUT".to_owned();
    }
    let mut variable = "FLYWAY_".to_owned();
    let mut before = '_';
    for character in name.chars() {
        // `communityDBSupport` has the letters of an abbreviation in one word.
        if character.is_uppercase() && !before.is_uppercase() {
            variable.push('_');
        }
        variable.push(if character == '.' { '_' } else { character.to_ascii_uppercase() });
        before = character;
    }
    variable
}

/// Whether nobody may see the value.
pub fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "password" | "token" | "licenseKey" | "email")
        || whimbrel_migration::redact::names_a_secret(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_no_name_twice() {
        assert!(PARAMETERS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn variables_are_named_as_flyway_names_them() {
        let names: Vec<String> = variables().map(|(_, variable)| variable).collect();
        for name in [
            "FLYWAY_BASELINE_ON_MIGRATE",
            "FLYWAY_DRYRUN_OUTPUT",
            "FLYWAY_POSTGRESQL_TRANSACTIONAL_LOCK",
            "FLYWAY_CONFIG_FILES",
            "FLYWAY_INIT_SQL",
            "FLYWAY_UNDO_SQL_MIGRATION_PREFIX",
        ] {
            assert!(names.iter().any(|there| there == name), "{name}");
        }
        assert!(!names.iter().any(|name| name == "FLYWAY_ENVIRONMENT" || name == "FLYWAY_OUTPUT_TYPE"));
    }

    #[test]
    fn names_below_a_parameter_are_known_by_it() {
        assert!(find("placeholders.color").is_some() && find("jdbcProperties.ssl").is_some());
        assert!(find("placeholders.").is_none() && find("nope").is_none());
    }
}
