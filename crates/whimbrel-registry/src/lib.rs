//! Speaks OCI's distribution protocol with one registry: asks, pushes, mounts, reads.
//!
//! A push sends only what the registry lacks; blobs first, manifests by digest, tags last. Every step that can be
//! done again is done again after a lost connection, a 5xx, 408 or 429 (with the registry's own `Retry-After`),
//! within one deadline. What is read is verified against its digest and limited in size; nothing is unpacked.
//!
//! Plain HTTP is spoken with this machine and with registries that the caller lists, TLS with all others, and
//! never HTTP because TLS failed. Credentials go to the registry itself and to a token service that is reached by
//! TLS or stands on the same host; a redirect or an upload address on another host gets none.
//!
//! # Why the few requests are made here
//!
//! The crate `oci-client` was weighed. It loses the `Retry-After` header, reads manifests without a limit, sends
//! credentials to any realm that a challenge names, hides a failed token request behind the 401 that follows, takes
//! the permitted answer 202 to a mount for an error, and asks for `/v2/` before every request of a registry that
//! wants no token. Each of these would have to be worked around from outside; seven requests over the HTTP client
//! that it uses itself are less code. Compression, chunked uploads and referrers are not needed here.
//!
//! The TLS provider of the process is used; where there is none, ring is installed.
#![warn(missing_docs)]

mod answer;
mod auth;
mod client;
mod credentials;
mod error;
mod push;
mod retry;
mod transport;

pub use client::{FetchedManifest, Registry};
pub use credentials::{Credentials, CredentialsError};
pub use error::{RegistryError, RegistryErrorKind};
pub use push::{PushEvent, PushReport};
pub use transport::{Transport, TransportSettings};
