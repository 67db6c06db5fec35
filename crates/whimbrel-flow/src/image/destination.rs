//! Where an image goes, as it is written on the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use whimbrel_cli::project::ProjectFile;
use whimbrel_image::{Reference, ReferenceError, RegistryName};

/// Where an image goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A repository in a registry.
    Registry(Reference),
    /// A folder in the form of an OCI image layout.
    Layout(PathBuf),
    /// The Docker engine, under a name of its own or the project's.
    Docker(Option<String>),
}

/// A text names no place for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// None of the known forms.
    #[error("`{0}` is none of registry://HOST/REPOSITORY[:TAG], oci:FOLDER, docker[:NAME]")]
    Form(String),
    /// The reference is not valid.
    #[error("`{text}` does not name an image in a registry")]
    Reference {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// A user and a password, which would be in the list of processes.
    #[error("a login does not belong into a destination; `docker login` keeps it")]
    Login,
    /// The project names neither registry nor repository.
    #[error("the project names no {0} and no destination is given")]
    Unknown(&'static str),
}

impl Destination {
    /// The destination that the project file names.
    pub fn of_project(file: &ProjectFile) -> Result<Self, DestinationError> {
        let registry = file.registry.as_ref().ok_or(DestinationError::Unknown("[registry] push"))?;
        let image = file.image.as_ref().ok_or(DestinationError::Unknown("[image] repository"))?;
        let text = format!("{}/{}", registry.push, image.repository);
        let wrong = |source| DestinationError::Reference { text: text.clone(), source };
        let name: RegistryName = registry.push.parse().map_err(wrong)?;
        let reference = Reference::try_new(name, &image.repository).map_err(wrong)?;
        Ok(Self::Registry(reference.with_tag(&image.tag).map_err(wrong)?))
    }
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if let Some(reference) = text.strip_prefix("registry://") {
            // Behind the @ of a digest there is no slash.
            if reference.rsplit_once('@').is_some_and(|(_, place)| place.contains('/')) {
                return Err(DestinationError::Login);
            }
            // A host is wanted here: a short name would go to a public registry.
            if reference.split_once('/').is_none_or(|(host, _)| host.is_empty()) {
                return Err(DestinationError::Form(text.to_owned()));
            }
            return explicit(reference)
                .map(Self::Registry)
                .map_err(|source| DestinationError::Reference { text: text.to_owned(), source });
        }
        match text.split_once(':') {
            Some(("oci", folder)) if !folder.is_empty() => Ok(Self::Layout(PathBuf::from(folder))),
            Some(("docker", name)) if !name.is_empty() => Ok(Self::Docker(Some(name.to_owned()))),
            None if text == "docker" => Ok(Self::Docker(None)),
            _ => Err(DestinationError::Form(text.to_owned())),
        }
    }
}

/// The first part is the registry, even when it has neither dot nor port.
fn explicit(text: &str) -> Result<Reference, ReferenceError> {
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let registry: RegistryName = host.parse()?;
    // Any host with a dot serves to have the rest read by the same rules.
    let rest: Reference = format!("registry.invalid/{path}").parse()?;
    Ok(rest.with_registry(registry))
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => write!(f, "registry://{reference}"),
            Self::Layout(folder) => write!(f, "oci:{}", folder.display()),
            Self::Docker(Some(name)) => write!(f, "docker:{name}"),
            Self::Docker(None) => f.write_str("docker"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_and_written() {
        for text in [
            "registry://localhost:5000/a/b:dev",
            "registry://registry/a/b",
            "oci:.whimbrel/image",
            "docker",
            "docker:ameide/migrations:dev",
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "registry://", "registry://localhost:5000/", "oci:", "docker:", "localhost:5000/a"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
