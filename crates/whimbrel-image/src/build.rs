//! From files, runner and platform to a whole image.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::layer::sql_layer;
use crate::{
    BaseImage, BaseLayer, Blob, Digest, LayerError, MediaType, Platform, RUNNER_PATH, RunnerLayer, SqlSet,
    USER, json,
};

/// Everything that an image is a function of.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    platform: Platform,
    sql: SqlSet,
    settings: Option<String>,
    runner: Option<RunnerLayer>,
    base: Option<BaseImage>,
    labels: BTreeMap<String, String>,
}

impl ImageSpec {
    /// An image of scripts only.
    #[must_use]
    pub fn new(platform: Platform, sql: SqlSet) -> Self {
        Self { platform, sql, settings: None, runner: None, base: None, labels: BTreeMap::new() }
    }

    /// The project's settings in resolved form, for [`crate::SETTINGS_PATH`].
    #[must_use]
    pub fn with_settings(self, settings: String) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// The program; the image takes the platform of the program.
    #[must_use]
    pub fn with_runner(self, runner: RunnerLayer) -> Self {
        Self { platform: runner.platform, runner: Some(runner), ..self }
    }

    /// The image to build on; the image takes its platform.
    #[must_use]
    pub fn with_base(self, base: BaseImage) -> Self {
        Self { platform: base.platform, base: Some(base), ..self }
    }

    /// One more label.
    #[must_use]
    pub fn with_label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Labels of ours. Their names are a contract: tools read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The digest of the SQL set.
    SqlDigest,
    /// How many scripts the image has.
    SqlScripts,
    /// The databases that have scripts, separated by commas.
    Databases,
    /// The image that this one is built on.
    BaseName,
}

impl Label {
    /// The label's name in the image's config.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SqlDigest => "dev.whimbrel.sql.digest",
            Self::SqlScripts => "dev.whimbrel.sql.scripts",
            Self::Databases => "dev.whimbrel.databases",
            Self::BaseName => "org.opencontainers.image.base.name",
        }
    }
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageLayer {
    /// A layer whose bytes we have.
    Own(Blob),
    /// A layer of the base, which the registry is asked to mount.
    Base(BaseLayer),
}

impl ImageLayer {
    /// The digest of the layer as it is stored.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        match self {
            Self::Own(blob) => blob.digest(),
            Self::Base(layer) => &layer.digest,
        }
    }

    /// The size of the layer as it is stored.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Own(blob) => blob.size(),
            Self::Base(layer) => layer.size,
        }
    }

    fn diff_id(&self) -> &Digest {
        match self {
            // Not compressed: both digests are of the same bytes.
            Self::Own(blob) => blob.digest(),
            Self::Base(layer) => &layer.diff_id,
        }
    }

    fn descriptor(&self) -> Descriptor<'_> {
        match self {
            Self::Own(blob) => Descriptor::of(blob),
            Self::Base(layer) => Descriptor {
                media_type: &layer.media_type,
                digest: &layer.digest,
                size: layer.size,
                platform: None,
            },
        }
    }
}

/// A whole image: layers, config, manifest, and an index with this one platform.
#[derive(Debug, Clone)]
pub struct Image {
    platform: Platform,
    sql: SqlSet,
    sql_digest: Digest,
    base: Option<crate::Reference>,
    layers: Vec<ImageLayer>,
    config: Blob,
    manifest: Blob,
    index: Blob,
}

impl Image {
    /// The platform of the image.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The scripts that are in the image.
    #[must_use]
    pub fn sql(&self) -> &SqlSet {
        &self.sql
    }

    /// The digest of the scripts alone: the same on every machine and for every runner.
    #[must_use]
    pub fn sql_digest(&self) -> &Digest {
        &self.sql_digest
    }

    /// The digest that the image is deployed by: that of the index.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.index.digest()
    }

    /// The base that layers are mounted from.
    #[must_use]
    pub fn base(&self) -> Option<&crate::Reference> {
        self.base.as_ref()
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> impl Iterator<Item = &ImageLayer> {
        self.layers.iter()
    }

    /// The config. Docker calls its digest the image's id.
    #[must_use]
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The manifest of the one platform.
    #[must_use]
    pub fn manifest(&self) -> &Blob {
        &self.manifest
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &Blob {
        &self.index
    }
}

/// Why an image could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A layer could not be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A document could not be written.
    #[error("cannot write the image's documents")]
    Json(#[from] serde_json::Error),
}

/// Builds the image.
pub fn build(spec: &ImageSpec) -> Result<Image, BuildError> {
    let sql_digest = spec.sql.digest();
    let mut layers: Vec<ImageLayer> = Vec::new();
    if let Some(base) = &spec.base {
        layers.extend(base.layers.iter().cloned().map(ImageLayer::Base));
    }
    // The layer that changes with every save comes last, so that the others are never sent again.
    layers.extend(spec.runner.iter().map(|runner| ImageLayer::Own(runner.blob.clone())));
    layers.push(ImageLayer::Own(sql_layer(&spec.sql, spec.settings.as_deref())?));

    let config = Blob::new(MediaType::Config, json::canonical(&config_document(spec, &sql_digest, &layers))?);
    let manifest = Blob::new(MediaType::Manifest, json::canonical(&ManifestDocument::new(&config, &layers))?);
    let index = Blob::new(MediaType::Index, json::canonical(&IndexDocument::new(&manifest, spec.platform))?);
    Ok(Image {
        platform: spec.platform,
        sql: spec.sql.clone(),
        sql_digest,
        base: spec.base.as_ref().map(|base| base.reference.clone()),
        layers,
        config,
        manifest,
        index,
    })
}

fn config_document(spec: &ImageSpec, sql_digest: &Digest, layers: &[ImageLayer]) -> Value {
    let diff_ids: Vec<&Digest> = layers.iter().map(ImageLayer::diff_id).collect();
    json!({
        "architecture": spec.platform.architecture(),
        "os": spec.platform.os(),
        // The same files give the same image: the time of the build is no part of it.
        "created": "1970-01-01T00:00:00Z",
        "config": container_settings(spec, sql_digest),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history(spec),
    })
}

fn container_settings(spec: &ImageSpec, sql_digest: &Digest) -> Map<String, Value> {
    let mut settings = spec.base.as_ref().map(|base| base.config.clone()).unwrap_or_default();
    if spec.runner.is_some() || !settings.contains_key("Entrypoint") {
        settings.insert("Entrypoint".to_owned(), json!([RUNNER_PATH]));
        settings.insert("Cmd".to_owned(), json!(["migrate"]));
    }
    settings.insert("User".to_owned(), json!(USER));
    settings.entry("WorkingDir").or_insert_with(|| json!("/"));
    settings.entry("Env").or_insert_with(|| json!(["PATH=/:/flyway"]));
    settings.insert("Labels".to_owned(), json!(labels(spec, sql_digest)));
    settings
}

fn labels(spec: &ImageSpec, sql_digest: &Digest) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert(Label::SqlDigest.as_str().to_owned(), sql_digest.to_string());
    labels.insert(Label::SqlScripts.as_str().to_owned(), spec.sql.len().to_string());
    labels.insert(Label::Databases.as_str().to_owned(), spec.sql.databases().join(","));
    if let Some(base) = &spec.base {
        labels.insert(Label::BaseName.as_str().to_owned(), base.reference.to_string());
    }
    labels
}

fn history(spec: &ImageSpec) -> Vec<Value> {
    let entry = |what: &str| json!({"created": "1970-01-01T00:00:00Z", "created_by": what});
    let base = spec.base.as_ref().map_or(0, |base| base.layers.len());
    std::iter::repeat_n(entry("base image"), base)
        .chain(spec.runner.iter().map(|_| entry("whimbrel: runner")))
        .chain([entry("whimbrel: SQL scripts and settings")])
        .collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<PlatformEntry>,
}

impl<'a> Descriptor<'a> {
    pub(crate) fn of(blob: &'a Blob) -> Self {
        let media_type = blob.media_type().as_str();
        Self { media_type, digest: blob.digest(), size: blob.size(), platform: None }
    }
}

#[derive(Serialize)]
struct PlatformEntry {
    os: &'static str,
    architecture: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestDocument<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor<'a>,
    layers: Vec<Descriptor<'a>>,
}

impl<'a> ManifestDocument<'a> {
    fn new(config: &'a Blob, layers: &'a [ImageLayer]) -> Self {
        Self {
            schema_version: 2,
            media_type: MediaType::Manifest.as_str(),
            config: Descriptor::of(config),
            layers: layers.iter().map(ImageLayer::descriptor).collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IndexDocument<'a> {
    schema_version: u8,
    media_type: &'static str,
    manifests: [Descriptor<'a>; 1],
}

impl<'a> IndexDocument<'a> {
    fn new(manifest: &'a Blob, platform: Platform) -> Self {
        let platform = PlatformEntry { os: platform.os(), architecture: platform.architecture() };
        Self {
            schema_version: 2,
            media_type: MediaType::Index.as_str(),
            manifests: [Descriptor { platform: Some(platform), ..Descriptor::of(manifest) }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::samples;
    use crate::runner_layer;

    fn sql() -> SqlSet {
        let mut sql = SqlSet::default();
        sql.insert("platform", "V1__tenants.sql", b"create table tenant (id bigint);\n".to_vec(), "x")
            .unwrap();
        sql.insert("agents", "R__views.sql", b"select 1;\n".to_vec(), "x").unwrap();
        sql
    }

    fn runner() -> RunnerLayer {
        let program = samples::static_pie();
        runner_layer(&program[..], program.len() as u64, Platform::LinuxAmd64).unwrap()
    }

    fn text(blob: &Blob) -> String {
        String::from_utf8(blob.bytes().to_vec()).unwrap()
    }

    #[test]
    fn documents_and_digests_are_pinned() {
        let spec = ImageSpec::new(Platform::LinuxAmd64, sql())
            .with_runner(runner())
            .with_settings("[project]\nname = \"x\"\n".to_owned());
        let image = build(&spec).unwrap();
        insta::assert_snapshot!(
            [text(image.config()), text(image.manifest()), text(image.index()), image.digest().to_string()]
                .join("\n\n")
        );
    }

    #[test]
    fn changed_script_changes_only_the_last_layer() {
        let before = build(&ImageSpec::new(Platform::LinuxAmd64, sql()).with_runner(runner())).unwrap();
        let mut changed = sql();
        changed.insert("platform", "V2__x.sql", b"select 2;".to_vec(), "x").unwrap();
        let after = build(&ImageSpec::new(Platform::LinuxAmd64, changed).with_runner(runner())).unwrap();
        let digests = |image: &Image| image.layers().map(|l| l.digest().clone()).collect::<Vec<_>>();
        let (before, after) = (digests(&before), digests(&after));
        assert_eq!((before.len(), &before[0]), (2, &after[0]));
        assert_ne!(before[1], after[1]);
    }

    #[test]
    fn settings_do_not_change_the_sql_digest() {
        let plain = build(&ImageSpec::new(Platform::LinuxAmd64, sql())).unwrap();
        let spec = ImageSpec::new(Platform::LinuxArm64, sql()).with_settings("a = 1".to_owned());
        let other = build(&spec).unwrap();
        assert_eq!(plain.sql_digest(), other.sql_digest());
        assert_ne!(plain.digest(), other.digest());
    }

    #[test]
    fn base_keeps_its_entrypoint_and_lends_its_layers() {
        let layer = BaseLayer {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            digest: Digest::of(b"compressed"),
            size: 10,
            diff_id: Digest::of(b"plain"),
        };
        let config = json!({"Entrypoint": ["/bin/run"], "Env": ["A=b"]});
        let base = BaseImage {
            reference: "localhost:5000/runner:1".parse().unwrap(),
            layers: vec![layer],
            config: config.as_object().cloned().unwrap(),
            platform: Platform::LinuxArm64,
        };
        let image = build(&ImageSpec::new(Platform::LinuxAmd64, sql()).with_base(base)).unwrap();
        assert_eq!(image.platform(), Platform::LinuxArm64);
        let config: Value = serde_json::from_slice(image.config().bytes()).unwrap();
        assert_eq!(config["config"]["Entrypoint"], json!(["/bin/run"]));
        assert_eq!(config["config"]["User"], json!("65532:65532"));
        assert_eq!(config["rootfs"]["diff_ids"][0], json!(Digest::of(b"plain")));
        let manifest: Value = serde_json::from_slice(image.manifest().bytes()).unwrap();
        assert_eq!(manifest["layers"][0]["digest"], json!(Digest::of(b"compressed")));
        assert_eq!(manifest["layers"][0]["size"], json!(10));
    }
}
