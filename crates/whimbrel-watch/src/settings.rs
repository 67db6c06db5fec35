//! From flags, environment and project file to what is done.
//!
//! | value | first that is there |
//! |---|---|
//! | destination | `--to`, Tilt's `EXPECTED_REF`, Tilt's `EXPECTED_REGISTRY` with the project's repository, the project, the registry that the cluster announces with the project's repository |
//! | tag | `--tag`, a content tag with `--ref-out`, the destination's, the project's |
//! | program | `--runner`, `--base`, `--sql-only`, `whimbrel-migrate` beside us, ourselves, none |

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use whimbrel_cli::env::Environment;
use whimbrel_cli::error::{CommandError, ErrorKind};
use whimbrel_cli::project::Project;
use whimbrel_files::watch::WatchOptions;
use whimbrel_flow::image::{Delivery, Destination, RoundSettings, Runner, find_runner};
use whimbrel_image::Platform;
use whimbrel_registry::TransportSettings;

use crate::cli::WatchArgs;

/// Tilt's full reference for a `custom_build`, with its own tag.
const EXPECTED_REF: &str = "EXPECTED_REF";
/// Tilt's registry for a `custom_build`.
const EXPECTED_REGISTRY: &str = "EXPECTED_REGISTRY";
const DOCKER_HOST: &str = "DOCKER_HOST";
const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
const HOME: &str = "HOME";

/// Who calls: the tool itself, or the front door.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The program that runs.
    pub program: PathBuf,
    /// Whether that program can be the runner of an image.
    pub serves_itself: bool,
}

impl Caller {
    /// The program of this process.
    ///
    /// # Errors
    /// When the system does not tell which program this is.
    pub fn this_process(serves_itself: bool) -> Result<Self, CommandError> {
        let program =
            std::env::current_exe().map_err(|error| CommandError::new(ErrorKind::Unavailable, error))?;
        Ok(Self { program, serves_itself })
    }
}

/// Everything that is decided before the first round.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// One round only.
    pub once: bool,
    /// What a round does.
    pub round: RoundSettings,
    /// Where the reference is written.
    pub ref_out: Option<PathBuf>,
    /// How folders are watched.
    pub watch: WatchOptions,
}

impl WatchSettings {
    /// Resolves every value.
    ///
    /// # Errors
    /// When a value is wrong, or no destination is known.
    pub fn resolve(
        args: &WatchArgs,
        project: &Project,
        environment: &impl Environment,
        caller: &Caller,
    ) -> Result<Self, CommandError> {
        let destination = destination(args, project, environment)?;
        let platform = args.platform.or_else(|| Platform::of_processor(std::env::consts::ARCH));
        let platform = platform.unwrap_or_default();
        let round = RoundSettings {
            destination,
            content_tag: args.ref_out.is_some() && args.tag.is_empty(),
            tags: args.tag.clone(),
            platform,
            runner: runner(args, caller, platform),
            delivery: Delivery {
                transport: TransportSettings {
                    plain: args.plain_http.clone(),
                    ..TransportSettings::default()
                },
                docker_config: docker_config(environment)?,
                docker_host: environment
                    .get(DOCKER_HOST)
                    .filter(|host| !host.is_empty())
                    .unwrap_or_else(|| Delivery::default().docker_host),
                limit: Duration::from_secs(args.timeout),
            },
            dry_run: args.dry_run,
        };
        let once = args.once || args.dry_run;
        let ref_out = args.ref_out.clone().filter(|_| !args.dry_run);
        let watch = WatchOptions { poll: args.poll.map(Duration::from_millis), ..WatchOptions::default() };
        Ok(Self { once, round, ref_out, watch })
    }
}

/// Whether nobody says which registry is meant, so that the cluster has to be asked.
pub(crate) fn registry_is_unknown(
    args: &WatchArgs,
    project: &Project,
    environment: &impl Environment,
) -> bool {
    let set = |name| environment.get(name).is_some_and(|value| !value.is_empty());
    args.to.is_none()
        && project.file.registry.is_none()
        && project.file.image.is_some()
        && !set(EXPECTED_REF)
        && !set(EXPECTED_REGISTRY)
}

fn destination(
    args: &WatchArgs,
    project: &Project,
    environment: &impl Environment,
) -> Result<Destination, CommandError> {
    if let Some(destination) = &args.to {
        return Ok(destination.clone());
    }
    let set = |name| environment.get(name).filter(|value| !value.is_empty());
    let registry = set(EXPECTED_REGISTRY);
    let expected = match (set(EXPECTED_REF), registry) {
        (Some(reference), Some(registry)) if !reference.starts_with(&format!("{registry}/")) => {
            Some(format!("registry://{registry}/{reference}"))
        }
        (Some(reference), _) => Some(format!("registry://{reference}")),
        (None, Some(registry)) => {
            let image = project.file.image.as_ref().ok_or_else(|| {
                CommandError::usage(format!("{EXPECTED_REGISTRY} is set, but the project names no image"))
                    .hinted("set [image] repository in whimbrel.toml, or use --to")
            })?;
            Some(format!("registry://{registry}/{}", image.repository))
        }
        (None, None) => None,
    };
    let hint = "use --to, or set [registry] push and [image] repository in whimbrel.toml";
    match expected {
        Some(text) => text.parse(),
        None => Destination::of_project(&project.file),
    }
    .map_err(|error| CommandError::usage(error).hinted(hint))
}

fn runner(args: &WatchArgs, caller: &Caller, platform: Platform) -> Runner {
    if let Some(path) = &args.runner {
        return Runner::Program(path.clone());
    }
    if let Some(base) = &args.base {
        return Runner::Base(base.clone());
    }
    if args.sql_only {
        return Runner::None;
    }
    find_runner(&caller.program, caller.serves_itself, platform).map_or(Runner::None, Runner::Program)
}

/// The Docker client's settings, when there are any.
fn docker_config(environment: &impl Environment) -> Result<Option<SecretString>, CommandError> {
    let folder = environment
        .get(DOCKER_CONFIG)
        .map(PathBuf::from)
        .or_else(|| environment.get(HOME).map(|home| Path::new(&home).join(".docker")));
    let Some(folder) = folder else { return Ok(None) };
    match fs_err::read_to_string(folder.join("config.json")) {
        Ok(text) => Ok(Some(text.into())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(CommandError::usage(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn project(folder: &Path) -> Project {
        let path = folder.join("whimbrel.toml");
        let text = "[image]\nrepository = \"ameide/migrations\"\n[registry]\npush = \"localhost:5000\"\n";
        fs_err::write(&path, text).unwrap();
        Project::load(&path).unwrap()
    }

    fn resolve(args: &WatchArgs, environment: &[(&str, &str)]) -> WatchSettings {
        let folder = tempfile::tempdir().unwrap();
        let environment: BTreeMap<String, String> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let caller = Caller { program: folder.path().join("whimbrel-watch"), serves_itself: false };
        let args = WatchArgs { timeout: 1, ..args.clone() };
        WatchSettings::resolve(&args, &project(folder.path()), &environment, &caller).unwrap()
    }

    fn destination_with(environment: &[(&str, &str)]) -> String {
        resolve(&WatchArgs::default(), environment).round.destination.to_string()
    }

    #[test]
    fn project_names_the_destination() {
        assert_eq!(destination_with(&[]), "registry://localhost:5000/ameide/migrations:dev");
    }

    #[test]
    fn tilt_names_the_destination_in_each_of_its_modes() {
        let full = "localhost:5005/ameide_migrations:tilt-build-1";
        let expected = format!("registry://{full}");
        assert_eq!(
            destination_with(&[(EXPECTED_REF, full), (EXPECTED_REGISTRY, "localhost:5005")]),
            expected
        );
        assert_eq!(destination_with(&[(EXPECTED_REF, full)]), expected);
        let tagged = destination_with(&[(EXPECTED_REF, "ameide/x:t"), (EXPECTED_REGISTRY, "localhost:5005")]);
        assert_eq!(tagged, "registry://localhost:5005/ameide/x:t");
        let registry_only = destination_with(&[(EXPECTED_REGISTRY, "localhost:5005")]);
        assert_eq!(registry_only, "registry://localhost:5005/ameide/migrations");
    }

    #[test]
    fn flag_wins_over_tilt() {
        let to = Some("oci:out".parse().unwrap());
        let settings =
            resolve(&WatchArgs { to, ..WatchArgs::default() }, &[(EXPECTED_REF, "localhost:1/x:t")]);
        assert_eq!(settings.round.destination.to_string(), "oci:out");
    }

    #[test]
    fn reference_file_wants_a_tag_of_the_content() {
        let ref_out = Some(PathBuf::from("ref"));
        let args = WatchArgs { ref_out, ..WatchArgs::default() };
        assert!(resolve(&args, &[]).round.content_tag);
        let tagged = WatchArgs { tag: vec!["v1".to_owned()], ..args };
        assert!(!resolve(&tagged, &[]).round.content_tag);
    }

    #[test]
    fn without_a_static_program_the_image_has_scripts_only() {
        assert_eq!(resolve(&WatchArgs::default(), &[]).round.runner, Runner::None);
    }
}
