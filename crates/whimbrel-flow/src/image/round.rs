//! One round, from the folders to the destination.

use std::thread;
use std::time::{Duration, Instant};

use whimbrel_cli::project::Project;
use whimbrel_files::scan::ScanError;
use whimbrel_image::{
    BuildError, Image, ImageSpec, Platform, Reference, ReferenceError, RegistryName, SqlSet, build,
};

use super::deliver::{Delivered, Names};
use super::runner::RunnerCache;
use super::{
    CheckedSet, Checker, DeliverError, Delivery, Destination, ImageEvent, ImageFinding, ImageReport, Millis,
    Runner, RunnerError, resolved_settings,
};

/// What a round is told.
#[derive(Debug, Clone)]
pub struct RoundSettings {
    /// Where the image goes.
    pub destination: Destination,
    /// Tags to move to the image. Empty: the destination's or the project's own; with `content_tag` only that.
    pub tags: Vec<String>,
    /// Whether a tag that is a function of the image's digest is set, alone.
    pub content_tag: bool,
    /// The platform of the image.
    pub platform: Platform,
    /// The program in the image.
    pub runner: Runner,
    /// How destinations are reached.
    pub delivery: Delivery,
    /// Whether nothing is written, and the report tells what would be.
    pub dry_run: bool,
}

/// How a round ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The image is at its destination.
    Delivered(Box<ImageReport>),
    /// The scripts have errors: nothing was delivered, the last good image stays.
    Refused(Vec<ImageFinding>),
}

/// A round could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// The scripts cannot be read.
    #[error("cannot read the scripts")]
    Scan(#[from] ScanError),
    /// The program cannot be used.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The image cannot be built.
    #[error("cannot build the image")]
    Build(#[from] BuildError),
    /// The settings cannot be written.
    #[error("cannot write the project's settings for the image")]
    Settings(#[from] toml::ser::Error),
    /// A name of the image is not valid.
    #[error("a name of the image is not valid")]
    Name(#[from] ReferenceError),
    /// The destination does not take it.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
}

/// A round that can be run again and again; what does not change is kept in between.
#[derive(Debug)]
pub struct Round {
    settings: RoundSettings,
    checker: Checker,
    runners: RunnerCache,
    delivered: Option<SqlSet>,
}

impl Round {
    /// A round with these settings.
    pub fn new(settings: RoundSettings) -> Self {
        Self { settings, checker: Checker::default(), runners: RunnerCache::default(), delivered: None }
    }

    /// What the round was told.
    pub fn settings(&self) -> &RoundSettings {
        &self.settings
    }

    /// The scripts of the image that was delivered last.
    pub fn delivered_sql(&self) -> Option<&SqlSet> {
        self.delivered.as_ref()
    }

    /// Tells the round something else; what it has learned about the program stays.
    pub fn change_settings(&mut self, settings: RoundSettings) {
        self.settings = settings;
    }

    /// Scans, checks, builds, delivers.
    ///
    /// # Errors
    /// When something could not be read, built or delivered. Errors in scripts are an [`Outcome`].
    pub async fn run(
        &mut self,
        project: &Project,
        on_event: &(dyn Fn(ImageEvent) + Sync),
    ) -> Result<Outcome, RoundError> {
        let start = Instant::now();
        let checked = self.check(project)?;
        let mut millis = Millis { check: since(start), ..Millis::default() };
        for finding in &checked.findings {
            on_event(ImageEvent::Finding(finding.clone()));
        }
        if !checked.is_clean() {
            let errors = checked.findings.iter().filter(|finding| finding.is_error()).count();
            on_event(ImageEvent::Refused { errors });
            return Ok(Outcome::Refused(checked.findings));
        }
        on_event(checked_event(&checked, millis.check));

        let building = Instant::now();
        let image = self.build(project, checked).await?;
        millis.build = since(building);
        on_event(ImageEvent::Built { digest: image.digest().clone(), millis: millis.build });

        let delivering = Instant::now();
        let names = self.names(project, &image)?;
        let destination = &self.settings.destination;
        let delivery = &self.settings.delivery;
        let delivered = if self.settings.dry_run {
            delivery.plan(&image, destination, &names).await?
        } else {
            delivery.deliver(&image, destination, &names, on_event).await?
        };
        if !self.settings.dry_run && self.delivered_sql() != Some(image.sql()) {
            self.checker.remember(project);
        }
        self.delivered = Some(image.sql().clone());
        millis.deliver = since(delivering);
        millis.total = since(start);
        let report = Box::new(self.report(project, &image, &names, delivered, millis));
        on_event(match (report.unchanged, self.settings.dry_run) {
            (true, _) => ImageEvent::Unchanged(report.clone()),
            (false, true) => ImageEvent::Planned(report.clone()),
            (false, false) => ImageEvent::Pushed(report.clone()),
        });
        Ok(Outcome::Delivered(report))
    }

    fn check(&mut self, project: &Project) -> Result<CheckedSet, ScanError> {
        let Self { settings, checker, runners, .. } = self;
        thread::scope(|scope| {
            if let Runner::Program(path) = &settings.runner {
                // Packing it takes as long as the check. What is wrong with it is told when it is needed.
                scope.spawn(|| drop(runners.layer(path, settings.platform)));
            }
            checker.check(project)
        })
    }

    async fn build(&mut self, project: &Project, checked: CheckedSet) -> Result<Image, RoundError> {
        let mut spec = ImageSpec::new(self.settings.platform, checked.sql)
            .with_settings(resolved_settings(project)?)
            .with_label("org.opencontainers.image.title", &project.file.project.name);
        match &self.settings.runner {
            Runner::Program(path) => {
                spec = spec.with_runner(self.runners.layer(path, self.settings.platform)?);
            }
            Runner::Base(reference) => {
                let registry = self.settings.delivery.registry(reference.registry())?;
                let deadline = Instant::now() + self.settings.delivery.limit;
                let read = registry.fetch_base(reference, self.settings.platform, deadline).await;
                let base = read.map_err(|source| DeliverError::Registry {
                    registry: reference.registry().to_string(),
                    source: Box::new(source),
                })?;
                spec = spec.with_base(base);
            }
            Runner::None => {}
        }
        Ok(build(&spec)?)
    }

    /// The tags of this image: its content's, else the given ones, else the destination's, else the project's.
    fn names(&self, project: &Project, image: &Image) -> Result<Names, RoundError> {
        let settings = &self.settings;
        let project_image = project.file.image.as_ref();
        let tags = if settings.content_tag {
            vec![image.digest().content_tag()]
        } else if !settings.tags.is_empty() {
            settings.tags.clone()
        } else if let Destination::Registry(target) = &settings.destination
            && let Some(tag) = target.tag()
        {
            vec![tag.to_owned()]
        } else {
            vec![project_image.map_or_else(|| "dev".to_owned(), |image| image.tag.clone())]
        };
        let full = match &settings.destination {
            Destination::Docker(Some(name)) if has_tag(name) => vec![name.clone()],
            Destination::Docker(name) => {
                let own = || project_image.map(|image| image.repository.clone());
                let repository =
                    name.clone().or_else(own).unwrap_or_else(|| "whimbrel-migrations".to_owned());
                tags.iter().map(|tag| format!("{repository}:{tag}")).collect()
            }
            Destination::Registry(target) => {
                let named = |tag: &String| target.with_tag(tag).map(|reference| reference.to_string());
                tags.iter().map(named).collect::<Result<_, _>>()?
            }
            Destination::Layout(_) => Vec::new(),
        };
        Ok(Names { tags, full })
    }

    fn report(
        &self,
        project: &Project,
        image: &Image,
        names: &Names,
        delivered: Delivered,
        millis: Millis,
    ) -> ImageReport {
        ImageReport {
            digest: image.digest().clone(),
            manifest: image.manifest().digest().clone(),
            sql_digest: image.sql_digest().clone(),
            platform: image.platform().to_string(),
            databases: image.sql().databases().into_iter().map(str::to_owned).collect(),
            scripts: image.sql().len(),
            destination: self.settings.destination.to_string(),
            pushed: names.full.first().cloned(),
            pull: pull_reference(project, &self.settings.destination, image),
            image_id: delivered.image_id,
            folder: match &self.settings.destination {
                Destination::Layout(folder) => Some(folder.clone()),
                _ => None,
            },
            unchanged: delivered.unchanged,
            has_runner: self.settings.runner != Runner::None,
            blobs_sent: delivered.sent,
            blobs_reused: delivered.reused,
            bytes: delivered.bytes,
            millis,
        }
    }
}

/// The name under which the cluster pulls: the registry's other name when we push to the project's registry.
fn pull_reference(project: &Project, destination: &Destination, image: &Image) -> Option<String> {
    let Destination::Registry(target) = destination else { return None };
    let by_digest = target.with_digest(image.digest().clone());
    let names = project.file.registry.as_ref().filter(|names| names.push == target.registry().as_str());
    let pull: Option<RegistryName> = names.and_then(|names| names.pull().parse().ok());
    let renamed: Reference = pull.map_or_else(|| by_digest.clone(), |name| by_digest.with_registry(name));
    Some(renamed.to_string())
}

/// A colon after the last slash begins a tag; before it, a port.
fn has_tag(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn checked_event(checked: &CheckedSet, millis: u64) -> ImageEvent {
    ImageEvent::Checked {
        scripts: checked.sql.len(),
        databases: checked.sql.databases().into_iter().map(str::to_owned).collect(),
        sql_digest: checked.sql.digest(),
        millis,
    }
}

fn since(start: Instant) -> u64 {
    let elapsed: Duration = start.elapsed();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
