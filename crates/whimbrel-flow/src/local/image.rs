//! The image of a local run: built into a layout folder of the checkout.

use std::path::{Path, PathBuf};

use whimbrel_cli::project::Project;
use whimbrel_files::{layout, scan};
use whimbrel_image::{Image, ImageSpec, Platform, RunnerLayer, SqlSet, build, oci_layout, runner_layer};

use super::error::UpError;
use super::job::RunnerProgram;

/// Builds images and remembers what does not change while we live.
#[derive(Debug)]
pub(super) struct LocalImages {
    runner: Result<RunnerLayer, String>,
}

/// An image in its layout folder.
#[derive(Debug)]
pub(super) struct BuiltImage {
    /// The image.
    pub image: Image,
    /// The folder.
    pub layout: PathBuf,
    /// Whether the folder held another one.
    pub changed: bool,
}

impl LocalImages {
    /// Reads the program that goes into the images.
    pub(super) fn new(program: &RunnerProgram) -> Self {
        Self { runner: load_runner(&program.path) }
    }

    /// Why the images hold no program, if they hold none.
    pub(super) fn without_program(&self) -> Option<String> {
        self.runner.as_ref().err().cloned()
    }

    /// Scans the scripts and builds the image.
    pub(super) fn build(&self, project: &Project, databases: &[String]) -> Result<BuiltImage, UpError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| UpError::Image(error);
        let mut sql = SqlSet::default();
        for (name, database) in
            project.enabled().filter(|(name, _)| databases.iter().any(|wanted| wanted == name))
        {
            for location in project.locations(database) {
                let scanned = scan::scan(&location).map_err(|error| failed(error.into()))?;
                for file in scanned.files {
                    sql.insert(name, &file.path, file.bytes, &location.display().to_string())
                        .map_err(|error| failed(error.into()))?;
                }
            }
        }
        let mut spec = ImageSpec::new(Platform::default(), sql);
        if let Ok(runner) = &self.runner {
            spec = spec.with_runner(runner.clone());
        }
        let image = build(&spec).map_err(|error| failed(error.into()))?;
        let tags: Vec<String> = project.file.image.iter().map(|image| image.tag.clone()).collect();
        let files = oci_layout(&image, &tags).map_err(|error| failed(error.into()))?;
        let folder = project.state_path("image");
        let changed = !layout::has_image(&folder, &files);
        if changed {
            layout::write_layout(&folder, &files).map_err(|error| failed(error.into()))?;
        }
        Ok(BuiltImage { image, layout: folder, changed })
    }
}

fn load_runner(path: &Path) -> Result<RunnerLayer, String> {
    let program = fs_err::read(path).map_err(|error| error.to_string())?;
    runner_layer(&program, Platform::default()).map_err(|error| error.to_string())
}
