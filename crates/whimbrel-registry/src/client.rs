//! One registry: its requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use whimbrel_image::{
    BaseImage, Blob, Digest, Digester, ManifestKind, Platform, Reference, RegistryName, parse_base,
    parse_manifest,
};

use crate::answer::{WORDS_LIMIT, digest_header, expect_success, header, limited};
use crate::auth::{Authorization, Challenge, fetch_token};
use crate::error::words;
use crate::retry::{Failure, Patience, retry};
use crate::transport::http_client;
use crate::{Credentials, RegistryError, RegistryErrorKind, Transport, TransportSettings};

/// A registry that is asked and pushed to. Cloning shares connections and tokens.
#[derive(Debug, Clone)]
pub struct Registry {
    name: RegistryName,
    address: Url,
    http: Client,
    settings: TransportSettings,
    login: Option<Credentials>,
    authorizations: Arc<Mutex<HashMap<String, Authorization>>>,
}

/// A manifest as the registry keeps it.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    /// What the registry says that it is.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Bytes,
}

const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

impl Registry {
    /// Prepares to speak with a registry; nothing is sent yet.
    pub fn new(
        name: RegistryName,
        settings: TransportSettings,
        login: Option<Credentials>,
    ) -> Result<Self, RegistryError> {
        let transport = Transport::decide(&name, &settings.plain);
        // Docker Hub's API has another name than its references.
        let host = if name.as_str() == "docker.io" { "registry-1.docker.io" } else { name.as_str() };
        let address =
            Url::parse(&format!("{}://{host}/v2/", transport.scheme())).map_err(|_| RegistryError {
                registry: name.to_string(),
                operation: "connecting".to_owned(),
                kind: RegistryErrorKind::Protocol("the name is not a host".to_owned()),
            })?;
        let http = http_client(&name, transport, &settings)?;
        Ok(Self { name, address, http, settings, login, authorizations: Arc::default() })
    }

    /// The registry's name.
    #[must_use]
    pub fn name(&self) -> &RegistryName {
        &self.name
    }

    /// Asks whether there is a registry at all. A registry that wants a login is one.
    pub async fn ping(&self, deadline: Instant) -> Result<(), RegistryError> {
        let ask = || async {
            let answer = self.limit(self.http.get(self.address.clone()), 0).send().await;
            let answer = answer.map_err(RegistryErrorKind::Connection)?;
            match answer.status() {
                StatusCode::OK | StatusCode::UNAUTHORIZED => Ok(()),
                _ => expect_success(answer).await.map(drop),
            }
        };
        let result = retry(self.patience(deadline), |failure| self.log("ping", &failure), ask).await;
        result.map_err(|kind| self.error("asking", kind))
    }

    /// The digest that a tag or digest stands for, when the registry knows it.
    pub async fn manifest_digest(
        &self,
        repository: &str,
        reference: &str,
        deadline: Instant,
    ) -> Result<Option<Digest>, RegistryError> {
        let operation = format!("asking for {repository}:{reference}");
        let ask = || async {
            let url = self.url(&[repository, "manifests", reference])?;
            let request = || self.http.head(url.clone()).header("Accept", ACCEPT);
            let answer = match self.send(repository, Access::Pull, 0, &request).await {
                Err(error) if error.is_status(StatusCode::NOT_FOUND) => return Ok(None),
                other => other?,
            };
            match digest_header(&answer) {
                Some(digest) => Ok(Some(digest)),
                // The header is optional in the protocol: then the content tells.
                None => self.manifest_once(repository, reference).await.map(|manifest| Some(manifest.digest)),
            }
        };
        let on_failure = |failure: Failure<'_>| self.log(&operation, &failure);
        let result = retry(self.patience(deadline), on_failure, ask).await;
        result.map_err(|kind| self.error(&operation, kind))
    }

    /// Reads a manifest and verifies it.
    pub async fn fetch_manifest(
        &self,
        repository: &str,
        reference: &str,
        deadline: Instant,
    ) -> Result<FetchedManifest, RegistryError> {
        let operation = format!("reading {repository}:{reference}");
        let on_failure = |failure: Failure<'_>| self.log(&operation, &failure);
        let read = || self.manifest_once(repository, reference);
        let result = retry(self.patience(deadline), on_failure, read).await;
        result.map_err(|kind| self.error(&operation, kind))
    }

    async fn manifest_once(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<FetchedManifest, RegistryErrorKind> {
        let url = self.url(&[repository, "manifests", reference])?;
        let request = || self.http.get(url.clone()).header("Accept", ACCEPT);
        let answer = self.send(repository, Access::Pull, MANIFEST_LIMIT, &request).await?;
        let media_type = header(&answer, &CONTENT_TYPE).unwrap_or_default();
        let claimed = digest_header(&answer);
        let bytes = limited(answer, MANIFEST_LIMIT).await?;
        let digest = Digest::of(&bytes);
        let expected = reference.parse::<Digest>().ok().or(claimed);
        verify(expected.as_ref(), &digest)?;
        Ok(FetchedManifest { media_type, digest, bytes })
    }

    /// Reads a blob of at most `limit` bytes and verifies it.
    pub async fn fetch_blob(
        &self,
        repository: &str,
        digest: &Digest,
        limit: u64,
        deadline: Instant,
    ) -> Result<Bytes, RegistryError> {
        let operation = format!("reading {repository}@{digest}");
        let read = || async {
            let url = self.url(&[repository, "blobs", digest.as_str()])?;
            let answer = self.send(repository, Access::Pull, limit, &|| self.http.get(url.clone())).await?;
            let bytes = limited(answer, limit).await?;
            let mut digester = Digester::default();
            digester.feed(&bytes);
            verify(Some(digest), &digester.finish())?;
            Ok(bytes)
        };
        let on_failure = |failure: Failure<'_>| self.log(&operation, &failure);
        let result = retry(self.patience(deadline), on_failure, read).await;
        result.map_err(|kind| self.error(&operation, kind))
    }

    /// Reads what is needed of an image to build on it: manifest and config, not the layers.
    pub async fn fetch_base(
        &self,
        reference: &Reference,
        platform: Platform,
        deadline: Instant,
    ) -> Result<BaseImage, RegistryError> {
        let repository = reference.repository();
        let unusable =
            |error| self.error(&format!("reading the base {reference}"), RegistryErrorKind::Base(error));
        let mut manifest = self.fetch_manifest(repository, reference.manifest_reference(), deadline).await?;
        let mut kind = parse_manifest(&manifest.media_type, &manifest.bytes, platform).map_err(unusable)?;
        if let ManifestKind::Index { manifest: digest } = &kind {
            manifest = self.fetch_manifest(repository, digest.as_str(), deadline).await?;
            kind = parse_manifest(&manifest.media_type, &manifest.bytes, platform).map_err(unusable)?;
        }
        let ManifestKind::Image { config, .. } = kind else {
            let nested = RegistryErrorKind::Protocol("an index inside an index".to_owned());
            return Err(self.error(&format!("reading the base {reference}"), nested));
        };
        let config = self.fetch_blob(repository, &config, MANIFEST_LIMIT, deadline).await?;
        parse_base(reference.clone(), &manifest.bytes, &config, platform).map_err(unusable)
    }

    pub(crate) async fn has_blob_once(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<bool, RegistryErrorKind> {
        let url = self.url(&[repository, "blobs", digest.as_str()])?;
        match self.send(repository, Access::Pull, 0, &|| self.http.head(url.clone())).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_status(StatusCode::NOT_FOUND) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One upload from its beginning: after a broken connection the half upload is left to the registry.
    pub(crate) async fn push_blob_once(
        &self,
        repository: &str,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<(), RegistryErrorKind> {
        let url = self.url(&[repository, "blobs", "uploads/"])?;
        let request = || self.http.post(url.clone()).header(CONTENT_LENGTH, 0);
        let answer = self.send(repository, Access::Push, 0, &request).await?;
        self.upload(repository, &answer, digest, bytes).await
    }

    /// Asks to mount a blob of another repository. `false`: the registry would rather have the bytes.
    pub(crate) async fn mount_blob_once(
        &self,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<bool, RegistryErrorKind> {
        let mut url = self.url(&[repository, "blobs", "uploads/"])?;
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from);
        let request = || self.http.post(url.clone()).header(CONTENT_LENGTH, 0);
        let answer = self.send(repository, Access::Push, 0, &request).await?;
        Ok(answer.status() == StatusCode::CREATED)
    }

    async fn upload(
        &self,
        repository: &str,
        answer: &Response,
        digest: &Digest,
        bytes: &Bytes,
    ) -> Result<(), RegistryErrorKind> {
        let location = header(answer, &LOCATION)
            .ok_or_else(|| RegistryErrorKind::Protocol("an upload without a Location".to_owned()))?;
        let mut url = answer
            .url()
            .join(&location)
            .map_err(|_| RegistryErrorKind::Protocol("an upload's Location is not an address".to_owned()))?;
        if self.address.scheme() == "https" && url.scheme() != "https" {
            return Err(RegistryErrorKind::Protocol("an upload's Location leaves TLS".to_owned()));
        }
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let request = || {
            self.http
                .put(url.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_LENGTH, bytes.len())
                .body(bytes.clone())
        };
        let answer = if url.origin() == self.address.origin() {
            self.send(repository, Access::Push, bytes.len() as u64, &request).await?
        } else {
            // Another host gets no credentials.
            let sent = self.limit(request(), bytes.len() as u64).send().await;
            expect_success(sent.map_err(RegistryErrorKind::Connection)?).await?
        };
        verify(Some(digest), &digest_header(&answer).unwrap_or_else(|| digest.clone()))
    }

    pub(crate) async fn push_manifest_once(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Blob,
    ) -> Result<(), RegistryErrorKind> {
        let url = self.url(&[repository, "manifests", reference])?;
        let bytes = manifest.bytes();
        let request = || {
            let request = self.http.put(url.clone());
            request.header(CONTENT_TYPE, manifest.media_type().as_str()).body(bytes.clone())
        };
        let answer = self.send(repository, Access::Push, manifest.size(), &request).await?;
        let digest = manifest.digest();
        verify(Some(digest), &digest_header(&answer).unwrap_or_else(|| digest.clone()))
    }

    /// Sends a request; after a 401 logs in once and sends it again.
    async fn send(
        &self,
        repository: &str,
        access: Access,
        size: u64,
        request: &(dyn Fn() -> RequestBuilder + Sync),
    ) -> Result<Response, RegistryErrorKind> {
        let scope = access.scope(repository);
        let known = self.remembered().get(&scope).cloned();
        let answer = self.send_with(known.as_ref(), size, request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return expect_success(answer).await;
        }
        let Some(authorization) = self.log_in(&answer, &scope).await? else {
            let body = limited(answer, WORDS_LIMIT).await.unwrap_or_default();
            return Err(RegistryErrorKind::Unauthorized { message: words(&body).1 });
        };
        let answer = self.send_with(Some(&authorization), size, request).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let body = limited(answer, WORDS_LIMIT).await.unwrap_or_default();
            return Err(RegistryErrorKind::Unauthorized { message: words(&body).1 });
        }
        self.remembered().insert(scope, authorization);
        expect_success(answer).await
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<String, Authorization>> {
        self.authorizations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_with(
        &self,
        authorization: Option<&Authorization>,
        size: u64,
        request: &(dyn Fn() -> RequestBuilder + Sync),
    ) -> Result<Response, RegistryErrorKind> {
        let mut request = self.limit(request(), size);
        if let Some(authorization) = authorization {
            request = authorization.apply(request);
        }
        request.send().await.map_err(RegistryErrorKind::Connection)
    }

    async fn log_in(
        &self,
        answer: &Response,
        scope: &str,
    ) -> Result<Option<Authorization>, RegistryErrorKind> {
        let challenge = header(answer, &WWW_AUTHENTICATE).and_then(|header| Challenge::parse(&header));
        match (challenge, &self.login) {
            (Some(Challenge::Basic), Some(login)) => Ok(Some(Authorization::Basic(login.clone()))),
            (Some(Challenge::Bearer { realm, service, scope: wanted }), login) => {
                let scope = wanted.as_deref().unwrap_or(scope);
                let service = (realm.as_str(), service.as_deref(), scope);
                let token = fetch_token(&self.http, &self.address, service, login.as_ref()).await?;
                Ok(Some(Authorization::Bearer(token)))
            }
            _ => Ok(None),
        }
    }

    fn limit(&self, request: RequestBuilder, size: u64) -> RequestBuilder {
        request.timeout(self.settings.timeout_for(size))
    }

    fn url(&self, parts: &[&str]) -> Result<Url, RegistryErrorKind> {
        self.address
            .join(&parts.join("/"))
            .map_err(|_| RegistryErrorKind::Protocol(format!("{} is not a path", parts.join("/"))))
    }

    pub(crate) fn patience(&self, deadline: Instant) -> Patience {
        let TransportSettings { first_pause, unreachable, .. } = self.settings;
        Patience { deadline, first_pause, unreachable }
    }

    pub(crate) fn error(&self, operation: &str, kind: RegistryErrorKind) -> RegistryError {
        RegistryError { registry: self.name.to_string(), operation: operation.to_owned(), kind }
    }

    pub(crate) fn log(&self, operation: &str, failure: &Failure<'_>) {
        let Failure { attempt, pause, error } = failure;
        tracing::debug!(registry = %self.name, operation, attempt, ?pause, %error, "again");
    }
}

/// What a token must permit.
#[derive(Debug, Clone, Copy)]
enum Access {
    Pull,
    Push,
}

impl Access {
    fn scope(self, repository: &str) -> String {
        match self {
            Self::Pull => format!("repository:{repository}:pull"),
            Self::Push => format!("repository:{repository}:pull,push"),
        }
    }
}

fn verify(expected: Option<&Digest>, found: &Digest) -> Result<(), RegistryErrorKind> {
    match expected {
        Some(expected) if expected != found => {
            Err(RegistryErrorKind::Digest { expected: expected.to_string(), found: found.to_string() })
        }
        _ => Ok(()),
    }
}
