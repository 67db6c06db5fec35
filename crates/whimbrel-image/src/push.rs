//! What has to be pushed, given what the registry has.

use std::collections::BTreeMap;

use crate::{Blob, Digest, Image, ImageLayer, MediaType, Reference};

/// Whether the registry holds a blob in the target's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobState {
    /// It is there.
    Present,
    /// It has to be brought.
    Missing,
}

/// Where the bytes of a missing blob come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobSource {
    /// We have them.
    Bytes(Blob),
    /// The same registry holds them in another repository: it can mount them without a transfer.
    Mount {
        /// The repository that holds the blob.
        from: String,
    },
    /// Another registry holds them.
    Copy {
        /// The image that the blob belongs to.
        from: Reference,
    },
}

/// One blob to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedBlob {
    /// The blob's digest.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// Where it comes from.
    pub source: BlobSource,
}

/// One manifest to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPush {
    /// A digest or a tag.
    pub reference: String,
    /// The manifest.
    pub blob: Blob,
}

/// The steps of a push, in their order: all blobs (in any order among themselves), then the manifests one by one.
/// The tags are last: whoever pulls by tag sees a whole image, before or after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushPlan {
    /// Blobs that the registry lacks.
    pub blobs: Vec<PlannedBlob>,
    /// Blobs that it has.
    pub reused: Vec<Digest>,
    /// Manifests, then the index under its tags.
    pub manifests: Vec<ManifestPush>,
}

impl PushPlan {
    /// The bytes that travel, manifests included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().filter(|blob| !matches!(blob.source, BlobSource::Mount { .. }));
        blobs.map(|blob| blob.size).sum::<u64>()
            + self.manifests.iter().map(|manifest| manifest.blob.size()).sum::<u64>()
    }
}

/// The blobs whose presence the plan depends on.
pub fn blobs_to_ask_for(image: &Image) -> impl Iterator<Item = &Digest> {
    image.layers().map(ImageLayer::digest).chain([image.config().digest()])
}

/// Plans a push to `target` under `tags`. A blob without an answer counts as missing.
#[must_use]
pub fn plan_push(
    image: &Image,
    target: &Reference,
    tags: &[String],
    has: &BTreeMap<Digest, BlobState>,
) -> PushPlan {
    let layers = image.layers().map(|layer| match layer {
        ImageLayer::Own(blob) => planned(blob),
        ImageLayer::Base(base) => PlannedBlob {
            digest: base.digest.clone(),
            size: base.size,
            source: base_source(image.base(), target),
        },
    });
    let (reused, mut blobs): (Vec<_>, Vec<_>) = layers
        .chain([planned(image.config())])
        .partition(|blob| has.get(&blob.digest) == Some(&BlobState::Present));
    // Two layers may be equal, as empty ones are.
    blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
    blobs.dedup_by(|a, b| a.digest == b.digest);
    PushPlan {
        blobs,
        reused: reused.into_iter().map(|blob| blob.digest).collect(),
        manifests: manifests(image, tags),
    }
}

fn planned(blob: &Blob) -> PlannedBlob {
    PlannedBlob { digest: blob.digest().clone(), size: blob.size(), source: BlobSource::Bytes(blob.clone()) }
}

fn base_source(base: Option<&Reference>, target: &Reference) -> BlobSource {
    match base {
        Some(base) if base.registry() != target.registry() => BlobSource::Copy { from: base.clone() },
        Some(base) => BlobSource::Mount { from: base.repository().to_owned() },
        None => BlobSource::Mount { from: target.repository().to_owned() },
    }
}

fn manifests(image: &Image, tags: &[String]) -> Vec<ManifestPush> {
    let by_digest = |blob: &Blob| ManifestPush { reference: blob.digest().to_string(), blob: blob.clone() };
    let by_tag = |tag: &String| ManifestPush { reference: tag.clone(), blob: image.index().clone() };
    debug_assert_eq!(image.index().media_type(), MediaType::Index);
    let index: Vec<ManifestPush> =
        if tags.is_empty() { vec![by_digest(image.index())] } else { tags.iter().map(by_tag).collect() };
    [by_digest(image.manifest())].into_iter().chain(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSpec, Platform, SqlSet, build};

    fn image() -> Image {
        let mut sql = SqlSet::default();
        sql.insert("app", "V1__a.sql", b"select 1".to_vec(), "x").unwrap();
        build(&ImageSpec::new(Platform::default(), sql)).unwrap()
    }

    fn target() -> Reference {
        "localhost:5000/app/migrations".parse().unwrap()
    }

    #[test]
    fn empty_registry_gets_every_blob_before_the_manifests_and_the_tag_last() {
        let image = image();
        let plan = plan_push(&image, &target(), &["dev".to_owned()], &BTreeMap::new());
        assert_eq!((plan.blobs.len(), plan.reused.len()), (2, 0));
        let references: Vec<&str> = plan.manifests.iter().map(|m| m.reference.as_str()).collect();
        assert_eq!(references, [image.manifest().digest().as_str(), "dev"]);
        assert_eq!(plan.manifests[1].blob.digest(), image.digest());
        let everything = image.layers().map(ImageLayer::size).sum::<u64>()
            + [image.config(), image.manifest(), image.index()].iter().map(|b| b.size()).sum::<u64>();
        assert_eq!(plan.bytes(), everything);
    }

    #[test]
    fn blob_that_is_there_is_not_sent() {
        let image = image();
        let layer = image.layers().next().unwrap().digest().clone();
        let has = BTreeMap::from([(layer.clone(), BlobState::Present)]);
        let plan = plan_push(&image, &target(), &[], &has);
        assert_eq!(plan.reused, [layer]);
        assert_eq!(plan.blobs[0].digest, *image.config().digest());
        assert_eq!(plan.manifests[1].reference, image.digest().as_str());
    }

    #[test]
    fn base_of_another_registry_is_copied_and_of_the_same_mounted() {
        let same: Reference = "localhost:5000/base:1".parse().unwrap();
        let other: Reference = "ghcr.io/base:1".parse().unwrap();
        assert_eq!(base_source(Some(&same), &target()), BlobSource::Mount { from: "base".to_owned() });
        assert_eq!(base_source(Some(&other), &target()), BlobSource::Copy { from: other.clone() });
    }
}
