//! Files and settings of a case, resolved as a runner would resolve them.

use std::collections::BTreeMap;

use whimbrel_migration::{
    checksum,
    conf::ScriptConf,
    encoding::Encoding,
    name::{NamingRules, ScriptKind},
    placeholder::Placeholders,
    script::ResolvedScript,
    settings::{OwnTransactions, Settings},
    version::Version,
};

use super::case::{Case, Engine};

pub(crate) struct Project {
    pub(crate) scripts: Vec<ResolvedScript>,
    /// Text after placeholders were replaced, by path; an error where a value is missing.
    pub(crate) texts: BTreeMap<String, Result<String, String>>,
    pub(crate) settings: Settings,
}

/// The project, or the code of Flyway's error.
pub(crate) fn resolve(case: &Case) -> Result<Project, String> {
    let settings = Settings { dialect: case.engine.into(), ..settings(&case.settings)? };
    let naming = naming(&case.settings);
    let placeholders = placeholders(case)?;
    let replaces = case.settings.get("placeholderReplacement").is_none_or(|value| value == "true");
    let strict = case.settings.get("validateMigrationNaming").is_some_and(|value| value == "true");
    let mut project = Project { scripts: Vec::new(), texts: BTreeMap::new(), settings };
    for (path, content) in &case.files {
        let mut folders: Vec<&str> = path.split('/').collect();
        let file_name = folders.pop().unwrap_or_default();
        if folders.iter().any(|folder| folder.starts_with('.')) || !naming.is_candidate(file_name) {
            continue;
        }
        let name = match naming.parse(file_name) {
            Ok(name) if naming.is_seen(&name, file_name) => name,
            Err(_) if strict => return Err("ERROR".into()),
            _ => continue,
        };
        let conf_path = format!("{path}.conf");
        let conf = match case
            .files
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(&conf_path))
            .map(|(_, conf)| conf)
        {
            Some(conf) => ScriptConf::parse(&String::from_utf8_lossy(&conf.bytes())).map_err(|error| {
                if error.to_string().contains("not supported") {
                    "ERROR".to_owned()
                } else {
                    "CONFIGURATION".into()
                }
            })?,
            None => ScriptConf::default(),
        };
        let bytes = content.bytes();
        let detects = case.settings.get("detectEncoding").is_some_and(|value| value == "true");
        let encoding = match conf.encoding.as_ref().or(case.settings.get("encoding")) {
            Some(name) => name.parse().map_err(|_| "FAULT".to_owned())?,
            None if detects => Encoding::detect(&bytes),
            None => Encoding::Utf8,
        };
        let text = encoding.decode(&bytes).map_err(|_| "ERROR".to_owned())?.into_owned();
        let checksum = checksum::of_bytes(text.as_bytes()).expect("it is a string");
        let mut script = ResolvedScript::new(name.clone(), path.replace('\\', "/"), checksum);
        let replaced = if conf.placeholder_replacement.unwrap_or(replaces) {
            let mut own = placeholders.clone();
            own.set("flyway:filename", file_name);
            own.replace(&text).map(std::borrow::Cow::into_owned).map_err(|error| error.flyway_message())
        } else {
            Ok(text)
        };
        if name.kind == ScriptKind::Repeatable {
            let replaced = replaced.as_ref().map_err(|_| "ERROR".to_owned())?;
            let checksum = checksum::of_bytes(replaced.as_bytes()).expect("it is a string");
            script = script.with_replaced_checksum(checksum);
        }
        project.texts.insert(script.script.clone(), replaced);
        project.scripts.push(script.with_conf(conf));
    }
    Ok(project)
}

fn settings(values: &BTreeMap<String, String>) -> Result<Settings, String> {
    // As Flyway runs them.
    let mut settings = Settings { own_transactions: OwnTransactions::Allow, ..Settings::default() };
    let wrong = |_| "ERROR".to_owned();
    for (key, value) in values {
        match key.as_str() {
            "target" => settings.target = value.parse().map_err(wrong)?,
            "outOfOrder" => settings.out_of_order = value == "true",
            "ignoreMigrationPatterns" => {
                settings.ignore_patterns = value
                    .split(',')
                    .filter(|pattern| !pattern.is_empty())
                    .map(|pattern| pattern.parse().map_err(|_| "ERROR".to_owned()))
                    .collect::<Result<_, _>>()?;
            }
            "group" => settings.group = value == "true",
            "mixed" => settings.mixed = value == "true",
            "executeInTransaction" => settings.execute_in_transaction = value == "true",
            "validateOnMigrate" => settings.validate_on_migrate = value == "true",
            "baselineOnMigrate" => settings.baseline_on_migrate = value == "true",
            "baselineVersion" => settings.baseline_version = Version::parse(value).map_err(wrong)?,
            "baselineDescription" => settings.baseline_description.clone_from(value),
            "skipExecutingMigrations" => settings.skip_executing = value == "true",
            _ => {}
        }
    }
    Ok(settings)
}

fn naming(values: &BTreeMap<String, String>) -> NamingRules {
    let mut naming = NamingRules::default();
    for (key, value) in values {
        match key.as_str() {
            "sqlMigrationPrefix" => naming.versioned_prefix.clone_from(value),
            "repeatableSqlMigrationPrefix" => naming.repeatable_prefix.clone_from(value),
            "baselineMigrationPrefix" => naming.baseline_prefix.clone_from(value),
            "sqlMigrationSeparator" => naming.separator.clone_from(value),
            "sqlMigrationSuffixes" => naming.suffixes = value.split(',').map(str::to_owned).collect(),
            _ => {}
        }
    }
    naming
}

fn placeholders(case: &Case) -> Result<Placeholders, String> {
    let value =
        |key: &str, default: &str| case.settings.get(key).cloned().unwrap_or_else(|| default.to_owned());
    let separator = value("placeholderSeparator", ":");
    let mut placeholders =
        Placeholders::new(value("placeholderPrefix", "${"), value("placeholderSuffix", "}"));
    for (key, value) in &case.settings {
        let Some(name) = key.strip_prefix("placeholders.") else { continue };
        if name.starts_with("flyway:") {
            return Err("ERROR".into());
        }
        placeholders.set(name, value.clone());
    }
    // SQLite has neither users nor databases.
    let server: &[(&str, &str)] = match case.engine {
        Engine::PostgreSql => &[("defaultSchema", "public"), ("user", "postgres"), ("database", "golden")],
        Engine::MariaDb => &[("defaultSchema", "golden"), ("user", "root"), ("database", "golden")],
        Engine::Sqlite => &[("defaultSchema", "main"), ("user", "")],
    };
    let everywhere = [
        ("table", "flyway_schema_history"),
        ("environment", "default"),
        ("workingDirectory", "/"),
        ("timestamp", "2026-11-21 00:00:00"),
    ];
    for (name, value) in server.iter().copied().chain(everywhere) {
        placeholders.set(&format!("flyway{separator}{name}"), value);
    }
    Ok(placeholders)
}
