//! Base images: what another image's manifest and config say. Its layers are referred to and never unpacked.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Digest, Platform, Reference};

/// An image to build on: its layers and its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseImage {
    pub(crate) reference: Reference,
    pub(crate) layers: Vec<BaseLayer>,
    pub(crate) config: Map<String, Value>,
    pub(crate) platform: Platform,
}

impl BaseImage {
    /// Where the base was read from.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The platform of the base.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The base's layers, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[BaseLayer] {
        &self.layers
    }
}

/// One layer of a base image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseLayer {
    /// The media type as the base's manifest names it.
    pub media_type: String,
    /// The digest of the (perhaps compressed) layer.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of the layer without compression.
    pub diff_id: Digest,
}

/// Why an image cannot be a base.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// The document is not what its media type says.
    #[error("unreadable {what}")]
    Unreadable {
        /// Manifest, index or config.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The media type is none that images have.
    #[error("`{0}` is not the media type of an image")]
    MediaType(String),
    /// The index has no image for the platform.
    #[error("no image for {0}")]
    NoPlatform(Platform),
    /// Manifest and config disagree about the number of layers.
    #[error("{layers} layers in the manifest, {diff_ids} in the config")]
    Layers {
        /// The number of layers in the manifest.
        layers: usize,
        /// The number of `diff_ids` in the config.
        diff_ids: usize,
    },
    /// The base is for another platform.
    #[error("the base is for {found}, the image for {wanted}")]
    OtherPlatform {
        /// What the base's config says.
        found: String,
        /// The platform of the image.
        wanted: Platform,
    },
}

/// What a manifest's bytes turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestKind {
    /// An index; the digest is that of the manifest for the wanted platform.
    Index {
        /// The manifest to read next.
        manifest: Digest,
    },
    /// A manifest; the config is to be read next.
    Image {
        /// The digest of the config.
        config: Digest,
        /// The size of the config.
        config_size: u64,
    },
}

#[derive(Deserialize)]
struct IndexDocument {
    manifests: Vec<IndexEntry>,
}

#[derive(Deserialize)]
struct IndexEntry {
    digest: Digest,
    platform: Option<PlatformEntry>,
}

#[derive(Deserialize)]
struct PlatformEntry {
    os: String,
    architecture: String,
}

#[derive(Deserialize)]
struct ManifestDocument {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: Digest,
    size: u64,
}

#[derive(Deserialize)]
struct ConfigDocument {
    os: String,
    architecture: String,
    rootfs: RootFs,
    #[serde(default)]
    config: Map<String, Value>,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

fn read<'a, T: Deserialize<'a>>(what: &'static str, bytes: &'a [u8]) -> Result<T, BaseError> {
    serde_json::from_slice(bytes).map_err(|source| BaseError::Unreadable { what, source })
}

/// Tells what has to be read after a manifest of this media type.
pub fn parse_manifest(media_type: &str, bytes: &[u8], platform: Platform) -> Result<ManifestKind, BaseError> {
    match media_type {
        "application/vnd.oci.image.index.v1+json"
        | "application/vnd.docker.distribution.manifest.list.v2+json" => {
            let index: IndexDocument = read("index", bytes)?;
            let matches = |entry: &PlatformEntry| {
                entry.os == platform.os() && entry.architecture == platform.architecture()
            };
            index
                .manifests
                .into_iter()
                .find(|entry| entry.platform.as_ref().is_some_and(matches))
                .map(|entry| ManifestKind::Index { manifest: entry.digest })
                .ok_or(BaseError::NoPlatform(platform))
        }
        "application/vnd.oci.image.manifest.v1+json"
        | "application/vnd.docker.distribution.manifest.v2+json" => {
            let manifest: ManifestDocument = read("manifest", bytes)?;
            Ok(ManifestKind::Image { config: manifest.config.digest, config_size: manifest.config.size })
        }
        other => Err(BaseError::MediaType(other.to_owned())),
    }
}

/// Joins a base's manifest and config.
pub fn parse_base(
    reference: Reference,
    manifest: &[u8],
    config: &[u8],
    platform: Platform,
) -> Result<BaseImage, BaseError> {
    let manifest: ManifestDocument = read("manifest", manifest)?;
    let config: ConfigDocument = read("config", config)?;
    let found = format!("{}/{}", config.os, config.architecture);
    if found != platform.to_string() {
        return Err(BaseError::OtherPlatform { found, wanted: platform });
    }
    let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
    if layers != diff_ids {
        return Err(BaseError::Layers { layers, diff_ids });
    }
    let layers = manifest
        .layers
        .into_iter()
        .zip(config.rootfs.diff_ids)
        .map(|(layer, diff_id)| BaseLayer {
            media_type: oci_media_type(&layer.media_type),
            digest: layer.digest,
            size: layer.size,
            diff_id,
        })
        .collect();
    Ok(BaseImage { reference, layers, config: config.config, platform })
}

/// An OCI manifest names Docker's layers by OCI's names: the bytes are the same.
fn oci_media_type(name: &str) -> String {
    match name {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.v1.tar+gzip".to_owned()
        }
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    #[test]
    fn index_leads_to_the_manifest_of_the_platform() {
        let index = json!({"manifests": [
            {"digest": digest("attestation")},
            {"digest": digest("arm"), "platform": {"os": "linux", "architecture": "arm64"}},
            {"digest": digest("amd"), "platform": {"os": "linux", "architecture": "amd64"}},
        ]})
        .to_string();
        let kind = parse_manifest(INDEX, index.as_bytes(), Platform::LinuxArm64).unwrap();
        assert_eq!(kind, ManifestKind::Index { manifest: digest("arm") });
        let empty = parse_manifest(INDEX, br#"{"manifests":[]}"#, Platform::LinuxArm64);
        assert!(matches!(empty, Err(BaseError::NoPlatform(_))));
    }

    #[test]
    fn manifest_and_config_must_agree() {
        let manifest = json!({
            "config": {"mediaType": "c", "digest": digest("c"), "size": 1},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "digest": digest("l"), "size": 7}],
        })
        .to_string();
        let config = |diff_ids: &[Digest]| {
            json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids},
                   "config": {"Env": ["PATH=/"]}})
            .to_string()
        };
        let reference: Reference = "localhost:5000/base:1".parse().unwrap();
        let join = |config: &str, platform| {
            parse_base(reference.clone(), manifest.as_bytes(), config.as_bytes(), platform)
        };
        let base = join(&config(&[digest("d")]), Platform::LinuxAmd64).unwrap();
        assert_eq!(base.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!(base.layers[0].diff_id, digest("d"));
        let unequal = join(&config(&[]), Platform::LinuxAmd64);
        assert!(matches!(unequal, Err(BaseError::Layers { layers: 1, diff_ids: 0 })));
        let other = join(&config(&[digest("d")]), Platform::LinuxArm64);
        assert!(matches!(other, Err(BaseError::OtherPlatform { .. })));
    }
}
