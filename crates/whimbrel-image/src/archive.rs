//! The archive that a Docker engine loads.
//!
//! It holds the same blobs under two tables of contents: `manifest.json`, which every engine reads and by which the
//! image's id is the config's digest, and the OCI layout, which engines with containerd's image store prefer.

use std::io;

use serde_json::json;

use crate::layout::oci_layout;
use crate::{Image, ImageLayer};

/// Writes the archive. `names` are the full names (`repository:tag`) that the engine gives to the image.
/// An image with layers of a base cannot be written: their bytes are in a registry.
pub fn docker_archive(image: &Image, names: &[String]) -> io::Result<Vec<u8>> {
    let blob_path = |hex: &str| format!("blobs/sha256/{hex}");
    let mut layers = Vec::new();
    for layer in image.layers() {
        match layer {
            ImageLayer::Own(blob) => layers.push(blob_path(blob.digest().hex())),
            ImageLayer::Base(layer) => {
                let message = format!("layer {} of the base is in a registry only", layer.digest);
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            }
        }
    }
    let contents = json!([{
        "Config": blob_path(image.config().digest().hex()),
        "Layers": layers,
        "RepoTags": names,
    }]);
    let files = oci_layout(image, &[])?;
    let size: usize = files.iter().map(|file| file.bytes.len() + 1024).sum();
    let mut archive = tar::Builder::new(Vec::with_capacity(size + 4096));
    for file in &files {
        append(&mut archive, &file.path, &file.bytes)?;
    }
    append(&mut archive, "manifest.json", &serde_json::to_vec(&contents)?)?;
    archive.into_inner()
}

fn append(archive: &mut tar::Builder<Vec<u8>>, path: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSpec, Platform, SqlSet, build};

    #[test]
    fn archive_holds_both_tables_of_contents() {
        let image = build(&ImageSpec::new(Platform::default(), SqlSet::default())).unwrap();
        let bytes = docker_archive(&image, &["localhost:5000/x:dev".to_owned()]).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        for name in ["manifest.json", "index.json", "oci-layout"] {
            assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
        }
        assert_eq!(bytes, docker_archive(&image, &["localhost:5000/x:dev".to_owned()]).unwrap());
    }
}
