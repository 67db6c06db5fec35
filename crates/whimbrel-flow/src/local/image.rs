//! The image of a local run: one round of [`crate::image`] into a layout folder of the checkout.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use whimbrel_cli::project::Project;
use whimbrel_image::{Platform, SqlSet};

use super::error::UpError;
use super::event::UpEvent;
use crate::image::{
    Delivery, Destination, ImageEvent, ImageReport, Outcome, Round, RoundSettings, Runner, find_runner,
};

/// Builds images; what does not change is kept in between.
#[derive(Debug)]
pub(super) struct LocalImages {
    round: Round,
    without_program: Option<&'static str>,
}

/// An image in its layout folder.
#[derive(Debug)]
pub(super) struct BuiltImage {
    pub(super) report: Box<ImageReport>,
    pub(super) sql: SqlSet,
}

impl LocalImages {
    /// Chooses the program: the given one, else a static one of ours, else none.
    pub(super) fn new(project: &Project, given: Option<Runner>, front_door: &Path) -> Self {
        let platform = Platform::of_processor(std::env::consts::ARCH).unwrap_or_default();
        let own = || find_runner(front_door, true, platform).map(Runner::Program);
        let runner = given.or_else(own).unwrap_or(Runner::None);
        let without_program = (runner == Runner::None)
            .then_some("no static Linux program is here; name one with --runner, or an image with --base");
        let settings = RoundSettings {
            destination: Destination::Layout(layout(project)),
            tags: Vec::new(),
            content_tag: false,
            platform,
            runner,
            delivery: Delivery::default(),
            dry_run: false,
        };
        Self { round: Round::new(settings), without_program }
    }

    /// Builds the image, or tells what speaks against it and answers with nothing.
    pub(super) async fn build(
        &mut self,
        project: &Project,
        report: &dyn Fn(UpEvent),
    ) -> Result<Option<BuiltImage>, UpError> {
        // The round may call from elsewhere; a report stays here.
        let findings = Mutex::new(Vec::new());
        let keep = |event: ImageEvent| {
            if let (ImageEvent::Finding(finding), Ok(mut findings)) = (event, findings.lock()) {
                findings.push(finding);
            }
        };
        let outcome = self.round.run(project, &keep).await?;
        let findings = findings.into_inner().unwrap_or_default();
        let errors = findings.iter().filter(|finding| finding.is_error()).count();
        findings.into_iter().for_each(|finding| report(UpEvent::Finding(finding)));
        match outcome {
            Outcome::Refused(_) => {
                report(UpEvent::ImageRefused { errors });
                Ok(None)
            }
            Outcome::Delivered(delivered) => {
                let sql = self.round.delivered_sql().cloned().unwrap_or_default();
                Ok(Some(BuiltImage { report: delivered, sql }))
            }
        }
    }

    /// The event that tells of an image.
    pub(super) fn ready(&self, project: &Project, built: &BuiltImage) -> UpEvent {
        UpEvent::ImageReady {
            layout: layout(project),
            digest: built.report.digest.to_string(),
            scripts: built.report.scripts,
            unchanged: built.report.unchanged,
            without_program: self.without_program.map(str::to_owned),
        }
    }
}

fn layout(project: &Project) -> PathBuf {
    project.state_path("image")
}
