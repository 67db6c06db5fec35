//! Loads images into a Docker engine by its socket, without the `docker` program.
//!
//! The version of the engine's API is negotiated: engines from 20.10 on are spoken to in their own version. The
//! image travels as one archive that holds both Docker's and OCI's table of contents, so that engines with the
//! classic image store (whose image id is the config's digest) and with containerd's take the same bytes.
//!
//! Images are not built, pulled or pushed here, and containers are not started.
#![warn(missing_docs)]

use std::time::Duration;

use bollard::query_parameters::ImportImageOptionsBuilder;
use bollard::{Docker, body_full};
use futures::TryStreamExt as _;
use whimbrel_image::{Image, docker_archive};

/// A Docker engine that answers.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    host: String,
}

/// What loading an image did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// The engine's id of the image.
    pub id: String,
    /// The engine had the image under all names: nothing was sent.
    pub unchanged: bool,
    /// The bytes that were sent.
    pub bytes: u64,
}

/// An engine does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The address is of no kind that is known.
    #[error("cannot use the Docker engine's address {host}")]
    Address {
        /// The address.
        host: String,
        /// What is wrong with it.
        #[source]
        source: bollard::errors::Error,
    },
    /// No engine answers.
    #[error("no Docker engine answers at {host}")]
    Unreachable {
        /// The engine's address.
        host: String,
        /// What the system said.
        #[source]
        source: bollard::errors::Error,
    },
    /// The engine refused.
    #[error("the Docker engine at {host} does not load the image")]
    Refused {
        /// The engine's address.
        host: String,
        /// The engine's words.
        #[source]
        source: bollard::errors::Error,
    },
    /// The archive could not be written.
    #[error("cannot write the image's archive")]
    Archive(#[source] std::io::Error),
    /// The engine loaded something else.
    #[error("the Docker engine at {host} has another image under {name} than was loaded: {id}")]
    OtherImage {
        /// The engine's address.
        host: String,
        /// The name.
        name: String,
        /// The id that the engine gives for the name.
        id: String,
    },
    /// The engine took too long.
    #[error("the Docker engine at {host} has not answered in {} s", limit.as_secs())]
    Deadline {
        /// The engine's address.
        host: String,
        /// How long it had.
        limit: Duration,
    },
}

/// The engine's usual address.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

impl Engine {
    /// Connects to the engine at `host` (`unix://PATH` or `tcp://HOST:PORT`) and agrees on a version.
    pub async fn connect(host: &str, limit: Duration) -> Result<Self, DockerError> {
        let docker = Docker::connect_with_host(host)
            .map_err(|source| DockerError::Address { host: host.to_owned(), source })?
            .with_timeout(limit);
        let docker = within(host, limit, docker.negotiate_version())
            .await?
            .map_err(|source| DockerError::Unreachable { host: host.to_owned(), source })?;
        tracing::debug!(host, version = %docker.client_version(), "connected to the Docker engine");
        Ok(Self { docker, host: host.to_owned() })
    }

    /// The version of the API that both sides speak.
    #[must_use]
    pub fn api_version(&self) -> String {
        self.docker.client_version().to_string()
    }

    /// Loads an image under these names (`repository:tag`) and verifies that they lead to it.
    pub async fn load(
        &self,
        image: &Image,
        names: &[String],
        limit: Duration,
    ) -> Result<LoadReport, DockerError> {
        within(&self.host, limit, self.load_unlimited(image, names)).await?
    }

    async fn load_unlimited(&self, image: &Image, names: &[String]) -> Result<LoadReport, DockerError> {
        let ids = [image.config(), image.manifest(), image.index()].map(|blob| blob.digest().to_string());
        if let Some(id) = self.common_id(names).await
            && ids.contains(&id)
        {
            return Ok(LoadReport { id, unchanged: true, bytes: 0 });
        }
        let archive = docker_archive(image, names).map_err(DockerError::Archive)?;
        let bytes = archive.len() as u64;
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let _answers: Vec<_> = self
            .docker
            .import_image(options, body_full(archive.into()), None)
            .try_collect()
            .await
            .map_err(|source| self.refused(source))?;
        let mut id = image.config().digest().to_string();
        for name in names {
            id = self.id_of(name).await.map_err(|source| self.refused(source))?.unwrap_or_default();
            if !ids.contains(&id) {
                return Err(DockerError::OtherImage { host: self.host.clone(), name: name.clone(), id });
            }
        }
        Ok(LoadReport { id, unchanged: false, bytes })
    }

    /// The one id that all names lead to.
    async fn common_id(&self, names: &[String]) -> Option<String> {
        let mut common = None;
        for name in names {
            let id = self.id_of(name).await.ok()??;
            if common.get_or_insert_with(|| id.clone()) != &id {
                return None;
            }
        }
        common
    }

    async fn id_of(&self, name: &str) -> Result<Option<String>, bollard::errors::Error> {
        self.docker.inspect_image(name).await.map(|found| found.id)
    }

    fn refused(&self, source: bollard::errors::Error) -> DockerError {
        DockerError::Refused { host: self.host.clone(), source }
    }
}

async fn within<T>(host: &str, limit: Duration, future: impl Future<Output = T>) -> Result<T, DockerError> {
    tokio::time::timeout(limit, future)
        .await
        .map_err(|_elapsed| DockerError::Deadline { host: host.to_owned(), limit })
}
