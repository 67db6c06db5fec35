//! The check of a whole set of scripts before it goes anywhere: what can be known without a database.
//!
//! The SQL grammar is not looked at here.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::{
    checksum,
    conf::ScriptConf,
    dialect::Dialect,
    encoding::Reading,
    finding::{Finding, Severity},
    name::{NamingRules, ScriptKind, ScriptName, no_extension, not_seen},
    placeholder::Placeholders,
    plan,
    scan::{self, ScanFacts},
    script::ResolvedScript,
    settings::Settings,
    state,
    version::Version,
};

/// A file of a set: its path below the location, with `/`, and its contents.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Path below the location.
    pub path: &'a str,
    /// What is in it.
    pub contents: &'a [u8],
}

/// The files by path in lower case: a side file belongs to its script in any letter case.
type Files<'a> = HashMap<String, &'a File<'a>>;

/// The rules that a set is checked by.
#[derive(Debug, Clone)]
pub struct CheckRules<'a> {
    /// How scripts are named.
    pub naming: &'a NamingRules,
    /// What placeholders stand for; none: nobody can say it, and no text is replaced.
    pub placeholders: Option<&'a Placeholders>,
    /// Whether they are replaced in scripts whose side file says nothing about it.
    pub replaces: bool,
    /// How files are decoded whose side file names no encoding.
    pub reading: Reading,
    /// How scripts run.
    pub settings: &'a Settings,
}

impl<'a> CheckRules<'a> {
    /// Rules with the usual reading: UTF-8, and placeholders replaced where their values are known.
    pub fn new(
        naming: &'a NamingRules,
        placeholders: Option<&'a Placeholders>,
        settings: &'a Settings,
    ) -> Self {
        Self { naming, placeholders, replaces: true, reading: Reading::default(), settings }
    }
}

/// What the check came to.
#[derive(Debug, Clone)]
pub struct CheckReport {
    /// The scripts, in the order of the files.
    pub scripts: Vec<ResolvedScript>,
    /// What was found, in the order of the files; duplicates last.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether nothing speaks against using the set.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Error)
    }
}

/// Checks a set: names, near misses, duplicates, placeholders, encoding, statements.
pub fn check(files: &[File<'_>], rules: &CheckRules<'_>) -> CheckReport {
    let set: Files<'_> = files.iter().map(|file| (file.path.to_lowercase(), file)).collect();
    let mut report = CheckReport { scripts: Vec::new(), findings: Vec::new() };
    for file in files {
        if let Some(script) = file.path.strip_suffix(".conf") {
            check_conf(file, script, &set, rules, &mut report.findings);
            continue;
        }
        match name_of(file.path, rules.naming) {
            Named::Script(name) => check_script(file, &name, &set, rules, &mut report),
            Named::Nothing => {}
            Named::Odd(finding) => report.findings.push(finding.in_script(file.path)),
        }
    }
    report.findings.extend(state::find_duplicates(&report.scripts));
    report.findings.extend(undo_without_script(&report.scripts));
    report
}

/// Undo scripts for versions that no script has: they could never be used.
fn undo_without_script(scripts: &[ResolvedScript]) -> Vec<Finding> {
    let is = |kind| move |script: &&ResolvedScript| script.name.kind == kind;
    let versions: HashSet<&Version> =
        scripts.iter().filter(is(ScriptKind::Versioned)).filter_map(ResolvedScript::version).collect();
    scripts
        .iter()
        .filter(is(ScriptKind::Undo))
        .filter_map(|script| Some((script, script.version()?)))
        .filter(|(_, version)| !versions.contains(version))
        .map(|(script, version)| {
            Finding::warning(
                "undo-without-script",
                format!("there is no script of version {version} to undo"),
            )
            .of_version(version.as_str())
            .in_script(script.script.clone())
            .next_step("give it the version of the script that it takes back, or remove it")
        })
        .collect()
}

enum Named {
    Script(Box<ScriptName>),
    Nothing,
    Odd(Finding),
}

fn name_of(path: &str, naming: &NamingRules) -> Named {
    let file_name = path.rsplit('/').next().unwrap_or(path);
    if !naming.is_candidate(file_name) {
        return if naming.looks_like_shell_script(file_name) {
            Named::Odd(no_extension(file_name, naming))
        } else {
            Named::Nothing
        };
    }
    match naming.parse(file_name) {
        Ok(name) if !naming.is_seen(&name, file_name) => Named::Odd(not_seen(file_name, &name, naming)),
        Ok(name) => Named::Script(Box::new(name)),
        Err(error) => Named::Odd(error.to_finding(naming)),
    }
}

fn check_conf(
    file: &File<'_>,
    script: &str,
    set: &Files<'_>,
    rules: &CheckRules<'_>,
    findings: &mut Vec<Finding>,
) {
    let file_name = script.rsplit('/').next().unwrap_or(script);
    if !rules.naming.is_candidate(file_name) {
        return;
    }
    if !set.contains_key(&script.to_lowercase()) {
        findings.push(
            Finding::warning("conf-without-script", format!("there is no {script} for this side file"))
                .in_script(file.path)
                .next_step("give it the name of its script and .conf, or remove it"),
        );
    }
    if let Err(error) = ScriptConf::of_bytes(file.contents, rules.reading) {
        findings.push(error.to_finding(file.path));
    }
}

fn check_script(
    file: &File<'_>,
    name: &ScriptName,
    set: &Files<'_>,
    rules: &CheckRules<'_>,
    report: &mut CheckReport,
) {
    let first_finding = report.findings.len();
    let conf = set
        .get(&format!("{}.conf", file.path).to_lowercase())
        .and_then(|other| ScriptConf::of_bytes(other.contents, rules.reading).ok())
        .unwrap_or_default();
    check_lengths(name, rules.settings.dialect, &mut report.findings);
    match text_of(file, &conf, rules.reading) {
        Ok((text, checksum)) => {
            let mut script = ResolvedScript::new(name.clone(), file.path, checksum).with_conf(conf);
            check_text(&text, &mut script, rules, &mut report.findings);
            report.scripts.push(script);
        }
        Err(finding) => report.findings.push(*finding),
    }
    for finding in &mut report.findings[first_finding..] {
        finding.script.get_or_insert_with(|| file.path.to_owned());
    }
}

/// The text of a script in whatever encoding, and its checksum.
fn text_of<'a>(
    file: &File<'a>,
    conf: &ScriptConf,
    reading: Reading,
) -> Result<(Cow<'a, str>, i32), Box<Finding>> {
    let encoding = reading
        .encoding_of(conf, file.contents)
        .map_err(|error| error.to_finding(&format!("{}.conf", file.path)))?;
    let text = encoding.decode(file.contents).map_err(|error| error.to_finding(file.path))?;
    let checksum = checksum::of_bytes(text.as_bytes()).map_err(|error| error.to_finding(file.path))?;
    Ok((text, checksum))
}

fn check_lengths(name: &ScriptName, dialect: Dialect, findings: &mut Vec<Finding>) {
    findings.extend(name.version_too_long(dialect));
    findings.extend(name.description_too_long());
}

fn check_text(text: &str, script: &mut ResolvedScript, rules: &CheckRules<'_>, findings: &mut Vec<Finding>) {
    let replaces = script.conf.placeholder_replacement.unwrap_or(rules.replaces);
    let replaced = match rules.placeholders.filter(|_| replaces) {
        None => text.into(),
        Some(placeholders) => match placeholders.replace(text) {
            Ok(replaced) => {
                if let Ok(checksum) = checksum::of_bytes(replaced.as_bytes()) {
                    *script = script.clone().with_replaced_checksum(checksum);
                }
                replaced
            }
            Err(error) => {
                findings.push(error.to_finding());
                return;
            }
        },
    };
    match scan::facts(rules.settings.dialect, replaced.as_bytes()) {
        Ok(facts) => check_facts(&facts, script, rules.settings, findings),
        Err(error) => findings.push(error.to_finding()),
    }
}

fn check_facts(facts: &ScanFacts, script: &ResolvedScript, settings: &Settings, findings: &mut Vec<Finding>) {
    if facts.statements == 0 {
        findings.push(
            Finding::warning(
                "no-statements",
                "there is no statement in it: it would be recorded and do nothing",
            )
            .next_step("write the SQL, or remove the file"),
        );
    }
    if let Some(place) = facts.program.filter(|_| settings.dialect == Dialect::PostgreSql) {
        findings.push(
            Finding::warning("runs-program", "COPY with PROGRAM runs a command on the server's machine")
                .at(place.line, place.column)
                .next_step(
                    "load the data another way; only a superuser or pg_execute_server_program may do this",
                ),
        );
    }
    if let Err(refusal) = plan::decide_run(facts, &script.conf, settings) {
        findings.push(*refusal.in_script(script));
        return;
    }
    if script.conf.execute_in_transaction == Some(true)
        && let Some(seen) = &facts.non_transactional
    {
        findings.push(
            Finding::warning(
                "runs-in-transaction",
                format!(
                    "{} cannot run in a transaction, and the side file says executeInTransaction=true",
                    seen.what
                ),
            )
            .at(seen.place.line, seen.place.column)
            .next_step("remove the line from the side file"),
        );
    }
}
