//! Whether a URL agrees with the keys beside it.

use secrecy::ExposeSecret;

use super::notes::Notes;
use super::plain::{Plain, double_base64};
use crate::{ConnectionUrl, KeyRole, Slug};

/// What a URL says for the role of a separate key.
pub(super) fn part(url: &ConnectionUrl, role: KeyRole) -> Option<String> {
    match role {
        KeyRole::Host => url.host.clone(),
        KeyRole::Port => url.port.map(|port| port.to_string()),
        KeyRole::Name => url.name.clone(),
        KeyRole::User => url.user.clone(),
        KeyRole::Password => url.password.as_ref().map(|p| p.expose_secret().to_owned()),
        KeyRole::Url | KeyRole::Jdbc => None,
    }
}

/// Compares a separate key with what one URL says.
pub(super) fn compare(notes: &mut Notes<'_>, url_key: &str, role: KeyRole, plain: &Plain<'_>, in_url: &str) {
    if agrees(role, plain.text, in_url) {
        return;
    }
    if plain.decoded.as_deref().is_some_and(|decoded| decoded.trim_end() == in_url) {
        let known = notes.findings.iter().any(|finding| {
            finding.slug == Slug::ValueDoubleBase64 && finding.key.as_deref() == Some(&plain.key)
        });
        if !known {
            double_base64(notes, &plain.key);
        }
        return;
    }
    differ(notes, url_key, role, &plain.key);
}

/// Compares two URLs of one secret where no separate key was compared with both.
pub(super) fn compare_urls(
    notes: &mut Notes<'_>,
    (first_key, first): (&str, &ConnectionUrl),
    (second_key, second): (&str, &ConnectionUrl),
    role: KeyRole,
) {
    if let (Some(one), Some(other)) = (part(first, role), part(second, role))
        && !agrees(role, &one, &other)
    {
        differ(notes, first_key, role, second_key);
    }
}

fn differ(notes: &mut Notes<'_>, url_key: &str, role: KeyRole, key: &str) {
    let (slug, noun) = match role {
        KeyRole::Host => (Slug::UrlHostDiffers, "host"),
        KeyRole::Port => (Slug::UrlPortDiffers, "port"),
        KeyRole::Name => (Slug::UrlDatabaseDiffers, "database"),
        KeyRole::User => (Slug::UrlUserDiffers, "user"),
        KeyRole::Password => (Slug::UrlPasswordDiffers, "password"),
        KeyRole::Url | KeyRole::Jdbc => return,
    };
    notes.value(slug, url_key, format!("the {noun} in `{url_key}` differs from the one in `{key}`"));
}

/// Equal; or, for hosts, the same service with and without its namespace, as CloudNativePG writes
/// them side by side.
fn agrees(role: KeyRole, one: &str, other: &str) -> bool {
    let longer = |short: &str, long: &str| long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'));
    match role {
        KeyRole::Host => one.eq_ignore_ascii_case(other) || longer(one, other) || longer(other, one),
        KeyRole::Port => one.parse::<u16>().ok() == other.parse::<u16>().ok(),
        _ => one == other,
    }
}
