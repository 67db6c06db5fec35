//! Kubernetes and Helm: secrets by name, Jobs and their logs, releases.
