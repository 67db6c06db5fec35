//! TLS as libpq's modes mean it, by rustls.
//!
//! | mode | encrypted | certificate |
//! |---|---|---|
//! | `disable` | never | |
//! | `allow`, `prefer` | if the server does | by a known authority, where authorities are named |
//! | `require` | always | by a known authority, where authorities are named |
//! | `verify-ca` | always | by a known authority |
//! | `verify-full` | always | by a known authority, for this host |
//!
//! Where rustls is stricter than OpenSSL in a way that meets certificates made by PostgreSQL's own documentation, the
//! looser rule holds: a certificate that is itself named as trusted may be one of an authority, and one that has no
//! alternative names is for the host that is its common name.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::certificate;
use super::transport::Transport;
use crate::error::{BoxError, ConnectErrorKind};
use crate::target::{Endpoint, Target, TlsMode};

/// The word for the authorities that the machine trusts, and those that are built in.
const SYSTEM: &str = "system";

/// Where systems keep the certificates of the authorities that they trust.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// TLS could not be prepared.
#[derive(Debug, thiserror::Error)]
enum TlsError {
    #[error(
        "sslmode={mode} wants to know whom to trust: name a file with sslrootcert=, or sslrootcert=system for public \
         authorities"
    )]
    NoRoots { mode: &'static str },
    #[error("sslrootcert=system trusts too many for sslmode={mode}: use sslmode=verify-full")]
    WeakForSystem { mode: &'static str },
    #[error("{what} {path} cannot be used")]
    File {
        what: &'static str,
        path: String,
        #[source]
        source: BoxError,
    },
    #[error("a client certificate without its key (sslkey)")]
    NoKey,
    #[error("the host's name cannot be in a certificate")]
    Name,
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Shakes hands; also gives what a login can be bound to.
pub(super) async fn handshake(
    stream: TcpStream,
    target: &Target,
    endpoint: &Endpoint,
) -> Result<(Transport, Option<Vec<u8>>), (ConnectErrorKind, BoxError)> {
    let failed = |error: TlsError| (ConnectErrorKind::Tls, BoxError::from(error));
    let config = config(target).map_err(failed)?;
    let name = server_name(target, endpoint).map_err(failed)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
        // A peer that hangs up in the middle is no judgement about certificates.
        let kind = match error.kind() {
            std::io::ErrorKind::InvalidData => ConnectErrorKind::Tls,
            _ => ConnectErrorKind::Unreachable,
        };
        (kind, BoxError::from(error))
    })?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let end_point = certificate.and_then(|certificate| certificate::end_point(certificate));
    Ok((Transport::Tls(Box::new(stream)), end_point))
}

fn server_name(target: &Target, endpoint: &Endpoint) -> Result<ServerName<'static>, TlsError> {
    match ServerName::try_from(endpoint.host.clone()) {
        Ok(name) => Ok(name),
        Err(_) if target.tls == TlsMode::VerifyFull => Err(TlsError::Name),
        Err(_) => ServerName::try_from("host.invalid").map_err(|_| TlsError::Name),
    }
}

fn config(target: &Target) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::for_target(target, provider.signature_verification_algorithms)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &target.client_certificate {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let key = target.client_key.as_deref().ok_or(TlsError::NoKey)?;
            builder.with_client_auth_cert(certificates("sslcert", path)?, private_key(key)?)?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source: BoxError| TlsError::File { what, path: path.display().to_string(), source };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.into()))?;
    if certificates.is_empty() {
        Err(failed("there is no certificate in it".into()))
    } else {
        Ok(certificates)
    }
}

/// PEM, or DER as Java's driver wants it (`.pk8`). A key with a password is not read.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed =
        |source: BoxError| TlsError::File { what: "sslkey", path: path.display().to_string(), source };
    let bytes = fs_err::read(path).map_err(|error| failed(error.into()))?;
    let holds = |words: &str| bytes.windows(words.len()).any(|window| window == words.as_bytes());
    if holds("-----BEGIN ENCRYPTED") || holds("Proc-Type: 4,ENCRYPTED") {
        return Err(failed(LOCKED.into()));
    }
    if holds("-----BEGIN") {
        return PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| failed(error.into()));
    }
    PrivateKeyDer::try_from(bytes).map_err(|_| failed(NO_KEY.into()))
}

const LOCKED: &str =
    "it has a password; write it without one (openssl pkey -in KEY -out NEW), and protect the file";
const NO_KEY: &str =
    "it is neither PEM nor DER without a password (openssl pkcs8 -topk8 -nocrypt -outform DER)";

/// What is looked at in a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Nothing,
    Authority,
    AuthorityAndName,
}

#[derive(Debug)]
struct Verifier {
    check: Check,
    roots: RootCertStore,
    /// The certificates of the file as they are: one of them may be the server's own.
    named: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn for_target(target: &Target, algorithms: WebPkiSupportedAlgorithms) -> Result<Self, TlsError> {
        let mode = target.tls;
        let verifies = matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull);
        let mut verifier =
            Self { check: Check::Nothing, roots: RootCertStore::empty(), named: Vec::new(), algorithms };
        match target.root_certificate.as_deref() {
            Some(word) if word == Path::new(SYSTEM) => {
                if mode != TlsMode::VerifyFull {
                    return Err(TlsError::WeakForSystem { mode: mode.as_str() });
                }
                verifier.trust_system();
            }
            // As libpq: a file that is named and not there matters only where it is needed.
            Some(path) if verifies || path.exists() => {
                verifier.named = certificates("sslrootcert", path)?;
                verifier.roots.add_parsable_certificates(verifier.named.iter().cloned());
            }
            Some(_) => return Ok(verifier),
            None if verifies => return Err(TlsError::NoRoots { mode: mode.as_str() }),
            None => return Ok(verifier),
        }
        verifier.check = if mode == TlsMode::VerifyFull { Check::AuthorityAndName } else { Check::Authority };
        Ok(verifier)
    }

    /// Those of the machine; in an image without any, those that are built in.
    fn trust_system(&mut self) {
        for path in SYSTEM_FILES.map(Path::new).into_iter().filter(|path| path.is_file()) {
            if let Ok(found) = certificates("sslrootcert", path) {
                self.roots.add_parsable_certificates(found);
                return;
            }
        }
        self.roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }

    fn check_name(
        &self,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        name: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        let Err(wrong) = verify_server_name(parsed, name) else { return Ok(()) };
        let common_name = certificate::common_name_without_alternatives(certificate);
        match common_name {
            Some(common_name) if common_name.eq_ignore_ascii_case(&name.to_str()) => Ok(()),
            _ => Err(wrong),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.check == Check::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(end_entity)?;
        if self.named.contains(end_entity) {
            certificate::check_validity(end_entity, now.as_secs())?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.check == Check::AuthorityAndName {
            self.check_name(end_entity, &parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Whoever the server is, it may be anybody: old certificates that cannot be read prove as much.
        if self.check == Check::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.check == Check::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// A certificate that cannot be read is bad; nothing is guessed.
impl From<certificate::Unreadable> for rustls::Error {
    fn from(_: certificate::Unreadable) -> Self {
        Self::InvalidCertificate(CertificateError::BadEncoding)
    }
}
