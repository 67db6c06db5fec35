//! What a registry holds, asked with `curl`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::program::{Ended, Running, clean, run};
use crate::{eventually, testbed};

const ACCEPT: &str = "Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json";

fn curl(arguments: &[&str]) -> Ended {
    let mut command = clean("curl");
    command.args(["--silent", "--show-error", "--fail"]).args(arguments);
    run(&mut command, Duration::from_secs(60))
}

/// The digest that a tag has in the testbed's registry, or nothing.
pub fn digest(repository: &str, tag: &str) -> Option<String> {
    digest_at(&testbed::registry(), repository, tag)
}

/// The digest that a tag has in the registry at this host and port, or nothing.
pub fn digest_at(registry: &str, repository: &str, tag: &str) -> Option<String> {
    let answer =
        curl(&["--head", "--header", ACCEPT, &format!("http://{registry}/v2/{repository}/manifests/{tag}")]);
    let is_digest = |line: &&str| line.to_ascii_lowercase().starts_with("docker-content-digest:");
    let line = answer.stdout.lines().find(is_digest)?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// The manifest of an image; of an index, the manifest that it names first.
#[track_caller]
pub fn manifest_at(registry: &str, repository: &str, reference: &str) -> Value {
    let url = format!("http://{registry}/v2/{repository}/manifests/{reference}");
    let answer = curl(&["--header", ACCEPT, &url]).expect_code(0);
    let manifest: Value = serde_json::from_str(&answer.stdout).expect("a manifest is JSON");
    match manifest["manifests"][0]["digest"].as_str() {
        Some(digest) => manifest_at(registry, repository, digest),
        None => manifest,
    }
}

/// The digests of an image's layers.
#[track_caller]
pub fn layers(repository: &str, reference: &str) -> Vec<String> {
    let manifest = manifest_at(&testbed::registry(), repository, reference);
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| layer["digest"].as_str()).map(str::to_owned).collect()
}

/// Asks for every blob of an image, and panics when one is not there whole.
#[track_caller]
pub fn is_complete(registry: &str, repository: &str, reference: &str) {
    let manifest = manifest_at(registry, repository, reference);
    let layers = manifest["layers"].as_array().into_iter().flatten();
    for blob in layers.chain([&manifest["config"]]) {
        let digest = blob["digest"].as_str().expect("a descriptor has a digest");
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("blob");
        let file = file.to_str().expect("the path is text");
        curl(&["--output", file, &format!("http://{registry}/v2/{repository}/blobs/{digest}")])
            .expect_code(0);
        let sum = run(clean("sha256sum").arg(file), Duration::from_secs(60)).expect_code(0);
        assert_eq!(
            sum.stdout.split(' ').next(),
            digest.strip_prefix("sha256:"),
            "{digest} came back as something else"
        );
    }
}

/// A registry of its own, which a test may kill and start again on the same data.
pub struct Own {
    /// Host and port.
    pub address: String,
    folder: PathBuf,
    running: Option<Running>,
}

impl Own {
    /// Starts one whose data are in this folder.
    pub fn start(folder: &Path) -> Self {
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
            listener.local_addr().expect("a listener has an address").port()
        };
        let mut own = Self { address: format!("localhost:{port}"), folder: folder.to_owned(), running: None };
        own.restart();
        own
    }

    /// Starts it again.
    ///
    /// The registry (distribution 2.8) writes manifests and links in place: killed in between, it leaves an empty
    /// file, which it later takes for the whole one. No push can mend that, so what its operator would remove is
    /// removed here.
    pub fn restart(&mut self) {
        let empty = ["-type", "f", "-size", "0", "-path", "*/docker/registry/v2/*", "-delete"];
        run(clean("find").arg(&self.folder).args(empty), Duration::from_secs(10)).expect_code(0);
        let configuration = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{}\"}}\n",
            self.folder.display(),
            self.address
        );
        let file = self.folder.join("registry.yml");
        fs_err::write(&file, configuration).expect("the folder can be written");
        self.running = Some(Running::start(clean("docker-registry").arg("serve").arg(&file)));
        eventually("the registry answers", Duration::from_secs(20), || {
            (curl(&[&format!("http://{}/v2/", self.address)]).code == Some(0)).then_some(())
        });
    }

    /// What it said since it was started.
    pub fn said(&self) -> String {
        self.running.as_ref().map(Running::so_far).unwrap_or_default()
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.running = None;
    }
}
