//! Pushing an image: the plan comes from the domain, this is the loop that carries it out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use whimbrel_image::{
    BlobSource, BlobState, Digest, Image, PlannedBlob, PushPlan, Reference, blobs_to_ask_for, plan_push,
};

use crate::retry::{Failure, retry};
use crate::{Registry, RegistryError, RegistryErrorKind};

/// What happens during a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushEvent {
    /// A step failed and will be done again.
    Waiting {
        /// The step.
        operation: String,
        /// How many times it has been tried.
        attempt: u32,
        /// How long until the next try.
        pause: Duration,
        /// What went wrong.
        reason: String,
    },
    /// A blob arrived.
    BlobSent {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
    },
    /// The registry took a blob from another repository of its own.
    BlobMounted {
        /// The blob.
        digest: Digest,
    },
}

/// What a push did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushReport {
    /// The registry had the image under all tags already: nothing was sent.
    pub unchanged: bool,
    /// The blobs that were sent.
    pub sent: Vec<Digest>,
    /// The blobs that were there.
    pub reused: Vec<Digest>,
    /// The blobs that the registry mounted.
    pub mounted: Vec<Digest>,
    /// The bytes of blobs and manifests that were sent.
    pub bytes: u64,
}

const PARALLEL: usize = 4;
/// The largest layer that is copied from another registry.
const COPY_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

impl Registry {
    /// Asks what a push would have to do, and sends nothing. `None`: the image is there under all tags.
    pub async fn plan_image(
        &self,
        image: &Image,
        target: &Reference,
        tags: &[String],
        deadline: Instant,
    ) -> Result<Option<PushPlan>, RegistryError> {
        let push =
            Push { registry: self, repository: target.repository(), base: None, deadline, on_event: &|_| {} };
        if push.is_there(image, tags).await? {
            return Ok(None);
        }
        Ok(Some(plan_push(image, target, tags, &push.ask_for_blobs(image).await?)))
    }

    /// Pushes `image` to `target`'s repository under `tags`, or by digest only without tags. Tags move last.
    ///
    /// `base` is the registry that layers of a base in another registry are read from.
    pub async fn push_image(
        &self,
        image: &Image,
        target: &Reference,
        tags: &[String],
        base: Option<&Registry>,
        deadline: Instant,
        on_event: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<PushReport, RegistryError> {
        let push = Push { registry: self, repository: target.repository(), base, deadline, on_event };
        if push.is_there(image, tags).await? {
            let reused = blobs_to_ask_for(image).cloned().collect();
            return Ok(PushReport { unchanged: true, reused, ..PushReport::default() });
        }
        let has = push.ask_for_blobs(image).await?;
        match push.carry_out(&plan_push(image, target, tags, &has)).await {
            // A registry's cache can claim a blob that has been deleted: bring everything.
            Err(error) if error.kind.has_code("MANIFEST_BLOB_UNKNOWN") => {
                push.carry_out(&plan_push(image, target, tags, &BTreeMap::new())).await
            }
            other => other,
        }
    }
}

struct Push<'a> {
    registry: &'a Registry,
    repository: &'a str,
    base: Option<&'a Registry>,
    deadline: Instant,
    on_event: &'a (dyn Fn(PushEvent) + Sync),
}

impl Push<'_> {
    async fn is_there(&self, image: &Image, tags: &[String]) -> Result<bool, RegistryError> {
        let own = [image.digest().to_string()];
        let references = if tags.is_empty() { &own[..] } else { tags };
        for reference in references {
            let found = self.registry.manifest_digest(self.repository, reference, self.deadline).await?;
            if found.as_ref() != Some(image.digest()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn ask_for_blobs(&self, image: &Image) -> Result<BTreeMap<Digest, BlobState>, RegistryError> {
        stream::iter(blobs_to_ask_for(image).cloned())
            .map(|digest| async move {
                let operation = format!("asking for {}@{digest}", self.repository);
                let ask = || self.registry.has_blob_once(self.repository, &digest);
                let found = self.again(&operation, ask).await?;
                Ok((digest, if found { BlobState::Present } else { BlobState::Missing }))
            })
            .buffer_unordered(2 * PARALLEL)
            .try_collect()
            .await
    }

    async fn carry_out(&self, plan: &PushPlan) -> Result<PushReport, RegistryError> {
        let brought: Vec<Brought> = stream::iter(&plan.blobs)
            .map(|blob| self.bring(blob))
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let mut report = PushReport { reused: plan.reused.clone(), ..PushReport::default() };
        for blob in brought {
            match blob {
                Brought::Sent(digest, size) => {
                    report.sent.push(digest);
                    report.bytes += size;
                }
                Brought::Mounted(digest) => report.mounted.push(digest),
            }
        }
        for manifest in &plan.manifests {
            let operation = format!("writing {}:{}", self.repository, manifest.reference);
            let push =
                || self.registry.push_manifest_once(self.repository, &manifest.reference, &manifest.blob);
            self.again(&operation, push).await?;
            report.bytes += manifest.blob.size();
        }
        Ok(report)
    }

    async fn bring(&self, blob: &PlannedBlob) -> Result<Brought, RegistryError> {
        match &blob.source {
            BlobSource::Bytes(own) => self.send(&blob.digest, own.bytes()).await,
            BlobSource::Mount { from } => {
                let operation = format!("mounting {}@{}", self.repository, blob.digest);
                let mount = || self.registry.mount_blob_once(self.repository, &blob.digest, from);
                if self.again(&operation, mount).await? {
                    (self.on_event)(PushEvent::BlobMounted { digest: blob.digest.clone() });
                    return Ok(Brought::Mounted(blob.digest.clone()));
                }
                self.copy(self.registry, from, blob).await
            }
            BlobSource::Copy { from } => {
                self.copy(self.base.unwrap_or(self.registry), from.repository(), blob).await
            }
        }
    }

    async fn copy(
        &self,
        source: &Registry,
        from: &str,
        blob: &PlannedBlob,
    ) -> Result<Brought, RegistryError> {
        let limit = blob.size.min(COPY_LIMIT);
        let bytes = source.fetch_blob(from, &blob.digest, limit, self.deadline).await?;
        self.send(&blob.digest, &bytes).await
    }

    async fn send(&self, digest: &Digest, bytes: &Bytes) -> Result<Brought, RegistryError> {
        let size = bytes.len() as u64;
        let operation = format!("sending {}@{digest} ({size} bytes)", self.repository);
        self.again(&operation, || self.registry.push_blob_once(self.repository, digest, bytes)).await?;
        (self.on_event)(PushEvent::BlobSent { digest: digest.clone(), size });
        Ok(Brought::Sent(digest.clone(), size))
    }

    async fn again<T, F, Fut>(&self, operation: &str, step: F) -> Result<T, RegistryError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, RegistryErrorKind>>,
    {
        let on_failure = |failure: Failure<'_>| {
            self.registry.log(operation, &failure);
            (self.on_event)(PushEvent::Waiting {
                operation: operation.to_owned(),
                attempt: failure.attempt,
                pause: failure.pause,
                reason: failure.error.to_string(),
            });
        };
        retry(self.registry.patience(self.deadline), on_failure, step)
            .await
            .map_err(|kind| self.registry.error(operation, kind))
    }
}

enum Brought {
    Sent(Digest, u64),
    Mounted(Digest),
}
