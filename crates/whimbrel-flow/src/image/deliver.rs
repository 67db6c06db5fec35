//! Bringing an image to its destination.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use whimbrel_docker::{DockerError, Engine};
use whimbrel_files::layout::{LayoutError, has_image, remove_old_blobs, write_layout};
use whimbrel_image::{Blob, Image, ImageLayer, LayoutFile, Reference, RegistryName, oci_layout};
use whimbrel_registry::{
    Credentials, CredentialsError, PushEvent, Registry, RegistryError, TransportSettings,
};

use super::{Destination, ImageEvent};

/// How destinations are reached.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// How registries are spoken to.
    pub transport: TransportSettings,
    /// The text of Docker's `config.json`, for logins.
    pub docker_config: Option<secrecy::SecretString>,
    /// The address of the Docker engine.
    pub docker_host: String,
    /// How long a delivery may take.
    pub limit: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            transport: TransportSettings::default(),
            docker_config: None,
            docker_host: whimbrel_docker::DEFAULT_HOST.to_owned(),
            limit: Duration::from_secs(120),
        }
    }
}

/// An image did not reach its destination.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The registry.
    #[error("cannot push to the registry {registry}")]
    Registry {
        /// Its name.
        registry: String,
        /// What it said.
        #[source]
        source: Box<RegistryError>,
    },
    /// The logins.
    #[error("cannot use the logins of the Docker client")]
    Credentials(#[from] CredentialsError),
    /// The Docker engine.
    #[error("cannot load the image into Docker")]
    Docker(#[from] DockerError),
    /// The folder.
    #[error("cannot write the image's folder")]
    Layout(#[from] LayoutError),
    /// A document of the layout.
    #[error("cannot write the image's documents")]
    Json(#[from] serde_json::Error),
    /// A base's layers are in a registry, and Docker would have to be sent them.
    #[error("an image on a base cannot be loaded into Docker: name a program with --runner, or push it")]
    BaseIntoDocker,
}

/// What a delivery did.
#[derive(Debug, Clone, Default)]
pub(super) struct Delivered {
    pub(super) unchanged: bool,
    pub(super) sent: usize,
    pub(super) reused: usize,
    pub(super) bytes: u64,
    pub(super) image_id: Option<String>,
}

/// A layout keeps blobs that it no longer needs for this long: somebody may be reading them.
const KEEP_BLOBS: Duration = Duration::from_secs(600);

impl Delivery {
    /// A registry with the login that is known for it.
    pub fn registry(&self, name: &RegistryName) -> Result<Registry, DeliverError> {
        use secrecy::ExposeSecret as _;
        let login = match &self.docker_config {
            Some(text) => Credentials::from_docker_config(text.expose_secret().as_bytes(), name)?,
            None => None,
        };
        Registry::new(name.clone(), self.transport.clone(), login).map_err(|error| refused(name, error))
    }

    pub(super) async fn deliver(
        &self,
        image: &Image,
        destination: &Destination,
        names: &Names,
        on_event: &(dyn Fn(ImageEvent) + Sync),
    ) -> Result<Delivered, DeliverError> {
        match destination {
            Destination::Registry(target) => self.push(image, target, &names.tags, on_event).await,
            Destination::Layout(folder) => self.write(image, folder, &names.tags).await,
            Destination::Docker(_) => self.load(image, &names.full).await,
        }
    }

    /// What a delivery would do, with nothing written anywhere.
    pub(super) async fn plan(
        &self,
        image: &Image,
        destination: &Destination,
        names: &Names,
    ) -> Result<Delivered, DeliverError> {
        match destination {
            Destination::Registry(target) => self.plan_push(image, target, &names.tags).await,
            Destination::Layout(folder) => {
                let files = oci_layout(image, &names.tags)?;
                let sent = files.iter().filter(|file| !has_image(folder, std::slice::from_ref(file)));
                let (sent, bytes) =
                    sent.fold((0, 0), |(sent, bytes), file| (sent + 1, bytes + file.bytes.len()));
                Ok(Delivered {
                    unchanged: sent == 0,
                    sent,
                    reused: files.len() - sent,
                    bytes: bytes as u64,
                    image_id: None,
                })
            }
            // The engine is not asked: it takes a whole archive or nothing.
            Destination::Docker(_) => Ok(Delivered { sent: 1, ..Delivered::default() }),
        }
    }

    async fn plan_push(
        &self,
        image: &Image,
        target: &Reference,
        tags: &[String],
    ) -> Result<Delivered, DeliverError> {
        let registry = self.registry(target.registry())?;
        let planned = registry.plan_image(image, target, tags, Instant::now() + self.limit).await;
        let plan = planned.map_err(|error| refused(target.registry(), error))?;
        Ok(plan.map_or_else(
            || Delivered { unchanged: true, ..Delivered::default() },
            |plan| Delivered {
                sent: plan.blobs.len(),
                reused: plan.reused.len(),
                bytes: plan.bytes(),
                ..Delivered::default()
            },
        ))
    }

    async fn push(
        &self,
        image: &Image,
        target: &Reference,
        tags: &[String],
        on_event: &(dyn Fn(ImageEvent) + Sync),
    ) -> Result<Delivered, DeliverError> {
        let registry = self.registry(target.registry())?;
        let base = match image.base() {
            Some(base) if base.registry() != target.registry() => Some(self.registry(base.registry())?),
            _ => None,
        };
        let deadline = Instant::now() + self.limit;
        let told = |event| {
            if let PushEvent::Waiting { operation, attempt, pause, reason } = event {
                let pause_millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                on_event(ImageEvent::Waiting { operation, attempt, pause_millis, reason });
            }
        };
        let pushed = registry.push_image(image, target, tags, base.as_ref(), deadline, &told).await;
        let report = pushed.map_err(|error| refused(target.registry(), error))?;
        Ok(Delivered {
            unchanged: report.unchanged,
            sent: report.sent.len(),
            reused: report.reused.len() + report.mounted.len(),
            bytes: report.bytes,
            image_id: None,
        })
    }

    async fn write(&self, image: &Image, folder: &Path, tags: &[String]) -> Result<Delivered, DeliverError> {
        let mut files = self.base_blobs(image).await?;
        files.extend(oci_layout(image, tags)?);
        if has_image(folder, &files) {
            return Ok(Delivered { unchanged: true, reused: files.len(), ..Delivered::default() });
        }
        let report = write_layout(folder, &files)?;
        let own = [image.config(), image.manifest(), image.index()].map(Blob::digest);
        let used: BTreeSet<_> = image.layers().map(ImageLayer::digest).chain(own).collect();
        remove_old_blobs(folder, &used, KEEP_BLOBS)?;
        Ok(Delivered {
            sent: report.written,
            reused: report.reused,
            bytes: report.bytes,
            ..Delivered::default()
        })
    }

    /// A layout is whole by itself, so layers of a base are read from their registry.
    async fn base_blobs(&self, image: &Image) -> Result<Vec<LayoutFile>, DeliverError> {
        let Some(base) = image.base() else { return Ok(Vec::new()) };
        let registry = self.registry(base.registry())?;
        let deadline = Instant::now() + self.limit;
        let mut files = Vec::new();
        for layer in image.layers() {
            if let ImageLayer::Base(layer) = layer {
                let read = registry.fetch_blob(base.repository(), &layer.digest, layer.size, deadline).await;
                let bytes = read.map_err(|error| refused(base.registry(), error))?;
                files.push(LayoutFile {
                    path: format!("blobs/sha256/{}", layer.digest.hex()),
                    bytes: bytes.to_vec().into(),
                    immutable: true,
                });
            }
        }
        Ok(files)
    }

    async fn load(&self, image: &Image, names: &[String]) -> Result<Delivered, DeliverError> {
        if image.base().is_some() {
            return Err(DeliverError::BaseIntoDocker);
        }
        let engine = Engine::connect(&self.docker_host, self.limit).await?;
        let report = engine.load(image, names, self.limit).await?;
        Ok(Delivered {
            unchanged: report.unchanged,
            sent: usize::from(!report.unchanged),
            reused: usize::from(report.unchanged),
            bytes: report.bytes,
            image_id: Some(report.id),
        })
    }
}

/// The names of an image at its destination.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) tags: Vec<String>,
    /// With repository, as Docker takes them.
    pub(super) full: Vec<String>,
}

fn refused(registry: &RegistryName, source: RegistryError) -> DeliverError {
    DeliverError::Registry { registry: registry.to_string(), source: Box::new(source) }
}
