//! Logging in: the registry's challenge, and a token when it names a token service.

use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::answer::{expect_success, limited};
use crate::{Credentials, RegistryErrorKind};

/// What is sent along with requests to the registry itself.
#[derive(Debug, Clone)]
pub(crate) enum Authorization {
    Basic(Credentials),
    Bearer(SecretString),
}

impl Authorization {
    pub(crate) fn apply(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::Basic(login) => request.basic_auth(&login.user, Some(login.password.expose_secret())),
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

/// What a registry wants, from `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service, mut scope) = (None, None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "service" => service = Some(value),
                "scope" => scope = Some(value),
                _ => {}
            }
        }
        Some(Self::Bearer { realm: realm?, service, scope })
    }
}

/// `name="value", name=value`, with backslashes inside quotes.
fn parameters(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        found.push((name.trim_matches([',', ' ']).to_owned(), value));
        text = rest;
    }
    found
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[derive(Deserialize)]
struct TokenDocument {
    token: Option<SecretString>,
    access_token: Option<SecretString>,
}

/// Asks the token service for a token of no more than `scope`.
pub(crate) async fn fetch_token(
    http: &reqwest::Client,
    registry: &Url,
    (realm, service, scope): (&str, Option<&str>, &str),
    login: Option<&Credentials>,
) -> Result<SecretString, RegistryErrorKind> {
    let unusable = || RegistryErrorKind::Protocol(format!("the token service `{realm}` is not an address"));
    let mut url = Url::parse(realm).map_err(|_| unusable())?;
    if url.scheme() != "https" && url.host_str() != registry.host_str() {
        return Err(RegistryErrorKind::UnsafeRealm(realm.to_owned()));
    }
    url.query_pairs_mut().append_pair("scope", scope);
    if let Some(service) = service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let mut request = http.get(url);
    if let Some(login) = login {
        request = Authorization::Basic(login.clone()).apply(request);
    }
    let answer = request.send().await.map_err(RegistryErrorKind::Connection)?;
    if answer.status().is_client_error() {
        let body = limited(answer, TOKEN_LIMIT).await?;
        return Err(RegistryErrorKind::Unauthorized { message: crate::error::words(&body).1 });
    }
    let answer = expect_success(answer).await?;
    let body = limited(answer, TOKEN_LIMIT).await?;
    let document: TokenDocument = serde_json::from_slice(&body)
        .map_err(|_| RegistryErrorKind::Protocol("the token service's answer is unreadable".to_owned()))?;
    document
        .token
        .or(document.access_token)
        .ok_or_else(|| RegistryErrorKind::Protocol("the token service's answer has no token".to_owned()))
}

const TOKEN_LIMIT: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_challenge_is_taken_apart() {
        let header = r#"Bearer realm="https://auth.example/token",service="reg \"x\"",scope="repository:a/b:pull,push""#;
        let Some(Challenge::Bearer { realm, service, scope }) = Challenge::parse(header) else {
            panic!("no bearer challenge");
        };
        assert_eq!(realm, "https://auth.example/token");
        assert_eq!(service.as_deref(), Some(r#"reg "x""#));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
    }

    #[test]
    fn basic_and_unknown_challenges_are_told_apart() {
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse(r#"Bearer service="x""#), None);
    }
}
