//! Where secrets are looked for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use whimbrel_cli::project::{DEFAULT_NAMESPACE, Project};

/// Where secrets are looked for, as it is written: `kubernetes`, `local`, `folder:DIR`, `dotenv:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChoice {
    /// The project's cluster.
    Kubernetes,
    /// The folder in the state of the checkout.
    Local,
    /// A folder with a folder per secret and a file per key.
    Folder(PathBuf),
    /// A file of `KEY=value` lines.
    Dotenv(PathBuf),
}

impl FromStr for SourceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "kubernetes" => Ok(Self::Kubernetes),
            None if text == "local" => Ok(Self::Local),
            Some(("folder", path)) if !path.is_empty() => Ok(Self::Folder(path.into())),
            Some(("dotenv", path)) if !path.is_empty() => Ok(Self::Dotenv(path.into())),
            _ => Err("write kubernetes, local, folder:DIR or dotenv:FILE".to_owned()),
        }
    }
}

impl fmt::Display for SourceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes => f.write_str("kubernetes"),
            Self::Local => f.write_str("local"),
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
            Self::Dotenv(path) => write!(f, "dotenv:{}", path.display()),
        }
    }
}

/// Where secrets are looked for, with every name that this takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A namespace of a cluster.
    Kubernetes {
        /// The kubeconfig's context; where it is absent, the current one.
        context: Option<String>,
        /// The namespace.
        namespace: String,
    },
    /// A folder with a folder per secret and a file per key.
    Folder(PathBuf),
    /// A file of `KEY=value` lines.
    Dotenv(PathBuf),
}

impl Source {
    /// The choice with the project's names filled in; `context` and `namespace` win over those.
    pub fn resolve(
        choice: SourceChoice,
        project: &Project,
        context: Option<String>,
        namespace: Option<String>,
    ) -> Self {
        let cluster = project.file.cluster.as_ref();
        match choice {
            SourceChoice::Kubernetes => Self::Kubernetes {
                context: context.or_else(|| cluster.and_then(|cluster| cluster.context.clone())),
                namespace: namespace
                    .or_else(|| cluster.map(|cluster| cluster.namespace.clone()))
                    .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            },
            SourceChoice::Local => Self::Folder(project.state_path(super::LOCAL_FOLDER)),
            SourceChoice::Folder(path) => Self::Folder(path),
            SourceChoice::Dotenv(path) => Self::Dotenv(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SourceChoice;

    #[test]
    fn a_choice_is_read_as_it_is_written() {
        for text in ["kubernetes", "local", "folder:a/b", "dotenv:.env"] {
            assert_eq!(text.parse::<SourceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "folder", "folder:", "vault", "kubernetes:x"] {
            assert!(text.parse::<SourceChoice>().is_err(), "{text}");
        }
    }
}
