//! The values of one secret against its contract.

use std::collections::BTreeMap;

use super::notes::Notes;
use super::plain::Plain;
use super::{advice, agreement, plain};
use crate::{ConnectionUrl, Credentials, DEFAULT_PORT, KeyRole, Severity, Slug, Values, parse_url, text};

/// Which keys must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Every one that the contract names.
    Declared,
    /// As many as it takes to connect.
    Enough,
}

/// Notes everything that is wrong; answers with credentials when they can be put together.
pub(super) fn examine(notes: &mut Notes<'_>, values: &Values, demand: Demand) -> Option<Credentials> {
    let plain = plain_values(notes, values, demand);
    let urls: Vec<(String, ConnectionUrl)> = [KeyRole::Url, KeyRole::Jdbc]
        .into_iter()
        .filter_map(|role| read_url(notes, plain.get(&role)?))
        .collect();
    check_port(notes, plain.get(&KeyRole::Port));
    check_agreement(notes, &plain, &urls);
    if urls.iter().any(|(_, url)| url.file.is_some()) {
        // A file has neither host nor user, and nobody logs in.
        return None;
    }
    let spoilt = !notes.findings.is_empty();
    let credentials = assemble(&plain, &urls);
    if spoilt && credentials.is_none() {
        // The reason has been told already.
        return None;
    }
    check_complete(notes, &plain, &urls);
    credentials
}

fn plain_values<'v>(
    notes: &mut Notes<'_>,
    values: &'v Values,
    demand: Demand,
) -> BTreeMap<KeyRole, Plain<'v>> {
    let contract = notes.contract;
    let mut found = BTreeMap::new();
    for (role, key) in contract.keys().iter() {
        match values.get(key) {
            Some(value) => {
                if let Some(plain) = plain::examine(notes, role, key, value) {
                    found.insert(role, plain);
                }
            }
            None if demand == Demand::Declared => note_missing_key(notes, key, values),
            None => {}
        }
    }
    if demand == Demand::Enough && notes.findings.is_empty() {
        note_too_little(notes, &found, values);
    }
    found
}

fn note_missing_key(notes: &mut Notes<'_>, key: &str, values: &Values) {
    let plain = |name: &str| name.replace(['-', '.'], "_").to_ascii_lowercase();
    let similar = values.keys().find(|name| plain(name) == plain(key));
    let secret = notes.contract.secret();
    let next = advice::add_key(notes.place, secret, key, similar);
    let message = match notes.place.is_flat() {
        true => format!("`{key}` is not set"),
        false => format!("secret `{secret}` has no key `{key}`"),
    };
    notes.add(Slug::KeyMissing, Severity::Error, Some(key), message, next);
}

/// Without a URL, the parts that a connection cannot do without are missing.
fn note_too_little(notes: &mut Notes<'_>, found: &BTreeMap<KeyRole, Plain<'_>>, values: &Values) {
    if found.contains_key(&KeyRole::Url) || found.contains_key(&KeyRole::Jdbc) {
        return;
    }
    let keys = notes.contract.keys();
    let some_part = found.contains_key(&KeyRole::Host) || found.contains_key(&KeyRole::Name);
    let wanted: &[KeyRole] = match keys.get(KeyRole::Url).or(keys.get(KeyRole::Jdbc)) {
        Some(key) if !some_part => {
            note_missing_key(notes, key, values);
            return;
        }
        _ => &[KeyRole::Host, KeyRole::Name, KeyRole::User],
    };
    for role in wanted.iter().filter(|role| !found.contains_key(role)) {
        if let Some(key) = keys.get(*role) {
            note_missing_key(notes, key, values);
        }
    }
}

fn read_url(notes: &mut Notes<'_>, plain: &Plain<'_>) -> Option<(String, ConnectionUrl)> {
    let key = &plain.key;
    match parse_url(plain.text) {
        Ok(url) => {
            let filled = |role| !agreement::part(&url, role).is_some_and(|part| text::is_placeholder(&part));
            if [KeyRole::Host, KeyRole::Name, KeyRole::User, KeyRole::Password].into_iter().all(filled) {
                return Some((key.clone(), url));
            }
            notes.value(
                Slug::ValuePlaceholder,
                key,
                format!("a part of the URL in `{key}` is a placeholder that was not filled in"),
            );
            None
        }
        Err(problem) => {
            notes.value(problem.slug(), key, format!("the URL in `{key}` {problem}"));
            None
        }
    }
}

fn check_port(notes: &mut Notes<'_>, port: Option<&Plain<'_>>) {
    if let Some(port) = port
        && port.text.parse::<u16>().ok().is_none_or(|port| port == 0)
    {
        let key = &port.key;
        notes.value(Slug::PortInvalid, key, format!("`{key}` is not a number from 1 to 65535"));
    }
}

const PARTS: [KeyRole; 5] = [KeyRole::Host, KeyRole::Port, KeyRole::Name, KeyRole::User, KeyRole::Password];

fn check_agreement(
    notes: &mut Notes<'_>,
    plain: &BTreeMap<KeyRole, Plain<'_>>,
    urls: &[(String, ConnectionUrl)],
) {
    for role in PARTS {
        let separate = plain.get(&role);
        let mut compared = false;
        for (key, url) in urls {
            if let (Some(separate), Some(in_url)) = (separate, agreement::part(url, role)) {
                agreement::compare(notes, key, role, separate, &in_url);
                compared = true;
            }
        }
        match (separate, urls) {
            (None, [first, second]) => {
                agreement::compare_urls(notes, (&first.0, &first.1), (&second.0, &second.1), role);
            }
            (Some(separate), _) if !compared && role == KeyRole::Password => doubt_password(notes, separate),
            _ => {}
        }
    }
}

/// A password that nothing confirms. Real ones can be base64 of text: only a line break in that
/// text, or the padding, tells that someone encoded twice.
fn doubt_password(notes: &mut Notes<'_>, password: &Plain<'_>) {
    let Some(decoded) = &password.decoded else { return };
    if decoded.ends_with('\n') || password.text.ends_with('=') {
        plain::double_base64(notes, &password.key);
    } else if text::is_surely_base64(password.text) {
        let key = &password.key;
        notes.doubt(Slug::ValueDoubleBase64, key, format!("`{key}` may have been encoded as base64 twice"));
    }
}

/// A separate key wins over a URL, as it does for Flyway; only the host is fuller in the URL.
fn assemble(plain: &BTreeMap<KeyRole, Plain<'_>>, urls: &[(String, ConnectionUrl)]) -> Option<Credentials> {
    let separate = |role| plain.get(&role).map(|value| value.text.to_owned());
    let in_urls = |role| urls.iter().find_map(|(_, url)| agreement::part(url, role));
    let either = |role| separate(role).or_else(|| in_urls(role));
    let port = match either(KeyRole::Port) {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => DEFAULT_PORT,
    };
    Some(Credentials {
        host: in_urls(KeyRole::Host).or_else(|| separate(KeyRole::Host))?,
        port,
        name: either(KeyRole::Name)?,
        user: either(KeyRole::User)?,
        password: either(KeyRole::Password).map(Into::into),
        parameters: urls.first().map(|(_, url)| url.parameters.clone()).unwrap_or_default(),
    })
}

/// What neither a URL nor a key names.
fn check_complete(
    notes: &mut Notes<'_>,
    plain: &BTreeMap<KeyRole, Plain<'_>>,
    urls: &[(String, ConnectionUrl)],
) {
    // A key that has a finding of its own is not told a second time.
    let keys = notes.contract.keys();
    let told: Vec<&str> = notes.findings.iter().filter_map(|finding| finding.key.as_deref()).collect();
    let told: Vec<KeyRole> =
        keys.iter().filter(|(_, key)| told.contains(key)).map(|(role, _)| role).collect();
    let has = |role| {
        plain.contains_key(&role)
            || told.contains(&role)
            || urls.iter().any(|(_, url)| agreement::part(url, role).is_some())
    };
    let Some((url_key, url)) = urls.first() else {
        if !has(KeyRole::Password) && plain.contains_key(&KeyRole::Host) {
            note_no_password(notes, None);
        }
        return;
    };
    let wanted = [
        (KeyRole::Host, Slug::UrlHostMissing, "host"),
        (KeyRole::Name, Slug::UrlDatabaseMissing, "database"),
        (KeyRole::User, Slug::UserMissing, "user"),
    ];
    for (_, slug, noun) in wanted.into_iter().filter(|(role, ..)| !has(*role)) {
        notes.value(slug, url_key, format!("the URL in `{url_key}` names no {noun}, and no other key does"));
    }
    let other_login = url.parameters.get("sslcert").is_some() || url.parameters.get("passfile").is_some();
    if !has(KeyRole::Password) && !other_login {
        note_no_password(notes, Some(url_key));
    }
}

/// A warning: a server may let someone in without one.
fn note_no_password(notes: &mut Notes<'_>, url_key: Option<&str>) {
    let key = url_key.or(notes.contract.keys().get(KeyRole::Password));
    let next = "add a password, unless the server lets this user in without one".to_owned();
    let message = "neither a URL nor a key holds a password".to_owned();
    notes.add(Slug::PasswordMissing, Severity::Warning, key, message, next);
}
