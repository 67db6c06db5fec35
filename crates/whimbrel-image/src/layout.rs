//! An image as an OCI image layout: files by their path in the folder.

use serde_json::json;

use crate::{Image, ImageLayer, json};

/// One file of a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutFile {
    /// The path inside the layout's folder, with `/`.
    pub path: String,
    /// The content.
    pub bytes: bytes::Bytes,
    /// Whether the name is the content's digest: such a file never changes once it is there.
    pub immutable: bool,
}

impl LayoutFile {
    fn named(path: &str, bytes: Vec<u8>) -> Self {
        Self { path: path.to_owned(), bytes: bytes.into(), immutable: false }
    }
}

/// All files of the layout, in the order of writing: `index.json` is the last and makes the image visible.
/// Layers of a base are not among them: whoever writes the layout adds their blobs.
pub fn oci_layout(image: &Image, tags: &[String]) -> Result<Vec<LayoutFile>, serde_json::Error> {
    let own = image.layers().filter_map(|layer| match layer {
        ImageLayer::Own(blob) => Some(blob),
        ImageLayer::Base(_) => None,
    });
    let blobs = own.chain([image.config(), image.manifest(), image.index()]);
    let mut files: Vec<LayoutFile> = blobs
        .map(|blob| LayoutFile {
            path: format!("blobs/sha256/{}", blob.digest().hex()),
            bytes: blob.bytes().clone(),
            immutable: true,
        })
        .collect();
    files.push(LayoutFile::named("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    files.push(LayoutFile::named("index.json", index_file(image, tags)?));
    Ok(files)
}

/// The entry point of a layout: one entry per tag, or one without a name.
fn index_file(image: &Image, tags: &[String]) -> Result<Vec<u8>, serde_json::Error> {
    let index = image.index();
    let descriptor = json!({
        "mediaType": index.media_type().as_str(),
        "digest": index.digest(),
        "size": index.size(),
    });
    let named = |tag: &String| {
        let mut descriptor = descriptor.clone();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        descriptor
    };
    let manifests = if tags.is_empty() { vec![descriptor.clone()] } else { tags.iter().map(named).collect() };
    json::canonical(&json!({
        "schemaVersion": 2,
        "mediaType": index.media_type().as_str(),
        "manifests": manifests,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, ImageSpec, Platform, SqlSet, build};

    #[test]
    fn index_is_last_and_blobs_are_named_by_their_digest() {
        let image = build(&ImageSpec::new(Platform::default(), SqlSet::default())).unwrap();
        let files = oci_layout(&image, &["dev".to_owned()]).unwrap();
        for file in files.iter().filter(|file| file.immutable) {
            assert_eq!(file.path, format!("blobs/sha256/{}", Digest::of(&file.bytes).hex()));
        }
        let last = files.last().unwrap();
        assert_eq!(last.path, "index.json");
        assert!(String::from_utf8_lossy(&last.bytes).contains(image.digest().as_str()));
        assert!(
            String::from_utf8_lossy(&last.bytes).contains(r#""org.opencontainers.image.ref.name":"dev""#)
        );
    }
}
