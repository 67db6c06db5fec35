//! Image references: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// A registry by the name that stands in references: `localhost:5000`, `ghcr.io`, `[::1]:5000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryName(String);

impl RegistryName {
    /// The name as it stands in a reference.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host without the port; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.split().0;
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, when one is named.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.split().1.and_then(|port| port.parse().ok())
    }

    fn split(&self) -> (&str, Option<&str>) {
        match self.0.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (&self.0, None),
        }
    }

    /// Whether the name can only mean this machine. Only such registries are spoken to without TLS unasked.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RegistryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let name = Self(text.to_owned());
        let (host, port) = name.split();
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let host_valid = if bracketed {
            name.host().parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && !host.starts_with(['.', '-'])
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        };
        if host_valid && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            Ok(name)
        } else {
            Err(ReferenceError::Registry(text.to_owned()))
        }
    }
}

/// The full name of an image: where it is, and which one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: RegistryName,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The part before the first slash is not `HOST[:PORT]`.
    #[error("`{0}` is not a registry of the form HOST[:PORT]")]
    Registry(String),
    /// The path has characters that registries refuse.
    #[error("`{0}` is not a repository: lower-case letters, digits, and single . _ - between them")]
    Repository(String),
    /// The tag has characters that registries refuse.
    #[error("`{0}` is not a tag: at most 128 letters, digits, . _ - and none of . - in front")]
    Tag(String),
    /// What stands after the @ is not a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl Reference {
    /// A reference to a repository, without tag or digest.
    pub fn try_new(registry: RegistryName, repository: &str) -> Result<Self, ReferenceError> {
        check_repository(repository)?;
        Ok(Self { registry, repository: repository.to_owned(), tag: None, digest: None })
    }

    /// The registry's name.
    #[must_use]
    pub fn registry(&self) -> &RegistryName {
        &self.registry
    }

    /// The path inside the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, when one is named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, when one is named.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository with this tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        check_tag(tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// The same repository by digest, without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same image under another name of the registry.
    #[must_use]
    pub fn with_registry(&self, registry: RegistryName) -> Self {
        Self { registry, ..self.clone() }
    }

    /// What stands at the end of a manifest's address: the digest, else the tag, else `latest`.
    #[must_use]
    pub fn manifest_reference(&self) -> &str {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref()).unwrap_or("latest")
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let (registry, rest) = split_registry(name);
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (rest, None),
        };
        if let Some(tag) = &tag {
            check_tag(tag)?;
        }
        let (registry, path) = match registry {
            Some(registry) => (registry.parse()?, path.to_owned()),
            // Docker's own convention for short names.
            None if path.contains('/') => (RegistryName(DOCKER_HUB.to_owned()), path.to_owned()),
            None => (RegistryName(DOCKER_HUB.to_owned()), format!("library/{path}")),
        };
        Ok(Self { tag, digest, ..Self::try_new(registry, &path)? })
    }
}

const DOCKER_HUB: &str = "docker.io";

/// The first component is a registry when it could not be a part of a repository on Docker Hub.
fn split_registry(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (Some(first), rest),
        _ => (None, name),
    }
}

fn check_repository(path: &str) -> Result<(), ReferenceError> {
    let valid = !path.is_empty() && path.len() <= 255 && path.split('/').all(is_path_component);
    if valid { Ok(()) } else { Err(ReferenceError::Repository(path.to_owned())) }
}

/// Letters and digits, separated by one of `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators_valid = component
        .split(is_word)
        .filter(|gap| !gap.is_empty())
        .all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|b| b == b'-'));
    component.starts_with(is_word) && component.ends_with(is_word) && separators_valid
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid = tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'));
    if valid { Ok(()) } else { Err(ReferenceError::Tag(tag.to_owned())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use test_case::test_case;

    use super::*;

    #[test_case("localhost:5000/ameide/migrations:dev", "localhost:5000", "ameide/migrations", Some("dev"))]
    #[test_case("localhost/x", "localhost", "x", None)]
    #[test_case("ghcr.io/a/b-c__d.e:1.0", "ghcr.io", "a/b-c__d.e", Some("1.0"))]
    #[test_case("[::1]:5000/x:t", "[::1]:5000", "x", Some("t"))]
    #[test_case("alpine:3", "docker.io", "library/alpine", Some("3"))]
    #[test_case("org/alpine", "docker.io", "org/alpine", None)]
    fn references_are_taken_apart(text: &str, registry: &str, repository: &str, tag: Option<&str>) {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.registry().as_str(), registry);
        assert_eq!(reference.repository(), repository);
        assert_eq!(reference.tag(), tag);
    }

    #[test_case("localhost:5000/"; "no repository")]
    #[test_case("localhost:0/x"; "port zero")]
    #[test_case("localhost:99999/x"; "port too large")]
    #[test_case("localhost:5000/Ameide/x"; "upper case")]
    #[test_case("localhost:5000/a..b"; "two dots")]
    #[test_case("localhost:5000/../x"; "traversal")]
    #[test_case("localhost:5000/a:-t"; "tag begins with a dash")]
    #[test_case("localhost:5000/a@sha256:12"; "short digest")]
    #[test_case("user:pw@localhost:5000/x"; "credentials")]
    fn broken_references_are_refused(text: &str) {
        assert!(text.parse::<Reference>().is_err(), "{text}");
    }

    #[test_case("localhost", true)]
    #[test_case("localhost:5000", true)]
    #[test_case("127.0.0.1:5000", true)]
    #[test_case("[::1]:5000", true)]
    #[test_case("reg.localhost:5000", true)]
    #[test_case("localhost.example.com", false)]
    #[test_case("notlocalhost", false)]
    #[test_case("k3d-dev-reg:5000", false)]
    #[test_case("10.0.0.1:5000", false)]
    fn only_this_machine_is_loopback(name: &str, expected: bool) {
        assert_eq!(name.parse::<RegistryName>().unwrap().is_loopback(), expected);
    }

    #[test]
    fn another_registry_name_keeps_the_rest() {
        let pushed: Reference = "localhost:5000/a/b:dev".parse().unwrap();
        let pulled = pushed.with_registry("k3d-dev-reg:5000".parse().unwrap()).with_digest(Digest::of(b"x"));
        assert_eq!(pulled.to_string(), format!("k3d-dev-reg:5000/a/b@{}", Digest::of(b"x")));
        assert_eq!(pushed.manifest_reference(), "dev");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            repository in "[a-z0-9]{1,8}((\\.|_|__|-|--)[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,5}){0,2}",
            port in 1u16..,
            tag in proptest::option::of("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}"),
        ) {
            let mut reference =
                Reference::try_new(format!("localhost:{port}").parse().unwrap(), &repository).unwrap();
            if let Some(tag) = tag {
                reference = reference.with_tag(&tag).unwrap();
            }
            prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<Reference>();
        }
    }
}
