//! `up`: from a project to migrated databases, in order.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use whimbrel_cli::exit::ExitCode;
use whimbrel_cli::project::Project;
use whimbrel_cli::signals::Stop;
use whimbrel_contract::{Conclusion, DatabaseContract, Observations, Report, check};
use whimbrel_postgres::{BinarySource, Cluster, Server};

use super::admin::{Admin, LocalDatabase};
use super::error::UpError;
use super::event::UpEvent;
use super::image::LocalImages;
use super::job::{JobRequest, RunnerProgram, run_job};
use super::lock::CheckoutLock;
use super::report::{DatabaseRow, Look, UpEnd, UpReport, highest_version, rows};
use super::secrets;
use super::takeback::{AppliedScript, ChangedRepeatables, TakeBackPlan, plan_sweep, plan_take_back};
use super::{content, scripts};
use crate::image::Runner;
use crate::secrets::{Source, contracts, observe};

/// How many snapshots of one database are kept.
const SNAPSHOTS_KEPT: usize = 3;

/// What `up` is asked for, resolved.
#[derive(Clone, Debug)]
pub struct UpSettings {
    /// The project.
    pub project: Project,
    /// The databases that take part; none means all that are enabled.
    pub databases: Vec<String>,
    /// Where the programs of a server of our own come from.
    pub binaries: BinarySource,
    /// The secrets of somebody else's server, which is then used instead of our own.
    pub secrets: Option<Source>,
    /// The program in the image, where it is not ours.
    pub runner: Option<Runner>,
    /// The front door's own file, to find the runner.
    pub front_door: PathBuf,
    /// Placeholders that win over the project's.
    pub placeholders: BTreeMap<String, String>,
    /// How long the Job may take.
    pub job_deadline: Duration,
    /// How long another process on this checkout is waited for.
    pub lock_deadline: Duration,
}

/// Brings everything up, once.
pub async fn up(settings: &UpSettings, stop: &Stop, report: &dyn Fn(UpEvent)) -> Result<UpEnd, UpError> {
    let started = Instant::now();
    let _lock = lock(&settings.project, settings.lock_deadline, report).await?;
    let mut flow = match LocalFlow::prepare(settings.clone(), report).await? {
        Prepared::Ready(flow) => flow,
        Prepared::Refused(refused) => return Ok(UpEnd::SecretsRefused(refused)),
    };
    let end = flow.round(Mode::Once, stop, report).await?;
    let exit_code = end.code;
    Ok(UpEnd::Finished(UpReport {
        databases: end.rows,
        look: flow.look(),
        exit_code,
        millis: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Takes the lock of a checkout and says whom it waits for.
pub(super) async fn lock(
    project: &Project,
    deadline: Duration,
    report: &dyn Fn(UpEvent),
) -> Result<CheckoutLock, UpError> {
    let state = project.state();
    let lock = CheckoutLock::acquire(&state, deadline, |holder| {
        let what = format!("another whimbrel on this checkout ({holder})");
        report(UpEvent::Waiting { what, seconds: deadline.as_secs() });
    });
    Ok(lock.await?)
}

/// How a round looks at changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// One `up`: every database has its turn; a changed repeatable runs again, as everywhere.
    Once,
    /// After a save: only what it concerns; snapshots make the next change cheap.
    Watching,
}

/// What a round did.
pub(super) struct RoundEnd {
    pub(super) rows: Vec<DatabaseRow>,
    pub(super) code: u8,
}

/// The server whose databases are migrated.
enum Ground {
    Ours { server: Server, databases: Vec<LocalDatabase> },
    Theirs,
}

/// Either everything that rounds need, or why there cannot be one.
pub(super) enum Prepared {
    Ready(Box<LocalFlow>),
    Refused(Box<Report>),
}

/// A project on its ground, ready for rounds.
pub(super) struct LocalFlow {
    settings: UpSettings,
    ground: Ground,
    databases: Vec<String>,
    contracts: Vec<DatabaseContract>,
    observed: Observations,
    images: LocalImages,
    program: RunnerProgram,
    /// The files of each database as the last round left them.
    seen: BTreeMap<String, String>,
}

impl LocalFlow {
    pub(super) async fn prepare(settings: UpSettings, report: &dyn Fn(UpEvent)) -> Result<Prepared, UpError> {
        let databases = choose_databases(&settings.project, &settings.databases)?;
        report(UpEvent::Project {
            name: settings.project.file.project.name.clone(),
            path: settings.project.path.clone(),
            databases: databases.clone(),
        });
        let contracts = contracts(&settings.project, &databases)?;
        let (ground, source) = match &settings.secrets {
            Some(source) => {
                report(UpEvent::ServerOfOthers { secrets: place_of(source) });
                (Ground::Theirs, source.clone())
            }
            None => {
                let server = start_server(&settings, report).await?;
                let databases = secrets::write_local_secrets(&settings.project, &contracts, &server)?;
                let source = Source::Folder(secrets::secrets_folder(&settings.project));
                (Ground::Ours { server, databases }, source)
            }
        };
        let observed = observe(&source, &contracts).await?;
        let verdict = check(&contracts, &observed);
        if verdict.conclusion() != Conclusion::Clean {
            return Ok(Prepared::Refused(Box::new(verdict)));
        }
        report(UpEvent::SecretsVerified { databases: contracts.len(), place: place_of(&source) });
        if let Ground::Ours { server, databases } = &ground {
            provision(&settings.project, server, databases, report).await?;
        }
        let program = RunnerProgram::decide(&settings.front_door, std::path::Path::is_file);
        let images = LocalImages::new(&settings.project, settings.runner.clone(), &settings.front_door);
        let seen = BTreeMap::new();
        let flow = Self { settings, ground, databases, contracts, observed, images, program, seen };
        Ok(Prepared::Ready(Box::new(flow)))
    }

    /// The folders that hold the scripts.
    pub(super) fn locations(&self) -> Vec<PathBuf> {
        let project = &self.settings.project;
        let wanted = project.enabled().filter(|(name, _)| self.databases.iter().any(|wanted| wanted == name));
        wanted.flat_map(|(_, database)| project.locations(database)).collect()
    }

    /// Whether the server that is ours still runs.
    pub(super) fn server_answers(&self) -> Result<bool, UpError> {
        match &self.ground {
            Ground::Theirs => Ok(true),
            Ground::Ours { server, .. } => {
                let now = cluster(&self.settings)?.running();
                Ok(now.is_some_and(|now| now.pid == server.pid && now.port == server.port))
            }
        }
    }

    /// Scan, image, take back where the files say so, Job.
    pub(super) async fn round(
        &mut self,
        mode: Mode,
        stop: &Stop,
        report: &dyn Fn(UpEvent),
    ) -> Result<RoundEnd, UpError> {
        let Some(built) = self.images.build(&self.settings.project, report).await? else {
            return Ok(RoundEnd { rows: Vec::new(), code: ExitCode::No.code() });
        };
        let now = content::digests(&built.sql, &self.databases);
        let concerned: Vec<String> = match mode {
            Mode::Once => self.databases.clone(),
            Mode::Watching => {
                self.databases.iter().filter(|name| self.seen.get(*name) != now.get(*name)).cloned().collect()
            }
        };
        if concerned.is_empty() {
            return Ok(RoundEnd { rows: Vec::new(), code: 0 });
        }
        report(self.images.ready(&self.settings.project, &built));
        let content = content::unpack(&self.settings.project, &built.sql).map_err(UpError::Files)?;
        self.seen = now;
        let (pending, versions) = self.make_ready(&built.sql, &concerned, mode, report).await?;
        if pending.is_empty() {
            report(UpEvent::NothingToDo { databases: concerned });
            return Ok(RoundEnd { rows: Vec::new(), code: 0 });
        }
        let request = self.request(&content, pending, &built.report.digest.to_string());
        report(UpEvent::JobStarted {
            program: request.program.path.clone(),
            databases: request.databases.clone(),
        });
        let outcome = run_job(&request, stop, &|line| report(UpEvent::Job(line))).await?;
        let code = u8::try_from(outcome.code).unwrap_or(ExitCode::Bug.code());
        if code == ExitCode::ScriptPartlyKept.code() && mode == Mode::Watching {
            self.undo_failures(&built.sql, &request.databases, report).await?;
        }
        Ok(RoundEnd { rows: rows(outcome.record.as_ref(), &versions), code })
    }

    /// Takes back what the files no longer stand behind. Answers which databases have something to do, and the
    /// versions that they had.
    async fn make_ready(
        &self,
        sql: &whimbrel_image::SqlSet,
        concerned: &[String],
        mode: Mode,
        report: &dyn Fn(UpEvent),
    ) -> Result<(Vec<String>, BTreeMap<String, Option<String>>), UpError> {
        let mut versions = BTreeMap::new();
        let Ground::Ours { server, databases } = &self.ground else {
            return Ok((concerned.to_vec(), versions));
        };
        let mut admin = Admin::connect(server).await?;
        let mut pending = Vec::new();
        for database in databases.iter().filter(|database| concerned.contains(&database.database)) {
            let scripts = self.scripts_of(sql, database)?;
            let rows = admin.history(database).await?;
            let applied = AppliedScript::of_rows(&rows);
            let snapshots = admin.snapshots(database).await?;
            let repeatables = match mode {
                Mode::Once => ChangedRepeatables::RunAgain,
                Mode::Watching => ChangedRepeatables::Replayed,
            };
            let name = database.database.clone();
            versions.insert(name.clone(), highest_version(&rows));
            match plan_take_back(&applied, &scripts, &snapshots, repeatables) {
                TakeBackPlan::GoOn { pending: 0 } if mode == Mode::Watching => continue,
                TakeBackPlan::GoOn { pending: 0 } => {}
                TakeBackPlan::GoOn { .. } => {
                    let known = snapshots.iter().any(|snapshot| snapshot.applied == applied);
                    if mode == Mode::Watching && !applied.is_empty() && !known {
                        let closed = admin.snapshot(database, &applied).await?;
                        if closed > 0 {
                            report(UpEvent::ConnectionsClosed { database: name.clone(), closed });
                        }
                        let snapshots = admin.snapshots(database).await?;
                        admin.drop_snapshots(&plan_sweep(&snapshots, &scripts, SNAPSHOTS_KEPT)).await?;
                    }
                }
                TakeBackPlan::TakeBack { cause, base, kept } => {
                    let closed = admin.take_back(database, &base).await?;
                    report(UpEvent::TakenBack { database: name.clone(), cause, kept, closed });
                }
            }
            pending.push(name);
        }
        admin.close().await;
        Ok((pending, versions))
    }

    /// Takes back what a script did that could not run in a transaction and failed: the database is as it was
    /// before the save.
    async fn undo_failures(
        &self,
        sql: &whimbrel_image::SqlSet,
        ran: &[String],
        report: &dyn Fn(UpEvent),
    ) -> Result<(), UpError> {
        let Ground::Ours { server, databases } = &self.ground else { return Ok(()) };
        let mut admin = Admin::connect(server).await?;
        for database in databases.iter().filter(|database| ran.contains(&database.database)) {
            let rows = admin.history(database).await?;
            let Some(failed) = rows.iter().find(|row| !row.success) else { continue };
            let scripts = self.scripts_of(sql, database)?;
            let snapshots = admin.snapshots(database).await?;
            let applied = AppliedScript::of_rows(&rows);
            let plan = plan_take_back(&applied, &scripts, &snapshots, ChangedRepeatables::Replayed);
            if let TakeBackPlan::TakeBack { base, .. } = plan {
                admin.take_back(database, &base).await?;
                let (database, script) = (database.database.clone(), failed.script.clone());
                report(UpEvent::Undone { database, script });
            }
        }
        admin.close().await;
        Ok(())
    }

    fn scripts_of(
        &self,
        sql: &whimbrel_image::SqlSet,
        database: &LocalDatabase,
    ) -> Result<Vec<scripts::LocalScript>, UpError> {
        let project = &self.settings.project;
        let mut placeholders = project
            .file
            .databases
            .get(&database.database)
            .map(|entry| project.placeholders(entry))
            .unwrap_or_default();
        placeholders.extend(self.settings.placeholders.clone());
        Ok(scripts::resolve_scripts(content::files_of(sql, &database.database), &placeholders)?)
    }

    fn request(&self, content: &content::Content, databases: Vec<String>, digest: &str) -> JobRequest {
        let mut environment = secrets::runner_variables(&self.contracts, &self.observed);
        environment.insert(whimbrel_cli::env::IMAGE_DIGEST.to_owned(), digest.into());
        for (name, value) in &self.settings.placeholders {
            let name = format!("{}{}", whimbrel_cli::env::PLACEHOLDER_PREFIX, name.to_ascii_uppercase());
            environment.insert(name, value.into());
        }
        JobRequest {
            program: self.program.clone(),
            config: content.config.clone(),
            folder: self.settings.project.root.clone(),
            databases,
            environment,
            deadline: self.settings.job_deadline,
        }
    }

    /// How to look at the databases.
    pub(super) fn look(&self) -> Vec<Look> {
        let Ground::Ours { server, databases } = &self.ground else { return Vec::new() };
        let look = |database: &LocalDatabase| Look {
            database: database.database.clone(),
            host: "127.0.0.1".to_owned(),
            port: server.port,
            user: database.role.clone(),
            name: database.name.clone(),
            password_file: password_file(&self.settings.project),
        };
        databases.iter().map(look).collect()
    }
}

/// The file for `PGPASSFILE`.
pub(super) fn password_file(project: &Project) -> PathBuf {
    project.state_path("pgpass")
}

pub(super) fn cluster(settings: &UpSettings) -> Result<Cluster, UpError> {
    let project = &settings.project;
    Ok(Cluster::locate(&project.root, &project.state(), settings.binaries.clone())?)
}

async fn start_server(settings: &UpSettings, report: &dyn Fn(UpEvent)) -> Result<Server, UpError> {
    let server = cluster(settings)?.start(&mut |progress| report(UpEvent::Server(progress))).await?;
    report(UpEvent::ServerReady {
        version: server.version.text.clone(),
        port: server.port,
        started: server.started,
    });
    Ok(server)
}

async fn provision(
    project: &Project,
    server: &Server,
    databases: &[LocalDatabase],
    report: &dyn Fn(UpEvent),
) -> Result<(), UpError> {
    let mut admin = Admin::connect(server).await?;
    let made = admin.provision(databases).await?;
    admin.sweep_unfinished().await?;
    admin.close().await;
    secrets::write_password_file(&password_file(project), server, databases).map_err(UpError::Files)?;
    report(UpEvent::DatabasesReady { made, total: databases.len() });
    Ok(())
}

fn place_of(source: &Source) -> String {
    match source {
        Source::Kubernetes { namespace, .. } => format!("namespace {namespace}"),
        Source::Folder(path) | Source::Dotenv(path) => path.display().to_string(),
    }
}

/// The databases that take part, in the project's order.
fn choose_databases(project: &Project, asked: &[String]) -> Result<Vec<String>, UpError> {
    let enabled: Vec<String> = project.enabled().map(|(name, _)| name.to_owned()).collect();
    if let Some(name) = asked.iter().find(|name| !enabled.contains(name)) {
        return Err(UpError::NoDatabase { name: name.clone() });
    }
    Ok(enabled.into_iter().filter(|name| asked.is_empty() || asked.contains(name)).collect())
}
