//! How a registry is reached: HTTP or TLS, time limits, the HTTP client.

use std::time::Duration;

use reqwest::{Client, redirect};
use whimbrel_image::RegistryName;

use crate::{RegistryError, RegistryErrorKind};

/// The protocol below the registry's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Transport {
    /// Plain HTTP for this machine and for listed registries; everything else by TLS.
    #[must_use]
    pub fn decide(registry: &RegistryName, plain: &[RegistryName]) -> Self {
        if registry.is_loopback() || plain.contains(registry) { Self::Http } else { Self::Https }
    }

    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Choices about the way to registries.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Registries that are spoken to without TLS although they are not on this machine.
    pub plain: Vec<RegistryName>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long an answer may take, beside the time for the bytes of the request.
    pub answer_timeout: Duration,
    /// How long a registry that takes no connection is tried.
    pub unreachable: Duration,
    /// The first pause after a failure; each following one is twice as long.
    pub first_pause: Duration,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            plain: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            unreachable: Duration::from_secs(5),
            first_pause: Duration::from_millis(200),
        }
    }
}

impl TransportSettings {
    /// The slowest line that is waited for: 256 KiB a second.
    pub(crate) fn timeout_for(&self, bytes: u64) -> Duration {
        self.answer_timeout + Duration::from_secs(bytes / (256 * 1024))
    }
}

pub(crate) fn http_client(
    registry: &RegistryName,
    transport: Transport,
    settings: &TransportSettings,
) -> Result<Client, RegistryError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Someone else may install one at the same moment, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let mut builder = Client::builder()
        .user_agent(concat!("whimbrel/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .redirect(redirect_policy());
    if transport == Transport::Http {
        // No certificates to read, and no proxy between this machine and itself.
        builder = builder.tls_certs_only([]).no_proxy();
    }
    builder.build().map_err(|error| RegistryError {
        registry: registry.to_string(),
        operation: "connecting".to_owned(),
        kind: RegistryErrorKind::Client(error),
    })
}

/// A few redirects, never from TLS to plain HTTP. The client drops `Authorization` when the host changes.
fn redirect_policy() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let from_tls = attempt.previous().iter().any(|url| url.scheme() == "https");
        if from_tls && attempt.url().scheme() != "https" {
            attempt.error("a redirect from TLS to plain HTTP")
        } else if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_listed_registries_go_without_tls() {
        let name = |text: &str| text.parse::<RegistryName>().unwrap();
        let plain = [name("k3d-dev-reg:5000")];
        assert_eq!(Transport::decide(&name("localhost:5000"), &[]), Transport::Http);
        assert_eq!(Transport::decide(&name("k3d-dev-reg:5000"), &plain), Transport::Http);
        assert_eq!(Transport::decide(&name("k3d-dev-reg:5001"), &plain), Transport::Https);
        assert_eq!(Transport::decide(&name("ghcr.io"), &plain), Transport::Https);
    }
}
