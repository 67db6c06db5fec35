//! Pushes and reads images in OCI registries.
