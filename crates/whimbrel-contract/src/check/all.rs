//! All databases of a project.

use std::collections::BTreeMap;

use super::advice;
use super::examine::{Demand, examine};
use super::notes::Notes;
use crate::{
    Cause, Credentials, DatabaseContract, DatabaseReport, DatabaseStatus, Finding, Observation, Observations,
    Place, Report, Severity, Slug, Unknown, UnknownReason, Values,
};

/// The secret of a database cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the secret of database `{database}` cannot be used: {}", summary(.findings))]
pub struct Unusable {
    /// The database.
    pub database: String,
    /// Why, with at least one entry.
    pub findings: Vec<Finding>,
}

fn summary(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Turns the values of one secret into credentials. Keys that the contract names may be missing as
/// long as the others suffice, so that [`crate::Keys::environment`] serves URLs and parts alike.
///
/// # Errors
/// When a value is unusable or too little is there.
pub fn resolve(contract: &DatabaseContract, values: &Values, place: &Place) -> Result<Credentials, Unusable> {
    let mut notes = Notes::new(contract, place);
    let credentials = examine(&mut notes, values, Demand::Enough);
    let findings: Vec<Finding> =
        notes.findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect();
    match credentials {
        Some(credentials) if findings.is_empty() => Ok(credentials),
        _ => Err(Unusable { database: contract.database().to_owned(), findings }),
    }
}

/// Compares all contracts with what was observed. All problems of all databases are in the report.
pub fn check(contracts: &[DatabaseContract], observations: &Observations) -> Report {
    let place = &observations.place;
    let mut report =
        Report { place: place.clone(), databases: Vec::new(), findings: Vec::new(), unknown: Vec::new() };
    let forbidden = forbidden_secrets(contracts, observations);
    let mut targets: BTreeMap<(String, u16, String), &str> = BTreeMap::new();
    if observations.namespace_missing {
        report.findings.push(namespace_missing(place));
    }
    for contract in contracts {
        let mut notes = Notes::new(contract, place);
        let mut unknown = None;
        match observations.secrets.get(contract.secret()) {
            _ if observations.namespace_missing => {}
            Some(Observation::Present { values, causes }) => {
                let credentials = examine(&mut notes, values, Demand::Declared);
                note_causes(&mut notes, causes, values);
                if let Some(credentials) = credentials {
                    note_same_target(&mut notes, &mut targets, &credentials);
                }
            }
            Some(Observation::Missing { causes }) => note_missing(&mut notes, causes),
            Some(Observation::Unknown { reason, message }) => {
                unknown = Some(unknown_of(contract, place, *reason, message, &forbidden));
            }
            None => {
                let reason = UnknownReason::Refused;
                unknown = Some(unknown_of(contract, place, reason, "it was not looked for", &forbidden));
            }
        }
        note_clashes(&mut notes, contracts);
        report.databases.push(DatabaseReport {
            database: contract.database().to_owned(),
            secret: contract.secret().to_owned(),
            keys: contract.keys().iter().map(|(_, key)| key.to_owned()).collect(),
            status: status(&notes.findings, unknown.is_some(), observations.namespace_missing),
        });
        report.findings.append(&mut notes.findings);
        report.unknown.extend(unknown);
    }
    report
}

fn status(findings: &[Finding], unknown: bool, namespace_missing: bool) -> DatabaseStatus {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => DatabaseStatus::Unusable,
        _ if namespace_missing => DatabaseStatus::Unusable,
        _ if unknown => DatabaseStatus::Unknown,
        Some(Severity::Warning) => DatabaseStatus::Warning,
        None => DatabaseStatus::Ok,
    }
}

fn namespace_missing(place: &Place) -> Finding {
    let namespace = match place {
        Place::Kubernetes { namespace, .. } => namespace.as_str(),
        _ => "",
    };
    Finding {
        slug: Slug::NamespaceMissing,
        severity: Severity::Error,
        database: None,
        secret: None,
        key: None,
        message: format!("namespace `{namespace}` does not exist"),
        next: advice::namespace_missing(namespace),
        causes: Vec::new(),
    }
}

fn note_missing(notes: &mut Notes<'_>, causes: &[Cause]) {
    let secret = notes.contract.secret();
    let message = match notes.place {
        Place::Environment => format!("no variable of database `{}` is set", notes.contract.database()),
        Place::Kubernetes { namespace, .. } => {
            format!("secret `{secret}` does not exist in namespace `{namespace}`")
        }
        place => format!("secret `{secret}` does not exist in {place}"),
    };
    let causes: Vec<_> =
        causes.iter().map(|cause| advice::cause(notes.place, cause, std::iter::empty())).collect();
    let next = match causes.first() {
        Some(cause) => cause.next.clone(),
        None => advice::add_secret(notes.place, secret),
    };
    notes.add(Slug::SecretMissing, Severity::Error, None, message, next);
    if let Some(finding) = notes.findings.last_mut() {
        finding.causes = causes;
    }
}

/// The secret is there, but whoever makes it is in trouble: its values may be out of date.
fn note_causes(notes: &mut Notes<'_>, causes: &[Cause], values: &Values) {
    for cause in causes {
        let texts: Vec<&str> = values.texts().collect();
        let note = advice::cause(notes.place, cause, texts.iter().copied());
        let severity = match cause {
            Cause::ExternalSecret { .. } | Cause::Deleting => Severity::Error,
            Cause::CnpgCluster { .. } => Severity::Warning,
        };
        notes.add(note.slug, severity, None, note.message, note.next);
    }
}

fn note_same_target<'a>(
    notes: &mut Notes<'a>,
    targets: &mut BTreeMap<(String, u16, String), &'a str>,
    credentials: &Credentials,
) {
    let database = notes.contract.database();
    let target = (credentials.host.to_ascii_lowercase(), credentials.port, credentials.name.clone());
    match targets.get(&target) {
        Some(other) => {
            let message = format!("leads to the same database of the same server as `{other}`");
            let next = format!("see whether `{database}` and `{other}` are meant to share one database");
            notes.add(Slug::SameTarget, Severity::Warning, None, message, next);
        }
        None => {
            targets.insert(target, database);
        }
    }
}

/// Where all secrets share their keys, the same key of two secrets cannot hold two values.
fn note_clashes(notes: &mut Notes<'_>, contracts: &[DatabaseContract]) {
    if !notes.place.is_flat() {
        return;
    }
    let contract = notes.contract;
    for (_, key) in contract.keys().iter() {
        let earlier = contracts
            .iter()
            .take_while(|other| other.database() != contract.database())
            .find(|other| other.secret() != contract.secret() && other.keys().iter().any(|(_, k)| k == key));
        if let Some(other) = earlier {
            let message = format!("`{key}` is a key of database `{}` too", other.database());
            let next =
                "use a folder (--from folder:DIR), where each secret has its own keys, or other key names"
                    .to_owned();
            notes.add(Slug::KeyClash, Severity::Error, Some(key), message, next);
        }
    }
}

fn forbidden_secrets<'a>(contracts: &'a [DatabaseContract], observations: &Observations) -> Vec<&'a str> {
    let forbidden = |name: &str| {
        matches!(
            observations.secrets.get(name),
            Some(Observation::Unknown { reason: UnknownReason::NoRight, .. })
        )
    };
    let mut names: Vec<&str> =
        contracts.iter().map(DatabaseContract::secret).filter(|n| forbidden(n)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn unknown_of(
    contract: &DatabaseContract,
    place: &Place,
    reason: UnknownReason,
    message: &str,
    forbidden: &[&str],
) -> Unknown {
    Unknown {
        database: contract.database().to_owned(),
        secret: contract.secret().to_owned(),
        reason,
        message: crate::text::foreign(message, std::iter::empty()),
        next: advice::unknown(place, reason, forbidden),
    }
}
